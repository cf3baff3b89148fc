"""How loud a recording is over time, in frames of 50 ms, and whether anything is heard in it at all.

The level of a frame is the mean of its squared samples, in decibels of full scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, Wave, stream
from openclap.silence import SILENT_DB, is_heard

__all__ = ["FRAME_SECONDS", "cut_frames", "is_silent", "level_blocks", "level_of", "levels"]

FRAME_SECONDS = 0.05
CLICK_DB = -52.0  # a sample this loud is heard, however short the sound is; noise of -65 dB hardly reaches it
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
    """Whether nothing is heard: no sample reaches -52 dB of full scale, and no 50 ms -65 dB.

    Reading stops at the first second that is not silent.
    """
    with closing(stream(sound, SAMPLE_RATE, block_seconds=1.0)) as blocks:
        return not any(is_heard(level_of(block, SAMPLE_RATE)) for block in blocks)


def level_of(wave: Wave, rate: float) -> float:
    """The level of a wave (S,) at a rate in Hz, in dB of full scale from -120: the one number that tells silence.

    It is the level of the loudest 50 ms, or 13 dB less than the loudest sample where that is more, so that a click
    which is heard (`CLICK_DB`) lies above `silence.SILENT_DB`, as loud noise does.
    """
    size = max(1, round(FRAME_SECONDS * rate))
    whole = len(wave) // size * size
    squared = np.square(wave, dtype=np.float32)
    power = [*squared[:whole].reshape(-1, size).mean(1), *([squared[whole:].mean()] if whole < len(wave) else [])]
    frame, peak = _decibels(np.array([max(power), squared.max()], np.float32)).tolist()
    return float(max(frame, peak + SILENT_DB - CLICK_DB))
