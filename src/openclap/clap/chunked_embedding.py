"""Sounds → unit rows, a few clips at a time, for several users who share a model.

    clips ─ a chunk ─ submit ─ its rows (N, E)       the next chunk is made while the model computes the last one

The owner of the model (the service, the page) says how a chunk is submitted, and how many clips the next one may have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip, make_windows
from openclap.normalization import normalize_rows
from openclap.results import Windows

if TYPE_CHECKING:
    from openclap.clap.clap import CLAP
    from openclap.clap.embed_audio import Long

__all__ = ["Clips", "embed_clips", "embed_sounds", "embed_windows"]

Vectors = npt.NDArray[np.float32]
AnyClip: TypeAlias = Clip | WindowClip
Clips: TypeAlias = list[AnyClip]
Embed: TypeAlias = Callable[[Iterable[AnyClip]], Vectors]


def embed_clips(
    clips: Iterable[AnyClip],
    width: int,
    *,
    ask: Callable[[Clips], Future[Vectors]],
    most: Callable[[], int],
    heard: Callable[[float], None] = lambda seconds: None,
) -> Vectors:
    """Embed clips, chunk by chunk → their rows (N, E).

    Parameters
    ----------
    width
        E.
    ask
        Submits a chunk and gives the future of its rows.
    most
        Gives the number of clips that the next chunk may have.
    heard
        Called with the end, in seconds, of the last window of each chunk that was embedded.
    """
    rows: list[Vectors] = []
    pending: tuple[Future[Vectors], AnyClip] | None = None

    def take() -> None:
        if pending is not None:
            coming, last = pending
            rows.append(coming.result())
            if isinstance(last, WindowClip):
                heard(last.end)

    made = iter(clips)
    while chunk := list(islice(made, most())):
        take()
        pending = ask(chunk), chunk[-1]
    take()
    return np.concatenate(rows) if rows else np.zeros((0, width), np.float32)


def embed_sounds(clap: CLAP, sounds: Sequence[Any], long: Long, embed: Embed) -> Vectors:
    """As `CLAP.encode_audio` of a list: a row a sound, the mean of its clips at length 1."""
    counts: list[int] = []

    def clips() -> Iterator[AnyClip]:
        for sound in sounds:
            counts.append(0)
            for clip in clap.clips(sound, long=long):
                counts[-1] += 1
                yield clip

    rows = embed(clips())
    return normalize_rows(np.add.reduceat(rows, np.cumsum([0, *counts[:-1]]), axis=0)) if len(rows) else rows


def embed_windows(clap: CLAP, sound: Any, window: float, hop: float, embed: Embed) -> Windows:
    """As `CLAP.encode_windows`."""
    start: list[float] = []
    end: list[float] = []

    def clips() -> Iterator[AnyClip]:
        as_waves = clap.backend.takes_waves
        for clip in make_windows(sound, clap.front_end, window=window, hop=hop, as_waves=as_waves):
            start.append(clip.start)
            end.append(clip.end)
            yield clip

    rows = embed(clips())
    return Windows(np.array(start), np.array(end), rows)
