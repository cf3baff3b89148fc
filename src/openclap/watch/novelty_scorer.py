"""How unusual a window is for this place, without any words: its distance from what was heard so far.

The distance is that from the eight nearest windows of a reservoir, seen against the source's own quantiles of such
distances. Eight are more than the windows of one event, so an event does not explain itself, and nothing has to be kept
out of the reservoir. Mahalanobis distances found a third less at as many false alarms (LOG.md).
"""

from __future__ import annotations

from collections import deque

import numpy as np

from openclap.normalization import Vectors
from openclap.scores import logistic

__all__ = ["NoveltyScorer"]


RESERVOIR = 2048  # windows that are remembered
NEIGHBOURS = 8
LAG = 10  # windows that pass before one is put into the reservoir
DISTANCES = 4096  # of which the quantiles are taken
RENEWED = 30  # windows between two computations of the quantiles
LEAST_FAR = 0.02  # of a cosine: where nothing ever changes, not every change is an event
CURVE = (-4.5, 3.0)  # logit = a + b · distance over quantiles


class NoveltyScorer:
    """Scores how far a window is from what was heard so far: 0 is usual, 1 as far as the farthest twentieth.

    It holds RESERVOIR embeddings and DISTANCES numbers, however long the source lasts. The same source gives the same
    distances.
    """

    def __init__(self, size: int, *, warmup: int) -> None:
        self._warmup = max(2 * NEIGHBOURS + LAG, warmup)
        self._reservoir = np.zeros((RESERVOIR, size), np.float32)
        self._filled = self._seen = self._measured = 0
        self._recent: deque[Vectors] = deque()
        self._distances = np.zeros(DISTANCES)
        self._middle, self._far = 0.0, 1.0
        self._before: float | None = None
        self._random = np.random.default_rng(0)  # chooses which window of a full reservoir is replaced

    def score(self, embedding: Vectors) -> tuple[float, float]:
        """Score a window (E,): confidence, and distance over the quantiles; both are 0 during the warm-up."""
        if self._filled < NEIGHBOURS:
            return 0.0, 0.0
        near = np.partition(self._reservoir[: self._filled] @ embedding, -NEIGHBOURS)[-NEIGHBOURS:]
        self._distances[self._measured % DISTANCES] = 1 - float(near.mean())
        self._measured += 1
        if self._measured % RENEWED == 0 or self._seen == self._warmup:
            middle, far = np.quantile(self._distances[: min(self._measured, DISTANCES)], (0.5, 0.95))
            self._middle, self._far = float(middle), float(far)
        if self._seen < self._warmup:
            return 0.0, 0.0
        distance = (1 - float(near.mean()) - self._middle) / max(self._far - self._middle, LEAST_FAR)
        before, self._before = self._before, distance
        both = distance if before is None else (distance + before) / 2
        return float(logistic(np.array(CURVE[0] + CURVE[1] * both))), distance

    def learn(self, embedding: Vectors) -> None:
        """Put a window (E,) into the reservoir, LAG windows later; a full reservoir loses one at random."""
        self._seen += 1
        self._recent.append(embedding)
        if len(self._recent) <= LAG:
            return
        place = self._filled if self._filled < RESERVOIR else int(self._random.integers(RESERVOIR))
        self._reservoir[place] = self._recent.popleft()
        self._filled = min(self._filled + 1, RESERVOIR)

    @property
    def warming_up(self) -> bool:
        """Whether the warm-up goes on."""
        return self._seen < self._warmup

    def restart(self) -> None:
        """Forget the window before: the next one does not overlap it."""
        self._before = None
