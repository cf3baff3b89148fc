"""Examples' embeddings → a detector: logistic regression that begins at the words and is moved by the examples.

    log-odds of x  =  words(x)  +  v · (x - usual) / radius  +  b

    words(x) = -6 + 2 · (cosine of x and the words, in deviations from what 56 everyday sounds have with them)
    v ~ N(0, 20 · I)    b ~ N(0, 1)          what is fitted: the mode of the posterior   (5 · I without counter-examples)

Without examples v = b = 0: the words alone. `usual` and `radius` are the mean of the 56 sounds' embeddings and their
root mean square distance from it, so that the numbers mean the same for every model. How far the words are trusted is
not fitted: counter-examples are picked from the top of a search for the words, so they always speak against the words,
more than the words deserve. Yes and no weigh alike: marked examples are chosen, not drawn, so how many there are of
each tells nothing of how often the sound is heard; log(yes / no) is added while fitting and not after (King & Zeng
2001). The problem is convex; Newton's steps are taken in the span of the examples, which the mode lies in. The numbers
were chosen on folds 1 and 2 of ESC-10, with labels and paraphrases as words, and on synthesised sounds in groups
(docs/teach.md). Knows nothing of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.confidence import reference_bank
from openclap.errors import UsageError
from openclap.normalization import normalize_rows
from openclap.scores import logistic

if TYPE_CHECKING:
    from openclap.embedder import Embedder

__all__ = ["FitProblem", "Prior", "TrainingSet", "make_prior"]

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WORDS = (-6.0, 2.0)  # log-odds of the words alone: a + b · deviations
STAY = 0.05  # precision of v around 0
STAY_ALONE = 0.2  # where no counter-example is a recording: yes and synthesised no also differ in that
SURE_OF_BIAS = 1.0  # precision of b around 0
STEPS, ENOUGH = 50, 1e-9  # Newton's steps at most; the objective's change that ends them


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known before the first example: what is usual for a model, and what the words say.

    Attributes
    ----------
    mean : float64 (E,)
    radius : float
    direction : float64 (E,)
        Of the words: their log-odds of x are `start` + `direction` · x; zeros where there are none.
    start : float
    sounds : float32 (56, E)
        The everyday sounds.
    """

    mean: Floats
    radius: float
    direction: Floats
    start: float
    sounds: Vectors

    def words(self, rows: npt.ArrayLike) -> Floats:
        """Log-odds (N,) of embeddings (N, E) by the words alone."""
        found: Floats = np.asarray(rows, np.float64) @ self.direction + self.start
        return found


def make_prior(clap: Embedder, text: str | None) -> Prior:
    """The ground for a model and words; None, no words."""
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
    """What is fitted to: unit rows (N, E), whether each is a yes (N,), whether it was drawn and not marked (N,)."""

    rows: Vectors
    heard: Flags
    drawn: Flags

    @classmethod
    def of(cls, yes: npt.ArrayLike, no: npt.ArrayLike, drawn: npt.ArrayLike, size: int) -> TrainingSet:
        """Yes (N, E), no (M, E) and drawn (K, E) in this order; copies of a row among the yes, and among the no, count once.

        Raises
        ------
        UsageError
            No yes, rows of another size, or rows that are not finite.
        """
        parts = [_rows(part, size, name) for part, name in ((yes, "yes"), (no, "no"), (drawn, "drawn"))]
        if not len(parts[0]):
            raise UsageError("nothing to learn from: give at least one example of the sound (yes)")
        parts = [part[distinct_rows(part)] for part in parts]
        counts = [len(part) for part in parts]
        return cls(
            np.concatenate(parts), np.repeat([True, False, False], counts), np.repeat([False, False, True], counts)
        )

    @property
    def weight(self) -> Floats:
        """Marked examples weigh 1.

        Marked and drawn no's together weigh twice the yes's, where there are drawn ones; each drawn one 1 at most.

        (N,)
        """
        yes, drawn = int(self.heard.sum()), int(self.drawn.sum())
        marked = len(self.rows) - yes - drawn
        share = min(1.0, (2 * yes - min(marked, yes)) / max(drawn, 1))
        return np.where(self.drawn, share, 1.0)


