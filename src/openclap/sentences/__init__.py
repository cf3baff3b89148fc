"""Labels or a text come in; a caption of the labels, or the text without gender, goes out."""

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

    Two labels follow the same formula: `The sound of rain, and wind`.

    Raises
    ------
    UsageError
        There are no labels.
    """
    if not labels:
        raise UsageError("a caption of no labels says nothing; give at least one")
    return "The sound of " + ", ".join([*labels[:-1], "and " + labels[-1]] if len(labels) > 1 else labels)


def inline_label(label: str) -> str:
    """A label as it is written within a sentence.

    `Bark` → bark, `Vehicle horn, car horn, honking` → vehicle horn, `Whimper (dog)` → whimper.
    """
    name = re.sub(r"\s*\([^)]*\)", "", label).split(",")[0].strip() or label.strip()
    first = name.split(" ")[0]
    return name if first[1:] != first[1:].lower() else name[:1].lower() + name[1:]  # MIDI stays MIDI


def join_words(names: Sequence[str]) -> str:
    """Join names: `rain`, `rain and wind`, `rain, wind and thunder`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def make_debiaser(table: Path = DEBIAS) -> Callable[[str], str]:
    """Make a function that replaces the words of a table, which has a row `word,instead` for each.

    Only whole words are replaced (man-made stays), the longest match first. Case does not matter in the table; the
    replacement has capitals where the word had them. The packaged table does as the paper: woman and man become person,
    her and his become their. Where he and she become they, the verbs after them follow (`she speaks` → `they speak`),
    and `her` becomes `them` instead of `their` where no noun follows (`talks to her`).

    Raises
    ------
    DataError
        There is no such table, or it has another form.
    """
    instead = _read_table(table)
    words = sorted(instead, key=lambda w: (-len(w), w))
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(_pattern_of, words)) + r")(?![\w-])", re.IGNORECASE)

    agree = all(instead.get(word, "").lower() == "they" for word in ("he", "she"))

    def replace_one(found: re.Match[str]) -> str:
        word = found.group()
        new = instead[" ".join(word.lower().replace("’", "'").split())]
        if word.lower() == "her" and new == "their" and is_object(found.string[found.end() :]):
            new = "them"
        if word.lower() == new.lower():
            return word
        if word.isupper() and len(word) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if word[0].isupper() else new

    return lambda text: pattern.sub(replace_one, plural_verbs(text) if agree else text)


def _pattern_of(word: str) -> str:
    """A pattern for a word of the table, with any white space between its parts and either apostrophe."""
    return r"\s+".join(re.escape(part).replace("'", "['’]") for part in word.split())


@lru_cache(maxsize=8)
def _read_table(path: Path) -> dict[str, str]:
    rows = [row for _, row in read_records(path, ("word", "instead"))]
    if not rows:
        raise DataError(f"{path}: no rows; each row is a word and what stands instead of it")
    return {" ".join(row["word"].lower().replace("’", "'").split()): " ".join(row["instead"].split()) for row in rows}
