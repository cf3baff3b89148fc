"""`bench/shape.py` counts what it says, on a small tree whose figures can be counted by hand."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SIX = "".join(f"    total += {i}\n" for i in range(6))


@pytest.fixture(scope="module")
def shape() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shape_for_tests", ROOT / "bench" / "shape.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _tree(place: Path) -> Path:
    package = place / "src" / "toy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A toy. Knows nothing of the world."""\n')
    (package / "a.py").write_text(
        f'"""First."""\nfrom toy import b\n\n\ndef told(total):\n    b\n{SIX}    return total\n\n\nOld = told\n'
    )
    (package / "b.py").write_text(
        "class Heard:\n    @property\n    def closed(self):\n        from toy.a import told\n\n        return told\n\n\n"
        f"class Other:\n    def feed(self, total):\n{SIX}        return total\n".replace("    total", "        total")
        + f"\n\nRENAMED = {{'Was': 'Heard'}}\nlong = '{'x' * 130}'  # fmt: skip\n"
    )
    return place


def test_a_small_tree_is_counted_as_by_hand(shape: ModuleType, tmp_path: Path) -> None:
    found = shape.measure(_tree(tmp_path))
    figures = found.figures
    assert figures["files"] == 3
    assert figures["statements"] == 1 + (1 + 1 + 1 + 1 + 6 + 1 + 1) + (1 + 1 + 1 + 1 + 1 + 1 + 6 + 1 + 2)
    assert figures["functions"] == 3
    assert figures["function lines max"] == 9
    assert found.names["lone participles"] == ["src/toy/a.py:5 told"]
    assert found.names["duplicates of 6 lines"] == ["src/toy/b.py:11, 7 lines"]
    assert found.names["cycles"] == ["toy.a ↔ toy.b"]
    assert found.names["aliases"] == ["src/toy/a.py:16 Old = told", "src/toy/b.py:20 'Was'"]
    assert figures["'Knows nothing of'"] == figures["lines over 120"] == figures["fmt: skip"] == 1
    assert found.options == {}


@pytest.mark.parametrize(
    ("name", "lone"),
    [("told", True), ("_kept", True), ("rounded", True), ("unmade", True)]
    + [(name, False) for name in ("read", "embed", "seed", "told_apart", "decode", "Told", "links")],
)
def test_a_lone_participle_is_one_word(shape: ModuleType, name: str, lone: bool) -> None:
    assert shape.is_participle(name) is lone


def test_a_table_whose_rows_look_alike_is_no_duplicate_of_itself(shape: ModuleType) -> None:
    text = "table = [\n" + "    0,\n" * 30 + "]\n"
    module = shape.Module("a.py", "a", text, ast.parse(text))
    assert shape.find_duplicates([module]) == []


def test_options_of_the_command_line_are_counted(shape: ModuleType) -> None:
    options = shape.count_options(ROOT)
    total, first = options["search"]
    assert 0 < first <= total
    assert {"index", "serve", "eval retrieval"} <= set(options)


def test_revisions_stand_side_by_side(shape: ModuleType) -> None:
    before, now = shape.Shape(figures={"files": 4}), shape.Shape(figures={"files": 3})
    assert shape.as_table({"v1": before, "now": now}).splitlines()[1].split() == ["files", "4", "3", "-25", "%"]
