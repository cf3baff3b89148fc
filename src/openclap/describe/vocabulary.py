"""Labels with their vectors, and which of them a sound's windows hold.

Knows nothing of sounds and models, only of unit vectors.

    windows (W, E) ─ confidence of every label (W, L) ─ the best window of each ─ above the threshold ─ families ─ tags

Families: Dog, Bark and Domestic animals are three names of one thing, so one of them stands for all. Two labels are of
one family where their vectors, less what all texts have in common (the mean of the background's), have a cosine of
`ALIKE` or more; where one says all words of the other, a little less is enough. What is known of a list beside that is
told by `Names`. Of the labels that are about as sure as the surest, the one that comes first in the list stands for
all: lists name the general before the particular, Dog before Bow-wow. No two tags have names of one family, and tags
are in the order of their confidence. Only labels that passed the threshold are compared, so a vocabulary may hold any
number of labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank
from openclap.errors import UsageError
from openclap.options import DescribeOptions
from openclap.results import Tag

__all__ = ["ALIKE", "Names", "Vocabulary", "check_labels"]

Vectors = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

# Of 84 pairs that are names of one thing 60 lie above with mini, 58 with mini-3; of 69 of different things 11 and 16.
# Rain/Raindrop 0.86, Dog/Bark 0.67, Duck/Quack 0.74; Dog/Cat 0.39, Wind/Rain 0.31, Piano/Violin 0.17 (mini).
ALIKE = DescribeOptions.alike
WITH_WORDS = 0.8  # of that is enough where one label says all words of the other: Bell, Bicycle bell
AS_SURE = 0.1  # of confidence
THROUGHOUT = (
    0.75  # of the windows of a span may be less sure than its label: one window is enough for some name of many
)
AT_ONCE = 2_000_000  # confidences in memory: 8 MB
MOST = 100  # labels above the threshold that are looked at, the surest
LITTLE = {"and", "or", "of", "the", "etc", "in", "with", "on", "sound", "sounds", "music", "noise"}


@dataclass(frozen=True, eq=False)
class Names:
    """What is known of L labels beside their texts.

    Attributes
    ----------
    less : float32 (L,)
        What is taken from the logit of each: how much more evidence it needs.
    same : bool (L, L)
        Names of one thing.
    above : bool (L, L)
        Whether the label of the row is an umbrella over that of the column: Animal over Dog. It is said only where it
        is clearly surer than all that it stands above.
    """

    less: Vectors
    same: Bools
    above: Bools


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
    names : Names or None
        What else is known of the labels.
    """

    labels: tuple[str, ...]
    vectors: Vectors
    reference: ReferenceBank
    names: Names | None = None

    def best_confidences(self, windows: Vectors) -> tuple[Vectors, Ints]:
        """The highest confidence of each label over windows (W, E), and in which window: (L,), (L,)."""
        sure = np.full(len(self.labels), -1.0, np.float32)
        where = np.zeros(len(self.labels), np.intp)
        rows = max(1, AT_ONCE // len(self.labels))
        for start in range(0, len(windows), rows):
            some = self.reference.confidences(self.vectors, windows[start : start + rows])
            here = some.argmax(0)
            values = some[here, np.arange(len(self.labels))]
            better = values > sure
            sure[better], where[better] = values[better], start + here[better]
        return sure if self.names is None else _subtract_evidence(sure, self.names.less), where

    def throughout(self, windows: Vectors) -> tuple[Vectors, Ints]:
        """The confidence of each label that a quarter of the windows (W, E) reaches, and one of these that has it: (L,), (L,)."""
        sure = self.reference.confidences(self.vectors, windows)
        where = sure.argsort(0, kind="stable")[round(THROUGHOUT * (len(windows) - 1))]
        made: Vectors = sure[where, np.arange(len(self.labels))]
        return made if self.names is None else _subtract_evidence(made, self.names.less), where

    def tags(
        self, windows: Vectors, *, threshold: float | None = None, top: int = 5, alike: float = ALIKE
    ) -> list[Tag]:
        """Labels heard in one of the windows (W, E) with a confidence of `threshold` or more (None: the model's), one a family, best first."""
        return self.named(windows, *self.best_confidences(windows), threshold=threshold, top=top, alike=alike)

    def named(
        self, windows: Vectors, sure: Vectors, where: Ints, *, threshold: float | None, top: int, alike: float
    ) -> list[Tag]:
        """`tags` where the confidence of every label (L,) is known, and in which window it is so."""
        if threshold is None:
            threshold = self.reference.curves.unlikely
        order = [int(i) for i in np.argsort(-sure, kind="stable")[:MOST] if sure[i] >= threshold]
        made = []
        for group in self.families(order, sure, alike):
            name = self.leading(group, sure)
            cosine = float(np.clip(windows[where[name]] @ self.vectors[name], -1.0, 1.0))
            others = [self.labels[i] for i in group if i != name]
            made.append(Tag(self.labels[name], round(float(sure[name]), 4), round(cosine, 4), others))
        return sorted(made, key=lambda tag: -tag.confidence)[:top]

    def leading(self, group: Sequence[int], sure: Vectors) -> int:
        """Which of a family stands for all, by the confidences of all labels (L,)."""
        telling = [i for i in group if not self._is_above(i, group)] or list(group)
        best = max(sure[i] for i in telling)
        return min(i for i in telling if sure[i] >= best - AS_SURE)

    def families(self, order: Sequence[int], sure: Vectors, alike: float = ALIKE) -> list[list[int]]:
        """Labels, by the confidences of all labels (L,) → groups, each with its members as sure as they are; none has a name akin to another's.

        A label joins the first group whose surest member it is akin to; then groups whose names are akin are one.
        Umbrellas come last: else Animal, as the surest, would make Dog and Cat one.
        """
        order = sorted(order, key=lambda i: -sure[i])
        akin = self._akin(order, sure, alike)
        groups: list[list[int]] = []  # of places in `order`
        for place in sorted(range(len(order)), key=lambda i: (self._is_above(order[i], order), i)):
            group = next((group for group in groups if akin[place, group[0]]), None)
            groups.append([place]) if group is None else group.append(place)
        self._join(groups, order, akin, sure)
        return [[order[i] for i in sorted(group)] for group in sorted(groups, key=min)]

    def _join(self, groups: list[list[int]], order: Sequence[int], akin: Bools, sure: Vectors) -> None:
        """Make one of groups whose names are akin, until there are none."""
        place = {label: i for i, label in enumerate(order)}
        names = [place[self.leading([order[i] for i in group], sure)] for group in groups]
        while True:
            pair = next(((a, b) for b in range(len(groups)) for a in range(b) if akin[names[a], names[b]]), None)
            if pair is None:
                return
            a, b = pair
            groups[a] += groups.pop(b)
            names.pop(b)
            names[a] = place[self.leading([order[i] for i in groups[a]], sure)]

    def _akin(self, order: Sequence[int], sure: Vectors, alike: float) -> Bools:
        """Which of some labels are of one family, (K, K)."""
        at = np.array(order, np.intp)
        own = self.vectors[at] - self.reference.texts.mean(0)
        own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-6)
        cosines = own @ own.T
        akin: Bools = cosines >= alike
        if alike >= 1:
            return akin
        words = [_words(self.labels[i]) for i in order]
        for a, b in np.argwhere(np.triu((cosines >= WITH_WORDS * alike) & ~akin, 1)):
            akin[a, b] = akin[b, a] = bool(words[a] and words[b]) and (words[a] <= words[b] or words[b] <= words[a])
        if self.names is not None:
            akin |= self.names.same[np.ix_(at, at)]
            above = self.names.above[np.ix_(at, at)]
            near = sure[at][None] >= sure[at][:, None] - AS_SURE  # (umbrella, what it stands above)
            akin = np.where(above | above.T, (above & near) | (above & near).T, akin)
        return akin

    def _is_above(self, label: int, others: Sequence[int]) -> bool:
        return self.names is not None and bool(self.names.above[label, list(others)].any())

    def nearest_label(self, windows: Vectors) -> str:
        """The label whose confidence is the highest, however low."""
        return self.labels[int(self.best_confidences(windows)[0].argmax())]


def _subtract_evidence(sure: Vectors, less: Vectors) -> Vectors:
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
