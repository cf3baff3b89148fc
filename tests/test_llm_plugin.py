"""openclap in the command line `llm`: by the real package, in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.checkpoints import presets
from openclap.synth import synthesise

RATE = 16_000
Llm = Callable[..., Any]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for i, kind in enumerate(("dog bark", "rain", "siren")):
        wave, _ = synthesise(kind, np.random.default_rng(i), rate=RATE, seconds=2.0)
        sf.write(folder / f"{kind.replace(' ', '_')}.wav", wave, RATE)
    return folder


@pytest.fixture(autouse=True)
def folder_of_llm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may use `llm`, too: what they keep there is not touched."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.delenv("OPENCLAP_MODEL", raising=False)


@pytest.fixture
def llm() -> Llm:
    """The command line `llm` with openclap as its plugin: what it prints, and how it ends."""
    from click.testing import CliRunner
    from llm.cli import cli

    return lambda *words: CliRunner().invoke(cli, [*words])


def ids(found: Any) -> list[str]:
    assert found.exit_code == 0, found.output
    return [json.loads(line)["id"] for line in found.stdout.splitlines()]


def test_words_find_sounds(llm: Llm, sounds: Path) -> None:
    done = llm("embed-multi", "sounds", "--files", str(sounds), "*.wav", "--binary", "-m", "clap")
    assert done.exit_code == 0, done.output
    assert ids(llm("similar", "sounds", "-c", "a dog barking"))[0] == "dog_bark.wav"
    assert ids(llm("similar", "sounds", "-c", "a police siren"))[0] == "siren.wav"
    assert ids(llm("similar", "sounds", "-i", str(sounds / "rain.wav"), "--binary"))[0] == "rain.wav"
    assert "dog_bark.wav" not in ids(llm("similar", "sounds", "dog_bark.wav"))


def test_vectors_are_those_of_openclap(sounds: Path) -> None:
    import llm

    model, clap = llm.get_embedding_model("openclap/mini"), CLAP.from_pretrained("mini")
    dog, rain = ((sounds / name).read_bytes() for name in ("dog_bark.wav", "rain.wav"))
    found = list(model.embed_multi([dog, "a dog barking", rain, "rain"]))  # in their order, mixed
    np.testing.assert_allclose([found[0], found[2]], clap.encode_audio([dog, rain]), atol=1e-6)
    np.testing.assert_allclose([found[1], found[3]], clap.encode_text(["a dog barking", "rain"]), atol=1e-6)
    assert all(type(one) is float for one in found[0])


def test_what_is_wrong_is_one_sentence(llm: Llm, sounds: Path, tmp_path: Path) -> None:
    """`llm` hands on no names: what cannot be read is found by its size and MD5. A sound read as text was embedded as text."""
    (tmp_path / "a.wav").write_bytes((sounds / "rain.wav").read_bytes())
    (tmp_path / "b.wav").write_bytes(b"no sound")
    for words, says in (
        (("embed-multi", "s", "--files", str(tmp_path), "*.wav", "--binary", "-m", "clap"), "a sound of 8 bytes, MD5 "),
        (("embed-multi", "s", "--files", str(sounds), "*.wav", "-m", "clap"), "with --binary"),
        (("embed", "-m", "clap", "-c", " "), "text is empty"),
    ):
        done = llm(*words)
        assert done.exit_code == 1
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert says in done.output.splitlines()[-1]
        assert done.output.splitlines()[-1].startswith("Error: ")


def test_other_kinds_of_items(sounds: Path) -> None:
    """None and numbers gave KeyError: 0, as did the bytes of a buffer."""
    from openclap.llm_plugin import ClapEmbeddings, EmbeddingRefused

    model, content = ClapEmbeddings("x", "mini"), (sounds / "rain.wav").read_bytes()
    buffers: list[Any] = [bytearray(content), memoryview(content)]
    assert list(model.embed_batch(buffers)) == list(model.embed_batch([content] * 2))
    with pytest.raises(EmbeddingRefused, match="int is neither"):
        list(model.embed_batch(["rain", 5]))  # type: ignore[list-item]


def test_a_model_that_is_not_here(llm: Llm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = llm("embed", "-m", "openclap/laion/clap-htsat-fused", "-c", "rain")
    assert done.exit_code == 1
    assert "openclap pull laion/clap-htsat-fused" in done.output


def test_an_edition_never_meets_the_vectors_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection keeps the name of its model alone: after an update `mini` would have compared vectors of two models."""
    import llm

    now = llm.get_embedding_model("openclap/mini")
    assert now is not llm.get_embedding_model("openclap/mini-3")
    assert now.model_id == f"openclap/mini@{CLAP.from_pretrained('mini').fingerprint[:8]}"
    assert llm.get_embedding_model(now.model_id)._name == "mini"
    third = llm.get_embedding_model("openclap/mini-3")
    newer = [presets.Preset("mini", "", "", 0, fingerprint="f" * 16), *presets.PRESETS[1:]]
    monkeypatch.setattr("openclap.llm_plugin.PRESETS", newer)
    assert llm.get_embedding_model("clap").model_id == "openclap/mini@ffffffff"
    assert llm.get_embedding_model(third.model_id)._name == "mini-3"
    with pytest.raises(llm.UnknownModelError, match=now.model_id):
        llm.get_embedding_model(now.model_id)


def test_all_names_are_told_and_broken_copies_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import llm

    monkeypatch.setenv("OPENCLAP_MODEL", str(tmp_path / "mine"))
    names = {one.model.model_id: one.aliases for one in llm.get_embedding_models_with_aliases()}
    ours = {name for name in names if name.startswith("openclap/")}
    assert len(ours) == len(presets.PRESETS) - len(presets.KNOWN_BAD) + 1
    assert {"openclap/laion/clap-htsat-fused", f"openclap/{tmp_path / 'mine'}"} <= ours
    assert not ours & {f"openclap/{name}" for name in presets.KNOWN_BAD}


def test_llm_starts_without_a_model() -> None:
    """A plugin is imported by every call of `llm`."""
    code = (
        "import sys, llm; assert llm.get_embedding_model('clap').supports_binary; "
        "heavy = {'torch', 'transformers', 'openvino', 'soundfile', 'openclap.clap'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_else_imports_the_plugin() -> None:
    code = "import sys, openclap, openclap.cli.app; assert not {'llm', 'openclap.llm_plugin'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
