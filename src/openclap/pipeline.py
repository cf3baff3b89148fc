"""Sounds → vectors as a pipeline: the next sounds are decoded in threads while the model computes.

Batches are filled across sounds, and each sound's rows are put together again in the order given.

    sounds ─ ahead (threads: decode, resample, mel) ─ clips ─ batches of equal shape ─ model ─ rows of each sound

Memory is bounded: a worker keeps at most `AHEAD_BYTES` of the windows of one recording, what comes after is read as the
model asks. Only a recording that goes through the fusion has its whole mel in memory meanwhile: 92 MB an hour.
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
from openclap.audio.load import Sound, max_decode_seconds, stop_event, track_wanted
from openclap.errors import SoundError
from openclap.prefetch import prefetch

__all__ = ["EmbeddedSound", "embed_each"]

T = TypeVar("T")
R = TypeVar("R")
Vectors = npt.NDArray[np.float32]
Span = Clip | WindowClip
Forward = Callable[[npt.NDArray[np.float32], npt.NDArray[np.bool_]], Vectors]

WORKERS = max(1, min(4, os.cpu_count() or 1))  # sounds in work at once
WAITING = 2  # finished sounds a worker that may wait for the model
AHEAD_BYTES = 8 << 20  # of a recording's windows, made ahead: 32 mels of 1001 frames


@dataclass
class EmbeddedSound:
    """One sound: where its rows lie (seconds, W), its rows (W, E), or why there are none."""

    index: int
    start: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)
    rows: list[Vectors] = field(default_factory=list)
    error: SoundError | None = None
    whole: bool = False  # all of it has been read

    @property
    def finished(self) -> bool:
        """Whether nothing is missing any more."""
        return self.error is not None or (self.whole and len(self.rows) == len(self.start))


def embed_each(
    sounds: Sequence[Sound], clips_of: Callable[[Sound], Iterator[Span]], forward: Forward, batch_size: int
) -> Iterator[EmbeddedSound]:
    """Every sound with its rows or its error, in the order given."""
    waiting: dict[tuple[int, ...], list[tuple[EmbeddedSound, Span]]] = {}  # by shape
    jobs: deque[EmbeddedSound] = deque()

    def run(shape: tuple[int, ...]) -> None:
        batch = waiting.pop(shape)
        longer = np.array([isinstance(clip, Clip) and clip.longer for _, clip in batch])
        for (job, _), row in zip(batch, forward(np.stack([clip.mel for _, clip in batch]), longer), strict=True):
            job.rows.append(row)

    for index, begun in enumerate(_prefetch(lambda sound: _start_decoding(clips_of, sound), sounds)):
        job = EmbeddedSound(index)
        jobs.append(job)
        try:
            for clip in begun:
                job.start.append(clip.start if isinstance(clip, WindowClip) else 0.0)
                job.end.append(clip.end if isinstance(clip, WindowClip) else 0.0)
                shape = clip.mel.shape
                waiting.setdefault(shape, []).append((job, clip))
                if len(waiting[shape]) == batch_size:
                    run(shape)
            job.whole = True
        except SoundError as error:
            job.error = error
        while jobs and jobs[0].finished:
            yield jobs.popleft()
    for shape in list(waiting):
        run(shape)
    yield from jobs


def _start_decoding(clips_of: Callable[[Sound], Iterator[Span]], sound: Sound) -> Iterator[Span]:
    """The clips of a sound, the first ones made; an error is raised when it is their turn."""
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


def _prefetch(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """`map` in order, a few items ahead in threads.

    One item gains nothing from a thread. An open file has one position, which two threads must not share: those are
    worked on by the caller's thread.
    """
    if len(items) == 1:
        yield function(items[0])
        return
    gone = threading.Event()
    most, track = max_decode_seconds.get(), track_wanted.get()

    def limits() -> None:
        stop_event.set(gone)
        max_decode_seconds.set(most)
        track_wanted.set(track)

    yield from prefetch(
        function,
        items,
        threads=WORKERS,
        ahead=WAITING * WORKERS,
        in_thread=lambda item: not hasattr(item, "read"),
        stop=gone.set,  # what is being decoded stops at its next block
        thread_name_prefix="openclap-ahead",
        initializer=limits,
    )
