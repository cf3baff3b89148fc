"""Metrics of similarities, scores and answers, and their confidence intervals, in numpy.

A resample, as a confidence interval needs it, is given by `counts` (N,): how often each example was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.errors import UsageError
from openclap.results import Result
from openclap.scores import PrecisionSteps

__all__ = [
    "Definition",
    "Estimate",
    "accuracy",
    "bootstrap",
    "confusion_matrix",
    "estimate_retrieval",
    "mean_average_precision",
    "retrieval_metrics",
    "retrieval_ranks",
    "top_k",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Definition: TypeAlias = Literal["standard", "laion"]

DEPTH = 10  # how many ranks mAP@10 looks at


@dataclass(frozen=True)
class Estimate(Result):
    """A metric's value, and the bounds of its confidence interval where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RetrievalRanks:
    """The 0-based ranks of sounds and captions that belong together, by a descending sort of their similarities.

    Attributes
    ----------
    text_to_audio : int64 (M,)
        The rank of each caption's clip among the N clips.
    audio_to_text : list of int64 (captions of the clip,), N of them
        The ascending ranks of each clip's own captions among the M captions.
    clip_of : int64 (M,)
        The clip of each caption.
    """

    text_to_audio: Ints
    audio_to_text: list[Ints]
    clip_of: Ints


# -- retrieval ---------------------------------------------------------------------------------------


def retrieval_ranks(similarity: npt.ArrayLike, clip_of: npt.ArrayLike) -> RetrievalRanks:
    """Rank what belongs together by its similarity.

    Equal similarities keep their order, so a model that finds everything alike scores as chance does.

    Parameters
    ----------
    similarity : (N, M)
        Similarities of N clips with M captions.
    clip_of : int (M,)
        The clip, 0 to N - 1, that each caption describes; every clip has at least one.

    Raises
    ------
    UsageError
        Shapes do not fit, a clip has no caption, or numbers are not finite.
    """
    matrix, owner = np.asarray(similarity), np.asarray(clip_of, np.int64)
    if matrix.ndim != 2 or owner.shape != (matrix.shape[1],) or 0 in matrix.shape:
        raise UsageError(f"a similarity matrix (N, M) and clip_of (M,) are expected, not {matrix.shape}, {owner.shape}")
    if not np.isfinite(matrix).all():
        raise UsageError("the similarity matrix holds NaN or infinite values; nothing can be ranked by them")
    if set(owner.tolist()) != set(range(len(matrix))):
        raise UsageError(f"every one of the {len(matrix)} clips needs a caption, and every caption one of them")
    by_text = np.ascontiguousarray(matrix.T)
    text_to_audio = np.array([_rank(row, clip) for row, clip in zip(by_text, owner, strict=True)], np.int64)
    own: list[list[int]] = [[] for _ in matrix]
    for caption, clip in enumerate(owner):
        own[clip].append(_rank(matrix[clip], caption))
    return RetrievalRanks(text_to_audio, [np.sort(np.array(ranks, np.int64)) for ranks in own], owner)


def _rank(row: npt.NDArray[Any], place: int) -> int:
    """The place of one number of a row in a stable descending sort, found without sorting."""
    return int(np.count_nonzero(row > row[place]) + np.count_nonzero(row[:place] == row[place]))


def retrieval_metrics(
    ranks: RetrievalRanks, counts: Ints | None = None, *, definition: Definition = "standard"
) -> dict[str, dict[str, float]]:
    """R@1, R@5, R@10, mean and median rank (1 is the best) and mAP@10, for text_to_audio and audio_to_text.

    ::

        text → audio   every caption is a query with one answer: mAP@10 = mean of 1/(rank + 1), 0 from rank 10 on
        audio → text   every clip is a query; ranks and recalls are those of the best of its captions,
                       mAP@10 = mean of (sum over its captions of rank r_i < 10, i = 1, 2, …, of i/(r_i + 1)) / of

    `of` is min(captions, 10) by the "standard" definition and the number of captions by "laion": for one caption, and
    for the five of AudioCaps and Clotho, the two are the same. The median rank is floor(median of 0-based ranks) + 1.

    Parameters
    ----------
    counts : int (N,)
        How often each clip counts, with all its captions; by default once. What is searched through stays as it is.

    Notes
    -----
    Source: LAION-AI/CLAP's evaluation (arXiv 2211.06687, section 4); a test compares stored numbers of a toy matrix.
    """
    return _metrics_by_counts(ranks, definition)(
        np.ones(len(ranks.audio_to_text), np.int64) if counts is None else counts
    )


def _metrics_by_counts(ranks: RetrievalRanks, definition: Definition) -> Callable[[Ints], dict[str, dict[str, float]]]:
    """A function from `counts` to the metrics; what every query gives is computed once for all resamples."""
    if definition not in ("standard", "laion"):
        raise UsageError(f"definition is {definition!r}; choose standard or laion")
    forward, clip_of = ranks.text_to_audio, ranks.clip_of
    reciprocal = np.where(forward < DEPTH, 1 / (forward + 1), 0.0)
    best = np.array([own[0] for own in ranks.audio_to_text])
    precision = np.array([_precision_at(own, definition) for own in ranks.audio_to_text])
    return lambda counts: {
        "text_to_audio": _rank_metrics(forward, reciprocal, counts[clip_of]),
        "audio_to_text": _rank_metrics(best, precision, counts),
    }


