"""Reads the English of foreign words from CSV files, at their first use.

    de,en            a word that is in no file is unknown; one whose `en` is empty says nothing about a sound
    Hundegebell,dog barking
    der,

`CODE.csv` in this folder is shipped, for each language of `languages`. A file of the user's own has `en` and a column for
one or more languages; it adds words, and replaces those that are shipped as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias
from unicodedata import normalize

from openclap.errors import DataError, UsageError
from openclap.language.languages import LANGUAGES, Language
from openclap.language.script import has_foreign, to_simplified
from openclap.textfiles import read_records
from openclap.words import fold

__all__ = ["LEXICON_ENV", "Lexicon", "fold_kana", "normalize_word", "read_lexicon"]

Words: TypeAlias = tuple[dict[str, str], frozenset[str]]  # English by word, and the single words with their accents

LEXICON_ENV = "OPENCLAP_LEXICON"
LONGEST = {False: 24, True: 60}  # the most characters of a word, without and with spaces
TOKENS = re.compile(r"[^\W\d_]+|\d+")
HAN_AND_KANA = re.compile(
    "[\u4e00-\u9fff々].*[うくぐすつぬぶむるい]"
)  # a Japanese verb or adjective, as it is looked up
KANA = re.compile("[\u3041-\u3096ー]{3,}")


@dataclass(frozen=True)
class Lexicon:
    """The English of words as `normalize_word` writes them, and the number of characters of the longest.

    `written` are the single words in them as they are written, in small letters, with their accents. `longest_phrase` is its number of words, 1 where no spaces separate them; `parts` are all words of phrases; `bases`
    remembers which word of the lexicon an inflected one is of.
    """

    words: Mapping[str, str]
    longest_word: int
    longest_phrase: int = 1
    parts: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    bases: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __len__(self) -> int:
        return len(self.words)

    def lookup(self, word: str) -> str:
        """The English of a word; empty where it is unknown or says nothing."""
        return self.words.get(word, "")


def normalize_word(word: str, language: Language) -> str:
    """A word as it is looked up: simplified, one kind of kana in long words, or without accents and case."""
    if language.spaced:
        return " ".join(TOKENS.findall(fold(word)))
    joined = "".join(word.split())
    return to_simplified(joined) if language.code == "zh" else joined


def fold_kana(text: str) -> str:
    """Katakana as hiragana: ワンワン and わんわん are one word."""
    return "".join(chr(ord(sign) - 0x60) if "\u30a1" <= sign <= "\u30f6" else sign for sign in text)


def _to_katakana(text: str) -> str:
    return "".join(chr(ord(sign) + 0x60) if "\u3041" <= sign <= "\u3096" else sign for sign in text)


def read_lexicon(own: str | os.PathLike[str] | None = None, language: Language = LANGUAGES["zh"]) -> Lexicon:
    """Read the shipped words of a language, and those of the user's own file over them.

    Parameters
    ----------
    own
        A CSV file with a column en and one named by the code of a language, as zh, in simplified or traditional
        characters; by default OPENCLAP_LEXICON names it.

    Raises
    ------
    UsageError
        The user's own file cannot be read, or has another form; the error names the line.
    """
    place = os.fspath(own) if own is not None else os.environ.get(LEXICON_ENV, "").strip()
    shipped, written = _read_shipped(language.code)
    words = dict(shipped)
    if place:
        own_words, own_written = _read_own(Path(os.path.expanduser(place)), language)
        words.update(own_words)
        written |= own_written
    if language.code == "ja":
        _add_japanese_forms(words)
    if not language.spaced:
        return Lexicon(words, max(map(len, words)))
    parts = frozenset(part for word in words for part in word.split())
    return Lexicon(words, max(map(len, words)), max(word.count(" ") for word in words) + 1, parts, written)


@lru_cache(maxsize=len(LANGUAGES))
def _read_shipped(code: str) -> Words:
    return _read_words(Path(__file__).parent / f"{code}.csv", LANGUAGES[code])


def _read_own(path: Path, language: Language) -> Words:
    """The words of a language in a user's file, none where the file is for other languages alone."""
    try:
        rows = read_records(path, ("en",), optional=tuple(LANGUAGES), filled=())
    except DataError as error:
        raise UsageError(f"the lexicon cannot be read: {error}; its columns are zh,en") from error
    if rows and not any(code in rows[0][1] for code in LANGUAGES):
        raise UsageError(
            f"the lexicon cannot be read: {path} has no column of a language; its columns are zh,en, where zh is one of"
            f" {', '.join(LANGUAGES)}"
        )
    if not rows or language.code not in rows[0][1]:
        return {}, frozenset()
    several = sum(code in rows[0][1] for code in LANGUAGES) > 1
    return _check_words(path, [row for row in rows if row[1].get(language.code) or not several], language)


def _read_words(path: Path, language: Language) -> Words:
    try:
        rows = read_records(path, (language.code, "en"), filled=(language.code,))
    except DataError as error:
        raise UsageError(f"the lexicon cannot be read: {error}; its columns are {language.code},en") from error
    return _check_words(path, rows, language)


def _check_words(path: Path, rows: list[tuple[int, dict[str, str]]], language: Language) -> Words:
    words: dict[str, str] = {}
    forms: set[str] = set()
    code, most = language.code, LONGEST[language.spaced]
    for line, row in rows:
        written, en = row.get(code, ""), row.get("en")
        word = normalize_word(written, language)
        is_word = 0 < len(word) <= most and has_foreign(word) != language.spaced
        if not is_word or en is None or has_foreign(en):
            raise UsageError(
                f"{path}, line {line}: {code} is {''.join(written.split())!r} and en {en!r}; 1 to {most} characters of"
                f" {language.name} and their English are expected"
            )
        words[word] = " ".join(en.split())
        if language.spaced:
            forms.update(TOKENS.findall(normalize("NFC", written).lower()))
    return words, frozenset(forms)


def _add_japanese_forms(words: dict[str, str]) -> None:
    """Add long words of kana in the other kana, too, and the stems of verbs: 割れる is 割れ in 割れている."""
    for word, english in list(words.items()):
        if KANA.fullmatch(fold_kana(word)):
            words.setdefault(fold_kana(word), english)
            words.setdefault(_to_katakana(word), english)
        if english and HAN_AND_KANA.fullmatch(word):
            words.setdefault(word[:-1], english)
