"""Audio encoders: each lies in every table, and nothing but the tables asks which one a model has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from openclap.backends.graphs import towers as graphs
from openclap.checkpoints import shapes
from openclap.config import AUDIO, FrontEnd
from openclap.models import clap as modules
from openclap.train.pruning import units

SOURCE = Path(shapes.__file__).parents[1]
CLASSES = {kind.__name__ for kind in AUDIO.values()}
# what only some formats know is asked there: transformers has a class for one encoder
ALLOWED = {"checkpoints/huggingface.py"}


@pytest.mark.parametrize("table", [modules.TOWERS, graphs.TOWERS, shapes.TOWERS, units.TOWERS])
def test_every_table_has_every_encoder(table: dict[str, object]) -> None:
    assert list(table) == list(AUDIO)


@pytest.mark.parametrize("kind", AUDIO)
def test_an_encoder_tells_what_it_is(kind: str) -> None:
    config = AUDIO[kind]()
    config.check(FrontEnd())
    assert config.kind == kind
    assert config.output > 0
    assert set(config.fusions) >= {"daf_2d", "aff_2d", "iaff_2d"}
    least, most = config.frames(FrontEnd())
    assert 1 <= least <= FrontEnd().clip_frames <= (most or FrontEnd().clip_frames)
    assert "width" not in config.facts()


def test_nothing_else_asks_for_the_kind() -> None:
    """`else` meant PANN in seven files: a third encoder would have been taken for it, in silence."""
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        asserted = {n for node in ast.walk(tree) if isinstance(node, ast.Assert) for n in ast.walk(node)}
        nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Call | ast.Compare) and n not in asserted)
        found += [f"{name}:{n.lineno}" for n in nodes if name not in ALLOWED and _asks(n)]
    assert not found, "write a row of a table, or a member of the configuration"


def _asks(node: ast.AST) -> bool:
    """`isinstance(…, HTSATConfig)` or `….audio.kind == …`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return any(isinstance(n, ast.Name) and n.id in CLASSES for n in ast.walk(node.args[1]))
    return isinstance(node, ast.Compare) and any(
        isinstance(n, ast.Attribute) and n.attr == "kind" and isinstance(n.value, ast.Attribute | ast.Name)
        and ast.unparse(n.value).endswith("audio")
        for n in (node.left, *node.comparators)
    )  # fmt: skip
