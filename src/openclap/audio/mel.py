"""Waves → log-mels, of numpy arrays and torch tensors alike.

    wave (S,) ─ 16 bits? ─ frames (T, n_fft) ─ × Hann ─ rfft ─ power ─ mel bank ─ 10 log10 ─ (T, F) in dB

Source: the released feature extractors (reference: arXiv 2211.06687 §3), in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import array_api_compat
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from openclap.config import FrontEnd

__all__ = ["apply_dynamic_range", "log_mel", "mel_bank", "mel_blocks", "quantise_wave"]

Array = TypeVar("Array")
Wave = npt.NDArray[np.float32]

FLOOR = 1e-10  # power, that is -100 dB
FLOOR_DB = -100.0
FRAMES_AT_ONCE = 64  # 256 KiB of windowed frames, which stay in the processor's cache from window to mel
BANDS_AT_ONCE = 8  # neighbouring triangles, which share few bins
FULL_SCALE = 32767.0  # of 16 bits, as LAION counts it


def quantise_wave(wave: Array, front_end: FrontEnd) -> Array:
    """Round samples as in the model's training: to 16 bits and back where `front_end.quantise` is "int16".

    Samples are cut to [-1, 1], × 32767, truncated toward 0, ÷ 32767, in float32. Each sample is rounded by itself, so
    this may be done block by block, before or after padding, but only at the front end's rate. It sets samples below
    3.05e-5 to zero, and adds a floor of noise to band-limited sound. Source: LAION-AI/CLAP, `training/data.py`.

    Parameters
    ----------
    wave
        (..., S), numpy or torch, at `front_end.sampling_rate`.
    """
    if front_end.quantise is None:
        return wave
    xp: Any = array_api_compat.array_namespace(wave)
    samples: Any = wave
    return xp.trunc(xp.clip(xp.astype(samples, xp.float32, copy=False), -1.0, 1.0) * FULL_SCALE) / FULL_SCALE


def log_mel(wave: Array, front_end: FrontEnd) -> Array:
    """The log-mel of a wave in absolute dB.

    Centred frames with reflect padding, periodic Hann window, power, mel bank, 10 log10(max(power, 1e-10)).

    Parameters
    ----------
    wave
        (..., S), numpy or torch (of any device, with gradient), at `front_end.sampling_rate`; S >= 1.

    Returns
    -------
    float32 (..., T, F) of the same library and device, T = S // hop + 1.
    """
    xp: Any = array_api_compat.array_namespace(wave)
    samples: Any = wave
    assert samples.shape[-1] > 0, samples.shape
    samples = xp.astype(samples, xp.float32, copy=False)
    padded = xp.concat([*_reflections(samples, front_end.n_fft // 2, xp)], axis=-1)
    return _mel_of_padded(padded, front_end, xp)


def mel_blocks(blocks: Iterable[Wave], front_end: FrontEnd) -> Iterator[npt.NDArray[np.float32]]:
    """The log-mel of a wave that comes in blocks → pieces (t, F), whose t sum up to T.

    Joined they equal `log_mel` of the whole wave, which is never in memory.
    """
    pad, n_fft, hop = front_end.n_fft // 2, front_end.n_fft, front_end.hop
    kept = np.zeros(0, np.float32)  # padded samples from the next frame on
    recent = kept  # the last samples, which are mirrored at the end
    has_begun = False
    for block in blocks:
        recent = np.concatenate([recent, block])
        if not has_begun:
            if len(recent) <= pad:
                continue
            has_begun = True
            left, _, _ = _reflections(recent, pad, np)
            kept = np.concatenate([left, recent])
        else:
            kept = np.concatenate([kept, block])
        recent = recent[-pad - 1 :]
        # Only whole groups of frames: every frame is computed as it would be in one piece.
        frames = (len(kept) - n_fft) // hop + 1 if len(kept) >= n_fft else 0
        frames -= frames % FRAMES_AT_ONCE
        if frames:
            yield _mel_of_padded(kept[: (frames - 1) * hop + n_fft], front_end, np)
            kept = kept[frames * hop :]
    if not has_begun:
        yield log_mel(recent, front_end)
        return
    _, _, right = _reflections(recent, pad, np)
    kept = np.concatenate([kept, right])
    if len(kept) >= n_fft:
        yield _mel_of_padded(kept, front_end, np)


def apply_dynamic_range(mel: Array, front_end: FrontEnd) -> Array:
    """Turn absolute dB into dB below the loudest bin, clamped to `-front_end.dynamic_range`; None changes nothing.

    The loudest bin is that of the last two axes (T, F). Digital silence becomes `-dynamic_range` everywhere: 0 dB
    everywhere would be the loudest noise there is.
    """
    if front_end.dynamic_range is None:
        return mel
    xp: Any = array_api_compat.array_namespace(mel)
    values: Any = mel
    lowest = xp.asarray(-front_end.dynamic_range, dtype=values.dtype, device=array_api_compat.device(values))
    peak = xp.max(values, axis=(-2, -1), keepdims=True)
    return xp.where(peak > FLOOR_DB + 1e-3, xp.maximum(values - peak, lowest), lowest)


@lru_cache(maxsize=16)
def mel_bank(front_end: FrontEnd) -> npt.NDArray[np.float32]:
    """The triangular filters of a front end, (n_fft // 2 + 1, F), computed in float64.

    Corners lie evenly on the mel scale from `f_min` to `f_max`; triangles are straight in Hz. The HTK scale
    is 2595 log10(1 + f / 700); Slaney's is linear below 1 kHz and logarithmic above. The norm "slaney" gives
    every triangle an area of 1 Hz.
    """
    to_mel, to_hz = (_htk_mel, _htk_hz) if front_end.mel_scale == "htk" else (_slaney_mel, _slaney_hz)
    low, high = to_mel(np.array([front_end.f_min, front_end.f_max]))
    corners = to_hz(np.linspace(low, high, front_end.mel_bins + 2))  # Hz
    bins = np.linspace(0, front_end.bank_rate / 2, front_end.n_fft // 2 + 1)[:, None]  # Hz
    widths = np.diff(corners)
    rising = (bins - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - bins) / widths[1:]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if front_end.mel_norm == "slaney":
        bank *= 2.0 / (corners[2:] - corners[:-2])
    bank32 = bank.astype(np.float32)
    bank32.setflags(write=False)
    return bank32


def _mel_of_padded(padded: Any, front_end: FrontEnd, xp: Any) -> Any:
    """A padded wave (..., S) → its log-mel (..., T, F)."""
    device = array_api_compat.device(padded)
    is_numpy = array_api_compat.is_numpy_array(padded)
    window, banks = _constants(front_end, BANDS_AT_ONCE if is_numpy else front_end.mel_bins)
    window = xp.asarray(window, device=device, copy=True)
    banks = [(low, high, xp.asarray(bank, device=device, copy=True)) for low, high, bank in banks]
    floor = xp.asarray(FLOOR, dtype=xp.float32, device=device)
    frames = _frames(padded, front_end)
    total = frames.shape[-2]
    step = FRAMES_AT_ONCE if is_numpy else total
    pieces = []
    for start in range(0, total, step):
        spectrum = xp.fft.rfft(frames[..., start : start + step, :] * window)
        power = xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2
        bands = [power[..., low:high] @ bank for low, high, bank in banks]
        pieces.append(xp.concat(bands, axis=-1))
    power = pieces[0] if len(pieces) == 1 else xp.concat(pieces, axis=-2)
    return 10.0 * xp.log10(xp.maximum(power, floor))


def _frames(padded: Any, front_end: FrontEnd) -> Any:
    """View the padded wave as frames (..., T, n_fft), which the array API has no function for."""
    if array_api_compat.is_torch_array(padded):
        return padded.unfold(-1, front_end.n_fft, front_end.hop)
    return sliding_window_view(padded, front_end.n_fft, axis=-1)[..., :: front_end.hop, :]


def _reflections(wave: Any, pad: int, xp: Any) -> tuple[Any, Any, Any]:
    """(left, wave, right): the wave mirrored at its first and last sample, several times where it is short."""
    size = wave.shape[-1]
    period = max(1, 2 * (size - 1))
    outside = np.arange(1, pad + 1)
    left = _mirror_index(-outside, size, period)[::-1]
    right = _mirror_index(size - 1 + outside, size, period)
    device = array_api_compat.device(wave)
    return (
        xp.take(wave, xp.asarray(left.copy(), device=device), axis=-1),
        wave,
        xp.take(wave, xp.asarray(right, device=device), axis=-1),
    )


def _mirror_index(index: npt.NDArray[np.int_], size: int, period: int) -> npt.NDArray[np.int_]:
    """Positions outside a wave → the positions inside that they mirror."""
    inside = index % period
    return np.minimum(inside, period - inside) if size > 1 else np.zeros_like(index)


@lru_cache(maxsize=16)
def _constants(front_end: FrontEnd, bands: int) -> tuple[Wave, list[tuple[int, int, npt.NDArray[np.float32]]]]:
    """The window, and the mel bank in groups of `bands` columns, each with the range (low, high) of its nonzero bins.

    Small groups skip most of the bank's zeros. Their products are also too small for OpenBLAS to use its threads, which
    would spin for some 30 ms afterwards and take the cores from the model: on two cores a clip of HTSAT took 76 ms
    instead of 49.
    """
    turn = 2 * np.pi * np.arange(front_end.n_fft) / front_end.n_fft
    window = (0.5 - 0.5 * np.cos(turn)).astype(np.float32)  # periodic Hann
    bank = mel_bank(front_end)
    groups = []
    for start in range(0, front_end.mel_bins, bands):
        columns = bank[:, start : start + bands]
        used = np.flatnonzero(columns.any(axis=1))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        groups.append((low, high, np.ascontiguousarray(columns[low:high])))
    return window, groups


def _htk_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def _htk_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


_SLANEY_BREAK = 15.0  # mel, at 1000 Hz; 200 / 3 Hz a mel below
_SLANEY_STEP = np.log(6.4) / 27.0  # above: 27 mels to 6400 Hz


def _slaney_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _SLANEY_BREAK + np.log(np.maximum(hz, 1e-9) / 1000.0) / _SLANEY_STEP
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)


def _slaney_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < _SLANEY_BREAK, mel * 200.0 / 3.0, 1000.0 * np.exp(_SLANEY_STEP * (mel - _SLANEY_BREAK)))
