"""What README and the pages show is there: verbs, options, variables, folders, models; and README's Python runs."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from typer.main import get_command

from openclap.checkpoints.presets import PRESETS
from openclap.cli.app import app
from openclap.synth import synthesise

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README, README_ZH = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [README, README_ZH, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands_in(page: Path) -> Iterator[str]:
    """Lines of code blocks that begin with openclap, after a $ where there is one; a line that ends with a backslash goes on."""
    for block in re.findall(r"^```\w*\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            shown = re.fullmatch(r"(?:\$ )?(openclap .*)", line)
            if shown:
                yield shown[1]


def check_command(line: str) -> Any:
    """That its verb and options are there → the verb."""
    command: Any = get_command(app)
    words = shlex.split(line, comments=True)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command = getattr(command, "commands", {}).get(getattr(command, "default_verb", ""), command)  # openclap library
    assert not hasattr(command, "commands") or words == ["VERB", "--help"], line
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= {*known, "--help", "-h"}, line
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", read(page), flags=re.MULTILINE | re.DOTALL)
    for line in [*commands_in(page), *re.findall(r"`(openclap [a-z][^`]*)`", prose.replace("\n", " "))]:
        check_command(line)


def every_verb(command: Any) -> Iterator[Any]:
    """All verbs, and those of groups."""
    for inner in getattr(command, "commands", {}).values():
        yield from every_verb(inner) if hasattr(inner, "commands") else [inner]


def test_help_ends_with_examples_and_has_a_short_first_panel() -> None:
    """--help showed up to 31 options in one panel, without an example; "[default: …]" was taken for markup and not shown."""
    verbs = list(every_verb(get_command(app)))
    assert len(verbs) > 25
    for verb in verbs:
        title, *examples = (verb.epilog or "").split("\n\n")
        assert title == "Examples:", verb.name
        for line in examples:
            assert check_command(line).name == verb.name, line
        options = [parameter for parameter in verb.params if parameter.param_type_name == "option"]
        assert sum(not parameter.rich_help_panel for parameter in options) <= 12, verb.name
        for parameter in options:
            assert not re.search(r"\[[a-z]", parameter.help or ""), parameter.name


@pytest.mark.parametrize("page", [README, README_ZH, DOCS / "commands.md"], ids=lambda page: page.name)
def test_every_verb_is_shown(page: Path) -> None:
    """A new verb needs its place in the tables of both READMEs, and an example in docs/commands.md."""
    verbs = {name for name, verb in get_command(app).commands.items() if not verb.hidden and not verb.deprecated}  # type: ignore[attr-defined]
    if page.name.startswith("README"):
        rows = [line for line in read(page).splitlines() if line.startswith("| `")]
        shown = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    else:
        shown = {line.split()[1] for line in commands_in(page)}
    assert verbs - {"similar"} <= shown


def test_the_first_screen_is_short() -> None:
    for page in (README, README_ZH):
        assert len(read(page).splitlines()) <= 110
        assert "](docs/pictures/" in read(page)


def test_nothing_made_up_is_linked() -> None:
    """The project has no address yet, and is not on PyPI: pyproject.toml named a repository that does not exist."""
    for page in (*PAGES, ROOT / "pyproject.toml"):
        assert "github.com/openclap" not in read(page), page
    assert "pip install openclap" not in read(README) + read(README_ZH)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On sounds made by code, which bear the names of those that it shows."""
    (tmp_path / "sounds").mkdir()
    for file, kind in (("dog_bark.ogg", "dog bark"), ("waves.ogg", "sea waves")):
        sf.write(
            tmp_path / "sounds" / file, synthesise(kind, np.random.default_rng(3), rate=32_000, seconds=2.0)[0], 32_000
        )
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", read(README), re.DOTALL)
    names: dict[str, Any] = {}
    found = []
    for statement in ast.parse(block).body:
        code = ast.unparse(statement)
        if isinstance(statement, ast.Expr):
            found.append(eval(code, names))
        else:
            exec(code, names)
    names["library"].close()
    label, report, hit = found
    assert label.label == "dog bark"
    assert report.added == 2
    assert Path(hit.path).name == "waves.ogg"
    for value in found:  # what is printed in the comments has these names
        shown = re.search(rf"# {type(value).__name__}\((.*)\)", block)
        assert shown is not None
        assert set(re.findall(r"(\w+)=", shown[1])) <= set(value.to_dict()), value


