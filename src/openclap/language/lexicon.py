"""Reads the English of Chinese words from CSV files.

    zh,en            a word that is in no file is unknown; one whose `en` is empty says nothing about a sound
    狗叫,dog barking
    的,

`zh.csv` in this folder is shipped. A file of the user's own has the same two columns; it adds words, and replaces those
that it has as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from openclap.errors import DataError, UsageError
from openclap.language.script import has_foreign, to_simplified
from openclap.textfiles import read_records

__all__ = ["LEXICON_ENV", "Lexicon", "read_lexicon"]

LEXICON_ENV = "OPENCLAP_LEXICON"
LONGEST = 24  # the most characters of a word


@dataclass(frozen=True)
class Lexicon:
    """The English of words in simplified Chinese, and the number of characters of the longest."""

    words: Mapping[str, str]
    longest_word: int

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __len__(self) -> int:
        return len(self.words)

    def lookup(self, word: str) -> str:
        """The English of a word; empty where it is unknown or says nothing."""
        return self.words.get(word, "")


def read_lexicon(own: str | os.PathLike[str] | None = None) -> Lexicon:
    """Read the shipped words, and those of the user's own file over them.

    Parameters
    ----------
    own
        A CSV file with columns zh and en, in simplified or traditional characters; by default OPENCLAP_LEXICON names
        it.

    Raises
    ------
    UsageError
        The user's own file cannot be read, or has another form; the error names the line.
    """
    place = os.fspath(own) if own is not None else os.environ.get(LEXICON_ENV, "").strip()
    words = dict(_read_shipped())
    if place:
        words.update(_read_words(Path(os.path.expanduser(place))))
    return Lexicon(words, max(map(len, words)))


@lru_cache(maxsize=1)
def _read_shipped() -> Mapping[str, str]:
    return _read_words(Path(__file__).parent / "zh.csv")


def _read_words(path: Path) -> dict[str, str]:
    try:
        rows = read_records(path, ("zh", "en"), filled=("zh",))
    except DataError as error:
        raise UsageError(f"the lexicon cannot be read: {error}; its columns are zh,en") from error
    words: dict[str, str] = {}
    for line, row in rows:
        word, en = "".join(row["zh"].split()), row.get("en")
        if not 0 < len(word) <= LONGEST or not has_foreign(word) or en is None or has_foreign(en):
            raise UsageError(
                f"{path}, line {line}: zh is {word!r} and en {en!r}; 1 to {LONGEST} characters of Chinese and their"
                " English are expected"
            )
        words[to_simplified(word)] = " ".join(en.split())
    return words
