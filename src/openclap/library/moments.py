"""Where in a recording: windows that fit a query, merged to spans. Knows nothing of disks.

A window counts when its score is above half-way between the recording's mean and its best; windows that count and
overlap or touch are one moment, whose score is its best window's. A moment is as exact as the hop of its windows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.errors import UsageError
from openclap.library.query import Query, vector_of
from openclap.results import Moment

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["merge", "moments_in"]

Seconds = npt.NDArray[np.float64]


def moments_in(
    clap: CLAP,
    sound: str | os.PathLike[str],
    query: Query,
    k: int = 5,
    *,
    window: float = 4.0,
    hop: float = 2.0,
) -> list[Moment]:
    """The moments of one recording that fit a query, best first; windows of 4 s every 2 s unless told otherwise."""
    if not isinstance(k, int | np.integer) or k < 1:
        raise UsageError(f"k is {k!r}; it must be a whole number, 1 or more")
    vector = vector_of(clap, query)
    spans = clap.encode_windows(sound, window=window, hop=hop)
    found = merge(os.fspath(sound), spans.start, spans.end, spans.embedding @ vector)
    return sorted(found, key=lambda m: (-m.score, m.start))[:k]


def merge(path: str, start: Seconds, end: Seconds, score: npt.NDArray[np.float32]) -> list[Moment]:
    """The moments of one recording from its windows, in order of time."""
    threshold = (score.mean() + score.max()) / 2
    moments: list[Moment] = []
    for i in np.flatnonzero(score >= threshold):
        if moments and start[i] <= moments[-1].end:
            last = moments.pop()
            moments.append(Moment(path, last.start, max(last.end, float(end[i])), max(last.score, float(score[i]))))
        else:
            moments.append(Moment(path, float(start[i]), float(end[i]), float(score[i])))
    return moments
