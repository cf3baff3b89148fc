"""The sounds of requests: where they come from, and what is computed of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openclap.normalization import Vectors

__all__ = ["Embedded", "Source", "sums_of"]


@dataclass(frozen=True)
class Source:
    """A sound of a request.

    Attributes
    ----------
    name
        Its name in error messages.
    read
        Gives its bytes, or where it lies.
    recording
        It is kept, and so is what was heard of it.
    seconds
        The most that is decoded of it; None, `audio_seconds` of the settings.
    track
        Which of its tracks is heard; None, the usual one.
    length
        In seconds, where it is known.
    hold
        It stays as long as the block lasts.
    """

    name: str
    read: Callable[[], bytes | Path]
    recording: bool = False
    seconds: float | None = None
    track: int | None = None
    length: float = 0.0
    hold: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True, eq=False)
class Embedded:
    """A sound: its row (E,), its vector without silent clips (E,), and whether nothing is heard in it."""

    row: Vectors
    track: Vectors
    silent: bool


def sums_of(rows: Vectors, heard: npt.NDArray[np.bool_]) -> Vectors:
    """The sums (2, E) of rows (N, E): of all, and of those that are heard."""
    return np.stack([rows.sum(axis=0), rows[heard].sum(axis=0)])
