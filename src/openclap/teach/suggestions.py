"""Counter-examples that nobody has marked, and what of a library should be marked next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.errors import UsageError
from openclap.library.indexing import absolute_path
from openclap.library.recommend import pick_diverse

if TYPE_CHECKING:
    from openclap.detector import Detector
    from openclap.library import Library
    from openclap.results import Hit
    from openclap.teach.fitting import Prior

__all__ = ["counter_examples", "suggest", "synthetic_negatives"]

Vectors = npt.NDArray[np.float32]

DRAWN = 200  # windows
ALIKE = 0.97  # cosine from which a window is a take of an example rather than something else
POOL = 200  # recordings from which the next to mark is chosen, at least
VARIETY = 0.5


def counter_examples(library: Library, yes: npt.ArrayLike, *, count: int = DRAWN) -> Vectors:
    """Windows from all over a library (K, E) that stand for what the sound is not; those very near to a yes (N, E) are left out.

    Some of them may hold the sound all the same. That is why they weigh little: in a library where every tenth sound is
    one, they still help (docs/teach.md). Taking those nearest to the words, which tell most where they are right, did
    not.
    """
    rows = library.sample(count)
    examples = np.asarray(yes, np.float32)
    if not len(rows) or not len(examples):
        return rows
    return rows[_nearest_example(rows, examples) < ALIKE]


def synthetic_negatives(ground: Prior, yes: Vectors) -> Vectors:
    """The synthesised sounds (K, E) that nothing of the yes (N, E) and of the words resembles: for where there is no other counter-example."""
    words = ground.words(ground.sounds)
    return ground.sounds[(_nearest_example(ground.sounds, yes) < ALIKE) & (words <= np.quantile(words, 0.9))]


def suggest(
    library: Library, detector: Detector, k: int = 5, *, marked: Iterable[str | os.PathLike[str]] = ()
) -> list[Hit]:
    """What to mark next: the recordings of a library that the detector is least sure of, and that differ from each other.

    `marked`, files that are left out. A hit's confidence is the detector's probability; best first is: the most to
    learn first.
    """
    if k < 1:
        raise UsageError(f"k is {k!r}; it must be a whole number, 1 or more")
    known = {absolute_path(path) for path in marked}
    hits = [hit for hit in library.search(detector, max(POOL, 20 * k) + len(known)) if hit.path not in known]
    if not hits:
        return []
    vectors = library.vectors(hits)
    unsure = -np.abs(detector.logit(vectors)).astype(np.float32)
    return [hits[i] for i in pick_diverse(unsure, vectors, k, VARIETY)]


def _nearest_example(rows: Vectors, examples: Vectors) -> Vectors:
    """The highest cosine of each row (K, E) with an example (N, E) → (K,), in bounded memory."""
    nearest = np.full(len(rows), -1.0, np.float32)
    for start in range(0, len(examples), 1024):
        nearest = np.maximum(nearest, (rows @ examples[start : start + 1024].T).max(1))
    return nearest
