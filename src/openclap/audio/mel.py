"""Waves → log-mels, one function over the array API: numpy at inference, torch in training. No files, no models.

    wave (S,) ─ reflect ─ frames (T, N) ─ Hann ─ rfft ─ |·|² ─ mel bank ─ 10·log10 ─ (T, F) dB

Reference: arXiv 2211.06687 §3.1 and the feature extractors released with the checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, is_torch_array

from openclap.config import FrontEnd

__all__ = ["MEL_FLOOR", "level", "log_mel", "log_mel_blocks", "mel_filters"]

MEL_FLOOR = 1e-10  # power; 10 * log10(1e-10) = -100 dB
FRAMES_AT_ONCE = 128  # 128 frames of 1024 samples: 0.5 MB, stays in the second-level cache

Array = TypeVar("Array")


def log_mel(wave: Array, front_end: FrontEnd) -> Array:
    """Log-mel of a mono wave (S,) → (T, F) in dB, T = S // hop + 1. `dynamic_range` is not applied: see `level`."""
    xp = array_namespace(wave)
    if not is_torch_array(wave):
        return _numpy_mel(np.asarray(wave, np.float32), front_end)  # type: ignore[return-value]
    window, filters = (xp.asarray(a, device=wave.device) for a in _constants(front_end))  # type: ignore[attr-defined]
    frames = _padded(wave, front_end.n_fft // 2, xp).unfold(-1, front_end.n_fft, front_end.hop)
    spectrum = xp.fft.rfft(frames * window)
    power = xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2
    decibel: Array = 10 * xp.log10(xp.clip(power @ filters, MEL_FLOOR, None))
    return decibel


def level(mel: Any, front_end: FrontEnd) -> Any:
    """Apply `front_end.dynamic_range`: dB below the loudest bin of the last three axes (V, T, F), clamped."""
    if front_end.dynamic_range is None:
        return mel
    xp = array_namespace(mel)
    axes = tuple(range(-min(mel.ndim, 3), 0))
    return xp.clip(mel - xp.max(mel, axis=axes, keepdims=True), -front_end.dynamic_range, None)


def log_mel_blocks(blocks: Iterable[npt.NDArray[np.float32]], front_end: FrontEnd) -> Iterator[npt.NDArray[np.float32]]:
    """The rows of `log_mel` of a wave that arrives in blocks: the same frames, the wave never whole in memory."""
    half, hop, size = front_end.n_fft // 2, front_end.hop, front_end.n_fft
    buffer = np.zeros(0, np.float32)  # samples from the first one that the next frame needs
    last = np.zeros(0, np.float32)  # the end of the wave so far, for the reflection
    started = False
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        last = np.concatenate([last, block])[-(half + 1) :]
        if not started:
            if len(buffer) <= half:
                continue
            buffer = np.concatenate([buffer[half:0:-1], buffer])
            started = True
        count = (len(buffer) - size) // hop + 1
        if count > 0:
            yield _rows(buffer, count, front_end)
            buffer = buffer[count * hop :]
    if not started:
        if len(buffer):
            yield _numpy_mel(buffer, front_end)
        return
    buffer = np.concatenate([buffer, last[-2::-1][:half]])
    count = (len(buffer) - size) // hop + 1
    if count > 0:
        yield _rows(buffer, count, front_end)


def _numpy_mel(wave: npt.NDArray[np.float32], front_end: FrontEnd) -> npt.NDArray[np.float32]:
    return _rows(_padded(wave, front_end.n_fft // 2, np), len(wave) // front_end.hop + 1, front_end)


def _rows(padded: npt.NDArray[np.float32], count: int, front_end: FrontEnd) -> npt.NDArray[np.float32]:
    """`count` frames from the start of `padded` → (count, F) dB, a few frames at a time."""
    window, filters = _constants(front_end)
    frames = np.lib.stride_tricks.sliding_window_view(padded, front_end.n_fft)[:: front_end.hop][:count]
    mel = np.empty((count, front_end.mel_bins), np.float32)
    for at in range(0, count, FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames[at : at + FRAMES_AT_ONCE] * window)
        power = spectrum.real**2
        power += spectrum.imag**2
        mel[at : at + FRAMES_AT_ONCE] = power @ filters
    np.log10(np.maximum(mel, MEL_FLOOR, out=mel), out=mel)
    mel *= 10
    return mel


def _padded(wave: Any, half: int, xp: Any) -> Any:
    """`half` samples reflected at both ends; a wave shorter than that is reflected as often as needed."""
    size = wave.shape[0]
    if size > half:
        return xp.concat([xp.flip(wave[1 : half + 1]), wave, xp.flip(wave[-half - 1 : -1])])
    period = max(2 * (size - 1), 1)
    at = np.abs(np.arange(-half, size + half)) % period
    return wave[np.where(at < size, at, period - at).tolist()]


@lru_cache(maxsize=16)
def _constants(front_end: FrontEnd) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The periodic Hann window (N,) and the mel bank (N // 2 + 1, F), float32."""
    n = np.arange(front_end.n_fft)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / front_end.n_fft)
    return hann.astype(np.float32), mel_filters(front_end).astype(np.float32)


@lru_cache(maxsize=16)
def mel_filters(front_end: FrontEnd) -> npt.NDArray[np.float64]:
    """Triangles that overlap by half, evenly spaced on the mel scale → (n_fft // 2 + 1, F)."""
    to_mel, to_hertz = (_slaney, _slaney_hertz) if front_end.mel_scale == "slaney" else (_htk, _htk_hertz)
    low, high = to_mel(np.float64(front_end.f_min)), to_mel(np.float64(front_end.f_max))
    corners = to_hertz(np.linspace(low, high, front_end.mel_bins + 2))  # (F + 2,) Hz
    bins = np.linspace(0, front_end.sampling_rate / 2, front_end.n_fft // 2 + 1)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    bank: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    if front_end.mel_norm == "slaney":  # triangles of equal area
        bank = bank * (2 / (corners[2:] - corners[:-2]))
    return bank


def _htk(hertz: Any) -> Any:
    return 2595 * np.log10(1 + hertz / 700)


def _htk_hertz(mel: Any) -> Any:
    return 700 * (10 ** (mel / 2595) - 1)


SLANEY_KNEE_HERTZ, SLANEY_KNEE_MEL, SLANEY_STEP = 1000.0, 15.0, np.log(6.4) / 27.0


def _slaney(hertz: Any) -> Any:
    above = SLANEY_KNEE_MEL + np.log(np.maximum(hertz, SLANEY_KNEE_HERTZ) / SLANEY_KNEE_HERTZ) / SLANEY_STEP
    return np.where(hertz < SLANEY_KNEE_HERTZ, 3 * hertz / 200, above)


def _slaney_hertz(mel: Any) -> Any:
    above = SLANEY_KNEE_HERTZ * np.exp(SLANEY_STEP * (np.maximum(mel, SLANEY_KNEE_MEL) - SLANEY_KNEE_MEL))
    return np.where(mel < SLANEY_KNEE_MEL, 200 * mel / 3, above)
