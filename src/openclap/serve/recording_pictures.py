"""Pictures of a part of a recording: the waveform as loudest samples, the spectrogram as PNG.

wide part ─ what was computed once of the whole ─┐
├─ so many columns
close look ─ the part alone is decoded ──────────┘
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import limit
from openclap.audio.load import Sound, Wave, stream_from
from openclap.audio.mel import mel_blocks
from openclap.describe.spectrogram import FRONT, Pooling, spectrogram_png
from openclap.serve.drawers import Heard
from openclap.serve.recordings import COARSE, Recording, Recordings

__all__ = ["draw_peaks", "draw_spectrogram"]

RATE = 44_100  # Hz, of a close look at the waveform
CLOSE_SECONDS = 120.0  # a longer part of the spectrogram is taken from that of the whole, where this is fine enough
BLOCK_SECONDS = 4.0


async def draw_peaks(
    recordings: Recordings, recording: Recording, start: float, end: float, count: int, heard: Heard
) -> npt.NDArray[np.uint8]:
    """The loudest sample of each of `count` parts of a span in seconds, (count,): 255 is full scale.

    `heard` is told how many seconds of the whole were read.

    Raises
    ------
    SoundError
        It cannot be read any more.
    RequestRefused
        The server is going down.
    """
    if (end - start) / count < recording.seconds / COARSE:
        return await recordings.draw(
            recording, lambda gone: _peaks_between(limit(recording.sound, stop=gone), start, end, count)
        )
    whole = await recordings.draw_waveform(recording, heard)
    return await recordings.draw(recording, lambda _: _peaks_of(whole, start, end, recording.seconds, count))


async def draw_spectrogram(
    recordings: Recordings, recording: Recording, start: float, end: float, width: int, height: int, heard: Heard
) -> bytes:
    """The mel spectrogram of a span in seconds as a PNG, low frequencies below.

    Its colours mean the same in every part of a recording: they go down from the loudest of the whole, which is
    listened to once for that; `heard` is told how many seconds of it were.

    Raises
    ------
    SoundError
        It cannot be read any more.
    RequestRefused
        The server is going down.
    """
    whole = await recordings.draw_spectrogram(recording, heard)

    def draw(gone: threading.Event) -> bytes:
        if end - start > CLOSE_SECONDS:
            first = min(int(start / recording.seconds * len(whole)), len(whole) - 1)
            last = max(first + 1, round(end / recording.seconds * len(whole)))
            mel = whole[first:last]
        else:
            mel = _mel_between(limit(recording.sound, stop=gone), start, end, width)
        columns = np.arange(width) * len(mel) // width
        rows = np.arange(height)[::-1] * mel.shape[1] // height
        return spectrogram_png(mel[np.ix_(columns, rows)].T, float(whole.max()))

    return await recordings.draw(recording, draw)


def _peaks_of(
    whole: npt.NDArray[np.uint8], start: float, end: float, seconds: float, count: int
) -> npt.NDArray[np.uint8]:
    edges = np.linspace(start, end, count + 1) / seconds * len(whole)
    first = np.clip(edges[:-1].astype(int), 0, len(whole) - 1)
    last = np.clip(np.ceil(edges[1:]).astype(int), first + 1, len(whole))
    return np.array([whole[a:b].max() for a, b in zip(first, last, strict=True)], np.uint8)


def _peaks_between(sound: Sound, start: float, end: float, count: int) -> npt.NDArray[np.uint8]:
    total, loudest, at = max(1, round((end - start) * RATE)), np.zeros(count, np.float32), 0
    for wave in _waves(sound, RATE, start, end):
        part = (at + np.arange(len(wave))) * count // total
        np.maximum.at(loudest, np.minimum(part, count - 1), np.abs(wave))
        at += len(wave)
    return np.round(255 * np.clip(loudest, 0, 1)).astype(np.uint8)


def _mel_between(sound: Sound, start: float, end: float, width: int) -> npt.NDArray[np.float32]:
    pooling = Pooling(width)
    for piece in mel_blocks(_waves(sound, FRONT.sampling_rate, start, end), FRONT):
        pooling.add(piece)
    return pooling.rows()


def _waves(sound: Sound, rate: int, start: float, end: float) -> Iterator[Wave]:
    """The samples of a span, block by block; silence where there is nothing."""
    left = max(1, round((end - start) * rate))
    with closing(stream_from(sound, rate, start, block_seconds=BLOCK_SECONDS)) as blocks:
        for block in blocks:
            yield block[:left]
            left -= len(block)
            if left <= 0:
                return
    yield np.zeros(left, np.float32)
