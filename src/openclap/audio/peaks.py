"""How loud a recording is over time, as a picture of its waveform: the loudest sample of each part.

The recording is streamed at its own rate; memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from openclap.audio import decode
from openclap.audio.decode_limits import split_limits
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.load import Sound, Wave, sound_name

__all__ = ["PEAKS", "peaks"]

PEAKS = 200  # parts of a recording
FRAMES = 128 * PEAKS  # of a recording in memory at most; when there are more, each two become one
LEAST = 16  # samples of a frame at first
FULL = 255  # of full scale


def peaks(
    sound: Sound, count: int = PEAKS, heard_seconds: Callable[[float], None] = lambda seconds: None
) -> npt.NDArray[np.uint8]:
    """The loudest of each of so many parts of a sound that is a file, (count,): 255 is full scale.

    `heard_seconds` is told how many seconds were read.

    Raises
    ------
    SoundError
        As `load`.
    """
    sound, limits = split_limits(sound)
    decode_pass = DecodePass(sound_name(sound), limits, quiet=True)
    loudest, size, heard = np.zeros(0, np.float32), LEAST, 0.0
    rest = np.zeros(0, np.float32)
    with open_binary(sound, decode_pass.name) as file:
        for rate, wave in decode.decode_blocks(file, decode_pass):
            heard += len(wave) / rate
            limits.check(decode_pass.name, heard)
            heard_seconds(heard)
            rest = np.concatenate([rest, np.abs(wave)])
            whole = len(rest) // size * size
            loudest = np.concatenate([loudest, rest[:whole].reshape(-1, size).max(1, initial=0.0)])
            rest = rest[whole:]
            while len(loudest) > FRAMES:
                loudest, size = _halve(loudest), 2 * size
    if len(rest):
        loudest = np.append(loudest, rest.max())
    return _parts(loudest, count)


def _halve(loudest: Wave) -> Wave:
    even = np.append(loudest, np.float32(0)) if len(loudest) % 2 else loudest
    return even.reshape(-1, 2).max(1)


def _parts(loudest: Wave, count: int) -> npt.NDArray[np.uint8]:
    """The loudest of each of `count` parts of frames (N,); of fewer frames than parts, some are in several."""
    if not len(loudest):
        return np.zeros(count, np.uint8)
    first = np.arange(count) * len(loudest) // count
    last = np.maximum(first + 1, (np.arange(count) + 1) * len(loudest) // count)
    found = np.array([loudest[a:b].max() for a, b in zip(first, last, strict=True)])
    return np.round(FULL * np.clip(np.nan_to_num(found), 0, 1)).astype(np.uint8)
