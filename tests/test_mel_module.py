"""`MelSpectrogram`: the mels of a model as a torch module, equal to those that the model is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from models_for_tests import small_clap, small_config

from openclap.audio.clips import make_clip
from openclap.config import FrontEnd
from openclap.errors import MissingExtra, UsageError
from openclap.mel_spectrogram import MelSpectrogram

SHORT = {"sampling_rate": 16_000, "clip_seconds": 2.0, "n_fft": 512, "hop": 160, "f_max": 7000.0}
FRONT_ENDS = {
    "fused": FrontEnd(clip_seconds=2.0),
    "unfused": FrontEnd(clip_seconds=2.0, mel_scale="slaney", mel_norm="slaney"),
    "rounded": FrontEnd(clip_seconds=2.0, quantise="int16"),
    "another bank": FrontEnd(**{**SHORT, "sampling_rate": 22_050}, mel_rate=16_000, padding="repeat"),  # type: ignore[arg-type]
    "with a range": FrontEnd(**SHORT, dynamic_range=80.0, padding="spaced"),  # type: ignore[arg-type]
    "silence": FrontEnd(**SHORT, padding="pad"),  # type: ignore[arg-type]
}


def waves(samples: int, level: float = 0.1) -> np.ndarray:
    return (np.random.default_rng(samples).standard_normal((3, samples)) * level).astype(np.float32)


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.3, 2.0])
@pytest.mark.parametrize("level", [0.4, 1e-4])
def test_its_numbers_are_those_of_the_model(name: str, seconds: float, level: float) -> None:
    front_end = FRONT_ENDS[name]
    given = waves(max(1, round(seconds * front_end.sampling_rate)), level)
    made = MelSpectrogram(front_end, fill=True)(torch.from_numpy(given))
    for row, mel in zip(given, made.numpy(), strict=True):
        clip = make_clip((row, front_end.sampling_rate), front_end, long="head").mel[0]
        assert mel.shape == clip.shape == (front_end.clip_frames, front_end.mel_bins)
        np.testing.assert_allclose(mel, clip, rtol=0, atol=1e-4)


def test_a_few_samples_are_enough() -> None:
    """Of one sample or eight, repeated, most bands are empty: there the order of float sums is all that is heard."""
    for front_end in FRONT_ENDS.values():
        for samples in (1, 8):
            given = waves(samples, 0.4)
            mel = MelSpectrogram(front_end, fill=True)(torch.from_numpy(given)).numpy()
            rate = front_end.sampling_rate
            clips = np.stack([make_clip((row, rate), front_end, long="head").mel[0] for row in given])
            loud = clips > clips.max((1, 2), keepdims=True) - 40
            assert np.abs(mel - clips)[loud].max() < 1e-3


def test_of_a_model(tmp_path: Path) -> None:
    clap = small_clap()
    clap.save_pretrained(tmp_path / "model")
    given = torch.from_numpy(waves(4000))
    first, second = MelSpectrogram.from_config(small_config()), MelSpectrogram.from_pretrained(tmp_path / "model")
    assert first.front_end == second.front_end == clap.front_end
    assert torch.equal(first(given), second(given))
    mini = MelSpectrogram.from_pretrained("mini")
    assert mini(torch.zeros(8, mini.front_end.clip_samples)).shape == (8, 313, 64)
    assert list(mini.parameters()) == list(mini.state_dict()) == []
    assert "32000 Hz, 64 mels" in repr(mini)


def test_any_shape_and_length() -> None:
    mel = MelSpectrogram(FRONT_ENDS["with a range"])
    given = torch.from_numpy(waves(6 * 5000)).reshape(3, 6, 5000)
    assert mel(given).shape == (3, 6, 5000 // 160 + 1, 64)
    torch.testing.assert_close(mel(given)[1, 2], mel(given[1, 2]), rtol=0, atol=1e-4)
    long = torch.from_numpy(waves(40_000))
    filling = MelSpectrogram(FRONT_ENDS["with a range"], fill=True)
    assert torch.equal(filling(long), mel(long))


@pytest.mark.parametrize("name", ["fused", "rounded", "with a range"])
def test_gradients_reach_every_sample(name: str) -> None:
    """Rounding has a gradient of zero everywhere: a model behind it would never have changed what comes before."""
    given = torch.from_numpy(waves(20_000)).requires_grad_()
    MelSpectrogram(FRONT_ENDS[name], fill=True)(given).square().mean().backward()
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()
    assert (given.grad != 0).float().mean() > 0.99


def test_autocast_and_half_waves_change_no_decibel() -> None:
    """-100 dB is a power of 1e-10, which is 0 in float16: silence became -inf, and the loss NaN."""
    mel, given = MelSpectrogram(FRONT_ENDS["fused"]), torch.zeros(2, 9600)
    given[0, ::2] = 0.25
    with torch.autocast("cpu", torch.bfloat16):
        made = mel(given)
    assert made.dtype == torch.float32
    assert torch.equal(made, mel(given))
    assert torch.equal(mel(given.bfloat16()), mel(given))
    assert mel(given.double()).dtype == torch.float32


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.zeros((2, 100), np.float32), "waves are ndarray"),
        (torch.zeros(2, 100, dtype=torch.int16), r"waves are a tensor of torch\.int16"),
        (torch.zeros(2, 0), r"waves have the shape \(2, 0\)"),
        (torch.zeros(0, 100), r"waves have the shape \(0, 100\)"),
        (torch.tensor(0.5), r"waves have the shape \(\)"),
    ],
)
def test_what_is_no_wave_is_refused(given: torch.Tensor, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        MelSpectrogram(FrontEnd())(given)


def test_it_needs_torch_and_says_so() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nfrom openclap.errors import MissingExtra\n"
        "try:\n    from openclap.mel_spectrogram import MelSpectrogram\nexcept MissingExtra as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("MelSpectrogram is a module of torch; install openclap's extra 'torch'")
    assert issubclass(MissingExtra, ImportError)
