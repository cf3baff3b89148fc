"""Sounds → vectors as a pipeline: threads decode the next sounds while the model computes.

A batch holds clips of several sounds; the rows of each sound are collected again, and given in the order of the sounds.

    sounds ─ threads: decode, resample, mel ─ clips ─ batches of equal shape ─ model ─ rows of each sound

Memory is bounded: a thread makes at most `AHEAD_BYTES` of the windows of a recording, the rest is made when the model
needs it. Only a recording that goes through the fusion has its whole mel in memory: 92 MB an hour.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip
from openclap.audio.decode_limits import limit, split_limits
from openclap.audio.load import Sound, sound_name
from openclap.errors import SoundError
from openclap.normalization import Vectors
from openclap.prefetch import prefetch

__all__ = ["EmbeddedSound", "embed_each"]

R = TypeVar("R")
Span = Clip | WindowClip
Forward = Callable[[npt.NDArray[np.float32], npt.NDArray[np.bool_]], Vectors]

WORKERS = max(1, min(4, os.cpu_count() or 1))  # sounds that are decoded at once
WAITING = 2  # decoded sounds of each worker that may wait for the model
AHEAD_BYTES = 8 << 20  # windows of one recording that are made ahead: 32 mels of 1001 frames


@dataclass
class EmbeddedSound:
    """One sound: the start and end of its rows in seconds (W), their levels, its rows (W, E), or its error."""

    index: int
    start: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)
    level: list[float] = field(default_factory=list)
    rows: list[Vectors] = field(default_factory=list)
    error: SoundError | None = None
    is_decoded: bool = False  # to its end

    @property
    def finished(self) -> bool:
        """Whether it has all of its rows, or an error."""
        return self.error is not None or (self.is_decoded and len(self.rows) == len(self.start))


def embed_each(
    sounds: Sequence[Sound],
    clips_of: Callable[[Sound], Iterator[Span]],
    forward: Forward,
    batch_size: int,
    fault_of: Callable[[Vectors], str | None] = lambda row: None,
) -> Iterator[EmbeddedSound]:
    """Embed sounds → each with its rows or its error, in the given order.

    `fault_of` says why a row cannot be used, if so: that is the error of its sound, and of no other.
    """
    waiting: dict[tuple[int, ...], list[tuple[EmbeddedSound, Span]]] = {}  # by shape
    jobs: deque[EmbeddedSound] = deque()

    def run(shape: tuple[int, ...]) -> None:
        batch = waiting.pop(shape)
        longer = np.array([isinstance(clip, Clip) and clip.longer for _, clip in batch])
        for (job, _), row in zip(batch, forward(np.stack([clip.mel for _, clip in batch]), longer), strict=True):
            job.rows.append(row)
            if job.error is None and (fault := fault_of(row)) is not None:
                job.error = SoundError(sound_name(sounds[job.index]), fault)

    for index, clips in enumerate(_prefetch(lambda sound: _start_decoding(clips_of, sound), sounds)):
        job = EmbeddedSound(index)
        jobs.append(job)
        try:
            for clip in clips:
                job.start.append(clip.start if isinstance(clip, WindowClip) else 0.0)
                job.end.append(clip.end if isinstance(clip, WindowClip) else 0.0)
                job.level.append(clip.level)
                shape = clip.mel.shape
                waiting.setdefault(shape, []).append((job, clip))
                if len(waiting[shape]) == batch_size:
                    run(shape)
                if job.error is not None:
                    break
            job.is_decoded = True
        except SoundError as error:
            job.error = error
        while jobs and jobs[0].finished:
            yield jobs.popleft()
    for shape in list(waiting):
        run(shape)
    yield from jobs


def _start_decoding(clips_of: Callable[[Sound], Iterator[Span]], sound: Sound) -> Iterator[Span]:
    """The clips of a sound, of which the first are made at once; an error is raised where it stands among them."""
    made: list[Span] = []
    size = 0
    try:
        clips = clips_of(sound)
        for clip in clips:
            made.append(clip)
            size += clip.mel.nbytes
            if size >= AHEAD_BYTES:
                break
    except SoundError as error:
        return _then_raise(made, error)
    return itertools.chain(made, clips)


def _then_raise(made: list[Span], error: SoundError) -> Iterator[Span]:
    yield from made
    raise error


def _prefetch(function: Callable[[Sound], R], sounds: Sequence[Sound]) -> Iterator[R]:
    """`map` in order, a few sounds ahead in threads.

    The caller's thread computes a single sound, which gains nothing from another thread, and sounds that are open
    files: their position must not be shared by threads.
    """
    if len(sounds) == 1:
        yield function(sounds[0])
        return
    stopped = threading.Event()  # decoding stops at its next block
    yield from prefetch(
        lambda sound: function(limit(sound, stop=stopped)),
        sounds,
        threads=WORKERS,
        ahead=WAITING * WORKERS,
        in_thread=lambda sound: not hasattr(split_limits(sound)[0], "read"),
        stop=stopped.set,
        thread_name_prefix="openclap-ahead",
    )
