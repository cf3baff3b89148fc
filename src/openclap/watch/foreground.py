"""What stands out of this place just now, and how sure that makes us: for models with a curve of their own for it.

    own    ▁█▁▁▂▁▁█▁▂▁▁▃▁▁   its cosine, seen against the best of a usual minute: `LocalBackground`
    rise   ──▁▁▂▁▁▁▂▁▁█▁──   how far the cosine lies above the middle of its median and its upper twentieth in the last two minutes
    new        x - 0.8 m     the cosine of what is left of a window when the mean window of these minutes is taken out

A window is a mixture: in rain, most of its vector says rain. What is left without that is nearer to what has come. Rise
and new are cosines, which a model whose sounds and words agree gives to all alerts on one scale; own knows which alert
is often nearly heard here. A window counts by itself, since most short sounds lie in one alone. The curve is
`ConfidenceCurves.watch`, which `runs/mini/watching.py` fits on the half "tune" of `bench/watch.py`. Knows nothing of
sound or events.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank
from openclap.watch.background import LocalBackground, logistic

__all__ = ["MEMORY", "Foreground"]

Vectors = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float64]

MEMORY = 120.0  # seconds of the source that are its background
TAKEN_OUT = 0.8  # of the mean window
LEAST_LEFT = 0.6  # length of what is left; where less is, nothing has come, and its direction says nothing
RENEWED = 5  # windows between two looks at what is usual
FEWEST = 10  # windows that it takes; the bank of sounds stands for what is missing
LATELY = (0.5, 0.95)  # quantiles whose middle is usual
SHORT = (0.25,)  # of a recording that may be the event by half


class Foreground(LocalBackground):
    """Confidences of alerts (A,), in memory of MEMORY / hop windows' cosines more than `LocalBackground` has.

    Parameters
    ----------
    queries, banks, warmup, minute
        As of `LocalBackground`; `banks.curves.watch` is the curve: logit = a + b · own + c · rise + d · new.
    known
        Windows that are the background.
    """

    def __init__(self, queries: Vectors, banks: ReferenceBank, *, warmup: int, minute: int, known: int) -> None:
        super().__init__(queries, banks, warmup=warmup, minute=minute)
        self._curve = np.array(banks.curves.watch)
        self._first = np.repeat(self._mean[None].astype(np.float32), FEWEST, axis=0)
        self._cosines = np.zeros((max(1, known), len(queries)), np.float32)
        self._window = np.zeros(queries.shape[1], np.float32)  # the mean one
        self._lately = self._mean

    def learn(self, embedding: Vectors, cosine: Levels, maybe: npt.NDArray[np.bool_]) -> None:
        """Take a window (E,) and its cosines (A,) into the last minutes, whatever is heard in it, and into the minute as before."""
        self._cosines[self._seen % len(self._cosines)] = cosine
        super().learn(embedding, cosine, maybe)
        self._window += (embedding - self._window) / np.float32(min(self._seen, len(self._cosines)))
        if self._seen % RENEWED == 0 or self._seen == self._warmup:
            self._lately = self._quantiles(LATELY)

    def judge_after_all(
        self, windows: Sequence[Vectors], apart: Sequence[bool], off: float
    ) -> list[tuple[Levels, Levels]]:
        """As of `LocalBackground`; what is usual is the quiet quarter of what was heard, as half of a short recording may be the event."""
        self._lately = self._quantiles(SHORT)
        found = super().judge_after_all(windows, apart, off)
        self._lately = self._quantiles(LATELY)
        return found

    def features(self, cosine: Levels, embedding: Vectors) -> Levels:
        """The three distances (3, A) of a window's cosines (A,): what the curve is fitted on."""
        left = embedding - np.float32(TAKEN_OUT) * self._window
        new = self._queries @ left / max(float(np.linalg.norm(left)), LEAST_LEFT)
        return np.stack([(cosine - self._usual) / self._unit, cosine - self._lately, new.astype(np.float64)])

    def _judge(self, embedding: Vectors) -> tuple[Levels, Levels]:
        cosine = (self._queries @ embedding).astype(np.float64)
        return logistic(self._curve[0] + self._curve[1:] @ self.features(cosine, embedding)), cosine

    def _quantiles(self, shares: Sequence[float]) -> Levels:
        """The middle of some quantiles of the windows that are known."""
        known = self._cosines[: self._seen]
        if len(known) < FEWEST:
            known = np.concatenate([known, self._first[len(known) :]])
        return np.asarray(np.quantile(known, shares, axis=0).mean(0), np.float64)
