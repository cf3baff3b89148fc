"""The shape of the code under src/ in figures: how much there is, how long its functions are, what stands twice, how many options a verb has.

usage: python bench/shape.py [--at REVISION ...] [--names] [--json]

Each `--at` is a revision of git that is measured too, in a column of its own before the tree as it is now. `--names` lists what was
counted where it stands. The last line is JSON. How each figure is counted:

    statements        nodes of `ast.stmt`, docstrings included
    function          lines from `def` to its last one, decorators left out, nested functions and methods counted as well
    lone participles  functions and methods named by one past participle (`told`, `_kept`), properties left out: `file.closed` is a state
    duplicates        runs of six lines and more that stood before in the same order. Blank lines, comments, docstrings, imports, `__all__`
                      and lines without a letter or digit do not count as lines; indentation does not count
    classes twice     names of classes that several modules define, private ones included
    cycles            groups of modules that import each other, in functions and for types as well
    aliases           old names that are still answered: `Old = New` in a module, entries of a table `RENAMED`, what is `@deprecated`
    options           of the command line, hidden ones and --help left out; those of the first panel are in no panel of their own
"""

from __future__ import annotations

import argparse
import ast
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 400
LONGEST_LINE = 120
BLOCK = 6
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# past participles that do not end in -ed; those that are the verb as well (`read`, `put`, `cut`) are not here
IRREGULAR = """
    been begun bitten born borne bound bought bred broken brought built burnt caught chosen dealt done drawn driven eaten fallen
    fed felt forgotten fought found frozen given gone grown heard held hidden hung kept known laid lain led left lent lit lost
    made meant met mistaken paid proven ridden risen said sent sewn shaken shot shown sold sought spent spoken spun stolen stood
    struck stuck sung swept sworn taken taught thought thrown told torn understood withheld woken won worn wound woven written
"""
NO_PARTICIPLES = "bed bleed breed embed exceed feed indeed need proceed red reembed seed shed speed succeed weed"
# read in an interpreter that has the measured tree first on its path; click and typer are the project's own
OPTIONS = """
import json, sys, typer.main
import openclap
from openclap.cli.app import app

if not openclap.__file__.startswith(sys.argv[1]):
    sys.exit(f"{sys.argv[1]} holds no openclap, and another one is installed")

def walk(command, name):
    if hasattr(command, "commands"):
        for verb, inner in command.commands.items():
            walk(inner, f"{name} {verb}".strip())
    else:
        shown = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False) and p.name != "help"]
        found[name] = [len(shown), sum(not getattr(p, "rich_help_panel", None) for p in shown)]

found = {}
walk(typer.main.get_command(app), "")
json.dump(found, sys.stdout)
"""


@dataclass
class Shape:
    """What was counted in one tree: figures by their name, and where the counted things stand."""

    figures: dict[str, float] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    options: dict[str, list[int]] = field(default_factory=dict)

    def count(self, figure: str, names: list[str]) -> None:
        """Note a figure that is a count, with where the counted things stand."""
        self.figures[figure] = len(names)
        self.names[figure] = names


@dataclass
class Module:
    """One file, read and parsed."""

    path: str
    name: str
    text: str
    tree: ast.Module

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Functions and methods, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, FUNCTION))

    def place(self, line: int, name: str = "") -> str:
        """`src/openclap/x.py:12 name`."""
        return f"{self.path}:{line} {name}".rstrip()


def read_modules(source: Path) -> list[Module]:
    """Every Python file below a folder, sorted by path."""
    modules = []
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(str(path.relative_to(source.parent)), name, text, ast.parse(text)))
    return modules


def is_participle(name: str) -> bool:
    """Whether a function's name is one past participle and nothing else."""
    word = name.strip("_")
    if "_" in word or not word.islower():
        return False
    if word.endswith("ed"):
        return word not in NO_PARTICIPLES.split()
    return word.removeprefix("un") in IRREGULAR.split()


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        ast.unparse(d).rpartition(".")[2] in ("property", "cached_property", "setter") for d in function.decorator_list
    )


