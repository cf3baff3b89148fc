"""Measures how well a detector does on examples that it was not taught by, and how sure that is with so few of them.

    examples ─ dealt into folds, each with its share of yes and no ─ each fold judged by a fit of the others ─┐
        ↑ dealt again, some times                                                                             │
        └─────────────────────────────────────────────────────────────────────── mean log-odds of each example ┘

"Yes" are examples of the sound, "no" are counter-examples. Precision and recall are those at a probability of 0.5;
average precision is the mean of the precision at each yes in the ranking. All three are shares of so many examples and
have Wilson's 95 % intervals; for average precision, a mean of numbers in [0, 1], that is a little too wide. The words
alone are judged on the same examples. The difference in average precision has a percentile bootstrap interval over
examples, yes and no drawn separately. Examples are chosen by people, so all of this holds for such a choice: in a
folder where the sound is rare, precision is lower.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.scores import PrecisionSteps, average_precision
from openclap.teach.fitting import FitProblem, Flags, Floats

Ints = npt.NDArray[np.int64]

__all__ = ["cross_validate", "wilson"]

FOLDS = 5
REPEATS = ((60, 10), (600, 3))  # up to so many examples are dealt so many times; more examples, once
DRAWS = 1000  # of the bootstrap
NORMAL = 1.959964  # the 97.5 % quantile of a normal distribution


def cross_validate(problem: FitProblem, *, words: bool = True, seed: int = 0) -> dict[str, Any]:
    """Cross-validate a fit: precision, recall and average precision, and those of the words alone.

    Returns
    -------
    dict
        "judged": False and "why", where there are too few examples; else "yes", "no" (how many were judged; "unmarked":
        whether the no's were only drawn), "folds", "repeats", "precision", "recall", "average_precision": {"value",
        "low", "high"}, "text": the three values of the words alone, "gain": the difference in average precision, and
        "verdict": "better", "worse", or "even" where the examples cannot tell. Without `words`, "text", "gain" and
        "verdict" are None.
    """
    examples = problem.examples
    unmarked = int((~examples.is_yes & ~examples.drawn).sum()) < 2
    judged = np.ones(len(examples.rows), bool) if unmarked else ~examples.drawn
    is_yes = examples.is_yes[judged]
    yes, no = int(is_yes.sum()), int((~is_yes).sum())
    if min(yes, no) < 2:
        return {
            "judged": False,
            "why": f"{yes} yes and {no} no are too few to leave some out; mark two of each, or more",
        }
    folds = min(FOLDS, yes, no)
    repeats = next((times for most, times in REPEATS if len(is_yes) <= most), 1)
    random = np.random.default_rng(seed)
    logit = np.mean([_out_of_fold_logits(problem, judged, folds, random) for _ in range(repeats)], axis=0)
    text = problem.word_logits[judged]
    report: dict[str, Any] = {
        "judged": True,
        "yes": yes,
        "no": no,
        "unmarked": unmarked,
        "folds": folds,
        "repeats": repeats,
        **_precision_and_recall(is_yes, logit),
        "average_precision": _with_interval(average_precision(logit, is_yes), yes),
        "text": None,
        "gain": None,
        "verdict": None,
    }
    if words:
        alone = {name: share["value"] for name, share in _precision_and_recall(is_yes, text).items()}
        gain = _gain(is_yes, logit, text, random)
        verdict = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "even"
        report |= {
            "text": {**alone, "average_precision": average_precision(text, is_yes)},
            "gain": gain,
            "verdict": verdict,
        }
    return report


def wilson(share: float, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share that was seen in `of` cases; (0, 1) without any."""
    if not of:
        return 0.0, 1.0
    z = NORMAL**2 / of
    middle = (share + z / 2) / (1 + z)
    half = NORMAL / (1 + z) * math.sqrt(share * (1 - share) / of + z / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _out_of_fold_logits(problem: FitProblem, judged: Flags, folds: int, random: np.random.Generator) -> Floats:
    """The log-odds of every judged example, by a fit without its fold."""
    is_yes = problem.examples.is_yes
    fold = np.full(len(is_yes), -1)
    for part in (judged & is_yes, judged & ~is_yes):
        places = np.flatnonzero(part)
        fold[random.permutation(places)] = np.arange(len(places)) % folds
    logit = np.zeros(len(is_yes))
    for number in range(folds):
        logit[fold == number] = problem.logit(problem.solve(fold != number), fold == number)
    return logit[judged]


def _precision_and_recall(is_yes: Flags, logit: Floats) -> dict[str, dict[str, float | None]]:
    detected = logit >= 0
    right, count, yes = int((detected & is_yes).sum()), int(detected.sum()), int(is_yes.sum())
    precision = _with_interval(right / count, count) if count else {"value": None, "low": 0.0, "high": 1.0}
    return {"precision": precision, "recall": _with_interval(right / yes, yes)}


def _with_interval(share: float, of: int) -> dict[str, float | None]:
    low, high = wilson(share, of)
    return {"value": share, "low": low, "high": high}


def _gain(is_yes: Flags, logit: Floats, text: Floats, random: np.random.Generator) -> dict[str, float]:
    """How much higher the average precision is than that of the words, with its interval."""
    detector, words = PrecisionSteps(logit, is_yes), PrecisionSteps(text, is_yes)
    parts = [np.flatnonzero(is_yes), np.flatnonzero(~is_yes)]

    def difference(counts: Ints | None = None) -> float:
        return detector.area(counts) - words.area(counts)

    draws = np.zeros(DRAWS)
    for i in range(DRAWS):
        drawn = np.concatenate([random.choice(part, len(part)) for part in parts])
        draws[i] = difference(np.bincount(drawn, minlength=len(is_yes)))
    low, high = np.quantile(draws, (0.025, 0.975))
    return {"value": difference(), "low": float(low), "high": float(high)}
