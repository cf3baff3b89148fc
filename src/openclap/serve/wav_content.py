"""A sound of any format as a WAV file that is decoded while it is sent, from any place on.

    byte of the file ─ second of the sound ─ `audio.load.stream_from`, which seeks ─ PCM of 16 bits, one channel

Its length is known before: that of the library or of the recording. What the sound has more is left out, what it lacks
is silence, so that the bytes that were promised come.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import BinaryIO

import numpy as np

from openclap.audio.load import Wave, stream_from
from openclap.errors import SoundError
from openclap.serve.byte_ranges import Content

__all__ = ["wav_content"]

RATE = 44_100  # Hz
HEADER = 44  # bytes
BLOCK_SECONDS = 4.0  # that are decoded at once
LONGEST = (1 << 31) / (2 * RATE)  # seconds: what more is, does not fit the numbers of a header


def wav_content(file: BinaryIO, seconds: float, tag: str, close: Callable[[], None]) -> Content:
    """An open sound of known length as a WAV content."""
    samples = max(1, round(min(seconds, LONGEST) * RATE))
    size = HEADER + 2 * samples
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 2 * samples
    )

    def read(first: int, end: int) -> Iterator[bytes]:
        if first < HEADER:
            yield header[first : min(end, HEADER)]
        if end <= HEADER:
            return
        begin, last = max(0, first - HEADER), end - HEADER  # bytes of the samples
        skip = begin % 2
        for wave in _waves(file, begin // 2, -(-last // 2)):
            data = (np.clip(wave, -1, 1) * 32767).round().astype("<i2").tobytes()[skip:]
            skip = 0
            data = data[: last - begin]
            begin += len(data)
            yield data

    return Content(size, read, "audio/wav", tag, close)


def _waves(file: BinaryIO, first: int, end: int) -> Iterator[Wave]:
    """The samples from a first to one after the last, block by block."""
    at = first
    file.seek(0)
    with suppress(SoundError), closing(stream_from(file, RATE, first / RATE, block_seconds=BLOCK_SECONDS)) as blocks:
        for block in blocks:
            yield block[: end - at]
            at += len(block)
            if at >= end:
                return
    while at < end:  # broken, or shorter than it was
        yield np.zeros(min(end - at, RATE), np.float32)
        at += RATE