def code_lines(module: Module) -> list[tuple[int, str]]:
    """Number and stripped text of each line that counts when duplicates are looked for."""
    left_out: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            left_out.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign)) and (
            not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) == "__all__"
        ):
            left_out.update(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = []
    for number, line in enumerate(module.text.splitlines(), 1):
        code = line.split("  # ")[0].strip()
        if number not in left_out and not code.startswith("#") and re.search(r"\w", code):
            lines.append((number, code))
    return lines


def find_duplicates(modules: list[Module]) -> list[tuple[str, int]]:
    """Runs of `BLOCK` lines and more that stood before → (place, lines)."""
    seen: set[tuple[str, ...]] = set()
    runs = []
    for module in modules:
        lines = code_lines(module)
        blocks = [tuple(code for _, code in lines[i : i + BLOCK]) for i in range(len(lines) - BLOCK + 1)]
        start = 0
        for repeated, group in itertools.groupby(blocks, lambda block: block in seen):
            length = len(list(group))
            if repeated:
                runs.append((module.place(lines[start][0]), length + BLOCK - 1))
            start += length
        seen.update(blocks)  # only now: a table whose rows look alike is no duplicate of itself
    return runs


def imports_of(module: Module, names: set[str]) -> set[str]:
    """Modules of the project that one imports, whenever that happens."""
    wanted: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            wanted |= (inner & names) or {node.module}
    return (wanted & names) - {module.name}


def find_cycles(modules: list[Module]) -> list[str]:
    """Groups of modules each of which reaches all others of its group."""
    names = {module.name for module in modules}
    graph = {module.name: imports_of(module, names) for module in modules}
    reached: dict[str, set[str]] = {}
    for name in graph:
        reached[name], waiting = set(), [name]
        while waiting:
            new = graph[waiting.pop()] - reached[name]
            reached[name] |= new
            waiting.extend(new)
    groups = {tuple(sorted(b for b in reached[a] if a in reached[b])) for a in graph if a in reached[a]}
    return [" ↔ ".join(group) for group in sorted(groups)]


def find_aliases(module: Module) -> list[str]:
    """Old names that a module still answers to."""
    found = []
    for node in module.tree.body:
        if isinstance(node, (*FUNCTION, ast.ClassDef)):
            if any("deprecated" in ast.unparse(d) for d in node.decorator_list):
                found.append(module.place(node.lineno, node.name))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if name.strip("_") == "RENAMED" and isinstance(node.value, ast.Dict):
                found += [module.place(key.lineno, ast.unparse(key)) for key in node.value.keys if key is not None]
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and name.isidentifier():
                found.append(module.place(node.lineno, f"{name} = {node.value.id}"))
    return found


def count_options(tree: Path) -> dict[str, list[int]]:
    """Options of each verb and how many of them are in the first panel; nothing where the command line cannot be asked."""
    env = {**os.environ, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, "-c", OPTIONS, str(tree / "src")],
        env=env,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"options not counted: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def count_size(shape: Shape, modules: list[Module]) -> None:
    """How much there is, and how long files, functions and lines are."""
    figures = shape.figures
    figures["statements"] = sum(isinstance(n, ast.stmt) for m in modules for n in ast.walk(m.tree))
    figures["lines"] = sum(len(m.text.splitlines()) for m in modules)
    figures["files"] = len(modules)
    long = [(len(m.text.splitlines()), m.path) for m in modules]
    shape.count(
        f"files over {LONGEST_FILE} lines", [f"{p} {n}" for n, p in sorted(long, reverse=True) if n > LONGEST_FILE]
    )
    lengths = sorted((f.end_lineno or 0) - f.lineno + 1 for m in modules for f in m.functions())
    figures["functions"] = len(lengths)
    figures["function lines p50"] = statistics.median_low(lengths)
    figures["function lines p90"] = lengths[int(0.9 * (len(lengths) - 1))]
    figures["function lines max"] = lengths[-1]
    numbered = [(m, i, line) for m in modules for i, line in enumerate(m.text.splitlines(), 1)]
    shape.count(f"lines over {LONGEST_LINE}", [m.place(i) for m, i, line in numbered if len(line) > LONGEST_LINE])
    shape.count("fmt: skip", [m.place(i) for m, i, line in numbered if "# fmt: skip" in line])


def count_words(shape: Shape, modules: list[Module]) -> None:
    """Names and phrases that a stranger stumbles on."""
    lone = [
        m.place(f.lineno, f.name)
        for m in modules
        for f in m.functions()
        if is_participle(f.name) and not is_property(f)
    ]
    shape.count("lone participles", lone)
    shape.count("'Knows nothing of'", [m.path for m in modules if "nothing of" in (ast.get_docstring(m.tree) or "")])
    defined = defaultdict(list)
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(module.path)
    shape.count("classes twice", [f"{name}: {', '.join(p)}" for name, p in sorted(defined.items()) if len(p) > 1])
    shape.count("aliases", [alias for m in modules for alias in find_aliases(m)])


def measure(tree: Path) -> Shape:
    """Every figure of one checkout."""
    shape = Shape()
    modules = read_modules(tree / "src")
    if not modules:
        raise SystemExit(f"{tree}: no Python files below src/; run it on a checkout of the project")
    count_size(shape, modules)
    duplicates = find_duplicates(modules)
    shape.count(f"duplicates of {BLOCK} lines", [f"{place}, {lines} lines" for place, lines in duplicates])
    shape.figures["duplicated lines"] = sum(lines for _, lines in duplicates)
    count_words(shape, modules)
    shape.count("cycles", find_cycles(modules))
    shape.options = count_options(tree)
    if shape.options:
        shape.figures["verbs"] = len(shape.options)
        shape.figures["options"] = sum(total for total, _ in shape.options.values())
        shape.figures["options of a verb, most"] = max(total for total, _ in shape.options.values())
        shape.figures["first panel, most"] = max(first for _, first in shape.options.values())
        shape.names["options"] = [
            f"openclap {v}: {n}, {first} in the first panel" for v, (n, first) in shape.options.items()
        ]
    return shape


def measure_revision(revision: str) -> Shape:
    """Every figure of what git holds at a revision."""
    done = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"--at is {revision!r}; give a revision of git: {done.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory() as place, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(place, filter="data")
        return measure(Path(place))


def as_table(shapes: dict[str, Shape]) -> str:
    """One row a figure, one column a revision, and by how much the last differs from the first."""
    rows = [["", *shapes, "change"]]
    for figure in list(shapes.values())[-1].figures:
        values = [shape.figures.get(figure) for shape in shapes.values()]
        before, after = values[0], values[-1]
        change = f"{100 * (after - before) / before:+.0f} %" if before and after is not None and len(values) > 1 else ""
        rows.append([figure, *("–" if v is None else f"{v:g}" if v < 1e6 else f"{v:.0f}" for v in values), change])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", action="append", default=[], metavar="REVISION", help="measure this revision as well")
    parser.add_argument("--names", action="store_true", help="list what was counted, of the tree as it is")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    args = parser.parse_args()
    shapes = {revision: measure_revision(revision) for revision in args.at} | {"now": measure(ROOT)}
    if args.names:
        for figure, names in shapes["now"].names.items():
            print(f"{figure}: {len(names)}", *(f"  {name}" for name in names), "", sep="\n")
    if not args.json:
        print(as_table(shapes))
    report: dict[str, Any] = {name: {**shape.figures, "by_verb": shape.options} for name, shape in shapes.items()}
    print(json.dumps(report, ensure_ascii=False))


if __name__ == "__main__":
    main()
