"""What is usual at this place, learnt while listening, and how sure a window's cosines make us against it.

For an alert of a model that has no curve of its own for a watch (else: `openclap.watch.foreground`), three distances of
its cosine:

    own      from the best of a usual minute of this source: its median over the last two hours, in units of what lies between the
             median and the upper tenth; what may be an event counts as the upper tenth at most
    sounds   from what 56 synthesised sounds give these words        ┐ the fixed banks of openclap.confidence,
    texts    from what 132 other names give this window              ┘ in standard deviations

go through a logistic curve that was fitted with mini's third edition on the half "tune" of `bench/watch.py`, over
windows and the ones before them: what is heard in one of two overlapping windows alone was mostly nothing. Means and
deviations of all windows, not of the best of each minute, were worse: what makes false alarms is the tail, which
differs from alert to alert (LOG.md). "Unusual" has no words: it is how far a window is from the eight nearest of a
reservoir of what was heard so far, over the source's own quantiles of that. Eight are more than the windows of one
event, so an event does not explain itself, and nothing has to be kept out. Mahalanobis distances found a third less at
as many false alarms. Knows nothing of sound or events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank

__all__ = ["MINUTE", "LocalBackground", "Novelty", "logistic"]

Vectors = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float64]

CURVE = (-6.96, 1.68, 0.84, 0.80)  # logit = a + b · own + c · sounds + d · texts
MINUTE = 60.0  # seconds of which the best counts
MINUTES = 120  # that are known
RECENT = 10  # minutes that may be louder than all of these
PATIENCE = 2  # minutes
FIRST = (0.8, 1.2, 1.6, 2.2)  # deviations of the bank of sounds: the best of four minutes before the first
UPPER = 0.9  # quantile
LEAST = 0.5  # of the bank's deviation: where nothing ever changes, not every change is an event

RESERVOIR = 2048  # windows that "unusual" knows
NEIGHBOURS = 8
LAG = 10  # windows before one is put into the reservoir
DISTANCES = 4096  # of which the quantiles are taken
RENEWED = 30  # windows between two looks at them
LEAST_FAR = 0.02  # of a cosine: where nothing ever changes, not every change is an event
NOVEL = (-4.5, 3.0)  # logit = a + b · distance over quantiles


class LocalBackground:
    """Confidences of alerts (A,) against the source's own background, in memory of MINUTES · A.

    Parameters
    ----------
    queries : float32 (A, E)
        Unit rows: the alerts' words, and directions of detectors.
    banks
        What is usual for the model.
    warmup
        Windows that are learnt from alone, before anything is said.
    minute
        Windows in a minute.
    """

    def __init__(self, queries: Vectors, banks: ReferenceBank, *, warmup: int, minute: int) -> None:
        near = (banks.sounds @ queries.T).astype(np.float64)
        self._queries, self._texts = queries, banks.texts
        self._mean, self._deviation = near.mean(0), np.maximum(near.std(0), 1e-3)
        self._warmup, self._minute, self._seen = warmup, max(1, minute), 0
        self._best = np.full(len(queries), -1.0)
        self._sure = self._best.copy()  # of this minute, what was judged after all
        self._kept_out = np.zeros(len(queries), np.int64)  # windows in a row
        self._before: Levels | None = None  # logits of the window before
        self._minutes = np.zeros((MINUTES, len(queries)), np.float32)
        self._minutes[: len(FIRST)] = self._mean + np.outer(FIRST, self._deviation)
        self._known = len(FIRST)
        self._look()

    def judge(self, embedding: Vectors) -> tuple[Levels, Levels]:
        """A window (E,) → confidences and cosines, each (A,). Zero confidence during the warm-up."""
        if self.learns:
            cosine = (self._queries @ embedding).astype(np.float64)
            return np.zeros_like(cosine), cosine
        return self._judge(embedding)

    @property
    def learns(self) -> bool:
        """Whether the warm-up goes on."""
        return self._seen < self._warmup

    def judge_after_all(
        self, windows: Sequence[Vectors], apart: Sequence[bool], off: float
    ) -> list[tuple[Levels, Levels]]:
        """Windows (E,) of a recording that ends within the warm-up: judged by the banks and by what there is of the source.

        They are one minute, however short. What may be heard by the banks alone, at `off` or more, counts in it as the
        upper tenth at most, as in `learn`. The warm-up goes on with the next recording.

        Parameters
        ----------
        apart
            Whether each window does not overlap the one before.
        """
        maybe = [(confidence >= off, cosine) for confidence, cosine in self._judge_each(windows, apart)]
        most = self._usual + self._unit
        best = np.max([np.where(may, np.minimum(cosine, most), cosine) for may, cosine in maybe], axis=0)
        self._best = self._sure = np.maximum(self._sure, best)  # without what an event of this recording has put there
        self._look(self._best)
        found = self._judge_each(windows, apart)
        self._look()
        self.restart()
        return found

    def _judge_each(self, windows: Sequence[Vectors], apart: Sequence[bool]) -> list[tuple[Levels, Levels]]:
        found = []
        for window, alone in zip(windows, apart, strict=True):
            if alone:
                self.restart()
            found.append(self._judge(window))
        return found

    def _judge(self, embedding: Vectors) -> tuple[Levels, Levels]:
        cosine = (self._queries @ embedding).astype(np.float64)
        own = (cosine - self._usual) / self._unit
        sounds = (cosine - self._mean) / self._deviation
        others = self._texts @ embedding
        texts = (cosine - float(others.mean())) / max(float(others.std()), 1e-6)
        logit = CURVE[0] + CURVE[1] * own + CURVE[2] * sounds + CURVE[3] * texts
        before, self._before = self._before, logit
        return logistic(logit if before is None else (logit + before) / 2), cosine

    def restart(self) -> None:
        """The next window does not overlap the last one."""
        self._before = None

    def learn(self, embedding: Vectors, cosine: Levels, maybe: npt.NDArray[np.bool_]) -> None:
        """Take a window's cosines (A,) into the minute; at its end, the minute into what is known.

        An alert that `maybe` (A,) is heard counts as the upper tenth at most, so its event is not learnt; what goes on
        for longer than PATIENCE is no event.
        """
        self._seen += 1
        self._kept_out = np.where(maybe, self._kept_out + 1, 0)
        maybe = maybe & (self._kept_out <= PATIENCE * self._minute)
        self._best = np.maximum(self._best, np.where(maybe, np.minimum(cosine, self._usual + self._unit), cosine))
        if self._seen % self._minute == 0 or self._seen == self._warmup:
            self._minutes[self._known % MINUTES] = self._best
            self._known += 1
            self._best, self._sure = np.full_like(self._best, -1.0), np.full_like(self._best, -1.0)
            self._look()

    def _look(self, *more: Levels) -> None:
        """What is usual, by the minutes that are known and by `more` of them."""
        known = np.array([*self._minutes[: min(self._known, MINUTES)], *more])
        last = np.array([*self._minutes[np.arange(max(0, self._known - RECENT), self._known) % MINUTES], *more])
        self._usual, upper = np.maximum(
            np.quantile(known, (0.5, UPPER), axis=0), np.quantile(last, (0.5, UPPER), axis=0)
        )
        self._unit = np.maximum(upper - self._usual, LEAST * self._deviation)


class Novelty:
    """How far a window is from what was heard so far, over the source's own quantiles: 0 usual, 1 as the farthest twentieth.

    Memory: RESERVOIR embeddings and DISTANCES numbers, whatever the length of the source. The same source gives the
    same distances.
    """

    def __init__(self, size: int, *, warmup: int) -> None:
        self._warmup = max(2 * NEIGHBOURS + LAG, warmup)
        self._reservoir = np.zeros((RESERVOIR, size), np.float32)
        self._filled = self._seen = self._measured = 0
        self._recent: deque[Vectors] = deque()
        self._distances = np.zeros(DISTANCES)
        self._middle, self._far = 0.0, 1.0
        self._before: float | None = None
        self._random = np.random.default_rng(0)  # which one makes room

    def judge(self, embedding: Vectors) -> tuple[float, float]:
        """A window (E,) → confidence and distance over quantiles; both 0 during the warm-up."""
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
        return float(logistic(np.array(NOVEL[0] + NOVEL[1] * both))), distance

    def learn(self, embedding: Vectors) -> None:
        """Put a window into the reservoir, ten windows later; when it is full, in place of any."""
        self._seen += 1
        self._recent.append(embedding)
        if len(self._recent) <= LAG:
            return
        place = self._filled if self._filled < RESERVOIR else int(self._random.integers(RESERVOIR))
        self._reservoir[place] = self._recent.popleft()
        self._filled = min(self._filled + 1, RESERVOIR)

    @property
    def learns(self) -> bool:
        """Whether the warm-up goes on."""
        return self._seen < self._warmup

    def restart(self) -> None:
        """The next window does not overlap the last one."""
        self._before = None


def logistic(logit: Levels) -> Levels:
    """Logits → confidences in [0, 1]."""
    made: Levels = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
    return made
