"""Waveforms in few numbers, and sounds that are decoded from any place on."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile as sf

from openclap.audio import peaks as module
from openclap.audio.load import load, stream_from
from openclap.audio.peaks import peaks
from openclap.errors import SoundError

RATE = 8000


def coded(wave: np.ndarray, kind: str = "WAV", subtype: str | None = "FLOAT") -> bytes:
    file = io.BytesIO()
    sf.write(file, wave, RATE, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("samples", [1, 15, 200, 3200, 50_000, 250_001])
def test_the_loudest_of_each_part(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As brute force has it, but for what lies on the border of two parts, also where frames had to be joined."""
    monkeypatch.setattr(module, "FRAMES", 8 * module.PEAKS)
    wave = np.random.default_rng(samples).uniform(-1, 1, samples) * np.linspace(0.2, 1, samples)
    found = peaks(coded(wave)).astype(int)
    assert found.shape == (200,)
    assert found.max() == round(255 * float(np.abs(wave).max()))
    if samples >= 50_000:
        parts = np.array_split(np.abs(wave), 200)
        assert np.abs(found - 255 * np.array([part.max() for part in parts])).max() < 12
    elif samples == 1:
        assert set(found) == {found.max()}


def test_what_is_too_loud_or_no_sound() -> None:
    assert peaks(coded(np.full(400, 3.0))).min() == 255
    with pytest.raises(SoundError):
        peaks(b"no sound")


@pytest.mark.parametrize("start", [0.0, 0.25, 59.9, 75.0, 100.5, 130.0])
def test_a_sound_from_a_place_on(start: float) -> None:
    """A minute in, what lies before is not decoded: the rest is what `load` gives, but for the rounding of `cut`."""
    data = coded(np.random.default_rng(0).uniform(-0.5, 0.5, 120 * RATE).astype(np.float32), "FLAC", "PCM_16")
    whole = load(data, 16_000)[round(start * 16_000) :]
    found = np.concatenate([np.zeros(0, np.float32), *stream_from(data, 16_000, start, block_seconds=7)])
    np.testing.assert_allclose(found, whole, atol=2e-6)