def _precision_at(own: Ints, definition: Definition) -> float:
    """Average precision among the first ten, for one query whose answers have these ascending 0-based ranks."""
    hits = own[own < DEPTH]
    of = len(own) if definition == "laion" else min(len(own), DEPTH)
    return float(np.sum(np.arange(1, len(hits) + 1) / (hits + 1)) / of)


def _rank_metrics(ranks: Ints, precision: Floats, counts: Ints) -> dict[str, float]:
    numbers = {f"R@{k}": float(np.average(ranks < k, weights=counts)) for k in (1, 5, 10)}
    return {
        **numbers,
        "mean_rank": float(np.average(ranks, weights=counts)) + 1,
        "median_rank": float(np.floor(np.median(np.repeat(ranks, counts)))) + 1,
        "mAP@10": float(np.average(precision, weights=counts)),
    }


# -- classification ----------------------------------------------------------------------------------


def accuracy(answers: npt.ArrayLike, truth: npt.ArrayLike, counts: Ints | None = None) -> float:
    """The share of right answers; `answers` (N,) and `truth` (N,) are indices of labels."""
    return float(np.average(np.asarray(answers) == np.asarray(truth), weights=counts))


def top_k(scores: npt.ArrayLike, truth: npt.ArrayLike, k: int) -> npt.NDArray[np.bool_]:
    """Whether the true label is among the `k` of the highest scores: `scores` (N, C), `truth` (N,) → bool (N,)."""
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return (order == np.asarray(truth)[:, None]).any(axis=1)


def mean_average_precision(scores: npt.ArrayLike, truth: npt.ArrayLike) -> Callable[[Ints | None], Floats]:
    """A function from `counts` to the average precision of every class (C,), for `scores` and bool `truth` (N, C).

    The mAP is their mean over the classes that have an example: `numpy.nanmean`.
    """
    points, true = np.asarray(scores), np.asarray(truth, np.bool_)
    steps = [PrecisionSteps(points[:, c], true[:, c]) for c in range(points.shape[1])]
    return lambda counts: np.array([step.area(counts) for step in steps])


def confusion_matrix(answers: npt.ArrayLike, truth: npt.ArrayLike, classes: int) -> Ints:
    """How often each true label (row) was answered by each label (column): indices (N,) → int64 (C, C)."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (np.asarray(truth, np.int64), np.asarray(answers, np.int64)), 1)
    return table


# -- confidence --------------------------------------------------------------------------------------


def bootstrap(
    statistic: Callable[[Ints], Mapping[str, float]],
    examples: int,
    *,
    draws: int = 1000,
    level: float = 0.95,
    rng: np.random.Generator | int = 0,
) -> dict[str, Estimate]:
    """Percentile confidence intervals, by drawing the examples again with replacement.

    Parameters
    ----------
    statistic
        A function from `counts` (N,), which sum to N, to metrics by name; NaN where a draw does not define one.
    examples
        How many examples there are, N; for retrieval, a clip with all its captions is one.
    draws
        How often they are drawn; 0 gives the values without intervals.
    level
        The share of draws between the bounds.
    rng
        A generator or a seed; the same one gives the same bounds.

    Notes
    -----
    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).
    """
    if draws < 0 or not 0 < level < 1 or examples < 1:
        raise UsageError(f"draws is {draws}, level {level}, examples {examples}; give 0 or more, 0 to 1, 1 or more")
    generator = np.random.default_rng(rng)
    values = statistic(np.ones(examples, np.int64))
    drawn = [
        statistic(np.bincount(generator.integers(examples, size=examples), minlength=examples)) for _ in range(draws)
    ]
    tail = 100 * (1 - level) / 2
    estimates = {}
    for name, value in values.items():
        numbers = np.array([numbers[name] for numbers in drawn], np.float64)
        numbers = numbers[np.isfinite(numbers)]
        low, high = np.percentile(numbers, [tail, 100 - tail]).tolist() if len(numbers) else (None, None)
        estimates[name] = Estimate(float(value), low, high)
    return estimates


def estimate_retrieval(
    ranks: RetrievalRanks, *, definition: Definition = "standard", **options: Any
) -> dict[str, Estimate]:
    """`retrieval_metrics` with confidence intervals, named "text_to_audio R@1" …; options are those of `bootstrap`."""
    metrics = _metrics_by_counts(ranks, definition)

    def flat(counts: Ints) -> dict[str, float]:
        return {f"{way} {name}": x for way, numbers in metrics(counts).items() for name, x in numbers.items()}

    return bootstrap(flat, len(ranks.audio_to_text), **options)
