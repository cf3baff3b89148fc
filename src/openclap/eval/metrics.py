"""Numbers from similarities, scores and answers, and how sure they are. Pure numpy; knows nothing of models or files.

What is resampled for a confidence interval is told by multiplicities `counts` (N,): how often each example was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.errors import UsageError
from openclap.scores import PrecisionSteps

__all__ = [
    "Definition",
    "Estimate",
    "RetrievalRanks",
    "accuracy",
    "bootstrap",
    "confusion_matrix",
    "mean_average_precision",
    "retrieval_metrics",
    "retrieval_ranks",
    "summary",
    "top_k",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Definition: TypeAlias = Literal["standard", "laion"]

DEPTH = 10  # of mAP@10


@dataclass(frozen=True)
class Estimate:
    """A number and the bounds of its confidence interval, where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class RetrievalRanks:
    """0-based ranks of what belongs together, from descending sorts of a similarity matrix.

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
    """Where a model puts what belongs together.

    Equal similarities keep their order, so that a model for which all is alike is at chance.

    Parameters
    ----------
    similarity : (N, M)
        Of N clips with M captions.
    clip_of : int (M,)
        The clip, 0 to N - 1, that each caption describes; every clip has at least one.

    Raises
    ------
    UsageError
        Shapes that do not fit, a clip without a caption, or numbers that are not finite.
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
    """Where one number of a row comes in a stable descending sort, without sorting."""
    return int(np.count_nonzero(row > row[place]) + np.count_nonzero(row[:place] == row[place]))


def retrieval_metrics(
    ranks: RetrievalRanks, counts: Ints | None = None, *, definition: Definition = "standard"
) -> dict[str, dict[str, float]]:
    """R@1, R@5, R@10, mean and median rank (1 is best) and mAP@10, for text_to_audio and audio_to_text.

    ::

        text → audio   every caption is a query, its one clip the answer: mAP@10 = mean of 1/(rank + 1), 0 from rank 10 on
        audio → text   every clip is a query; ranks and recalls are those of the best of its captions,
                       mAP@10 = mean of (sum over its captions of rank r_i < 10, i = 1, 2, …, of i/(r_i + 1)) / of

    `of` is min(captions, 10) by the "standard" definition and the number of captions by "laion": for one caption, and
    for the five of AudioCaps and Clotho, the two are the same. The median rank is floor(median of 0-based ranks) + 1.

    Parameters
    ----------
    counts : int (N,)
        How often each clip counts, with all its captions; once when omitted. The gallery stays as it is.

    Notes
    -----
    Source: LAION-AI/CLAP's evaluation (arXiv 2211.06687, section 4); held to stored numbers of a toy matrix.
    """
    return _queries(ranks, definition)(np.ones(len(ranks.audio_to_text), np.int64) if counts is None else counts)


def _queries(ranks: RetrievalRanks, definition: Definition) -> Callable[[Ints], dict[str, dict[str, float]]]:
    """What every query gives, computed once for all resamples."""
    if definition not in ("standard", "laion"):
        raise UsageError(f"definition is {definition!r}; choose standard or laion")
    forward, clip_of = ranks.text_to_audio, ranks.clip_of
    reciprocal = np.where(forward < DEPTH, 1 / (forward + 1), 0.0)
    best = np.array([own[0] for own in ranks.audio_to_text])
    precision = np.array([_precision_at(own, definition) for own in ranks.audio_to_text])
    return lambda counts: {
        "text_to_audio": _of_ranks(forward, reciprocal, counts[clip_of]),
        "audio_to_text": _of_ranks(best, precision, counts),
    }


def _precision_at(own: Ints, definition: Definition) -> float:
    """Average precision among the first ten, of one query with several answers at ascending 0-based ranks."""
    hits = own[own < DEPTH]
    of = len(own) if definition == "laion" else min(len(own), DEPTH)
    return float(np.sum(np.arange(1, len(hits) + 1) / (hits + 1)) / of)


def _of_ranks(ranks: Ints, precision: Floats, counts: Ints) -> dict[str, float]:
    numbers = {f"R@{k}": float(np.average(ranks < k, weights=counts)) for k in (1, 5, 10)}
    return {
        **numbers,
        "mean_rank": float(np.average(ranks, weights=counts)) + 1,
        "median_rank": float(np.floor(np.median(np.repeat(ranks, counts)))) + 1,
        "mAP@10": float(np.average(precision, weights=counts)),
    }


# -- classification ----------------------------------------------------------------------------------


def accuracy(answers: npt.ArrayLike, truth: npt.ArrayLike, counts: Ints | None = None) -> float:
    """The share of equal labels: `answers` (N,) and `truth` (N,) are indices of labels."""
    return float(np.average(np.asarray(answers) == np.asarray(truth), weights=counts))


def top_k(scores: npt.ArrayLike, truth: npt.ArrayLike, k: int) -> npt.NDArray[np.bool_]:
    """Whether the true label is among the `k` of the highest scores: `scores` (N, C), `truth` (N,) → bool (N,)."""
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    found: npt.NDArray[np.bool_] = (order == np.asarray(truth)[:, None]).any(axis=1)
    return found


def mean_average_precision(scores: npt.ArrayLike, truth: npt.ArrayLike) -> Callable[[Ints | None], Floats]:
    """Average precision of every class, for any resample: `scores` and bool `truth` (N, C) → function(counts) → (C,).

    The mean over the classes that have an example is the mAP: `numpy.nanmean`.
    """
    points, true = np.asarray(scores), np.asarray(truth, np.bool_)
    steps = [PrecisionSteps(points[:, c], true[:, c]) for c in range(points.shape[1])]
    return lambda counts: np.array([step.area(counts) for step in steps])


def confusion_matrix(answers: npt.ArrayLike, truth: npt.ArrayLike, classes: int) -> Ints:
    """How often truth (row) was answered by (column): indices (N,) → int64 (C, C)."""
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
    """Percentile confidence intervals: the examples are drawn again with replacement.

    Parameters
    ----------
    statistic
        From multiplicities (N,), which sum to N, to numbers by name; NaN where a draw does not define one.
    examples
        N: of clips for retrieval, a clip with all its captions being one.
    draws
        How many times; 0 gives the numbers alone.
    level
        The share of draws between the bounds.
    rng
        A generator or its seed: the same gives the same bounds.

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
    found = {}
    for name, value in values.items():
        numbers = np.array([numbers[name] for numbers in drawn], np.float64)
        numbers = numbers[np.isfinite(numbers)]
        low, high = np.percentile(numbers, [tail, 100 - tail]).tolist() if len(numbers) else (None, None)
        found[name] = Estimate(float(value), low, high)
    return found


def summary(ranks: RetrievalRanks, *, definition: Definition = "standard", **options: Any) -> dict[str, Estimate]:
    """`retrieval_metrics` with their confidence intervals, as "text_to_audio R@1" and so on; options of `bootstrap`."""
    numbers_of = _queries(ranks, definition)

    def flat(counts: Ints) -> dict[str, float]:
        return {f"{way} {name}": x for way, numbers in numbers_of(counts).items() for name, x in numbers.items()}

    return bootstrap(flat, len(ranks.audio_to_text), **options)
