"""Recordings of any length → what a model takes: clips of 10 s, windows, the four views of the fusion.

    a recording of T > 10 s, fusion:              of T <= 10 s, repeatpad:

    |··············· T ···············|           |·T·|·T·|·T·|0 0|
     global: all of it, resized to 10 s            tiled floor(10 s / T) times, then zeros
      ···|chunk|·····|chunk|·····|chunk|··
      front       middle       back               each chunk from the middle of its third of the possible starts

Nothing here is random, so the same recording always gives the same clips. Knows nothing of models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, stream
from openclap.audio.mel import level, log_mel, log_mel_blocks
from openclap.config import FrontEnd
from openclap.errors import UsageError

__all__ = ["Clip", "WindowClip", "clip_of", "fusion_starts", "fusion_views", "repeatpad", "resize", "window_starts", "windows_of"]

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clip:
    """What a tower takes of one recording: (V, T, F) in dB, V = 4 views when it goes through the fusion, else 1."""

    mel: npt.NDArray[np.float32]
    longer: bool


@dataclass(frozen=True, eq=False)
class WindowClip:
    """A span of a recording, in seconds, and its mel (1, T, F) in dB."""

    start: float
    end: float
    mel: npt.NDArray[np.float32]


def repeatpad(wave: Wave, samples: int) -> Wave:
    """A wave of at most `samples` samples tiled as often as it fits, then zeros."""
    tiled = np.tile(wave, samples // len(wave))
    return np.pad(tiled, (0, samples - len(tiled)))


def clip_of(sound: Sound, front_end: FrontEnd, *, long: str) -> Clip:
    """One recording → one clip. `long` is "fusion" or "head" (the first 10 s).

    The recording is streamed; of one that goes through the fusion the mel is kept: 92 MB an hour at 100 frames/s.
    """
    size = front_end.clip_samples
    blocks = stream(sound, front_end.sampling_rate)
    begun: list[Wave] = []
    for block in blocks:
        begun.append(block)
        if sum(map(len, begun)) > size:
            break
    head = np.concatenate(begun)
    if len(head) <= size or long == "head":
        blocks.close()  # type: ignore[attr-defined]
        wave = repeatpad(head, size) if len(head) <= size else head[:size]
        return Clip(level(log_mel(wave, front_end)[None], front_end), longer=False)
    mel = np.concatenate(list(log_mel_blocks(chain([head], blocks), front_end)))
    if len(mel) <= front_end.clip_frames:
        return Clip(level(mel[None], front_end), longer=False)
    return Clip(fusion_views(level(mel, front_end), front_end.clip_frames), longer=True)


def windows_of(sound: Sound, front_end: FrontEnd, *, window: float = 10.0, hop: float = 5.0) -> Iterator[WindowClip]:
    """The windows of a recording, streamed: memory does not grow with its length.

    Starts are 0, hop, 2·hop …; the last window is moved back to end with the recording. A recording of `window`
    seconds or less is one window.

    Raises
    ------
    UsageError
        A window that is not above 0 and at most the model's clip, or a hop that is not above 0.
    """
    if not (math.isfinite(window) and 0 < window <= front_end.clip_seconds):
        raise UsageError(f"window is {window} s; it must be above 0 and at most {front_end.clip_seconds:g} s")
    if not (math.isfinite(hop) and hop > 0):
        raise UsageError(f"hop is {hop} s; it must be above 0")
    rate = front_end.sampling_rate
    for start, wave in _spans(stream(sound, rate), max(1, round(window * rate)), max(1, round(hop * rate))):
        mel = log_mel(repeatpad(wave, front_end.clip_samples), front_end)[None]
        yield WindowClip(start / rate, (start + len(wave)) / rate, level(mel, front_end))


def window_starts(samples: int, window: int, hop: int) -> list[int]:
    """Where the windows of a recording of `samples` samples start."""
    if samples <= window:
        return [0]
    starts = list(range(0, samples - window + 1, hop))
    return starts if starts[-1] + window == samples else [*starts, samples - window]


def _spans(blocks: Iterator[Wave], window: int, hop: int) -> Iterator[tuple[int, Wave]]:
    """(start, samples) of each window of a streamed wave; holds one window and one block."""
    buffer, offset, start = np.zeros(0, np.float32), 0, 0  # buffer[0] is sample `offset`; `start` is the next window's
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while offset + len(buffer) >= start + window:
            yield start, buffer[start - offset : start - offset + window]
            start += hop
        kept = max(0, min(start, offset + len(buffer) - window) - offset)
        buffer, offset = buffer[kept:], offset + kept
    total = offset + len(buffer)
    if start == 0:
        yield 0, buffer
    elif start - hop + window < total:
        yield total - window, buffer[-window:]


def fusion_starts(frames: int, clip_frames: int) -> tuple[int, int, int]:
    """First frames of the three local chunks: the middle of each third of the possible starts (0 where it is empty)."""
    thirds = np.array_split(np.arange(frames - clip_frames + 1), 3)
    front, middle, back = (int(third[len(third) // 2]) if len(third) else 0 for third in thirds)
    return front, middle, back


def fusion_views(mel: npt.NDArray[np.float32], clip_frames: int) -> npt.NDArray[np.float32]:
    """The mel of a long recording (frames, F) → (4, T, F): global, front, middle, back."""
    chunks = [mel[start : start + clip_frames] for start in fusion_starts(len(mel), clip_frames)]
    return np.stack([resize(mel, clip_frames), *chunks])


def resize(mel: npt.NDArray[np.float32], frames: int) -> npt.NDArray[np.float32]:
    """Linear interpolation over time to `frames` frames, half-pixel centres, no antialias (as the reference does)."""
    scale = np.float32(len(mel)) / np.float32(frames)
    at = np.maximum((np.arange(frames, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0)
    low = np.minimum(at.astype(np.int64), len(mel) - 1)
    part = (at - low.astype(np.float32))[:, None]
    high = np.minimum(low + 1, len(mel) - 1)
    rows: npt.NDArray[np.float32] = mel[low] * (1 - part) + mel[high] * part
    return rows
