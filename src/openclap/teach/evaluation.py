"""How well a detector does on examples that it was not taught by, and what a few examples can tell of that at all.

    examples ─ dealt into folds, each with its share of yes and no ─ every fold judged by a fit of the others ─┐
        ↑ dealt anew                                                                                           ├─ mean log-odds
        └──────────────────────────────────────────────────────────────────────────────────────────────────────┘  of each

Precision and recall are those at a probability of 0.5; average precision is the mean over the yes of the precision down
to each. All three are shares of so many examples, and have Wilson's 95 % intervals; for average precision, a mean of
numbers in [0, 1], it is a little too wide. The words alone are judged on the same examples. The difference in average
precision has a percentile bootstrap interval over examples, yes and no by themselves. Marked examples are chosen, so
all of this holds for such a choice: in a folder where the sound is rare, precision is lower.
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
REPEATS = ((60, 10), (600, 3))  # examples at most, times they are dealt; else once
DRAWS = 1000  # of the bootstrap
NORMAL = 1.959964  # 97.5 % of a normal distribution lies below


def cross_validate(problem: FitProblem, *, words: bool = True, seed: int = 0) -> dict[str, Any]:
    """Cross-validated precision, recall and average precision, and those of the words alone.

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
    unmarked = int((~examples.heard & ~examples.drawn).sum()) < 2
    judged = np.ones(len(examples.rows), bool) if unmarked else ~examples.drawn
    heard = examples.heard[judged]
    yes, no = int(heard.sum()), int((~heard).sum())
    if min(yes, no) < 2:
        return {
            "judged": False,
            "why": f"{yes} yes and {no} no are too few to leave some out; mark two of each, or more",
        }
    folds = min(FOLDS, yes, no)
    repeats = next((times for most, times in REPEATS if len(heard) <= most), 1)
    random = np.random.default_rng(seed)
    logit = np.mean([_out_of_fold_logits(problem, judged, folds, random) for _ in range(repeats)], axis=0)
    text = problem.words[judged]
    report: dict[str, Any] = {
        "judged": True,
        "yes": yes,
        "no": no,
        "unmarked": unmarked,
        "folds": folds,
        "repeats": repeats,
        **_precision_and_recall(heard, logit),
        "average_precision": _with_interval(average_precision(logit, heard), yes),
        "text": None,
        "gain": None,
        "verdict": None,
    }
    if words:
        alone = {name: share["value"] for name, share in _precision_and_recall(heard, text).items()}
        gain = _gain(heard, logit, text, random)
        verdict = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "even"
        report |= {
            "text": {**alone, "average_precision": average_precision(text, heard)},
            "gain": gain,
            "verdict": verdict,
        }
    return report


def wilson(share: float, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in so many cases; (0, 1) in none."""
    if not of:
        return 0.0, 1.0
    z = NORMAL**2 / of
    middle = (share + z / 2) / (1 + z)
    half = NORMAL / (1 + z) * math.sqrt(share * (1 - share) / of + z / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _out_of_fold_logits(problem: FitProblem, judged: Flags, folds: int, random: np.random.Generator) -> Floats:
    """Log-odds of every judged example by a fit without its fold."""
    heard = problem.examples.heard
    fold = np.full(len(heard), -1)
    for part in (judged & heard, judged & ~heard):
        places = np.flatnonzero(part)
        fold[random.permutation(places)] = np.arange(len(places)) % folds
    logit = np.zeros(len(heard))
    for number in range(folds):
        logit[fold == number] = problem.logit(problem.solve(fold != number), fold == number)
    found: Floats = logit[judged]
    return found


def _precision_and_recall(heard: Flags, logit: Floats) -> dict[str, dict[str, float | None]]:
    said = logit >= 0
    right, told = int((said & heard).sum()), int(said.sum())
    precision = _with_interval(right / told, told) if told else {"value": None, "low": 0.0, "high": 1.0}
    return {"precision": precision, "recall": _with_interval(right / int(heard.sum()), int(heard.sum()))}


def _with_interval(share: float, of: int) -> dict[str, float | None]:
    low, high = wilson(share, of)
    return {"value": share, "low": low, "high": high}


def _gain(heard: Flags, logit: Floats, text: Floats, random: np.random.Generator) -> dict[str, float]:
    """How much higher the average precision is than that of the words."""
    taught, words = PrecisionSteps(logit, heard), PrecisionSteps(text, heard)
    parts = [np.flatnonzero(heard), np.flatnonzero(~heard)]

    def difference(counts: Ints | None = None) -> float:
        return taught.area(counts) - words.area(counts)

    draws = np.zeros(DRAWS)
    for i in range(DRAWS):
        again = np.concatenate([random.choice(part, len(part)) for part in parts])
        draws[i] = difference(np.bincount(again, minlength=len(heard)))
    low, high = np.quantile(draws, (0.025, 0.975))
    return {"value": difference(), "low": float(low), "high": float(high)}
