"""Presets, the Hub's cache, and the health check that names broken copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from models_for_tests import small_clap
from msclap_for_tests import released_file
from test_huggingface import save_theirs

from openclap import CLAP
from openclap.checkpoints import health, locate
from openclap.checkpoints.health import examine_checkpoint
from openclap.checkpoints.load import Checkpoint
from openclap.checkpoints.presets import ADVICE, KNOWN_BAD, PRESETS, advise, find_preset
from openclap.checkpoints.weights import Weights, concatenate, entries_from_arrays, read_safetensors, split_part
from openclap.config import CLAPConfig, FrontEnd, PANNConfig, WordsConfig
from openclap.errors import BadCheckpoint, ModelNotHere, ModelWarning, UnknownModel, UsageError
from openclap.models.clap import CLAPModel


def tiny_model() -> Checkpoint:
    config = CLAPConfig(
        audio=PANNConfig(widths=(4,), pools=((2, 2),), output=8),
        text=WordsConfig(vocabulary=8, width=8),
        front_end=FrontEnd(),
        embedding=8,
    )
    return Checkpoint(config, Weights(entries_from_arrays(CLAPModel(config).arrays())), None, "tiny")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub cache with one model, as huggingface_hub lays it out."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    original = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, file: original(repo, file, cache_dir=tmp_path)
    )
    return tmp_path


def put(hub: Path, repo: str) -> None:
    folder = hub / f"models--{repo.replace('/', '--')}"
    save_theirs(folder / "snapshots" / "abc", fused=True, small=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")


@pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")
def test_a_model_in_the_hubs_cache_is_loaded_without_a_network(hub: Path) -> None:
    put(hub, "laion/clap-htsat-fused")
    clap = CLAP.from_pretrained("laion/clap-htsat-fused")
    assert clap.name == "laion/clap-htsat-fused"
    preset = find_preset("laion/clap-htsat-fused")
    assert preset is not None
    assert locate.is_available(preset)
    shutil.rmtree(hub / "models--laion--clap-htsat-fused" / "snapshots")
    assert not locate.is_available(preset)


@pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")
def test_a_file_of_the_hub_finds_its_tokenizer_in_another_repository(hub: Path) -> None:
    for repo in ("microsoft/msclap", "openai-community/gpt2"):
        folder = hub / f"models--{repo.replace('/', '--')}"
        (folder / "snapshots" / "abc").mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
    snapshot = hub / "models--microsoft--msclap" / "snapshots" / "abc"
    released_file(snapshot / "CLAP_weights_2023.pth", "2023")
    beside = hub / "models--openai-community--gpt2" / "snapshots" / "abc" / "tokenizer.json"
    (snapshot / "tokenizer.json").rename(beside)
    clap = CLAP.from_pretrained("microsoft/msclap-2023")
    assert (clap.name, clap.config.licence) == ("microsoft/msclap-2023", "MS-PL")
    assert clap.checkpoint.tokenizer_file == beside
    assert clap.encode_text("rain").shape == (1, 48)
    assert locate.pull("microsoft/msclap-2023") == snapshot / "CLAP_weights_2023.pth"  # nothing is fetched
    with pytest.raises(ModelNotHere, match="microsoft/msclap-2022"):
        locate.locate("microsoft/msclap-2022", fetch=False)


def test_a_known_bad_copy_is_named_with_what_to_use_instead(hub: Path) -> None:
    put(hub, "laion/larger_clap_music")
    with pytest.warns(ModelWarning, match=r"known to be broken; use music_audioset_epoch_15_esc_90\.14\.pt"):
        CLAP.from_pretrained("laion/larger_clap_music")
    with pytest.raises(BadCheckpoint, match="known to be broken"):
        CLAP.from_pretrained("laion/larger_clap_music", strict=True)


def test_texts_that_collapse_to_one_vector_are_found() -> None:
    """The broken copy of larger_clap_music has a cosine of 0.9993 between unrelated texts."""
    one = 1 + 0.01 * np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    (finding,) = examine_checkpoint(tiny_model(), lambda _: one).findings
    assert "nearly the same vector" in finding.what
    assert examine_checkpoint(tiny_model(), lambda _: np.eye(6, 8, dtype=np.float32)).findings == ()


def test_weights_that_are_no_numbers_are_named() -> None:
    model = tiny_model()
    model.weights["audio_projection.2.weight"][0, 0] = float("inf")
    (finding,) = examine_checkpoint(model, None).findings
    assert "audio_projection.2.weight" in finding.what


def test_presets_are_one_clean_table() -> None:
    names = [preset.name for preset in PRESETS]
    assert len(names) == len(set(names))
    assert set(KNOWN_BAD) | set(KNOWN_BAD.values()) <= set(names)
    assert all(preset.licence and (preset.repo is None) == (preset.megabytes == 0) for preset in PRESETS)


def test_each_purpose_has_models_that_can_be_loaded() -> None:
    for purpose, (names, why) in ADVICE.items():
        presets, reason = advise(purpose)
        assert tuple(preset.name for preset in presets) == names
        assert not any(preset.note for preset in presets)  # no broken copy
        assert reason == why
    assert advise("birds")[0][0].name == "davidrrobinson/BioLingual"
    with pytest.raises(UsageError, match="'fish' is no purpose; choose one of effects, music, speech, birds"):
        advise("fish")


def test_what_is_not_here_says_how_to_get_it(hub: Path) -> None:
    assert not any(hub.iterdir())
    with pytest.raises(ModelNotHere, match=r"locate\.pull\('630k-audioset-fusion-best\.pt'\)"):
        CLAP.from_pretrained("630k-audioset-fusion-best.pt")
    with pytest.raises(UnknownModel, match="did you mean laion/clap-htsat-fused"):
        CLAP.from_pretrained("clap-htsat-fused")


def test_what_was_found_in_a_file_is_remembered_until_it_changes(
    tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading 615 MB at each start to hash them would cost more than the search."""
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    first = CLAP.from_pretrained(tmp_path).fingerprint
    monkeypatch.setattr(health, "_fingerprint_weights", lambda _: pytest.fail("read again"))
    assert CLAP.from_pretrained(tmp_path).fingerprint == first
    monkeypatch.undo()
    small_clap(tokenizer_file, seed=1).save_pretrained(tmp_path)
    assert CLAP.from_pretrained(tmp_path).fingerprint != first


