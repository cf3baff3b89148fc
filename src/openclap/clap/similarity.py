"""Unit rows → cosines, and labels ranked by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.errors import UsageError
from openclap.normalization import Vectors, normalize_rows
from openclap.results import Label, Match, Scores

__all__ = ["DEFAULT_TEMPLATE", "check_template", "cosines", "is_embedding", "rank_labels", "score_texts"]


DEFAULT_TEMPLATE = "This is a sound of {}."  # the paper's zero-shot prompt


def is_embedding(thing: object, size: int) -> bool:
    """Whether a value is a unit vector (size,) that a model has made, rather than a sound."""
    return isinstance(thing, np.ndarray) and thing.shape == (size,) and bool(abs(np.linalg.norm(thing) - 1) < 1e-3)


def cosines(a: npt.ArrayLike, b: npt.ArrayLike) -> Vectors:
    """Cosines of every row of `a` (N, E) with every row of `b` (M, E) → float32 (N, M), in [-1, 1]."""
    left, right = (normalize_rows(np.atleast_2d(np.asarray(x, np.float32))) for x in (a, b))
    if left.shape[1] != right.shape[1]:
        raise UsageError(
            f"embeddings of {left.shape[1]} and {right.shape[1]} numbers cannot be compared; use one model for both"
        )
    return np.clip(left @ right.T, -1.0, 1.0)


def check_template(template: str) -> None:
    """Refuse a prompt template without exactly one place for a label."""
    if template.count("{}") != 1:
        raise UsageError(f"template {template!r} must hold {{}} once, where the label goes")


def fill_template(template: str, labels: Sequence[str]) -> list[str]:
    """The prompt of each label.

    Raises
    ------
    UsageError
        The template has no place for a label, or several.
    """
    check_template(template)
    return [template.replace("{}", label) for label in labels]


def score_texts(texts: Sequence[str], cosines: Vectors, *, silent: bool = False) -> Scores[Match]:
    """Texts (M) with their cosines (M,) to a sound, which may be `silent`, in the order given."""
    return Scores((Match(text, float(x)) for text, x in zip(texts, cosines, strict=True)), silent=silent)


def rank_labels(labels: Sequence[str], cosines: Vectors, logit_scale: float, *, silent: bool = False) -> Scores[Label]:
    """Rank labels (M) by their cosines (M,), best first, with the softmax of logit_scale * cosine.

    Of a `silent` sound every score is 0: no label fits.
    """
    exact = cosines.astype(np.float64)
    weights = np.exp(logit_scale * (exact - exact.max()))
    scores = np.zeros_like(weights) if silent else weights / weights.sum()
    order = np.argsort(-exact, kind="stable")
    return Scores((Label(labels[i], float(scores[i]), float(exact[i])) for i in order), silent=silent)
