"""A word that is not known → the known words that are spelt most like it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

__all__ = ["nearest_words"]

CANDIDATES = 40  # words that are compared letter by letter
ALIKE = 0.7  # difflib's ratio from which a word is a candidate
EDITS_PER_LETTER = 0.25  # "barkng" is "barking" with one edit in six letters; beyond this it is another word
VOWELS = "aeiouy"


def nearest_words(word: str, known: Sequence[str], most: int = 2) -> tuple[str, ...]:
    """The known words that are nearest to a mistyped one, nearest first, `most` at most; none where none is near."""
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)} - {word}
    swaps = [candidate for candidate in known if candidate in swapped]  # of "dgo", difflib finds "dog" too unlike
    edits = {
        candidate: _edits(word, candidate)
        for candidate in [*swaps, *difflib.get_close_matches(word, known, CANDIDATES, ALIKE)]
    }

    def unlike(candidate: str) -> tuple[float, bool, float]:
        """Where edits are equally many, first letters are seldom wrong."""
        ratio = difflib.SequenceMatcher(None, candidate, word).ratio()
        return edits[candidate], candidate[0] != word[0], -ratio

    near = [candidate for candidate in edits if edits[candidate] <= EDITS_PER_LETTER * len(word)]
    return tuple(sorted(near, key=unlike)[:most])


def _edits(a: str, b: str) -> float:
    """Letters to insert, remove or replace; a vowel for another, a letter doubled, or a swap is half an edit."""
    before, last = [0.0] * (len(b) + 1), [float(j) for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        row = [float(i)]
        for j, y in enumerate(b, 1):
            replaced = 0.0 if x == y else 0.5 if x in VOWELS and y in VOWELS else 1.0
            inserted = 0.5 if j > 1 and y == b[j - 2] else 1.0
            removed = 0.5 if i > 1 and x == a[i - 2] else 1.0
            cost = min(last[j] + removed, row[j - 1] + inserted, last[j - 1] + replaced)
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, before[j - 2] + 0.5)
            row.append(cost)
        before, last = last, row
    return last[-1]
