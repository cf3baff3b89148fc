"""Encoders of sounds and of texts: each lies in every table, and nothing but the tables asks which one a model has."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from models_for_tests import WORDS, small_config, text_config

from openclap import CLAPConfig
from openclap.backends import numpy_text
from openclap.backends.graphs import towers as graphs
from openclap.checkpoints import compact, load, weight_shapes
from openclap.config import AUDIO, TEXT, FrontEnd, TextConfig
from openclap.errors import BadCheckpoint, UsageError
from openclap.models import clap as modules
from openclap.models import text as text_modules
from openclap.train.pruning import units

SOURCE = Path(weight_shapes.__file__).parents[1]
CLASSES = {kind.__name__ for kind in (*AUDIO.values(), *TEXT.values())}
# what only some formats know is asked there: transformers has a class for one encoder of each
ALLOWED = {"checkpoints/huggingface.py"}
OWNERS = {"audio", "text", "config"}  # of whose kind nothing else may ask; within a configuration, of its own
TEXT_TABLES = [
    text_modules.TOWERS, numpy_text.TOWERS, graphs.TEXT_TOWERS, weight_shapes.TEXT_TOWERS, load.TOKENIZERS, compact.PACKED,
    units.TEXT_TOWERS,
]  # fmt: skip


@pytest.mark.parametrize(
    "table", [modules.TOWERS, graphs.TOWERS, graphs.SEPARATE_SHORT_GRAPH, weight_shapes.TOWERS, units.TOWERS]
)
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


@pytest.mark.parametrize("table", TEXT_TABLES)
def test_every_table_has_every_text_encoder(table: dict[str, object]) -> None:
    assert list(table) == list(TEXT)


@pytest.mark.parametrize("kind", TEXT)
def test_a_text_encoder_tells_what_it_is(kind: str) -> None:
    """The tokenizer, the fingerprint and `max_tokens` read these, and ask for no kind."""
    config = WORDS if kind == "words" else text_config(kind)
    config.check()
    assert config.kind == kind
    assert config.output > 0
    assert 1 <= config.least_tokens <= config.max_tokens
    before, after = config.ends
    assert config.least_tokens == len(before) + len(after) + 1
    assert "width" not in config.facts()


@pytest.mark.parametrize("kind", TEXT)
def test_what_has_a_graph_says_so_before_an_engine_is_loaded(kind: str) -> None:
    """A query of words must not import OpenVINO to learn that there is nothing to compile."""
    tower = numpy_text.TOWERS[kind]
    assert (graphs.TEXT_TOWERS[kind] is None) == (tower is None or tower.embed_tokens is None)


@pytest.mark.parametrize("kind", ["gpt2", None, ["bert"]])
def test_an_unknown_text_encoder_is_refused_by_name(kind: object) -> None:
    """Whatever was neither a table of words nor CLIP was a RoBERTa in one file, and a BERT in the next."""
    data = small_config().to_dict()
    data["text"]["kind"] = kind
    with pytest.raises(
        BadCheckpoint, match=r"text tower of kind .*; this openclap knows roberta, bert, clip, sbert, words$"
    ):
        CLAPConfig.from_dict(data)
    if isinstance(kind, str):
        with pytest.raises(
            UsageError, match="'gpt2' is not a transformer for text; choose one of roberta, bert, clip, sbert"
        ):
            CLAPConfig(text=TextConfig(kind=kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [kind for kind, config in TEXT.items() if config is TextConfig])
def test_a_kind_alone_is_that_transformer_in_its_usual_size(kind: str) -> None:
    """`text: {kind: bert}` was a BERT with RoBERTa's vocabulary, positions, begin, end and pad."""
    data = small_config().to_dict()
    data["text"] = {"kind": kind, "layers": 2}
    assert CLAPConfig.from_dict(data).text == replace(TextConfig.preset(kind), layers=2)


def test_nothing_else_asks_for_the_kind() -> None:
    """`else` meant PANN in seven files and RoBERTa in six: a further encoder would have been taken for it, in silence."""
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        asserted = {n for node in ast.walk(tree) if isinstance(node, ast.Assert) for n in ast.walk(node)}
        nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Call | ast.Compare) and n not in asserted)
        owners = OWNERS | {"self"} if name.startswith("config/") else OWNERS
        found += [f"{name}:{n.lineno}" for n in nodes if name not in ALLOWED and _asks(n, owners)]
    assert not found, "write a row of a table, or a member of the configuration"


def _asks(node: ast.AST, owners: set[str]) -> bool:
    """`isinstance(…, HTSATConfig)`, `….audio.kind == …`, `text.kind in …` or, within a configuration, `self.kind == …`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return any(isinstance(n, ast.Name | ast.Attribute) and _name(n) in CLASSES for n in ast.walk(node.args[1]))
    return isinstance(node, ast.Compare) and not _among_all(node) and any(
        isinstance(n, ast.Attribute) and n.attr == "kind" and _name(n.value) in owners
        for n in (node.left, *node.comparators)
    )  # fmt: skip


def _name(node: ast.expr) -> str:
    """The last name: `text` of `checkpoint.config.text`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _among_all(node: ast.Compare) -> bool:
    """`kind in TABLE`: whether it is known at all."""
    return isinstance(node.ops[0], ast.In | ast.NotIn) and _name(node.comparators[0]).isupper()


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("isinstance(text, WordsConfig)", True),
        ("isinstance(text, (config.TextConfig, str))", True),
        ("isinstance(text, str)", False),
        ("checkpoint.config.text.kind == 'clip'", True),
        ("config.text.kind in ('bert', 'clip')", True),
        ("self.kind == 'roberta'", True),
        ("self.kind not in FIRST_POSITION", False),
        ("unit.kind == 'heads'", False),
    ],
)
def test_asking_is_noticed(code: str, asks: bool) -> None:
    assert _asks(ast.parse(code, mode="eval").body, OWNERS | {"self"}) == asks
