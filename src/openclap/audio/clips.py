"""Recordings of any length → what a model takes: clips of log-mel.

    up to 10 s   repeatpad  [wave|wave|wave|000]                       one view,   longer = False
    longer       fusion     global: all of it squeezed into a clip  ┐
                            front ··[  ]········· each the middle   ├  four views, longer = True
                            middle ········[  ]·· of its third of   │
                            back ··············[  ]  the starts     ┘
                 head       its first 10 s                             one view,   longer = False
                 windows    0 ····· 10          a recording of 23 s: windows start at 0, 5, 10 and 13:
                              5 ····· 15        the last one is moved back to end with the recording
                                10 ····· 20
                                   13 ····· 23

Nothing here is random: the same recording always gives the same clips.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from openclap.audio.levels import level_of
from openclap.audio.load import Sound, Wave, load, stream
from openclap.audio.mel import apply_dynamic_range, log_mel, mel_blocks, quantise_wave
from openclap.config import FrontEnd
from openclap.errors import UsageError

__all__ = [
    "PAUSE",
    "Clip",
    "WindowClip",
    "fusion_views",
    "load_model_wave",
    "make_clip",
    "make_windows",
    "pad_wave",
    "repeat_pad",
    "window_starts",
    "with_pause",
]

PAUSE = 0.3  # seconds
Mel = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clip:
    """What the audio tower takes for one recording.

    Attributes
    ----------
    mel : float32 (V, T, F)
        dB. V = 1, or 4 = global, front, middle, back.
    longer : bool
        Whether the recording has more frames than a clip, so that the views differ.
    level : float
        Of the whole recording, or of its head, as `levels.level_of` gives it; NaN where nobody measured it.
    """

    mel: Mel
    longer: bool
    level: float = math.nan


@dataclass(frozen=True, eq=False)
class WindowClip:
    """A window of a recording: `start` and `end` in seconds, `mel` float32 (1, T, F), its `level_of` in dB."""

    start: float
    end: float
    mel: Mel
    level: float = math.nan


def load_model_wave(sound: Sound, front_end: FrontEnd, *, seconds: float | None = None) -> Wave:
    """The samples (S,) of a sound as a model is given them: at its rate, and rounded where `quantise` says so.

    Parameters, errors and warnings are those of `load`.
    """
    return quantise_wave(load(sound, front_end.sampling_rate, seconds=seconds), front_end)


def _model_wave_blocks(sound: Sound, front_end: FrontEnd) -> Iterator[Wave]:
    """The samples of `load_model_wave` in blocks, as `stream` gives them."""
    return (quantise_wave(block, front_end) for block in stream(sound, front_end.sampling_rate))


def make_clip(sound: Sound, front_end: FrontEnd, *, long: Literal["fusion", "head"], as_waves: bool = False) -> Clip:
    """Make the clip of one recording.

    Parameters
    ----------
    long
        What to do with a recording longer than a clip: "fusion" gives the paper's four views, each local one from the
        middle of its third; "head" gives the first `clip_seconds`.
    as_waves
        Leave the mel of a short recording to the model's device: `mel` is then its padded wave (1, S).

    Raises
    ------
    SoundError, UsageError
        As `load`. "head" does not decode what comes after the head, so it does not check it.
    """
    if long not in ("fusion", "head"):
        raise UsageError(f"long is {long!r}; choose fusion or head")
    rate = front_end.sampling_rate
    if long == "head":
        wave = load_model_wave(sound, front_end, seconds=front_end.clip_seconds)
        head = wave[: front_end.clip_samples]
        return Clip(_mel_of_short(head, front_end, as_waves), longer=False, level=level_of(head, rate))
    blocks = _model_wave_blocks(sound, front_end)
    taken: list[Wave] = []
    for block in blocks:
        taken.append(block)
        if sum(map(len, taken)) > front_end.clip_samples:
            return _long_clip(itertools.chain(taken, blocks), front_end)
    wave = np.concatenate(taken)
    return Clip(_mel_of_short(wave, front_end, as_waves), longer=False, level=level_of(wave, rate))


def make_windows(
    sound: Sound, front_end: FrontEnd, *, window: float = 10.0, hop: float = 5.0, as_waves: bool = False
) -> Iterator[WindowClip]:
    """The windows of one recording, in order, in memory that does not grow with its length.

    Windows start at 0, hop, 2 hop … (rounded to samples); the last one is moved back to end with the
    recording. A recording that is no longer than a window is one window that ends where the recording does. A window
    shorter than a clip is padded; `front_end.dynamic_range` is applied to each window by itself.

    Parameters
    ----------
    window, hop
        Seconds; a window is at most a clip, a hop is at least one sample.
    as_waves
        As in `make_clip`.
    """
    rate = front_end.sampling_rate
    size, step = _check_window(window, hop, front_end)

    def windows() -> Iterator[WindowClip]:
        for start, wave in _window_waves(_model_wave_blocks(sound, front_end), size, step):
            mel = _mel_of_short(wave, front_end, as_waves)
            yield WindowClip(start / rate, (start + len(wave)) / rate, mel, level_of(wave, rate))

    return windows()


def repeat_pad(wave: Wave, samples: int) -> Wave:
    """Repeat a wave (S,), S <= samples → (samples,): as many whole copies as fit, then zeros."""
    assert 0 < len(wave) <= samples, (len(wave), samples)
    copies = samples // len(wave)
    padded = np.zeros(samples, np.float32)
    padded[: copies * len(wave)] = np.tile(wave, copies)
    return padded


def with_pause(wave: Wave, rate: int) -> Wave:
    """A sound under a second with `PAUSE` after it, at most a second in all: repeated at once, a knock is a rattle."""
    pause = min(round(PAUSE * rate), max(rate - len(wave), 0))
    return np.pad(wave, (0, pause))


def pad_wave(wave: Wave, front_end: FrontEnd) -> Wave:
    """Fill a wave (S,), S <= clip_samples → (clip_samples,), as `front_end.padding` says.

    "repeatpad" is `repeat_pad`, with which the released checkpoints were trained: a sound of 5.01 s becomes a clip of
    which nearly half is silence. "repeat" fills the end with part of a copy instead, "spaced" does so with a pause after
    each copy of a sound under a second, "pad" makes no copies, "none" leaves it as it is, for towers that take any length.
    """
    samples = front_end.clip_samples
    if front_end.padding == "none":
        return wave
    if front_end.padding == "spaced":
        wave = with_pause(wave, front_end.sampling_rate)
    if front_end.padding in ("repeat", "spaced"):
        return np.tile(wave, -(-samples // len(wave)))[:samples]
    if front_end.padding == "pad":
        return np.pad(wave, (0, samples - len(wave)))
    return repeat_pad(wave, samples)


def fusion_views(mel: Mel, frames: int) -> Mel:
    """The mel (T, F) of a long recording, T > frames → its four views (4, frames, F): global, front, middle, back.

    The global view is the whole mel, resized (bilinear, no antialias). The possible starts of the local views,
    0 … T - frames, are split in thirds, and each view starts in the middle of its third (at 0 where a third is empty).
    """
    assert len(mel) > frames, (mel.shape, frames)
    thirds = np.array_split(np.arange(len(mel) - frames + 1), 3)
    starts = [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]
    return np.stack([_resize_frames(mel, frames), *(mel[start : start + frames] for start in starts)])


def window_starts(samples: int, window: int, hop: float) -> list[int]:
    """The first sample of every window of a recording of `samples` samples; `hop` need not be a whole number."""
    last = max(samples - window, 0)
    starts = list(itertools.takewhile(lambda start: start < last, _grid(hop)))
    return [*starts, last]


def _mel_of_short(wave: Wave, front_end: FrontEnd, as_waves: bool) -> Mel:
    """A wave no longer than a clip → its mel (1, T, F), or with `as_waves` the padded wave (1, S)."""
    filled = pad_wave(wave, front_end)
    return filled[None] if as_waves else apply_dynamic_range(log_mel(filled, front_end), front_end)[None]


def _long_clip(blocks: Iterable[Wave], front_end: FrontEnd) -> Clip:
    level = -math.inf

    def measured() -> Iterator[Wave]:
        nonlocal level
        for block in blocks:
            level = max(level, level_of(block, front_end.sampling_rate))
            yield block

    mel = apply_dynamic_range(_concatenate_mels(mel_blocks(measured(), front_end)), front_end)
    if len(mel) <= front_end.clip_frames:  # the recording is longer than a clip by less than a hop
        return Clip(mel[None], longer=False, level=level)
    return Clip(fusion_views(mel, front_end.clip_frames), longer=True, level=level)


def _concatenate_mels(pieces: Iterable[Mel]) -> Mel:
    """Concatenate pieces without holding everything twice: the mel of an hour is 92 MB."""
    joined, end = np.empty((0, 0), np.float32), 0
    for piece in pieces:
        if end + len(piece) > len(joined):
            joined.resize((max(end + len(piece), len(joined) * 5 // 4), piece.shape[1]), refcheck=False)
        joined[end : end + len(piece)] = piece
        end += len(piece)
    return joined[:end]


def _resize_frames(mel: Mel, frames: int) -> Mel:
    """Resize (T, F) → (frames, F), bilinear over time as `torch.nn.functional.interpolate(align_corners=False)`."""
    place = np.maximum((np.arange(frames) + 0.5) * (len(mel) / frames) - 0.5, 0.0)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, len(mel) - 1)
    share = (place - below).astype(np.float32)[:, None]
    return mel[below] * (1 - share) + mel[above] * share


def _window_waves(blocks: Iterable[Wave], window: int, hop: float) -> Iterator[tuple[int, Wave]]:
    """(start, samples) of every window of a wave that comes in blocks; the starts are those of `window_starts`."""
    held = np.zeros(0, np.float32)
    origin, end = 0, 0  # of the held samples, counted from the start of the recording
    grid = _grid(hop)
    start, last_given = next(grid), -1
    for block in blocks:
        held = np.concatenate([held, block])
        end += len(block)
        while start + window <= end:
            yield start, held[start - origin : start - origin + window]
            last_given, start = start, next(grid)
        keep = max(origin, min(start, end - window))  # the last window may have to move back this far
        held = held[keep - origin :]
        origin = keep
    last = max(end - window, 0)
    if last_given < last:
        yield last, held[last - origin :]


def _grid(hop: float) -> Iterator[int]:
    """Multiples of the hop, each rounded by itself, so that errors of rounding do not add up."""
    return (round(k * hop) for k in itertools.count())


def _check_window(window: float, hop: float, front_end: FrontEnd) -> tuple[int, float]:
    """Check both, in seconds → the window in whole samples and the hop in samples."""
    rate, clip = front_end.sampling_rate, front_end.clip_seconds
    if not (isinstance(window, (int, float)) and 1 <= window * rate <= clip * rate):
        raise UsageError(f"window is {window!r} s; it must be above 0 and at most the model's {clip:g} s")
    if not (isinstance(hop, (int, float)) and 1 <= hop * rate < float("inf")):
        raise UsageError(f"hop is {hop!r} s; it must be a number above 0 (at least one sample)")
    return max(1, round(window * rate)), hop * rate
