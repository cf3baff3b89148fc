"""A CLAP as a model of mteb and of sentence-transformers."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import transformers
from models_for_tests import small_clap
from test_huggingface import extractor, save_theirs

from openclap import CLAP
from openclap.adapters import CLAPModule, MTEBModel, sentence_transformer
from openclap.config import NoTextConfig
from openclap.errors import MissingExtra, SoundNotFound, UsageError

FACTS: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default", "prompt_type": None}
RATE = 48_000


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file)


# -- mteb --------------------------------------------------------------------------------------------


def test_mtebs_batches_become_unit_rows(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol of mteb 2.26: batches of columns; sounds as {"array", "sampling_rate"}."""
    model = MTEBModel(clap)
    rng = np.random.default_rng(0)
    sounds: list[dict[str, Any]] = [
        {"array": rng.standard_normal(4000 + i).astype(np.float32), "sampling_rate": 8000} for i in range(3)
    ]
    heard = model.encode([{"audio": sounds[:2]}, {"audio": sounds[2:]}], **FACTS, batch_size=2)
    assert np.allclose(heard, clap.encode_audio([(s["array"], 8000) for s in sounds]), atol=1e-5)
    read = model.encode([{"text": ["a dog", "rain", "glass"]}], **FACTS)
    assert np.allclose(read, clap.encode_text(["a dog", "rain", "glass"]), atol=1e-6)
    both = model.encode([{"text": ["a dog", "rain", "glass"], "audio": sounds}], **FACTS)
    assert np.allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    pairs = model.similarity_pairwise(heard, read)
    assert torch.allclose(torch.diag(model.similarity(heard, read)), pairs, atol=1e-6)
    with pytest.raises(UsageError, match="text or audio"):
        model.encode([{"image": []}])
    monkeypatch.setitem(sys.modules, "mteb.models", None)
    with pytest.raises(MissingExtra, match="pip install mteb"):
        _ = model.mteb_model_meta
    stub = types.ModuleType("mteb.models")
    stub.ModelMeta = types.SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mteb", types.ModuleType("mteb"))
    monkeypatch.setitem(sys.modules, "mteb.models", stub)
    meta = model.mteb_model_meta
    assert (meta.name, meta.revision, meta.embed_dim) == ("openclap/small", clap.fingerprint, 24)


def test_one_cosine_is_a_number(clap: CLAP) -> None:
    """mteb's summarisation tasks call float() of one cosine, a tensor (1, 1): numpy 2 refuses that of an array."""
    model = MTEBModel(clap)
    row = clap.encode_text("rain")
    assert float(model.similarity(row, row)) == pytest.approx(1, abs=1e-6)
    assert float(model.similarity_pairwise(row, row)) == pytest.approx(1, abs=1e-6)


