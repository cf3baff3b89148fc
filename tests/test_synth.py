"""Synthesised sounds: finite, deterministic, varied, and what their names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from openclap.errors import UsageError
from openclap.synth import KINDS, synthesise, write_library

RATE = 22_050


def spectrum(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(wave), 1 / RATE), np.abs(np.fft.rfft(wave)) ** 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str) -> None:
    wave, caption = synthesise(kind, np.random.default_rng(1), rate=RATE, seconds=2.0)
    assert wave.dtype == np.float32
    assert wave.shape == (2 * RATE,)
    assert np.isfinite(wave).all()
    assert 0.25 < np.abs(wave).max() <= 0.95
    assert caption in KINDS[kind].captions
    assert len(KINDS[kind].captions) >= 3
    assert np.array_equal(wave, synthesise(kind, np.random.default_rng(1), rate=RATE, seconds=2.0)[0])
    other = synthesise(kind, np.random.default_rng(2), rate=RATE, seconds=2.0)[0]
    assert abs(float(np.corrcoef(wave, other)[0, 1])) < 0.9


def test_spectra_are_what_the_names_say() -> None:
    def share(kind: str, low: float, high: float) -> float:
        hertz, power = spectrum(synthesise(kind, np.random.default_rng(0), rate=RATE, seconds=3.0)[0])
        return float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())

    assert share("smoke alarm", 2500, 4000) > 0.8
    assert share("thunder", 20, 400) > 0.8
    assert share("bass drum kick", 20, 200) > 0.8
    assert share("hi-hat", 4500, 11_025) > 0.8
    assert share("rain", 20, 400) < 0.3


def test_a_siren_moves_and_a_smoke_alarm_does_not() -> None:
    def loudest(kind: str) -> np.ndarray:
        wave = synthesise(kind, np.random.default_rng(3), rate=RATE, seconds=4.0)[0]
        frames = wave[: len(wave) // 2048 * 2048].reshape(-1, 2048)
        loud = frames[np.abs(frames).max(1) > 0.2]
        pitch: np.ndarray = np.fft.rfftfreq(2048, 1 / RATE)[np.abs(np.fft.rfft(loud * np.hanning(2048))).argmax(1)]
        return pitch

    assert np.ptp(loudest("siren")) > 250
    assert np.median(np.abs(loudest("smoke alarm") - np.median(loudest("smoke alarm")))) < 20


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="'unicorn' cannot be synthesised"):
        synthesise("unicorn", np.random.default_rng(0))


def test_library_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    few = {name: KINDS[name] for name in ("rain", "siren", "coin")}
    files = write_library(tmp_path, takes=2, rate=RATE, kinds=few)
    assert {f.path.suffix for f in files} == {".wav", ".flac", ".ogg"}
    assert all(sf.info(f.path).samplerate == RATE for f in files)
    lines = (tmp_path / "metadata.csv").read_text().splitlines()
    assert lines[0] == "file,caption,label"
    assert len(lines) == 7
