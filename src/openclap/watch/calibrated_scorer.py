"""How sure a window makes us that an alert is heard: for models whose configuration brings a curve for a watch.

The curve is `ConfidenceCurves.watch`, which `runs/mini/watching.py` fits on the half "tune" of `bench/watch.py`; mini
has one. `alert_scorer` chooses: this class where the model has such a curve, `AlertScorer` where it has none.

    own    ▁█▁▁▂▁▁█▁▂▁▁▃▁▁   the cosine, seen against the best of a typical minute, as in `AlertScorer`
    rise   ──▁▁▂▁▁▁▂▁▁█▁──   how far the cosine lies above its recent level: the middle of its median and its upper
                             twentieth in the last two minutes
    new        x - 0.8 m     the cosine of what is left of a window when the mean window of these minutes is taken out

A window is a mixture: in rain, most of its vector says rain. What is left without the rain is nearer to what has come.
Rise and new are cosines, which a model whose sounds and words agree gives to all alerts on one scale; own knows which
alert is often nearly heard at this place. Each window counts by itself, since most short sounds lie in only one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank
from openclap.normalization import Vectors
from openclap.scores import logistic
from openclap.watch.alert_scorer import MINUTE, AlertScorer

__all__ = ["CalibratedAlertScorer", "alert_scorer"]

Levels = npt.NDArray[np.float64]

MEMORY = 120.0  # seconds of the source that its recent level and its mean window are taken from
TAKEN_OUT = 0.8  # of the mean window
LEAST_LEFT = 0.6  # length of what is left; where it is shorter, nothing has come, and its direction says nothing
RENEWED = 5  # windows between two computations of the recent level
FEWEST = 10  # windows that it takes; the bank of sounds stands in for those that are missing
LATELY = (0.5, 0.95)  # quantiles whose middle is the recent level
SHORT = (0.25,)  # the same for a short recording, of which the event may be half


def alert_scorer(queries: Vectors, bank: ReferenceBank, *, warmup: int, hop: float) -> AlertScorer:
    """The scorer for alerts (A, E): calibrated where the model has a curve for a watch, else the general one.

    Parameters
    ----------
    warmup
        How many windows are only learnt from at first.
    hop
        Seconds between the beginnings of two windows.
    """
    minute = round(MINUTE / hop)
    if bank.curves.watch:
        return CalibratedAlertScorer(queries, bank, warmup=warmup, minute=minute, known=round(MEMORY / hop))
    return AlertScorer(queries, bank, warmup=warmup, minute=minute)


class CalibratedAlertScorer(AlertScorer):
    """Confidences of alerts (A,); it holds the cosines of MEMORY / hop windows besides what `AlertScorer` holds.

    Parameters
    ----------
    queries, bank, warmup, minute
        As of `AlertScorer`; `bank.curves.watch` is the curve: logit = a + b · own + c · rise + d · new.
    known
        How many windows the recent level is taken from.
    """

    def __init__(self, queries: Vectors, bank: ReferenceBank, *, warmup: int, minute: int, known: int) -> None:
        super().__init__(queries, bank, warmup=warmup, minute=minute)
        self._curve = np.array(bank.curves.watch)
        self._first = np.repeat(self._mean[None].astype(np.float32), FEWEST, axis=0)
        self._cosines = np.zeros((max(1, known), len(queries)), np.float32)
        self._mean_window = np.zeros(queries.shape[1], np.float32)
        self._lately = self._mean

    def learn(self, embedding: Vectors, cosine: Levels, maybe: npt.NDArray[np.bool_]) -> None:
        """Learn a window (E,) and its cosines (A,); its recent level counts events as well, unlike the baseline."""
        self._cosines[self._seen % len(self._cosines)] = cosine
        super().learn(embedding, cosine, maybe)
        self._mean_window += (embedding - self._mean_window) / np.float32(min(self._seen, len(self._cosines)))
        if self._seen % RENEWED == 0 or self._seen + self._silent == self._warmup:
            self._lately = self._quantiles(LATELY)

    def score_short_recording(
        self, windows: Sequence[Vectors], apart: Sequence[bool], off: float
    ) -> list[tuple[Levels, Levels]]:
        """Score as `AlertScorer` does, with the quiet quarter as the recent level: half of it may be the event."""
        self._lately = self._quantiles(SHORT)
        scores = super().score_short_recording(windows, apart, off)
        self._lately = self._quantiles(LATELY)
        return scores

    def features(self, cosine: Levels, embedding: Vectors) -> Levels:
        """The distances own, rise and new (3, A) of a window (E,) with its cosines (A,), as the curve takes them."""
        left = embedding - np.float32(TAKEN_OUT) * self._mean_window
        new = self._queries @ left / max(float(np.linalg.norm(left)), LEAST_LEFT)
        return np.stack([(cosine - self._baseline) / self._scale, cosine - self._lately, new.astype(np.float64)])

    def _score(self, embedding: Vectors) -> tuple[Levels, Levels]:
        cosine = (self._queries @ embedding).astype(np.float64)
        return logistic(self._curve[0] + self._curve[1:] @ self.features(cosine, embedding)), cosine

    def _quantiles(self, shares: Sequence[float]) -> Levels:
        """The mean of some quantiles over the remembered windows' cosines → (A,)."""
        known = self._cosines[: self._seen]
        if len(known) < FEWEST:
            known = np.concatenate([known, self._first[len(known) :]])
        return np.asarray(np.quantile(known, shares, axis=0).mean(0), np.float64)
