"""Labels with their vectors, and which of them a sound's windows hold. Knows nothing of sounds and models, only of unit vectors.

    windows (W, E) ─ confidence of every label (W, L) ─ the best window of each ─ above the threshold ─ families ─ tags

Families: Dog, Bark and Domestic animals are three names of one thing, so the surest of them stands for all. Two labels are of one
family where their vectors, less what all texts have in common (the mean of the background's), have a cosine of `ALIKE` or more,
or where they share a word. Of the labels that are about as sure as the surest, the one that comes first in the list stands for all:
lists name the general before the particular, Dog before Bow-wow. Only labels that passed the threshold are compared, so a vocabulary may hold any number of labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.confidence import Background
from openclap.errors import UsageError
from openclap.results import Tag

__all__ = ["ALIKE", "Vocabulary", "check_labels"]

Vectors = npt.NDArray[np.float32]

ALIKE = 0.5  # Rain/Raindrop 0.97, Dog/Bark 0.78, Dog/Domestic animals 0.65, Rain/Ocean 0.58; Wind/Rain 0.26, Dog/Cat 0.02 (mini)
AS_SURE = 0.1  # of confidence
AT_ONCE = 2_000_000  # confidences in memory: 8 MB
MOST = 100  # labels above the threshold that are looked at, the surest
LITTLE = {"and", "or", "of", "the", "etc", "in", "with", "on", "sound", "sounds", "music", "noise"}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What may be heard.

    Attributes
    ----------
    labels : tuple of str, L of them
    vectors : float32 (L, E)
        Unit rows, the labels as texts: the confidence was fitted on bare phrases.
    usual : Background
        What is usual for the model.
    less : float32 (L,) or None
        What is taken from the logit of each label: how much more evidence it needs.
    """

    labels: tuple[str, ...]
    vectors: Vectors
    usual: Background
    less: Vectors | None = None

    def best(self, windows: Vectors) -> tuple[Vectors, npt.NDArray[np.intp]]:
        """The highest confidence of each label over windows (W, E), and in which window: (L,), (L,)."""
        sure = np.full(len(self.labels), -1.0, np.float32)
        where = np.zeros(len(self.labels), np.intp)
        rows = max(1, AT_ONCE // len(self.labels))
        for start in range(0, len(windows), rows):
            some = self.usual.confidences(self.vectors, windows[start : start + rows])
            here = some.argmax(0)
            values = some[here, np.arange(len(self.labels))]
            better = values > sure
            sure[better], where[better] = values[better], start + here[better]
        return sure if self.less is None else _lessened(sure, self.less), where

    def tags(
        self, windows: Vectors, *, threshold: float | None = None, top: int = 5, alike: float = ALIKE
    ) -> list[Tag]:
        """Labels heard in one of the windows (W, E) with a confidence of `threshold` or more (None: the model's), one a family, best first."""
        if threshold is None:
            threshold = self.usual.curves.unlikely
        sure, where = self.best(windows)
        order = [int(i) for i in np.argsort(-sure, kind="stable")[:MOST] if sure[i] >= threshold]
        made = []
        for group in self.families(order, alike)[:top]:
            name = self.leading(group, sure)
            cosine = float(np.clip(windows[where[name]] @ self.vectors[name], -1.0, 1.0))
            others = [self.labels[i] for i in group if i != name]
            made.append(Tag(self.labels[name], round(float(sure[name]), 4), round(cosine, 4), others))
        return made

    def leading(self, group: Sequence[int], sure: Vectors) -> int:
        """Which of a family stands for all, by the confidences of all labels (L,)."""
        best = max(sure[i] for i in group)
        return min(i for i in group if sure[i] >= best - AS_SURE)

    def families(self, order: Sequence[int], alike: float = ALIKE) -> list[list[int]]:
        """Labels, best first → groups, each led by its best; a label joins the first group whose leader it is akin to."""
        middle = self.usual.texts.mean(0)
        own = self.vectors[list(order)] - middle
        own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-6)
        cosines = own @ own.T
        groups: list[list[int]] = []  # of places in `order`
        for i in range(len(order)):
            for group in groups:
                if cosines[i, group[0]] >= alike or (alike < 1 and self._share_a_word(order[i], order[group[0]])):
                    group.append(i)
                    break
            else:
                groups.append([i])
        return [[order[i] for i in group] for group in groups]

    def nearest(self, windows: Vectors) -> str:
        """The label whose confidence is the highest, however low."""
        return self.labels[int(self.best(windows)[0].argmax())]

    def _share_a_word(self, a: int, b: int) -> bool:
        return bool(_words(self.labels[a]) & _words(self.labels[b]))


def _lessened(sure: Vectors, less: Vectors) -> Vectors:
    """Confidences with so much taken from their logits."""
    odds = sure / np.maximum(1 - sure, 1e-12) * np.exp(-less)
    made: Vectors = (odds / (1 + odds)).astype(np.float32)
    return made


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels without the empty ones and repetitions.

    Raises
    ------
    UsageError
        None is left, or one is no text.
    """
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise UsageError(
            f"labels are a list of texts, not {type(labels).__name__}; give for example ['dog bark', 'rain']"
        )
    kept = tuple(dict.fromkeys(" ".join(label.split()) for label in labels if label.strip()))
    if not kept:
        raise UsageError("the list of labels is empty; give at least one, or leave it out for AudioSet's 527")
    return kept


def _words(label: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"\w{3,}", label.lower())} - LITTLE
