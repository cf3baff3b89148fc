"""Finds counter-examples that nobody has marked, and the recordings of a library that should be marked next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.config.checks import check_count
from openclap.library.recommend import pick_diverse
from openclap.library.scan import absolute_path
from openclap.normalization import Vectors

if TYPE_CHECKING:
    from openclap.detector import Detector
    from openclap.library import Library
    from openclap.results import Hit
    from openclap.teach.fitting import Prior

__all__ = ["counter_examples", "suggest", "synthetic_negatives"]


DRAWN = 200  # windows that are drawn as counter-examples
ALIKE = 0.97  # a window with this cosine to an example may well be the same sound
POOL = 200  # the least number of recordings from which the next to mark are chosen
VARIETY = 0.5  # weight of how much they differ from each other, see `pick_diverse`


def counter_examples(library: Library, yes: npt.ArrayLike, *, count: int = DRAWN) -> Vectors:
    """Draw windows from all over a library (K, E) as counter-examples, without those very near to a yes (N, E).

    Some of them may hold the sound all the same, so they weigh little: in a library where every tenth sound is one,
    they still help (docs/teach.md). Drawing those nearest to the words did not help.
    """
    rows = library.sample(count)
    examples = np.asarray(yes, np.float32)
    if not len(rows) or not len(examples):
        return rows
    return rows[_nearest_example(rows, examples) < ALIKE]


def synthetic_negatives(prior: Prior, yes: Vectors) -> Vectors:
    """The synthesised sounds (K, E) that resemble neither a yes (N, E) nor the words, where there is no other no."""
    words = prior.word_logits(prior.sounds)
    return prior.sounds[(_nearest_example(prior.sounds, yes) < ALIKE) & (words <= np.quantile(words, 0.9))]


def suggest(
    library: Library, detector: Detector, k: int = 5, *, marked: Iterable[str | os.PathLike[str]] = ()
) -> list[Hit]:
    """The recordings of a library to mark next: the detector is unsure of them, and they differ from each other.

    The files in `marked` are left out. A hit's confidence is the detector's probability; the first hits are those that
    teach it most.
    """
    check_count(k, "k")
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
