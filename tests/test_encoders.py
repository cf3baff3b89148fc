"""Encoders of sounds and of texts: each is one entry of a table, nothing else asks which one a model has, and others can be plugged in."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_for_tests import AUDIO_KINDS, TEXT_KINDS, WORDS, small_clap, small_config, text_config
from safetensors.numpy import load_file, save_file
from test_docs import blocks
from test_train import edit, place  # noqa: F401  (a fixture)

from openclap import CLAP, CLAPConfig
from openclap.backends.graphs import code_digest
from openclap.checkpoints import weight_shapes
from openclap.config import AUDIO, TEXT, Encoder, FrontEnd, TextConfig, entry_points
from openclap.errors import BadCheckpoint, ModelError, TrainingError, UsageError
from openclap.train import train
from openclap.train.pruning.units import Keep, smaller, units_of

SOURCE = Path(weight_shapes.__file__).parents[1]
CLASSES = {encoder.config.__name__ for encoder in (*AUDIO.values(), *TEXT.values())}
# what only some formats know is asked there: transformers has a class for one encoder of each
ALLOWED = {"checkpoints/huggingface.py"}
OWNERS = {"audio", "text", "config"}  # of whose kind nothing else may ask; within a configuration, of its own
PARTS = ("module", "weights", "graph", "numpy", "embed_tokens", "graph_mask", "token_graph", "smaller", "units")
GUIDE = Path(__file__).parent.parent / "docs" / "encoders.md"


@pytest.mark.parametrize("kind", [*AUDIO, *TEXT])
def test_every_part_of_an_encoder_is_there(kind: str) -> None:
    encoder = AUDIO[kind] if kind in AUDIO else TEXT[kind]
    assert encoder.kind == kind
    assert encoder.package is None
    for part in PARTS:
        assert (encoder.load(part) is None) == (getattr(encoder, part) is None)
    assert encoder.weights is not None  # a damaged file is found without torch
    assert (encoder.smaller is None) == (encoder.units is None)


@pytest.mark.parametrize("kind", AUDIO_KINDS)
def test_an_encoder_tells_what_it_is(kind: str) -> None:
    config = AUDIO[kind].config()
    config.check(FrontEnd())
    assert config.kind == kind
    assert config.output > 0
    assert set(config.fusions) >= {"daf_2d", "aff_2d", "iaff_2d"}
    least, most = config.frames(FrontEnd())
    assert 1 <= least <= FrontEnd().clip_frames <= (most or FrontEnd().clip_frames)
    assert "width" not in config.facts()


@pytest.mark.parametrize("kind", TEXT_KINDS)
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


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_a_graph_of_texts_has_its_input(kind: str) -> None:
    """A query of words must not import OpenVINO to learn that there is nothing to compile."""
    assert (TEXT[kind].graph is None) == (TEXT[kind].embed_tokens is None)


@pytest.mark.parametrize("kind", ["gpt4", None, ["bert"]])
def test_an_unknown_text_encoder_is_refused_by_name(kind: object) -> None:
    """Whatever was neither a table of words nor CLIP was a RoBERTa in one file, and a BERT in the next."""
    data = small_config().to_dict()
    data["text"]["kind"] = kind
    with pytest.raises(
        BadCheckpoint,
        match=r"made with the text encoder .*, which is neither openclap's own \(roberta, bert, clip, sbert, gpt2, words\)",
    ):
        CLAPConfig.from_dict(data)
    if isinstance(kind, str):
        with pytest.raises(
            UsageError, match="'gpt4' is not a transformer for text; choose one of roberta, bert, clip, sbert, gpt2"
        ):
            CLAPConfig(text=TextConfig(kind=kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [kind for kind, encoder in TEXT.items() if encoder.config is TextConfig])
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
        ("self.kind not in READINGS", False),
        ("unit.kind == 'heads'", False),
    ],
)
def test_asking_is_noticed(code: str, asks: bool) -> None:
    assert _asks(ast.parse(code, mode="eval").body, OWNERS | {"self"}) == asks


# -- encoders of other packages ------------------------------------------------------------------------


def install(folder: Path, package: str, points: str) -> None:
    """Lay down what `pip install` would beside the modules."""
    info = folder / f"{package}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[openclap.encoders]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages of this test alone."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    known, modules = (dict(AUDIO), dict(TEXT)), set(sys.modules)
    entry_points._all_points.cache_clear()
    yield tmp_path / "site"
    entry_points._all_points.cache_clear()
    for table, before in zip((AUDIO, TEXT), known, strict=True):
        for kind in set(table) - set(before):
            del table[kind]
    for name in set(sys.modules) - modules:
        if name.startswith("my_encoders"):
            del sys.modules[name]


@pytest.fixture
def plugged(site: Path) -> CLAPConfig:
    """A model of the encoders of docs/encoders.md, which are installed."""
    what, towers = blocks(GUIDE, "python")
    (site / "my_encoders").mkdir()
    (site / "my_encoders" / "__init__.py").write_text(what)
    (site / "my_encoders" / "towers.py").write_text(towers)
    install(site, "my-encoders", blocks(GUIDE, "toml")[0].split("\n", 1)[1].replace('"', ""))
    return CLAPConfig.from_dict(config_of())


def config_of() -> dict[str, Any]:
    data = small_config(fusion=None).to_dict()
    return {**data, "audio": {"kind": "bands", "width": 8}, "text": {"kind": "mean", "vocabulary": 64}}


def test_a_model_of_plugged_in_encoders_is_like_any_other(
    plugged: CLAPConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    assert plugged.audio.output == 128
    clap = CLAP.from_config(plugged, tokenizer=tokenizer_file, seed=0)
    assert str(clap.backend.info).startswith("torch")
    wave = (np.random.default_rng(0).standard_normal(16_000).astype(np.float32), 16_000)
    rows, texts = clap.encode_audio([wave]), clap.encode_text(["a dog barking", "heavy rain"])
    assert rows.shape == (1, 24)
    clap.save_pretrained(tmp_path / "model")
    again = CLAP.from_pretrained(tmp_path / "model")
    assert again.config == plugged
    np.testing.assert_allclose(again.encode_audio([wave]), rows, atol=1e-6)
    np.testing.assert_allclose(again.encode_text(["a dog barking", "heavy rain"]), texts, atol=1e-6)
    assert again.examine(fresh=True) == ()
    assert again.fingerprint == clap.fingerprint
    wider = CLAPConfig.from_dict({**config_of(), "audio": {"kind": "bands", "width": 9}})
    assert wider.audio.facts() != plugged.audio.facts()
    with pytest.raises(UsageError, match="openvino cannot run small: its bands audio tower has no graph; choose back"):
        CLAP.from_pretrained(tmp_path / "model", backend="openvino")


def test_its_damaged_weights_are_named(plugged: CLAPConfig, tmp_path: Path) -> None:
    """Their names are read off the module, as the package does not tell them."""
    CLAP.from_config(plugged, seed=0).save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    state = load_file(file)
    del state["audio.hidden.bias"]
    save_file({**state, "text.table.weight": state["text.table.weight"][1:]}, file)
    with pytest.raises(BadCheckpoint, match=r"1 missing: audio\.hidden\.bias; 1 of another shape: text\.table\.weight"):
        CLAP.from_pretrained(tmp_path / "model")


def test_it_is_trained_and_stays_whole_when_pruned(plugged: CLAPConfig, place: Path) -> None:  # noqa: F811
    model = {k: v for k, v in config_of().items() if not k.startswith("format")}
    report = train(edit(place, model=model, epochs=1), progress=False)
    assert replace(CLAP.from_pretrained(report.out).config, name="small") == plugged
    assert smaller(plugged, Keep()) == plugged
    assert units_of(plugged, plugged) == []
    with pytest.raises(TrainingError, match="the audio encoder 'bands' takes no fusion, not daf_2d"):
        train(edit(place, model={**model, "fusion": "daf_2d"}), progress=False, out="fused")


def test_a_model_whose_package_is_not_installed_says_so(plugged: CLAPConfig, tmp_path: Path) -> None:
    """A process that has never heard of it; before, there was no way to bring one."""
    CLAP.from_config(plugged, seed=0).save_pretrained(tmp_path / "model")
    code = "import sys; from openclap import CLAP; print(CLAP.from_pretrained(sys.argv[1]).config.audio.kind)"
    run = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "model")]
    without = subprocess.run(run, capture_output=True, text=True, check=False)
    assert without.stderr.splitlines()[-1] == (
        "openclap.errors.BadCheckpoint: made with the audio encoder 'bands', which is neither openclap's own (htsat,"
        " pann, mobilenet) nor of an installed package; install the package that brings it"
    )


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("my_encoders.absent:X", r"'toy' of toy-pack 1\.2 cannot be used \(ModuleNotFoundError: No module named"),
        ("my_encoders:ABSENT", r"'toy' of toy-pack 1\.2 cannot be used \(AttributeError: "),
        ("my_encoders:BANDS", r"my_encoders:BANDS of toy-pack 1\.2 is no Encoder of kind 'toy'"),
        ("my_encoders:BandsConfig", r"my_encoders:BandsConfig of toy-pack 1\.2 is no Encoder of kind 'toy'"),
        (
            "my_encoders:PLAIN",
            r"my_encoders:PLAIN of toy-pack 1\.2 is no Encoder .* derives from AudioConfig or AnyText",
        ),
    ],
)
def test_a_broken_package_is_named(site: Path, plugged: CLAPConfig, point: str, told: str) -> None:
    install(site, "toy-pack", f"toy = {point}")
    with (site / "my_encoders" / "__init__.py").open("a") as file:
        file.write("PLAIN = Encoder(kind='toy', config=dict, module='my_encoders.towers:Bands')\n")
    sys.modules.pop("my_encoders", None)
    entry_points._all_points.cache_clear()
    with pytest.raises(ModelError, match=told):
        CLAPConfig.from_dict({**config_of(), "audio": {"kind": "toy"}})


def test_a_part_that_cannot_be_imported_names_the_package(site: Path, plugged: CLAPConfig) -> None:
    (site / "my_encoders" / "towers.py").write_text("import a_package_that_is_not_there\n")
    with pytest.raises(
        ModelError, match=r"'bands' of my-encoders 1\.2 cannot be used \(ModuleNotFoundError: .*; install what"
    ):
        CLAP.from_config(plugged, seed=0)


def test_a_graph_of_other_code_is_another(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled graphs are cached by their code: that of openclap alone would have missed a change in a package."""
    digests = {code_digest(AUDIO["pann"].load("graph"))}
    for version in (1, 2):
        (site / f"v{version}").mkdir()
        (site / f"v{version}" / f"my_encoders_{version}.py").write_text(
            f"def graph(g, config):\n    return {version}\n"
        )
        monkeypatch.syspath_prepend(site / f"v{version}")
        digests.add(code_digest(pkgutil.resolve_name(f"my_encoders_{version}:graph")))
    assert len(digests) == 3


def test_packages_are_not_searched_for_what_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes as long as a tenth of a start."""

    def refuse() -> None:
        raise AssertionError

    monkeypatch.setattr(entry_points, "_all_points", refuse)
    assert CLAPConfig.from_dict(small_config().to_dict()).audio.kind == "pann"
    assert small_clap().encode_audio([(np.ones(16_000, np.float32), 16_000)]).shape == (1, 24)


def test_an_encoder_can_be_given_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook, without a package."""
    mine = Encoder(kind="mine", config=AUDIO["pann"].config, module=lambda config, front_end, fusion: None)
    monkeypatch.setitem(AUDIO, "mine", mine)
    assert AUDIO["mine"].load("module")(None, None, None) is None
