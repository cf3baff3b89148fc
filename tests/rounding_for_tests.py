"""Recordings that rounding to 16 bits changes: quiet, band-limited, too loud."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "recordings"]

RATE, SECONDS = 48_000, 3


def recordings() -> dict[str, npt.NDArray[np.float32]]:
    """By kind, float32 (S,) of 3 s at 48 kHz: quiet, a dying tone; hiss below 900 Hz; a chirp that is cut at full scale."""
    t = np.arange(SECONDS * RATE) / RATE
    spectrum = np.fft.rfft(np.random.RandomState(9).standard_normal(len(t)))
    spectrum[np.fft.rfftfreq(len(t), 1 / RATE) > 900] = 0
    made = {
        "quiet": (2e-4, np.sin(2 * np.pi * 330 * t) * np.exp(-2 * t)),
        "band-limited": (0.02, np.fft.irfft(spectrum, len(t))),
        "loud": (1.7, np.sin(2 * np.pi * (200 * t + 900 * t**2)) * (1 + 0.3 * np.sin(2 * np.pi * 3 * t))),
    }
    return {kind: (peak * wave / np.abs(wave).max()).astype(np.float32) for kind, (peak, wave) in made.items()}
