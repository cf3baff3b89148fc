"""Texts in any language, names of files too → words that can be compared; the words of a question.

    "KickDrum_909-dry.01"   kick drum kickdrum 909 dry 01
    "Dogs barking, Café"    dog bark caf
    "下雨声"                下雨 雨声 下 雨 声      every two signs, then every sign by itself

The same rule makes the words of files and those of questions, so a store needs no language: its words are separated by
spaces. A word that was made here stays as it is when it is made again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = ["QueryWords", "fold", "split_words", "text_words", "words_of_query"]

LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})  # that are no accents
ACCENTS = re.compile("[\u0300-\u036f]+")
APOSTROPHES = re.compile(r"(?<=\w)['’ʼ](?=\w)")
CJK = "\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
PIECES = re.compile(f"[{CJK}]+|[^\\W\\d_{CJK}]+|\\d+")  # runs of signs, of letters and of digits
HUMPS = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # kick|Drum, AMB|Forst
COMPOUND = re.compile("[^\\W\\d_]+(?:-[^\\W\\d_]+)+")  # hi-hat
LONGEST = 64  # signs of a word; the rest is cut
VOWELS = re.compile("[aeiouy]")
QUOTED = re.compile('["“”„«»「」『』]([^"“”„«»「」『』]+)["“”«»「」『』]')

# words that say nothing about a sound, as they are before endings are cut
STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "some",
        "that",
        "the",
        "there",
        "this",
        "to",
        "was",
        "were",
        "with",
        "someone",
        "something",
        "sound",
        "sounds",
        "sounding",
        "audio",
        "recording",
        "hear",
        "heard",
        "like",
    ]
)
STOP_SIGNS = re.compile("声音|聲音|的声|的聲|[的了在是和与與声聲音の]|を|が|は")


@dataclass(frozen=True)
class QueryWords:
    """The words of a question, in order, each once.

    Attributes
    ----------
    words : tuple of str
        Single words; those of phrases too.
    phrases : tuple of str
        What stood in quotes: words that must stand together, separated by spaces.
    spelled : dict of str to str
        Each word and phrase as it was typed, for showing.
    """

    words: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    spelled: dict[str, str] = field(default_factory=dict, compare=False)


def fold(text: str) -> str:
    """A text in lower case, without accents, in one Unicode form."""
    plain = ACCENTS.sub("", unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold()))
    return unicodedata.normalize("NFC", plain).translate(LETTERS)


def split_words(text: str) -> list[str]:
    """The words of a text, in order; words that are quoted must stand in this order to be found."""
    return [word for _, words in _split(text) for word in words]


def text_words(texts: Iterable[str]) -> str:
    """The words of texts as a store holds them: separated by spaces, with further ways to write them last.

    `HiHat` and `hi-hat` are also hihat, and of Chinese and Japanese every sign is a word, too.
    """
    words: list[str] = []
    also: dict[str, None] = {}
    for text in texts:
        for piece, some in _split(text):
            words += some
            if _is_cjk(piece[0]) and len(piece) > 1:
                also |= dict.fromkeys(fold(piece))
            elif len(some) > 1:
                also[_shorten(fold(piece))] = None
        also |= {_shorten(fold(found.replace("-", ""))): None for found in COMPOUND.findall(text)}
    return " ".join([*words, *(word for word in also if word not in words)])


def words_of_query(text: str) -> QueryWords:
    """The words of a question: as `split_words`, without those that say nothing; phrases in quotes by themselves."""
    spelled: dict[str, str] = {}
    words: list[str] = []
    phrases: list[str] = []
    for quoted in QUOTED.findall(text):
        if phrase := " ".join(split_words(quoted)):
            phrases.append(phrase)
            spelled.setdefault(phrase, quoted.strip())
    for piece, _ in _split(text):
        for part in STOP_SIGNS.split(piece) if _is_cjk(piece[0]) else [piece]:
            for shown, word in zip(_shown(part), _words_of(part), strict=True):
                if shown.casefold() not in STOP:
                    words.append(word)
                    spelled.setdefault(word, shown)
    return QueryWords(tuple(dict.fromkeys(words)), tuple(dict.fromkeys(phrases)), spelled)


def _split(text: str) -> list[tuple[str, list[str]]]:
    """The pieces of a text between separators, as they are written, each with its words."""
    whole = APOSTROPHES.sub("", unicodedata.normalize("NFKC", text))
    return [(piece, words) for piece in PIECES.findall(whole) if (words := _words_of(piece))]


def _shown(piece: str) -> list[str]:
    """The words of a piece as they are written."""
    if not piece:
        return []
    if _is_cjk(piece[0]):
        return [piece[i : i + 2] for i in range(max(1, len(piece) - 1))]
    return HUMPS.split(piece)


def _words_of(piece: str) -> list[str]:
    return [_shorten(fold(part)) for part in _shown(piece)]


def _is_cjk(sign: str) -> bool:
    return re.match(f"[{CJK}]", sign) is not None


@lru_cache(1 << 16)
def _shorten(word: str) -> str:
    """An English word without the endings -s, -ing, -ed and -e; every other one as it is, up to `LONGEST`."""
    word = word[:LONGEST]
    while word.isascii() and word.isalpha() and (shorter := _without_ending(word)) != word:
        word = shorter
    return word


def _without_ending(word: str) -> str:
    """A word without one ending; at least three letters stay, a vowel among them."""
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1] if len(word) > 3 else word
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and VOWELS.search(stem) and not word.endswith("eed"):
            doubled = stem[-1] == stem[-2]
            if stem[-1] == "s" and not doubled:
                return f"{stem}e"  # closing: close
            return stem[:-1] if doubled and stem[-1] not in "lsz" else stem
    return word[:-1] if word.endswith("e") and not word.endswith("se") and len(word) > 3 else word
