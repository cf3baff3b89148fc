"""What is known of a sound file beside its sound (artist, key, bpm …), and how a search asks for it.

A store keeps words. So that those of an artist are no words of the sound, each bears the name of its fact: `artist·john
artist·williams`. Tempos are whole numbers there, `bpm·120`, and a range asks for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from openclap.errors import UsageError
from openclap.words import fold, split_words

__all__ = ["ASKED", "FACTS", "Facts", "asked_phrases", "normalize_key", "tokens_of_facts"]

Facts = tuple[tuple[str, str], ...]  # names and values, as they are shown

FACTS = ("title", "artist", "album", "genre", "ucs", "bpm", "key")
ASKED = ("artist", "album", "title", "genre", "folder", "ucs", "bpm", "key")  # what a search can ask for
MOST_BPM = 999
NUMBER = r"\d{1,3}(?:\.\d+)?"
RANGE = re.compile(rf"({NUMBER})(?:\s*(?:-|–|\.\.)\s*({NUMBER}))?\s*(?:bpm)?", re.IGNORECASE)
KEY = re.compile(r"([A-H])([#♯b♭]|\s*(?:sharp|flat))?[\s_-]*(min|minor|moll|maj|major|dur|m)?", re.IGNORECASE)
CATEGORY = re.compile("[A-Z]+(?=[A-Z][a-z])")
CAMELOT = re.compile("(1[0-2]|[1-9])([ABab])")  # as DJ programs write keys: 8A is A minor, 8B is C major
NOTES = ("c", "c♯", "d", "d♯", "e", "f", "f♯", "g", "g♯", "a", "a♯", "b")


def normalize_key(text: str) -> str | None:
    """A musical key in one spelling: `am` for "Am", "A minor" and "8A", `c♯` for "Db major"; None where it is none."""
    camelot = CAMELOT.fullmatch(text.strip())
    if camelot:
        minor = camelot[2] in "Aa"
        return NOTES[((int(camelot[1]) - 8) * 7 + (9 if minor else 0)) % 12] + "m" * minor
    found = KEY.fullmatch(text.strip())
    if not found:
        return None
    note, sign, mode = ((part or "").strip().lower() for part in found.groups())
    step = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}.get(sign, 0)
    place = NOTES.index("b" if note == "h" else note) + step  # German texts call B H
    return NOTES[place % 12] + "m" * (mode in ("m", "min", "minor", "moll"))


def tokens_of_facts(facts: Iterable[tuple[str, str]]) -> str:
    """The words of facts as a store keeps them; `AMBForst` can also be asked for as AMB."""
    tokens: list[str] = []
    for name, value in facts:
        category = CATEGORY.match(value) if name == "ucs" else None
        tokens += [*_tokens(name, value), *([f"ucs·{category[0].lower()}"] if category else [])]
    return " ".join(tokens)


def asked_phrases(name: str, value: str) -> list[str]:
    """What is asked for, as ("artist", "john williams") or ("bpm", "120-128") → phrases, one of which must fit.

    Raises
    ------
    UsageError
        There is no such fact, or the value cannot be one.
    """
    if name not in ASKED:
        raise UsageError(f"{name}: is nothing to ask for; choose {', '.join(ASKED)}")
    if name == "bpm":
        found = RANGE.fullmatch(value.strip())
        low, high = (float(end or found[1]) for end in found.groups()) if found else (1.0, 0.0)
        if low > high:
            raise UsageError(f"bpm is {value!r}; give a number, or two of them as 120-128")
        return [f"bpm·{tempo}" for tempo in range(round(low), round(high) + 1)]
    phrase = " ".join(_tokens(name, value))
    if not phrase:
        known = "a key, as Am, F# or 8A" if name == "key" else "a word"
        raise UsageError(f"{name} is {value!r}; give {known}")
    return [phrase]


def _tokens(name: str, value: str) -> list[str]:
    """The words of one fact; for a folder they are plain words, as every folder's are."""
    if name == "folder":
        return split_words(value)
    if name == "bpm":
        return [f"bpm·{round(float(value))}"]
    if name == "key":
        key = normalize_key(value)
        return [f"key·{key}"] if key else []
    if name == "ucs":
        return [f"ucs·{word}" for word in re.findall("[^\\W_]+", fold(value))]
    return [f"{name}·{word}" for word in split_words(value)]
