"""A sound given as an array with its sampling rate → the pair, checked."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.config.checks import positive_number
from openclap.errors import UsageError

__all__ = [
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "POSSIBLE_RATES",
    "as_wave_and_rate",
    "check_rate",
    "check_wave",
]

LOWEST_RATE, HIGHEST_RATE = 100.0, 10e6  # Hz; beyond these a header is broken, and memory in danger
POSSIBLE_RATES = f"{LOWEST_RATE:g} Hz to {HIGHEST_RATE / 1e6:g} MHz"
MAX_CHANNELS = 8  # of an array with more channels than samples: above that, its axes were mixed up


def as_wave_and_rate(sound: Any) -> tuple[Any, Any] | None:
    """The (wave, rate) of a pair or a dict; None for anything else, also for a pair of sounds."""
    if isinstance(sound, Mapping):
        complete = sound.get("array") is not None and sound.get("sampling_rate") is not None
        return (sound["array"], sound["sampling_rate"]) if complete else None
    if not isinstance(sound, tuple) or len(sound) != 2:
        return None
    wave, rate = sound
    is_list = isinstance(wave, list) and (not wave or isinstance(wave[0], (Real, list)))
    is_scalar = getattr(rate, "ndim", 0) == 0 and not isinstance(rate, (list, tuple, Mapping))
    return (wave, rate) if (is_list or hasattr(wave, "__array__")) and is_scalar else None


def check_wave(wave: Any, rate: Any) -> tuple[npt.NDArray[Any], float]:
    """Check the type and shape of a wave and its rate; a torch tensor becomes an array (S,) or (S, channels)."""
    rate = check_rate(rate)
    if hasattr(wave, "detach"):  # a torch tensor, perhaps with gradient, perhaps on another device
        wave = wave.detach().cpu()
        wave = wave.float() if str(wave.dtype) == "torch.bfloat16" else wave  # numpy has no such type
        wave = wave.T if _channels_first(wave) else wave  # torchaudio and torchcodec have (channels, S)
    try:
        samples = np.asarray(wave)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"a {type(wave).__name__} that is no array of samples ({error}); pass float32 (S,)") from None
    if samples.dtype.kind not in "fiu" and samples.size:
        raise UsageError(f"a wave of {samples.dtype}; samples are floats in [-1, 1] or integers of 8, 16 or 32 bits")
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:
        raise UsageError(f"a wave of {samples.dtype} has no usual full scale; pass floats in [-1, 1] or int16")
    if samples.ndim not in (1, 2):
        raise UsageError(f"a wave of shape {samples.shape}; it must be (S,) or (S, channels)")
    if _channels_first(samples):
        raise UsageError(f"a wave of shape {samples.shape} looks like (channels, S); pass (S, channels): wave.T")
    return samples, rate


def _channels_first(wave: Any) -> bool:
    """Whether a wave seems to be (channels, S): more than `MAX_CHANNELS` columns, and fewer rows than columns."""
    return wave.ndim == 2 and bool(wave.shape[0] < wave.shape[1] > MAX_CHANNELS)


def check_rate(value: Any) -> float:
    """A sampling rate in Hz as a float; what is none is refused."""
    rate = positive_number(value, "sampling rate")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UsageError(f"sampling rate {value} Hz is out of range; {POSSIBLE_RATES} are possible")
    return rate
