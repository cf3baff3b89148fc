"""Formulas that several packages use: log-odds → probabilities, scores → average precision."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["PrecisionSteps", "average_precision", "logistic", "softmax"]

Floats = TypeVar("Floats", npt.NDArray[np.float32], npt.NDArray[np.float64])


def logistic(log_odds: Floats) -> Floats:
    """Log-odds → probabilities, of any shape; nothing overflows, and float32 stays float32."""
    return 0.5 * (1 + np.tanh(0.5 * log_odds))


def softmax(logits: Floats) -> Floats:
    """(…, C) → rows of probabilities that sum to 1."""
    weights: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


class PrecisionSteps:
    """The precision-recall steps of one class: its scores (N,) are sorted once for any number of resamples."""

    def __init__(self, scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        sorted_scores = scores[self._order]
        self._ends = np.flatnonzero(np.r_[sorted_scores[1:] != sorted_scores[:-1], True])  # of equal scores
        self._true = truth[self._order]

    def area(self, counts: npt.NDArray[np.int64] | None = None) -> float:
        """The average precision, where example i counts `counts[i]` times; None: each counts once."""
        drawn = np.ones(len(self._order), np.int64) if counts is None else counts[self._order]
        hits = np.cumsum(drawn * self._true)[self._ends]
        seen = np.cumsum(drawn)[self._ends]
        if hits[-1] == 0:
            return float("nan")
        precision = hits / np.maximum(seen, 1)
        return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


def average_precision(
    scores: npt.ArrayLike, truth: npt.ArrayLike, counts: npt.NDArray[np.int64] | None = None
) -> float:
    """Area under the precision-recall steps of one class, equal to scikit-learn's `average_precision_score`.

    Parameters
    ----------
    scores : (N,)
        Higher where the class is more likely; equal scores form one step.
    truth : bool (N,)
        Whether the example belongs to the class.
    counts : int (N,)
        How often each example counts; None: once.

    Returns
    -------
    In [0, 1]; NaN where no example belongs to the class.
    """
    return PrecisionSteps(np.asarray(scores), np.asarray(truth, np.bool_)).area(counts)
