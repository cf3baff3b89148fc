"""Presets, the Hub's cache, and the health check that names broken copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from test_huggingface import save_theirs

from openclap import CLAP
from openclap.checkpoints import locate
from openclap.checkpoints.health import examine_model
from openclap.checkpoints.presets import KNOWN_BAD, PRESETS, find_preset
from openclap.config import CLAPConfig, FrontEnd, PANNConfig, WordsConfig
from openclap.errors import BadCheckpoint, ModelNotHere, ModelWarning, UnknownModel
from openclap.models.clap import CLAPModel


def tiny_model() -> CLAPModel:
    config = CLAPConfig(
        audio=PANNConfig(widths=(4,), pools=((2, 2),), output=8),
        text=WordsConfig(vocabulary=8, width=8),
        front_end=FrontEnd(),
        embedding=8,
    )
    return CLAPModel(config).eval()


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
    assert locate.here(preset)
    shutil.rmtree(hub / "models--laion--clap-htsat-fused" / "snapshots")
    assert not locate.here(preset)


def test_a_known_bad_copy_is_named_with_what_to_use_instead(hub: Path) -> None:
    put(hub, "laion/larger_clap_music")
    with pytest.warns(ModelWarning, match=r"known to be broken; use music_audioset_epoch_15_esc_90\.14\.pt"):
        CLAP.from_pretrained("laion/larger_clap_music")
    with pytest.raises(BadCheckpoint, match="known to be broken"):
        CLAP.from_pretrained("laion/larger_clap_music", strict=True)


def test_texts_that_collapse_to_one_vector_are_found() -> None:
    """The broken copy of larger_clap_music has a cosine of 0.9993 between unrelated texts."""
    model = tiny_model()
    one = torch.nn.functional.normalize(
        torch.ones(6, 8) + 0.01 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=1
    )
    (finding,) = examine_model(model, set(), lambda _: one)
    assert "nearly the same vector" in finding.what
    assert examine_model(model, set(), lambda _: torch.eye(6, 8)) == []


def test_weights_that_are_no_numbers_are_named() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.get_parameter("audio_projection.2.weight")[0, 0] = float("inf")
    (finding,) = examine_model(model, set(), None)
    assert "audio_projection.2.weight" in finding.what


def test_presets_are_one_clean_table() -> None:
    names = [preset.name for preset in PRESETS]
    assert len(names) == len(set(names))
    assert set(KNOWN_BAD) | set(KNOWN_BAD.values()) <= set(names)
    assert all(preset.licence and (preset.repo is None) == (preset.megabytes == 0) for preset in PRESETS)


def test_what_is_not_here_says_how_to_get_it(hub: Path) -> None:
    assert not any(hub.iterdir())
    with pytest.raises(ModelNotHere, match=r"openclap pull 630k-audioset-fusion-best\.pt"):
        CLAP.from_pretrained("630k-audioset-fusion-best.pt")
    with pytest.raises(UnknownModel, match="did you mean laion/clap-htsat-fused"):
        CLAP.from_pretrained("clap-htsat-fused")
