"""How loud a recording is over time, in frames of 50 ms, and whether anything is heard in it at all.

The level of a frame is the mean of its squared samples, in decibels of full scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, Wave, stream

__all__ = ["FRAME_SECONDS", "HISS_DB", "cut_frames", "is_silent", "level_blocks", "levels"]

FRAME_SECONDS = 0.05
SILENT_PEAK = 1e-4  # -80 dB of full scale, three steps of 16 bits: nothing louder than dither
CLICK_PEAK = 10 ** (
    -52 / 20
)  # a sample this loud is heard, however short the sound is; noise of -65 dB hardly reaches it
HISS_DB = -65.0  # where no frame is louder there is only the noise of a quiet room or a preamplifier
MIN_DB = -120.0  # the level of digital silence
SAMPLE_RATE = 48_000  # no model hears more; at 16 kHz a cricket that sings at 10 kHz was silence


def levels(sound: Sound) -> npt.NDArray[np.float32]:
    """Level of every 50 ms in dB of full scale, (N,), at least one; the recording is streamed."""
    return np.concatenate(list(level_blocks(sound)))


def level_blocks(sound: Sound) -> Iterator[npt.NDArray[np.float32]]:
    """The levels of `levels` in parts of some seconds, for a caller who does something between them; some are empty."""
    with closing(stream(sound, SAMPLE_RATE)) as blocks:
        for frames in cut_frames(blocks, round(FRAME_SECONDS * SAMPLE_RATE)):
            yield _decibels((frames**2).mean(1))


def cut_frames(blocks: Iterable[Wave], size: int) -> Iterator[Wave]:
    """Blocks of a wave → its frames (N, size) in parts, some of them empty; what is left at the end is one (1, S)."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        yield joined[:whole].reshape(-1, size)
        rest = joined[whole:]
    if len(rest):
        yield rest[None]


def _decibels(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.maximum(10 * np.log10(np.maximum(power, 1e-12)), MIN_DB).astype(np.float32)


def is_silent(sound: Sound) -> bool:
    """Whether nothing is heard: no sample above -80 dB of full scale, or none above -52 dB and no 50 ms above -65 dB.

    Reading stops at the first second that is not silent.
    """
    with closing(stream(sound, SAMPLE_RATE, block_seconds=1.0)) as blocks:
        return all(_is_hiss(block) for block in blocks)


def _is_hiss(block: npt.NDArray[np.float32]) -> bool:
    """Whether a block holds nothing but silence or faint noise."""
    peak = float(np.abs(block).max())
    if not SILENT_PEAK <= peak < CLICK_PEAK:
        return peak < SILENT_PEAK
    size = round(FRAME_SECONDS * SAMPLE_RATE)
    power = [(block[start : start + size] ** 2).mean() for start in range(0, len(block), size)]
    return float(_decibels(np.array(power, np.float32)).max()) < HISS_DB
