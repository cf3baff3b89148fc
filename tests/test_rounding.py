"""LAION rounds every sample to 16 bits: its numbers on recordings where that matters, and what keeps the property."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from models_for_tests import HTSAT_SMALL, small_clap, small_config, text_config
from rounding_for_tests import RATE, recordings
from test_golden import loaded, small_state

from openclap import CLAP
from openclap.audio.clips import load_model_wave, make_clip, make_windows
from openclap.audio.mel import log_mel, quantise_wave
from openclap.checkpoints.load import load_checkpoint
from openclap.config import CLAPConfig, FrontEnd
from openclap.data.items import Item
from openclap.doctor import examine_installation
from openclap.errors import BadCheckpoint, ModelWarning, UsageError
from openclap.train.examples import Example
from openclap.train.mel_cache import MelCache

NUMBERS = np.load(Path(__file__).parent / "data" / "golden" / "laion_rounding.npz")
LAION = FrontEnd(mel_scale="slaney", mel_norm="slaney", quantise="int16")
PLAIN = replace(LAION, quantise=None)


def test_laion_numbers() -> None:
    """A `.pt` on quiet, band-limited or clipped recordings was off by up to 1.5e-2."""
    (combination,) = NUMBERS.files
    model = loaded(combination.removesuffix("/audio"), "audio")
    front = model.config.front_end
    assert front.quantise == "int16"
    fronts = (front, replace(front, quantise=None))
    clips = [make_clip((wave, RATE), f, long="fusion") for f in fronts for wave in recordings().values()]
    with torch.inference_mode():
        mel = torch.from_numpy(np.stack([clip.mel for clip in clips]))
        got = model.encode_audio(mel, torch.zeros(len(mel), dtype=torch.bool)).numpy()
    off = np.abs(got.reshape(2, 3, -1) - NUMBERS[combination]).max(2)
    assert (off[0] < 1e-5).all()
    assert (off[1] > 1e-3).all()  # each of the three tells whether samples were rounded


def test_by_hand() -> None:
    """Cut to [-1, 1], × 32767, truncated toward 0, ÷ 32767."""
    wave = np.array([1.7, -1.7, 1.0, -1.0, 3.0e-5, -3.0e-5, 3.1e-5, 0.5, -0.5, 0.0], np.float32)
    steps = np.array([32767, -32767, 32767, -32767, 0, 0, 1, 16383, -16383, 0])
    expected = (steps / 32767).astype(np.float32)
    assert np.array_equal(quantise_wave(wave, LAION), expected)
    assert quantise_wave(torch.from_numpy(wave), LAION).numpy() == pytest.approx(expected, abs=0)
    assert quantise_wave(wave, LAION).dtype == np.float32
    assert quantise_wave(wave, PLAIN) is wave
    with pytest.raises(UsageError, match="'int8'; 'int16' or None"):
        replace(small_config(), front_end=FrontEnd(quantise="int8"))  # type: ignore[arg-type]


def test_after_resampling_and_in_every_way_to_a_clip(tmp_path: Path) -> None:
    """At the model's rate, whatever the file's; whole, in windows, padded for the device, and fused."""
    rng = np.random.default_rng(0)
    sf.write(tmp_path / "long.wav", 2e-3 * rng.standard_normal(12 * 22_050), 22_050, subtype="FLOAT")
    whole = load_model_wave(tmp_path / "long.wav", LAION)
    steps = whole.astype(np.float64) * 32767
    assert np.abs(steps - steps.round()).max() < 1e-3
    assert not np.array_equal(whole, load_model_wave(tmp_path / "long.wav", PLAIN))

    windows = list(make_windows(tmp_path / "long.wav", LAION, window=4.0, hop=4.0, as_waves=True))
    for window in windows:
        start = round(window.start * LAION.sampling_rate)
        assert np.array_equal(window.mel[0, : 4 * RATE], whole[start : start + 4 * RATE])
    assert np.array_equal(
        make_clip(tmp_path / "long.wav", LAION, long="head").mel[0], log_mel(whole[: 10 * RATE], LAION)
    )
    fused = make_clip(tmp_path / "long.wav", LAION, long="fusion")
    assert np.array_equal(fused.mel, make_clip((whole, RATE), PLAIN, long="fusion").mel)


def test_training_hears_it_too(tmp_path: Path) -> None:
    """LAION rounds in training as well, so what continues from its files must."""
    sf.write(tmp_path / "quiet.wav", recordings()["quiet"], RATE, subtype="FLOAT")
    item = Item(key="quiet", sound=tmp_path / "quiet.wav", captions=("x",))
    given = MelCache([Example("quiet", item, ("x",), "x")], LAION).get("quiet")
    assert given is not None
    expected = 10 ** (log_mel(quantise_wave(recordings()["quiet"], LAION), LAION) / 10)
    assert np.allclose(given.numpy(), expected, rtol=1e-4, atol=1e-12)


def test_file_of_laion_and_what_is_saved_from_it(tmp_path: Path, tokenizer_file: Path) -> None:
    torch.save({"state_dict": small_state()}, tmp_path / "630k-best.pt")
    clap = CLAP.from_pretrained(tmp_path / "630k-best.pt")
    assert clap.front_end == LAION
    clap.save_pretrained(tmp_path / "saved")
    saved = CLAP.from_pretrained(tmp_path / "saved")
    assert saved.front_end == LAION
    quiet = (recordings()["quiet"], RATE)
    assert np.array_equal(saved.encode_audio(quiet), CLAP.from_pretrained(tmp_path / "saved").encode_audio(quiet))

    assert examine_installation(str(tmp_path / "saved"))["installation"]["samples"].startswith("rounded to int16")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert config["front_end"].pop("quantise") == "int16"
    (tmp_path / "saved" / "config.json").write_text(json.dumps(config))  # as saved before openclap rounded
    old = CLAP.from_pretrained(tmp_path / "saved")
    assert old.front_end == PLAIN
    assert old.fingerprint == saved.fingerprint == clap.fingerprint  # libraries of these models stay theirs
    assert "save it anew" in examine_installation(str(tmp_path / "saved"))["installation"]["samples"]
    assert examine_installation("mini")["installation"]["samples"] == "as decoded"
    with pytest.raises(BadCheckpoint, match="int7"):
        CLAPConfig.from_dict({**config, "front_end": {**config["front_end"], "quantise": "int7"}})


def test_other_models_are_as_they_were(tokenizer_file: Path, tmp_path: Path) -> None:
    """Their config.json has no word more, so that older versions read it."""
    clap = small_clap(tokenizer_file)
    assert clap.front_end.quantise is None
    clap.save_pretrained(tmp_path)
    assert "quantise" not in json.loads((tmp_path / "config.json").read_text())["front_end"]


def test_transformers_does_not_round(tokenizer_file: Path, tmp_path: Path) -> None:
    """An export says that its vectors differ on quiet recordings."""
    pytest.importorskip("transformers")
    front = FrontEnd(quantise="int16")
    config = CLAPConfig(audio=HTSAT_SMALL, text=text_config("roberta"), front_end=front, fusion="aff_2d", embedding=24)
    with pytest.warns(ModelWarning, match="does not round"):
        CLAP.from_config(config, tokenizer=tokenizer_file).export_transformers(tmp_path)
    assert load_checkpoint(tmp_path).config.front_end.quantise is None
