"""How sure a window's cosines make us that an alert is heard: for models that bring no curve for a watch of their own.

`calibrated_scorer.alert_scorer` chooses between this class and its subclass `CalibratedAlertScorer`. The scorer learns
while it listens. Three distances of an alert's cosine go through a logistic curve:

    own      from the best of a typical minute of this source: its median over the last two hours, in units of what lies
             between the median and the upper tenth; what may be an event counts as the upper tenth at most
    sounds   from what 56 synthesised sounds give these words        ┐ the fixed `ReferenceBank` of openclap.confidence,
    texts    from what 132 other names give this window              ┘ in standard deviations

The curve was fitted with mini's third edition on the half "tune" of `bench/watch.py`, over the mean of each window and
the one before it: what is heard in only one of two overlapping windows was mostly nothing. The mean and the deviation
of all windows, instead of the best of each minute, were worse: false alarms come from the tail, which differs from
alert to alert (LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank
from openclap.normalization import Vectors
from openclap.scores import logistic

__all__ = ["MINUTE", "AlertScorer"]

Levels = npt.NDArray[np.float64]

CURVE = (-6.96, 1.68, 0.84, 0.80)  # logit = a + b · own + c · sounds + d · texts
MINUTE = 60.0  # seconds, of which only the best window counts
MINUTES = 120  # how many minutes are remembered
RECENT = 10  # minutes; where these are louder than all of the remembered ones, they are the baseline
PATIENCE = 2  # minutes; what goes on for longer is no event and is learnt
FIRST = (0.8, 1.2, 1.6, 2.2)  # deviations of the bank of sounds: the best of four made-up minutes to begin with
UPPER = 0.9  # quantile
LEAST = 0.5  # of the bank's deviation: where nothing ever changes, not every change is an event


class AlertScorer:
    """Confidences of alerts (A,), judged against the source's own baseline, in memory of MINUTES · A numbers.

    Parameters
    ----------
    queries : float32 (A, E)
        Unit rows: the alerts' words, and directions of detectors.
    bank
        What is usual for the model, wherever it listens.
    warmup
        How many windows are only learnt from at first; their confidences are 0.
    minute
        How many windows a minute has.
    """

    def __init__(self, queries: Vectors, bank: ReferenceBank, *, warmup: int, minute: int) -> None:
        near = (bank.sounds @ queries.T).astype(np.float64)
        self._queries, self._texts = queries, bank.texts
        self._mean, self._deviation = near.mean(0), np.maximum(near.std(0), 1e-3)
        self._warmup, self._minute, self._seen = warmup, max(1, minute), 0
        self._silent = 0  # windows of the warm-up in which nothing was heard
        self._best = np.full(len(queries), -1.0)
        self._sure = self._best.copy()  # the best of this minute in short recordings that were scored already
        self._kept_out = np.zeros(len(queries), np.int64)  # for how many windows in a row an alert may have been heard
        self._before: Levels | None = None  # the logits of the window before
        self._minutes = np.zeros((MINUTES, len(queries)), np.float32)
        self._minutes[: len(FIRST)] = self._mean + np.outer(FIRST, self._deviation)
        self._known = len(FIRST)
        self._update_baseline()

    def score(self, embedding: Vectors) -> tuple[Levels, Levels]:
        """Score a window (E,): confidences and cosines, each (A,); confidences are 0 during the warm-up."""
        if self.warming_up:
            cosine = (self._queries @ embedding).astype(np.float64)
            return np.zeros_like(cosine), cosine
        return self._score(embedding)

    @property
    def warming_up(self) -> bool:
        """Whether the warm-up goes on."""
        return self._seen + self._silent < self._warmup

    def pass_silence(self) -> None:
        """Take a window in which nothing is heard: it counts for the warm-up, and nothing is learnt from it.

        What it would teach is how near a model takes silence to the alerts, and no event is seen against that.
        """
        self._silent += self.warming_up
        self._before = np.full(len(self._queries), CURVE[0])

    def score_short_recording(
        self, windows: Sequence[Vectors], apart: Sequence[bool], off: float
    ) -> list[tuple[Levels, Levels]]:
        """Score the windows (E,) of a recording that ends within the warm-up, by the bank and by these windows.

        They count as one minute, however short. What may be an event by the bank alone, at `off` or more, counts in
        that minute as the upper tenth at most, as in `learn`. The warm-up goes on with the next recording.

        Parameters
        ----------
        apart
            For each window, whether it does not overlap the one before.
        """
        maybe = [(confidence >= off, cosine) for confidence, cosine in self._score_each(windows, apart)]
        most = self._baseline + self._scale
        best = np.max([np.where(may, np.minimum(cosine, most), cosine) for may, cosine in maybe], axis=0)
        self._best = self._sure = np.maximum(self._sure, best)  # without what an event of this recording added
        self._update_baseline(self._best)
        scores = self._score_each(windows, apart)
        self._update_baseline()
        self.restart()
        return scores

    def _score_each(self, windows: Sequence[Vectors], apart: Sequence[bool]) -> list[tuple[Levels, Levels]]:
        scores = []
        for window, starts_anew in zip(windows, apart, strict=True):
            if starts_anew:
                self.restart()
            scores.append(self._score(window))
        return scores

    def _score(self, embedding: Vectors) -> tuple[Levels, Levels]:
        cosine = (self._queries @ embedding).astype(np.float64)
        own = (cosine - self._baseline) / self._scale
        sounds = (cosine - self._mean) / self._deviation
        others = self._texts @ embedding
        texts = (cosine - float(others.mean())) / max(float(others.std()), 1e-6)
        logit = CURVE[0] + CURVE[1] * own + CURVE[2] * sounds + CURVE[3] * texts
        before, self._before = self._before, logit
        return logistic(logit if before is None else (logit + before) / 2), cosine

    def restart(self) -> None:
        """Forget the window before: the next one does not overlap it."""
        self._before = None

    def learn(self, embedding: Vectors, cosine: Levels, maybe: npt.NDArray[np.bool_]) -> None:
        """Learn a window's cosines (A,); at the end of a minute, its best cosines become part of the baseline.

        An alert that may be heard just now (`maybe`, (A,)) counts as the upper tenth at most, so that its event does
        not raise the baseline; what goes on for longer than PATIENCE is no event and counts in full.
        """
        self._seen += 1
        self._kept_out = np.where(maybe, self._kept_out + 1, 0)
        maybe = maybe & (self._kept_out <= PATIENCE * self._minute)
        self._best = np.maximum(self._best, np.where(maybe, np.minimum(cosine, self._baseline + self._scale), cosine))
        if self._seen % self._minute == 0 or self._seen + self._silent == self._warmup:
            self._minutes[self._known % MINUTES] = self._best
            self._known += 1
            self._best, self._sure = np.full_like(self._best, -1.0), np.full_like(self._best, -1.0)
            self._update_baseline()

    def _update_baseline(self, *more: Levels) -> None:
        """Compute what a typical minute gives, from the remembered minutes and `more`."""
        known = np.array([*self._minutes[: min(self._known, MINUTES)], *more])
        last = np.array([*self._minutes[np.arange(max(0, self._known - RECENT), self._known) % MINUTES], *more])
        self._baseline, upper = np.maximum(
            np.quantile(known, (0.5, UPPER), axis=0), np.quantile(last, (0.5, UPPER), axis=0)
        )
        self._scale = np.maximum(upper - self._baseline, LEAST * self._deviation)
