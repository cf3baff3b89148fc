"""Chooses, from a list of labels, the tags that a sound's windows hold; everything is unit vectors here.

    windows (W, E) ─ confidence of every label (W, L) ─ the best window of each ─ above the threshold ─ families ─ tags

Families: Dog, Bark and Domestic animals are three names of one thing, so only one of them becomes a tag. Two labels are
of one family where their vectors, minus what all texts have in common (the mean of the reference bank's texts), have a
cosine of `ALIKE` or more; where one label holds all words of the other, a little less is enough. `LabelFacts` says what
else is known of a list of labels.

Of the labels of a family that are about as sure as the surest, the one that comes first in the list becomes the tag, as
lists name the general before the particular: Dog before Bow-wow. Tags are in the order of their confidence. Only labels
above the threshold are compared, so a vocabulary may hold any number of labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank
from openclap.errors import UsageError
from openclap.normalization import Vectors
from openclap.options import DescribeOptions
from openclap.results import Tag

__all__ = ["ALIKE", "LabelFacts", "Vocabulary", "check_labels"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

# Of 84 pairs that are names of one thing 60 lie above with mini, 58 with mini-3; of 69 of different things 11 and 16.
# Rain/Raindrop 0.86, Dog/Bark 0.67, Duck/Quack 0.74; Dog/Cat 0.39, Wind/Rain 0.31, Piano/Violin 0.17 (mini).
ALIKE = DescribeOptions.alike
WITH_WORDS = 0.8  # times ALIKE is enough where one label holds all words of the other: Bell, Bicycle bell
AS_SURE = 0.1  # confidences that differ by less are about the same
TYPICAL = 0.75  # quantile over the windows of a span: among many names, one is always sure in a single window
AT_ONCE = 2_000_000  # confidences that are in memory at once: 8 MB
MOST = 100  # how many labels above the threshold are compared, the surest ones
LITTLE = {"and", "or", "of", "the", "etc", "in", "with", "on", "sound", "sounds", "music", "noise"}


@dataclass(frozen=True, eq=False)
class LabelFacts:
    """What is known of L labels besides their texts.

    Attributes
    ----------
    extra_evidence : float32 (L,)
        What is subtracted from the logit of each label: how much more evidence it needs.
    same_thing : bool (L, L)
        Whether the labels of row and column are names of one thing.
    is_above : bool (L, L)
        Whether the label of the row is an umbrella term over that of the column: Animal over Dog. An umbrella term
        becomes a tag only where it is clearly surer than everything below it.
    """

    extra_evidence: Vectors
    same_thing: Bools
    is_above: Bools


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The labels that a sound may be given, with their vectors.

    Attributes
    ----------
    labels : tuple of str, L of them
    vectors : float32 (L, E)
        Unit rows: the labels, embedded as they are, since the confidence was fitted on bare phrases.
    reference : ReferenceBank
        What is usual for the model.
    facts : LabelFacts or None
        What else is known of the labels.
    """

    labels: tuple[str, ...]
    vectors: Vectors
    reference: ReferenceBank
    facts: LabelFacts | None = None

    def best_confidences(self, windows: Vectors) -> tuple[Vectors, Ints]:
        """The highest confidence of each label over windows (W, E), and the window that has it: (L,), (L,)."""
        sure = np.full(len(self.labels), -1.0, np.float32)
        where = np.zeros(len(self.labels), np.intp)
        rows = max(1, AT_ONCE // len(self.labels))
        for start in range(0, len(windows), rows):
            some = self.reference.confidences(self.vectors, windows[start : start + rows])
            here = some.argmax(0)
            values = some[here, np.arange(len(self.labels))]
            better = values > sure
            sure[better], where[better] = values[better], start + here[better]
        return sure if self.facts is None else _subtract_evidence(sure, self.facts.extra_evidence), where

    def typical_confidences(self, windows: Vectors) -> tuple[Vectors, Ints]:
        """For each label the confidence that a quarter of windows (W, E) reaches, and a window with it: (L,), (L,)."""
        sure = self.reference.confidences(self.vectors, windows)
        where = sure.argsort(0, kind="stable")[round(TYPICAL * (len(windows) - 1))]
        made: Vectors = sure[where, np.arange(len(self.labels))]
        return made if self.facts is None else _subtract_evidence(made, self.facts.extra_evidence), where

    def tags(
        self, windows: Vectors, *, threshold: float | None = None, top: int = 5, alike: float = ALIKE
    ) -> list[Tag]:
        """The tags of windows (W, E), at most one of each family, the best first.

        A label counts by its best window, where its confidence is `threshold` or more (None takes the model's
        threshold).
        """
        return self.choose_tags(windows, *self.best_confidences(windows), threshold=threshold, top=top, alike=alike)

    def choose_tags(
        self, windows: Vectors, sure: Vectors, where: Ints, *, threshold: float | None, top: int, alike: float
    ) -> list[Tag]:
        """The tags, where the confidence of every label is known and the window that has it: (L,), (L,)."""
        if threshold is None:
            threshold = self.reference.curves.unlikely
        order = [int(i) for i in np.argsort(-sure, kind="stable")[:MOST] if sure[i] >= threshold]
        made = []
        for group in self.group_families(order, sure, alike):
            name = self.representative(group, sure)
            cosine = float(np.clip(windows[where[name]] @ self.vectors[name], -1.0, 1.0))
            others = [self.labels[i] for i in group if i != name]
            made.append(Tag(self.labels[name], round(float(sure[name]), 4), round(cosine, 4), others))
        return sorted(made, key=lambda tag: -tag.confidence)[:top]

    def representative(self, group: Sequence[int], sure: Vectors) -> int:
        """The label that stands for a whole family, by the confidences of all labels (L,)."""
        specific = [i for i in group if not self._is_above(i, group)] or list(group)
        best = max(sure[i] for i in specific)
        return min(i for i in specific if sure[i] >= best - AS_SURE)

    def group_families(self, order: Sequence[int], sure: Vectors, alike: float = ALIKE) -> list[list[int]]:
        """Put labels of one family into one group, the surest first.

        `sure` holds the confidences of all labels (L,). A label joins the first group whose surest member is of its
        family; then groups whose representatives are of one family are joined. Umbrella terms come last: otherwise
        Animal, as the surest, would join Dog and Cat.
        """
        order = sorted(order, key=lambda i: -sure[i])
        same_family = self._same_family(order, sure, alike)
        groups: list[list[int]] = []  # of places in `order`
        for place in sorted(range(len(order)), key=lambda i: (self._is_above(order[i], order), i)):
            group = next((group for group in groups if same_family[place, group[0]]), None)
            groups.append([place]) if group is None else group.append(place)
        self._join(groups, order, same_family, sure)
        return [[order[i] for i in sorted(group)] for group in sorted(groups, key=min)]

    def _join(self, groups: list[list[int]], order: Sequence[int], same_family: Bools, sure: Vectors) -> None:
        """Join groups whose representatives are of one family, until there are none."""
        place = {label: i for i, label in enumerate(order)}
        names = [place[self.representative([order[i] for i in group], sure)] for group in groups]
        while True:
            pairs = ((a, b) for b in range(len(groups)) for a in range(b) if same_family[names[a], names[b]])
            pair = next(pairs, None)
            if pair is None:
                return
            a, b = pair
            groups[a] += groups.pop(b)
            names.pop(b)
            names[a] = place[self.representative([order[i] for i in groups[a]], sure)]

    def _same_family(self, order: Sequence[int], sure: Vectors, alike: float) -> Bools:
        """Which of K labels are of one family → (K, K)."""
        at = np.array(order, np.intp)
        special = self.vectors[at] - self.reference.texts.mean(0)  # without what all texts have in common
        special /= np.maximum(np.linalg.norm(special, axis=1, keepdims=True), 1e-6)
        cosines = special @ special.T
        same: Bools = cosines >= alike
        if alike >= 1:
            return same
        words = [_words(self.labels[i]) for i in order]
        for a, b in np.argwhere(np.triu((cosines >= WITH_WORDS * alike) & ~same, 1)):
            same[a, b] = same[b, a] = bool(words[a] and words[b]) and (words[a] <= words[b] or words[b] <= words[a])
        if self.facts is not None:
            same |= self.facts.same_thing[np.ix_(at, at)]
            above = self.facts.is_above[np.ix_(at, at)]
            near = sure[at][None] >= sure[at][:, None] - AS_SURE  # (umbrella term, label below it)
            same = np.where(above | above.T, (above & near) | (above & near).T, same)
        return same

    def _is_above(self, label: int, others: Sequence[int]) -> bool:
        return self.facts is not None and bool(self.facts.is_above[label, list(others)].any())

    def nearest_label(self, windows: Vectors) -> str:
        """The label with the highest confidence, however low that is."""
        return self.labels[int(self.best_confidences(windows)[0].argmax())]


def _subtract_evidence(sure: Vectors, evidence: Vectors) -> Vectors:
    """Confidences (L,), with evidence (L,) subtracted from their logits."""
    odds = sure / np.maximum(1 - sure, 1e-12) * np.exp(-evidence)
    return (odds / (1 + odds)).astype(np.float32)


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels without the empty ones and repetitions.

    Raises
    ------
    UsageError
        No label is left, or one is no text.
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
