"""What is said of a sound: labels as a sentence, words without gender. Knows nothing of sounds and models."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from openclap.errors import DataError, UsageError
from openclap.sentences.agreement import is_object, plural_verbs
from openclap.textfiles import read_records

__all__ = ["DEBIAS", "caption_from_labels", "inline_label", "join_words", "make_debiaser"]

DEBIAS = Path(__file__).parent / "debias.csv"


def caption_from_labels(labels: Sequence[str]) -> str:
    """`The sound of label-1, label-2, …, and label-n`, as in section 3.2 of the paper (arXiv 2211.06687).

    One label stands alone; two follow the same formula: `The sound of rain, and wind`.

    Raises
    ------
    UsageError
        No labels.
    """
    if not labels:
        raise UsageError("a caption of no labels says nothing; give at least one")
    return "The sound of " + ", ".join([*labels[:-1], "and " + labels[-1]] if len(labels) > 1 else labels)


def inline_label(label: str) -> str:
    """A label as it stands within a sentence: `Bark` → bark, `Vehicle horn, car horn, honking` → vehicle horn, `Whimper (dog)` → whimper."""
    name = re.sub(r"\s*\([^)]*\)", "", label).split(",")[0].strip() or label.strip()
    first = name.split(" ")[0]
    return name if first[1:] != first[1:].lower() else name[:1].lower() + name[1:]  # MIDI stays MIDI


def join_words(names: Sequence[str]) -> str:
    """`rain`, `rain and wind`, `rain, wind and thunder`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def make_debiaser(table: Path = DEBIAS) -> Callable[[str], str]:
    """A function that puts other words for those of a table, `word,instead` a row.

    Whole words only (man-made stays), upper and lower case in the table are one, the longest match is taken, and what
    stands instead begins with a capital, or is all capitals, as what it replaces. The packaged table does as the paper:
    woman and man become person, her and his become their. Where he and she become they, the verbs after them follow
    (`she speaks` → `they speak`), and a her that becomes their is `them` where nothing of hers follows (`talks to
    her`).

    Raises
    ------
    DataError
        No such table, or not of this form.
    """
    instead = _table(table)
    words = sorted(instead, key=lambda w: (-len(w), w))
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(_loosely, words)) + r")(?![\w-])", re.IGNORECASE)

    agree = all(instead.get(word, "").lower() == "they" for word in ("he", "she"))

    def one(found: re.Match[str]) -> str:
        word = found.group()
        new = instead[" ".join(word.lower().replace("’", "'").split())]
        if word.lower() == "her" and new == "their" and is_object(found.string[found.end() :]):
            new = "them"
        if word.lower() == new.lower():
            return word
        if word.isupper() and len(word) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if word[0].isupper() else new

    return lambda text: pattern.sub(one, plural_verbs(text) if agree else text)


def _loosely(word: str) -> str:
    """Any white space between words, either apostrophe."""
    return r"\s+".join(re.escape(part).replace("'", "['’]") for part in word.split())


@lru_cache(maxsize=8)
def _table(path: Path) -> dict[str, str]:
    rows = [row for _, row in read_records(path, ("word", "instead"))]
    if not rows:
        raise DataError(f"{path}: no rows; each row is a word and what stands instead of it")
    return {" ".join(row["word"].lower().replace("’", "'").split()): " ".join(row["instead"].split()) for row in rows}