class FitProblem:
    """The fit of all the examples, or of some of them, as cross-validation asks."""

    def __init__(self, ground: Prior, examples: TrainingSet, *, alone: bool = False) -> None:
        """`alone`: what was drawn are the synthesised sounds that stand in where there is no other counter-example."""
        self._ground = ground
        self.examples = examples
        self._weight = examples.weight
        centred = (examples.rows - ground.mean) / ground.radius  # (N, E)
        few = 2 * len(centred) <= len(ground.mean)  # a basis costs more than it saves, otherwise
        self._basis = np.linalg.qr(centred.T)[0] if few else None  # (E, N)
        inside = centred if self._basis is None else centred @ self._basis  # (N, R)
        self.words = ground.words(examples.rows)  # (N,)
        self._features = np.column_stack([inside, np.ones(len(inside))])
        self._precision = np.full(self._features.shape[1], STAY_ALONE if alone else STAY)
        self._precision[-1] = SURE_OF_BIAS

    def solve(self, some: Flags | None = None) -> Floats:
        """The mode for these examples (N,), or for all: v in the span, and b."""
        chosen = np.ones(len(self._features), bool) if some is None else some
        heard = self.examples.heard[chosen]
        return _mode(self._features[chosen], self.words[chosen], heard, self._weight[chosen], self._precision)

    def logit(self, mode: Floats, some: Flags) -> Floats:
        """What a fit says of some examples."""
        found: Floats = self._features[some] @ mode + self.words[some]
        return found

    def as_linear(self, mode: Floats) -> tuple[Vectors, float]:
        """A fit as weight (E,) and bias of raw embeddings."""
        ground, inside, b = self._ground, mode[:-1], mode[-1]
        moved = (inside if self._basis is None else self._basis @ inside) / ground.radius
        return (ground.direction + moved).astype(np.float32), float(ground.start + b - moved @ ground.mean)


def distinct_rows(rows: Vectors) -> npt.NDArray[np.int64]:
    """Places of rows (N, E) that are no copies of an earlier one (cosine of 0.99999 and more), in bounded memory."""
    kept = np.ones(len(rows), bool)
    for start in range(0, len(rows), 1024):
        block = rows[start : start + 1024]
        same = block @ rows[: start + len(block)].T >= 0.99999  # (1024, up to here)
        same &= np.arange(start + len(block))[None] < np.arange(start, start + len(block))[:, None]
        kept[start : start + len(block)] = ~same.any(1)
    return np.flatnonzero(kept)


def _rows(given: npt.ArrayLike, size: int, name: str) -> Vectors:
    rows = np.asarray(given, np.float32)
    rows = rows.reshape(0, size) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] != size:
        raise UsageError(f"{name} is {rows.shape}; embeddings of this model are (N, {size})")
    if not np.isfinite(rows).all():
        raise UsageError(f"{name} holds NaN or infinite values; embed the sounds again")
    return normalize_rows(rows)


def _mode(features: Floats, words: Floats, heard: Flags, weight: Floats, precision: Floats) -> Floats:
    """The minimum of a weighted logistic loss with a Gaussian prior around 0, by Newton's method; `words` (N,) is added to all log-odds."""
    yes, no = float(weight[heard].sum()), float(weight[~heard].sum())
    given = words + (math.log(yes / no) if yes and no else 0.0)

    def objective(theta: Floats) -> float:
        z = features @ theta + given
        return float(weight @ (np.logaddexp(0, z) - heard * z) + 0.5 * precision @ theta**2)

    theta = np.zeros(features.shape[1])
    worth = objective(theta)
    for _ in range(STEPS):
        chance = logistic(features @ theta + given)
        slope = features.T @ (weight * (chance - heard)) + precision * theta
        curve = (features * (weight * chance * (1 - chance))[:, None]).T @ features
        curve[np.diag_indices_from(curve)] += precision
        step, size = np.linalg.solve(curve, slope), 1.0
        while size > 1e-9 and (now := objective(theta - size * step)) > worth:
            size /= 2
        if size <= 1e-9 or worth - now < ENOUGH * max(1.0, worth):
            return theta
        theta, worth = theta - size * step, now
    return theta
