"""How loud a recording is over time. Knows nothing of models.

Frames of 50 ms: the mean of the squares, in decibels of full scale. Also whether anything is heard at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, stream

__all__ = ["FRAME_SECONDS", "HISS", "SILENT", "is_silent", "level_blocks", "levels"]

FRAME_SECONDS = 0.05
SILENT = 1e-4  # -80 dB of full scale, three steps of 16 bits: nothing louder than dither
CLICK = 10 ** (-52 / 20)  # a sample as loud as this is heard, however short it is; noise of -65 dB hardly reaches it
HISS = -65.0  # dB of full scale: where no 50 ms are louder, there is the noise of a quiet room or a preamplifier
LEAST = -120.0  # dB: digital silence
RATE = 48_000  # no model hears more; at 16 kHz a cricket that sings at 10 kHz was silence


def levels(sound: Sound) -> npt.NDArray[np.float32]:
    """Level of every 50 ms in dB of full scale, (N,), at least one; the recording is streamed."""
    return np.concatenate(list(level_blocks(sound)))


def level_blocks(sound: Sound) -> Iterator[npt.NDArray[np.float32]]:
    """The same in parts of some seconds, for whoever does something else between them; a part may be empty."""
    size = round(FRAME_SECONDS * RATE)
    rest = np.zeros(0, np.float32)
    with closing(stream(sound, RATE)) as blocks:
        for block in blocks:
            joined = np.concatenate([rest, block])
            whole = len(joined) // size * size
            yield _decibels((joined[:whole].reshape(-1, size) ** 2).mean(1))
            rest = joined[whole:]
    if len(rest):
        yield _decibels(np.array([(rest**2).mean()], np.float32))


def _decibels(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = np.maximum(10 * np.log10(np.maximum(power, 1e-12)), LEAST).astype(np.float32)
    return found


def is_silent(sound: Sound) -> bool:
    """Whether nothing is heard: no sample above -80 dB of full scale, or none above -52 dB and no 50 ms above -65 dB.

    Only what comes before the first second that is no silence is read.
    """
    with closing(stream(sound, RATE, block_seconds=1.0)) as blocks:
        return all(_is_hiss(block) for block in blocks)


def _is_hiss(block: npt.NDArray[np.float32]) -> bool:
    peak = float(np.abs(block).max())
    if not SILENT <= peak < CLICK:
        return peak < SILENT
    size = round(FRAME_SECONDS * RATE)
    power = [(block[start : start + size] ** 2).mean() for start in range(0, len(block), size)]
    return float(_decibels(np.array(power, np.float32)).max()) < HISS