def as_mteb(
    model: transformers.ClapModel, waves: list[np.ndarray], fused: bool, monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """What `ClapZeroShotWrapper` of mteb 2.26.24 does (models/model_implementations/clap_models.py)."""
    take, rows = extractor(fused), []
    for wave in waves:
        head = wave if fused else wave[: take.nb_max_samples]
        rounded = (np.clip(head, -1.0, 1.0) * 32767.0).astype(np.int16) / np.float32(32767.0)
        inputs = take(rounded, sampling_rate=RATE, return_tensors="pt")
        inputs["is_longer"][:] = len(rounded) > take.nb_max_samples
        with torch.inference_mode():
            row = model.get_audio_features(**inputs).pooler_output[0].numpy()
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_the_numbers_of_mtebs_own_wrapper(fused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/evaluation.md says with which options."""
    theirs = save_theirs(tmp_path / "model", fused=fused, small=True)
    ours = CLAP.from_pretrained(tmp_path / "model")
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(10 * RATE) * 0.3).astype(np.float32)
    tone = (np.sin(np.arange(10 * RATE) * 2 * np.pi * 440 / RATE) * 0.5).astype(np.float32)
    quiet = (rng.standard_normal(7 * RATE) * 4e-5).astype(np.float32)  # nearly lost in 16 bits
    short = [noise[:RATE], tone, quiet]
    waves = short if fused else [*short, np.concatenate([noise, tone])]
    batch = {"audio": [{"array": wave, "sampling_rate": RATE} for wave in waves]}
    expected = as_mteb(theirs, waves, fused, monkeypatch)
    same = MTEBModel(ours, long="auto" if fused else "head", quantise="int16")
    assert np.abs(same.encode([batch], **FACTS) - expected).max() < 1e-5
    unrounded = MTEBModel(ours, long="auto" if fused else "head").encode([batch], **FACTS)
    assert np.abs(unrounded - expected)[2].max() > 1e-4
    if not fused:  # the last recording is longer than a clip
        whole = MTEBModel(ours, long="windows", quantise="int16").encode([batch], **FACTS)
        assert np.abs(whole - expected)[3].max() > 1e-3
        with pytest.raises(UsageError, match="was trained without fusion"):
            MTEBModel(ours, long="fusion")
    with pytest.raises(UsageError, match="quantise of the front end is 'int8'"):
        MTEBModel(ours, quantise="int8")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="long is 'all'"):
        MTEBModel(ours, long="all")  # type: ignore[arg-type]


def test_its_former_place_is_known() -> None:
    from openclap.eval import mteb_adapter

    with pytest.warns(DeprecationWarning, match=r"MTEBModel is called openclap\.adapters\.MTEBModel now"):
        assert mteb_adapter.MTEBModel is MTEBModel


# -- sentence-transformers ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(clap: CLAP) -> Any:
    return sentence_transformer(clap)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / "noise.wav"
    sf.write(path, np.random.default_rng(1).standard_normal(22_050).astype(np.float32) * 0.1, 22_050)
    return path


def test_it_is_a_sentence_transformer(model: Any, clap: CLAP) -> None:
    from sentence_transformers import SentenceTransformer

    assert isinstance(model, SentenceTransformer)
    assert (model.get_embedding_dimension(), model.max_seq_length) == (24, 77)
    assert model.supports("audio")
    assert model.supports("text")
    assert not model.supports("image")
    texts = ["a dog", "rain on a tin roof", "", "glass"]
    rows = model.encode(texts, batch_size=2)
    np.testing.assert_allclose(rows[[0, 1, 3]], clap.encode_text([t for t in texts if t]), atol=1e-6)
    assert not rows[2].any()
    assert model.encode("a dog").shape == (24,)
    tensor = model.encode(texts, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert model.similarity(rows[:2], rows[:3]).shape == (2, 3)
    np.testing.assert_allclose(model.encode("dog", prompt="a "), model.encode("a dog"), atol=1e-6)
    np.testing.assert_allclose(model.encode_query("a dog"), rows[0], atol=1e-6)
    assert model.encode(["a dog"], truncate_dim=8).shape == (1, 8)


def test_sounds_come_in_any_form_and_among_texts(model: Any, clap: CLAP, sound: Path) -> None:
    wave, rate = sf.read(sound, dtype="float32")
    expected = clap.encode_audio(sound)[0]
    given = [{"array": wave, "sampling_rate": rate}, "a dog", sound, str(sound), sound.read_bytes()]
    rows = model.encode([*given, {"audio": {"array": wave, "sampling_rate": rate}}])
    for i in (0, 2, 3, 4, 5):
        np.testing.assert_allclose(rows[i], expected, atol=1e-5)
    np.testing.assert_allclose(rows[1], clap.encode_text("a dog")[0], atol=1e-6)
    own = np.zeros(8000, np.float32) + np.float32(0.1)
    np.testing.assert_allclose(model.encode(own), clap.encode_audio((own, 16_000))[0], atol=1e-6)
    np.testing.assert_allclose(model.encode(given[:1], prompt="a sound of ")[0], expected, atol=1e-5)


def test_nothing_is_fetched_or_opened_that_is_no_sound(model: Any, clap: CLAP, tmp_path: Path) -> None:
    with pytest.raises(SoundNotFound, match="nothing is fetched"):
        model.encode(["https://example.com/dog.wav"])
    np.testing.assert_allclose(model.encode("dog.wav"), clap.encode_text("dog.wav")[0], atol=1e-6)  # there is none
    for other in ({"image": tmp_path}, ("a", "b"), 3):
        with pytest.raises(ValueError, match=r"is not supported by|is neither a text nor a sound"):
            model.encode([other])


def test_long_is_taken(tokenizer_file: Path) -> None:
    clap = small_clap(tokenizer_file, fusion=None)
    wave = np.random.default_rng(2).standard_normal(16_000 * 14).astype(np.float32)
    wave[160_000:] = 0.2
    given = {"array": wave, "sampling_rate": 16_000}
    head = sentence_transformer(clap, long="head").encode(given)
    np.testing.assert_allclose(head, clap.encode_audio((wave, 16_000), long="head")[0], atol=1e-6)
    assert np.abs(head - sentence_transformer(clap).encode(given)).max() > 1e-4
    with pytest.raises(UsageError, match="without fusion"):
        sentence_transformer(clap, long="fusion")


def test_it_is_saved_and_loaded(model: Any, clap: CLAP, tmp_path: Path) -> None:
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    rows = sentence_transformer(tmp_path / "model").encode(["rain"])
    np.testing.assert_allclose(rows, clap.encode_text("rain"), atol=1e-6)
    assert CLAP.from_pretrained(tmp_path / "model").fingerprint == clap.fingerprint


def test_a_model_of_one_tower_says_what_it_takes(clap: CLAP) -> None:
    from dataclasses import replace

    alone = CLAP.from_config(replace(clap.config, text=NoTextConfig()))
    module = CLAPModule(alone)
    assert (module.modalities, module.max_seq_length) == (["audio"], None)


def test_sentence_transformers_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys; import openclap.adapters; print('sentence_transformers' in sys.modules)\n"
        "sys.modules['sentence_transformers'] = None\nfrom openclap.errors import MissingExtra\n"
        "try:\n    openclap.adapters.sentence_transformer\nexcept MissingExtra as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "False", "this needs sentence-transformers 6 or newer:  pip install sentence-transformers"
    ]  # fmt: skip
