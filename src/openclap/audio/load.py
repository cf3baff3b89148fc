"""A sound as people have it → mono float32 blocks at one rate. Knows nothing of clips or mels.

    path, bytes, file ─ decode ─┐
                                ├─ mono (mean of channels) ─ soxr HQ ─ blocks of float32 (S,)
    (wave, rate), dict ─────────┘

`load` is `stream` put together, so a file gives the same samples whole and in blocks. A file that is cut short gives
what could be decoded, with a SoundWarning that says how much; one that gives no sample at all is an error.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
import soxr

from openclap.audio.decode import BLOCK_SECONDS, Source, open_source
from openclap.errors import EmptySound, NotFiniteSound, SoundWarning, UnreadableSound

__all__ = ["Sound", "duration", "is_sound", "load", "sound_name", "stream"]

Wave: TypeAlias = npt.NDArray[np.float32]
Sound: TypeAlias = str | os.PathLike[str] | bytes | bytearray | BinaryIO | tuple[Any, float] | Mapping[str, Any]

MAX_RATE = 10_000_000  # Hz; more is a mistake in a header or an argument


def is_sound(value: object) -> TypeGuard[Sound]:
    """Whether `value` is one sound (and not a list of them)."""
    if isinstance(value, str | os.PathLike | bytes | bytearray | Mapping) or hasattr(value, "read"):
        return True
    return isinstance(value, tuple) and len(value) == 2 and np.isscalar(value[1]) and not isinstance(value[1], str | bytes)


def sound_name(sound: Sound) -> str:
    """What messages call a sound."""
    if isinstance(sound, str | os.PathLike):
        return os.fspath(sound)
    if isinstance(sound, bytes | bytearray):
        return f"<{len(sound)} bytes>"
    if isinstance(sound, tuple | Mapping):
        return "<wave>"
    return str(getattr(sound, "name", "<file object>"))


def load(sound: Sound, rate: int, *, seconds: float | None = None) -> Wave:
    """The whole sound, or its first `seconds`, as mono float32 (S,) at `rate` Hz.

    Raises
    ------
    SoundNotFound, UnreadableSound, EmptySound, NotFiniteSound
    """
    wanted = None if seconds is None else max(1, round(seconds * rate))
    blocks: list[Wave] = []
    have = 0
    for block in stream(sound, rate):
        blocks.append(block)
        have += len(block)
        if wanted is not None and have >= wanted:
            break
    return np.concatenate(blocks)[:wanted]


def stream(sound: Sound, rate: int, *, block_seconds: float = BLOCK_SECONDS) -> Iterator[Wave]:
    """Mono float32 blocks at `rate` Hz; memory does not grow with the length of the sound.

    Raises
    ------
    SoundNotFound, UnreadableSound, EmptySound, NotFiniteSound
        On the first block, or on the block that shows the fault.
    """
    name = sound_name(sound)
    with _source(sound, name, block_seconds) as source:
        yield from _resampled(source, rate, name)


def duration(sound: Sound) -> float:
    """Seconds of a sound, from its header where that can be trusted, else by decoding."""
    name = sound_name(sound)
    with _source(sound, name, BLOCK_SECONDS) as source:
        frames = source.frames
        if frames is None:
            frames = sum(len(block) for block in source.blocks())
    if frames == 0:
        raise EmptySound(name, "it holds no samples")
    return frames / source.rate


def _source(sound: Sound, name: str, block_seconds: float) -> Source:
    if isinstance(sound, tuple | Mapping):
        wave, rate = _wave_and_rate(sound, name)
        return Source(name, rate, len(wave), lambda: iter([wave]))
    if not isinstance(sound, str | os.PathLike | bytes | bytearray) and not hasattr(sound, "read"):
        raise UnreadableSound(name, f"{type(sound).__name__} is not a sound; pass a path, bytes, a binary file, (wave, rate) or a dict")
    if isinstance(sound, str | os.PathLike):
        return open_source(Path(sound).expanduser(), name, block_seconds)
    return open_source(sound, name, block_seconds)


def _wave_and_rate(sound: tuple[Any, float] | Mapping[str, Any], name: str) -> tuple[Wave, float]:
    """A wave given as numbers → float32 (S, channels) and its rate."""
    if isinstance(sound, Mapping):
        if "array" not in sound or "sampling_rate" not in sound:
            raise UnreadableSound(name, f"a dict needs 'array' and 'sampling_rate', got {', '.join(map(str, sound)) or 'nothing'}")
        wave, rate = sound["array"], sound["sampling_rate"]
    else:
        if len(sound) != 2:
            raise UnreadableSound(name, f"a pair (wave, rate) is expected, got {len(sound)} values")
        wave, rate = sound
    try:
        rate = float(rate)
        array = np.asarray(wave)
    except (TypeError, ValueError):
        raise UnreadableSound(name, "wave must be an array of numbers and rate a number in Hz") from None
    if not math.isfinite(rate) or not 0 < rate <= MAX_RATE:
        raise UnreadableSound(name, f"sampling rate {rate:g} Hz; it must be above 0 and at most {MAX_RATE} Hz")
    if array.ndim not in (1, 2) or array.dtype.kind not in "iuf":
        raise UnreadableSound(name, f"a wave is (S,) or (S, channels) numbers, got shape {array.shape} of {array.dtype}")
    if array.ndim == 2 and array.shape[0] <= 8 < array.shape[1]:
        raise UnreadableSound(name, f"shape {array.shape} looks like channels first; pass (S, channels), wave.T")
    if array.size == 0:
        raise EmptySound(name, "it holds no samples")
    return _float(array).reshape(len(array), -1), rate


def _float(array: npt.NDArray[Any]) -> Wave:
    """Integers by their full range, floats as they are."""
    if array.dtype.kind == "i":
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    if array.dtype.kind == "u":
        half = (np.iinfo(array.dtype).max + 1) / 2
        return ((array - half) / half).astype(np.float32)
    return array.astype(np.float32)


def _resampled(source: Source, rate: int, name: str) -> Iterator[Wave]:
    if not math.isfinite(source.rate) or not 0 < source.rate <= MAX_RATE:
        raise UnreadableSound(name, f"its header says {source.rate:g} Hz; it must be above 0 and at most {MAX_RATE} Hz")
    resampler = None if source.rate == rate else soxr.ResampleStream(source.rate, rate, 1, dtype="float32", quality="HQ")
    heard = given = 0
    first = np.float32(0)
    for block in source.blocks():
        mono = _mono(block, heard, name)
        first = mono[0] if heard == 0 and len(mono) else first
        heard += len(mono)
        mono = mono if resampler is None else resampler.resample_chunk(mono)
        given += len(mono)
        if len(mono):
            yield mono
    if heard == 0:
        raise EmptySound(name, "it holds no samples")
    if source.frames is not None and heard < source.frames:
        told, got = source.frames / source.rate, heard / source.rate
        warnings.warn(f"{name}: cut short, {got:.2f} of {told:.2f} s could be decoded", SoundWarning, stacklevel=2)
    if resampler is not None:
        rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if given + len(rest) == 0:  # fewer samples than the filter needs for one
            rest = np.full(1, first, np.float32)
        if len(rest):
            yield rest


def _mono(block: Wave, heard: int, name: str) -> Wave:
    """(S, channels) → (S,), after a look for what is no number."""
    mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono.sum(dtype=np.float64)):
        bad = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
        raise NotFiniteSound(name, f"sample {heard + bad} is NaN or infinite; repair or cut the recording")
    return np.ascontiguousarray(mono, np.float32)