def test_a_broken_tokenizer_leaves_the_audio_usable(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.warns(ModelWarning, match=r"cannot embed texts.*not a tokenizer\.json"):
        clap = CLAP.from_pretrained(tmp_path)
    assert clap.encode_audio((np.ones(800, np.float32), 16_000)).shape == (1, 24)


def test_weights_for_one_look_are_the_mapped_ones(tmp_path: Path) -> None:
    """Going through all weights of a mapped file once left 600 MB resident."""
    import struct

    rng = np.random.default_rng(0)
    a = rng.standard_normal((5, 6)).astype(np.float32)
    parts: dict[str, tuple[str, np.ndarray]] = {
        "a": ("F32", a),
        "half": ("F16", a.astype(np.float16)),
        "brain": ("BF16", (a.view(np.uint32) >> 16).astype(np.uint16)),
        "count": ("I64", np.array(7)),
    }
    header, blob = {}, b""
    for name, (kind, array) in parts.items():
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(blob), len(blob) + array.nbytes],
        }
        blob += array.tobytes()
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + blob)
    entries = read_safetensors(tmp_path / "w.safetensors")
    entries["both"] = concatenate([entries["a"], entries["half"]])
    entries["third"] = split_part(entries["both"], 1, 5)
    weights = Weights(entries)
    for name in weights:
        assert weights.read_once(name).dtype == weights[name].dtype
        assert np.array_equal(weights.read_once(name), weights[name]), name
    assert weights["third"].shape == (2, 6)
    assert entries["both"].once is not None
