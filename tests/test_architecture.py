"""The pages that say where code lies cannot rot: every package has its row, every file, function and name in them exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from test_floors import FLOORS, ROOT

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
PAGES = [DOCS / "architecture.md", DOCS / "decisions.md", *sorted((DOCS / "flows").glob("*.md"))]
FILE = re.compile(r"(?<![\w./*-])((?:[\w-]+/)*[\w-]+\.py)\b")
# `library/search.py` | `find_hits()`, `add_shard()` of `library/indexing.py`, `kind.py`, `_private`
IN_FILE = [
    re.compile(r"`([\w/]+\.py)`(?: \||,) `(\w+(?:\.\w+)*)(?:\(\))?`"),
    re.compile(r"`(\w+(?:\.\w+)*)\(\)` (?:of|in) `([\w/]+\.py)`"),
]
DOTTED = re.compile(r"`((?:\w+/)*\w+)\.([A-Za-z_]\w*(?:\.\w+)?)(?:\(\))?`")
CALL = re.compile(r"`(\w+)\(\)`")
NO_MODULES = {"json", "yaml", "csv", "pt", "md", "py", "safetensors", "sqlite", "log", "txt"}


def below(name: str) -> Path | None:
    """`library/search` or `library` → its file; `search` alone, where only one module is called so."""
    for path in (ROOT / f"{name}.py", ROOT / name / "__init__.py"):
        if path.is_file():
            return path
    found = [] if "/" in name else list(ROOT.rglob(f"{name}.py"))
    return found[0] if len(found) == 1 else None


@cache
def names_of(path: Path) -> frozenset[str]:
    """What a module defines or imports, and the members of its classes: `Library.add`, `Settings.seed`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        found |= defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for inner in node.body for name in defined(inner)}
            found |= {f"{node.name}.{x.attr}" for x in ast.walk(node) if isinstance(x, ast.Attribute)}  # self.name = …
    return frozenset(found)


def defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {x.id for target in targets for x in ast.walk(target) if isinstance(x, ast.Name)}


@cache
def all_names() -> frozenset[str]:
    return frozenset().union(*map(names_of, ROOT.rglob("*.py")))


def missing_names(text: str) -> set[str]:
    """Files, and names in files, that a page speaks of and that are not there."""
    missing = {
        file
        for file in FILE.findall(text)
        if not any((place / file).is_file() for place in (ROOT, REPOSITORY, REPOSITORY / "tests"))
        and not ("/" not in file and any(ROOT.rglob(file)))  # `rows.py`, of a package that was named before
        and file != "FILE.py"  # a user's own
    }
    pairs = [(file, name) for file, name in IN_FILE[0].findall(text)]
    pairs += [(file, name) for name, file in IN_FILE[1].findall(text)]
    for file, name in pairs:
        path = ROOT / file
        if path.is_file() and not name.endswith(".py") and name not in names_of(path):
            missing.add(f"{file}: {name}")
    for module, name in DOTTED.findall(text):
        path = below(module)
        if path is not None and name.split(".")[-1] not in NO_MODULES and name not in names_of(path):
            missing.add(f"{module}.{name}")
        if path is None and (("/" in module and name.split(".")[-1] not in NO_MODULES) or module[0].isupper()):
            missing |= set() if "/" not in module and f"{module}.{name}" in all_names() else {f"{module}.{name}"}
    known = {name.split(".")[-1] for name in all_names()}
    return missing | {f"{name}()" for name in CALL.findall(text) if name not in known}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_is_there(page: Path) -> None:
    assert missing_names(page.read_text(encoding="utf-8")) == set()


def test_what_is_not_there_is_found() -> None:
    text = (
        "`library/serach.py`, `library/search.py` | `find_nothing()`, `find_it()` of `library/query.py`, "
        "`store/open_store.close_store`, `Library.vanish`, `nowhere/module.NAME`, `never_written()`, "
        "`library/search.py` | `find_hits()`, `Library.add`, `config.json`, `audio/load.load`"
    )
    assert missing_names(text) == {
        "library/serach.py", "library/search.py: find_nothing", "library/query.py: find_it", "store/open_store.close_store",
        "Library.vanish", "nowhere/module.NAME", "never_written()", "find_nothing()", "find_it()",
    }  # fmt: skip


def test_every_package_has_its_row_in_the_order_of_floors() -> None:
    rows = re.findall(
        r"^\| (\d+) \| `([\w/]+)` \| [^|]+ \| (`.+`) \|$", PAGES[0].read_text(encoding="utf-8"), re.MULTILINE
    )
    floors = [int(floor) for floor, *_ in rows]
    assert floors == sorted(floors, reverse=True)
    shown = {name.rstrip("/"): int(floor) for floor, name, _ in rows}
    assert {name: floor for name, floor in shown.items() if "/" not in name} == FLOORS
    packages = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.rglob("__init__.py")} - {"."}
    assert {name.rstrip("/") for _, name, _ in rows if "/" in name} == packages
    for _, name, entries in rows:
        for entry in re.findall(r"`([^`]+)`", entries):
            module, _, function = entry.rpartition(".")
            path = below(module)
            assert path is not None, entry
            assert function in names_of(path), entry
            assert f"{module}/".startswith(name) or name == "__main__", entry


def test_every_flow_is_linked() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    site = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        name = page.relative_to(DOCS).as_posix()
        assert f"]({name})" in text, name
        assert f"- {name}" in site, name
