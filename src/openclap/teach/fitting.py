"""Fits a detector to embeddings of examples: logistic regression that starts from the words and moves to the examples.

    log-odds of x  =  words(x)  +  v · (x - mean) / radius  +  b

    words(x) = -6 + 2 · (cosine of x and the words, in deviations from what 56 everyday sounds have with them)
    v ~ N(0, 20 · I)    b ~ N(0, 1)          the fit is the mode of the posterior   (5 · I without counter-examples)

Without examples v = b = 0: the words alone. `mean` and `radius` are the mean of the 56 sounds' embeddings and their
root mean square distance from it, so that the numbers mean the same for every model. How far the words are trusted is
not fitted: counter-examples are usually picked from the top of a search for the words, so they speak against the words
more than the words deserve. Yes and no weigh the same: examples are chosen by people and not drawn, so their numbers
do not say how often the sound is heard; log(yes / no) is added while fitting and not after (King & Zeng 2001). The
problem is convex; Newton's steps are taken in the span of the examples, where the mode lies. The constants were chosen
on folds 1 and 2 of ESC-10, with labels and paraphrases as words, and on synthesised sounds in groups (docs/teach.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.confidence import reference_bank
from openclap.embedder import Embedder
from openclap.errors import UsageError
from openclap.normalization import Vectors, normalize_rows
from openclap.scores import logistic

__all__ = ["FitProblem", "Prior", "TrainingSet", "make_prior"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WORDS = (-6.0, 2.0)  # log-odds of the words alone: a + b · deviations
PRECISION = 0.05  # of v around 0: the inverse of its variance
PRECISION_ALONE = 0.2  # where all counter-examples are synthesised: yes and no differ in that as well
BIAS_PRECISION = 1.0  # of b around 0
STEPS, ENOUGH = 50, 1e-9  # the most steps of Newton's method; the relative change of the objective that ends them


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known before the first example: what is usual for a model, and what the words say.

    Attributes
    ----------
    mean : float64 (E,)
    radius : float
    direction : float64 (E,)
        The log-odds of x by the words are `start` + `direction` · x; zeros where there are no words.
    start : float
    sounds : float32 (56, E)
        The everyday sounds.
    """

    mean: Floats
    radius: float
    direction: Floats
    start: float
    sounds: Vectors

    def word_logits(self, rows: npt.ArrayLike) -> Floats:
        """The log-odds (N,) of embeddings (N, E) by the words alone."""
        return np.asarray(rows, np.float64) @ self.direction + self.start