def test_what_mini_knows_is_what_its_card_says() -> None:
    """Sounds that README calls good are named right for four of five at least, those it calls weak for one of three at most."""
    card = (ROOT / "src/openclap/weights/mini/README.md").read_text(encoding="utf-8")
    right = {
        row[1].strip(): int(row[3]) / int(row[2])
        for row in (line.split("|") for line in card.splitlines())
        if len(row) == 7 and row[2].strip().isdigit()
    }
    about = read(README).partition("## What the small model knows")[2].partition("\n## ")[0]
    good, *weak = re.findall(r"\(([a-z, ]+)\)", about.replace("\n", " "))
    assert len(good.split(", ")) > 5
    assert len(weak) == 2
    assert all(right[concept] >= 0.8 for concept in good.split(", "))
    assert all(right[concept] <= 1 / 3 for concept in ", ".join(weak).split(", "))


def test_every_environment_variable_has_its_row() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "openclap").rglob("*.py"))
    named = set(re.findall(r"environ(?:\.get|\.setdefault|\.pop)?[(\[]\s*[\"']([A-Z_]+)", source))
    named |= set(re.findall(r"\bOPENCLAP_[A-Z_]*[A-Z]\b", source)) | set(re.findall(r"constants\.(HF_[A-Z_]+)", source))
    assert len(named) > 10
    assert {name for name in named if f"`{name}`" not in read(DOCS / "configuration.md")} == set()


def test_every_folder_outside_has_its_row() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "openclap").rglob("*.py"))
    folders = set(re.findall(r"user_(?:cache|data)_path\(\"openclap\"\) / f?\"([\w.-]+)", source))
    assert len(folders) > 8
    page = read(DOCS / "configuration.md")
    assert {folder for folder in folders if f"`{folder}" not in page} == set()


def test_models_have_the_facts_of_the_presets() -> None:
    page = read(DOCS / "models.md")
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 10]
    for row, preset in zip(rows, PRESETS, strict=True):
        size = f"{preset.megabytes} MB" if preset.megabytes else "–"
        score = "" if preset.esc50 is None else f"{preset.esc50:.1f} % ({preset.source})"
        assert row == (
            f"| `{preset.name}` | {preset.note or preset.what} | {preset.licence} | {size} | {preset.parameters:.0f} M"
            f" | {preset.rate / 1000:g} kHz, {preset.clip:g} s | {preset.languages} | {preset.trained_on} | {score} |"
        )
    for name in re.findall(r"`([\w./-]+_[\w./-]+\.pt|(?:laion|microsoft|davidrrobinson)/[\w-]+)`", page):
        assert any(preset.name == name for preset in PRESETS), name


def test_the_notebook_runs_and_prints_what_it_shows(tmp_path: Path) -> None:
    """Where this fails though the notebook is right:  python scripts/run_notebook.py"""
    script = ROOT / "scripts" / "run_notebook.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_extras_have_their_row() -> None:
    text = read(ROOT / "pyproject.toml")
    extras = set(re.findall(r"^(\w+) = \[", text.partition("[project.optional-dependencies]")[2].partition("\n[")[0], re.MULTILINE))  # fmt: skip
    assert len(extras) > 6
    assert {extra for extra in extras if f"'.[{extra}]'" not in read(DOCS / "install.md")} == set()


def test_commands_are_found_at_all() -> None:
    assert sum(1 for page in PAGES for _ in commands_in(page)) > 100