def make_prior(clap: Embedder, text: str | None) -> Prior:
    """Make the prior of a model and words; where `text` is None, there are no words."""
    sounds = reference_bank(clap).sounds
    rows = sounds.astype(np.float64)
    mean = rows.mean(0)
    radius = max(float(np.sqrt(((rows - mean) ** 2).sum(1).mean())), 1e-6)
    if text is None:
        return Prior(mean, radius, np.zeros(len(mean)), 0.0, sounds)
    words = clap.encode_text([text])[0].astype(np.float64)
    near = rows @ words
    slope = WORDS[1] / max(float(near.std()), 1e-6)
    return Prior(mean, radius, slope * words, WORDS[0] - slope * float(near.mean()), sounds)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The examples: unit rows (N, E), whether each is a yes (N,), and whether it was drawn instead of marked (N,)."""

    rows: Vectors
    is_yes: Flags
    drawn: Flags

    @classmethod
    def of(cls, yes: npt.ArrayLike, no: npt.ArrayLike, drawn: npt.ArrayLike, size: int) -> TrainingSet:
        """Put yes (N, E), no (M, E) and drawn (K, E) together; copies of a row within one of them count once.

        Raises
        ------
        UsageError
            There is no yes, or rows have another size or are not finite.
        """
        parts = [_check_rows(part, size, name) for part, name in ((yes, "yes"), (no, "no"), (drawn, "drawn"))]
        if not len(parts[0]):
            raise UsageError("nothing to learn from: give at least one example of the sound (yes)")
        parts = [part[distinct_rows(part)] for part in parts]
        counts = [len(part) for part in parts]
        return cls(
            np.concatenate(parts), np.repeat([True, False, False], counts), np.repeat([False, False, True], counts)
        )

    @property
    def weight(self) -> Floats:
        """The weight of each example (N,): marked ones weigh 1.

        Where there are drawn ones, marked and drawn no together weigh twice as much as the yes; a drawn one weighs at
        most 1.
        """
        yes, drawn = int(self.is_yes.sum()), int(self.drawn.sum())
        marked = len(self.rows) - yes - drawn
        share = min(1.0, (2 * yes - min(marked, yes)) / max(drawn, 1))
        return np.where(self.drawn, share, 1.0)


class FitProblem:
    """The fit to all examples, or to some of them, as cross-validation needs it."""

    def __init__(self, prior: Prior, examples: TrainingSet, *, alone: bool = False) -> None:
        """`alone` says that the only counter-examples are synthesised sounds."""
        self._prior = prior
        self.examples = examples
        self._weight = examples.weight
        centred = (examples.rows - prior.mean) / prior.radius  # (N, E)
        few = 2 * len(centred) <= len(prior.mean)  # with more examples, a basis costs more than it saves
        self._basis = np.linalg.qr(centred.T)[0] if few else None  # (E, N)
        inside = centred if self._basis is None else centred @ self._basis  # (N, R)
        self.word_logits = prior.word_logits(examples.rows)  # (N,)
        self._features = np.column_stack([inside, np.ones(len(inside))])
        self._precision = np.full(self._features.shape[1], PRECISION_ALONE if alone else PRECISION)
        self._precision[-1] = BIAS_PRECISION

    def solve(self, some: Flags | None = None) -> Floats:
        """Fit to the examples where `some` (N,) is true, or to all: the mode, v in the span of the examples and b."""
        chosen = np.ones(len(self._features), bool) if some is None else some
        is_yes = self.examples.is_yes[chosen]
        return _mode(self._features[chosen], self.word_logits[chosen], is_yes, self._weight[chosen], self._precision)

    def logit(self, mode: Floats, some: Flags) -> Floats:
        """The log-odds of some examples by a fit."""
        return self._features[some] @ mode + self.word_logits[some]

    def as_linear(self, mode: Floats) -> tuple[Vectors, float]:
        """A fit as the weight (E,) and bias for embeddings as they are."""
        prior, inside, b = self._prior, mode[:-1], mode[-1]
        moved = (inside if self._basis is None else self._basis @ inside) / prior.radius
        return (prior.direction + moved).astype(np.float32), float(prior.start + b - moved @ prior.mean)


def distinct_rows(rows: Vectors) -> npt.NDArray[np.int64]:
    """The places of rows (N, E) that are no copies of an earlier row: no cosine of 0.99999 or more with any."""
    kept = np.ones(len(rows), bool)
    for start in range(0, len(rows), 1024):
        block = rows[start : start + 1024]
        same = block @ rows[: start + len(block)].T >= 0.99999  # (1024, up to here)
        same &= np.arange(start + len(block))[None] < np.arange(start, start + len(block))[:, None]
        kept[start : start + len(block)] = ~same.any(1)
    return np.flatnonzero(kept)


def _check_rows(given: npt.ArrayLike, size: int, name: str) -> Vectors:
    rows = np.asarray(given, np.float32)
    rows = rows.reshape(0, size) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] != size:
        raise UsageError(f"{name} is {rows.shape}; embeddings of this model are (N, {size})")
    if not np.isfinite(rows).all():
        raise UsageError(f"{name} holds NaN or infinite values; embed the sounds again")
    return normalize_rows(rows)


def _mode(features: Floats, words: Floats, is_yes: Flags, weight: Floats, precision: Floats) -> Floats:
    """Minimise a weighted logistic loss with a Gaussian prior by Newton's method; `words` (N,) adds to the log-odds."""
    yes, no = float(weight[is_yes].sum()), float(weight[~is_yes].sum())
    given = words + (math.log(yes / no) if yes and no else 0.0)

    def objective(theta: Floats) -> float:
        z = features @ theta + given
        return float(weight @ (np.logaddexp(0, z) - is_yes * z) + 0.5 * precision @ theta**2)

    theta = np.zeros(features.shape[1])
    best = objective(theta)
    for _ in range(STEPS):
        chance = logistic(features @ theta + given)
        slope = features.T @ (weight * (chance - is_yes)) + precision * theta
        curve = (features * (weight * chance * (1 - chance))[:, None]).T @ features
        curve[np.diag_indices_from(curve)] += precision
        step, size = np.linalg.solve(curve, slope), 1.0
        while size > 1e-9 and (now := objective(theta - size * step)) > best:
            size /= 2
        if size <= 1e-9 or best - now < ENOUGH * max(1.0, best):
            return theta
        theta, best = theta - size * step, now
    return theta
