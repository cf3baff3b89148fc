"""Which of many short texts have a word that begins as somebody types: `ki` finds `Kick_01.wav` and `drum kit`.

    "KickDrum_909.wav"  bytes of all texts in one array, and the places where a word begins:  Kick|Drum|909|wav
    "下雨声"            every sign of Chinese, Japanese and Korean begins one:                下|雨|声

A million names are looked through in some ten milliseconds. Case and accents do not matter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.words import fold

__all__ = ["WordBeginnings", "typed_words"]

LONGEST = 64  # bytes of a typed word; the rest is cut
LATIN, SIGNS = "A-Za-z0-9", "\u3005-\u9fff\uac00-\ud7af\uf900-\ufaff"
HUMP = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
BORDER = re.compile(f"(?<=[{SIGNS}])(?=[{LATIN}])|(?<=[{LATIN}])(?=[{SIGNS}])")
SEPARATORS = re.compile(r"[\W_]+")
SEPARATOR, LOWER, UPPER, DIGIT, SIGN, OTHER = range(6)  # classes of bytes


def _classes() -> npt.NDArray[np.uint8]:
    found = np.full(256, SEPARATOR, np.uint8)
    found[ord("a") : ord("z") + 1] = LOWER
    found[ord("A") : ord("Z") + 1] = UPPER
    found[ord("0") : ord("9") + 1] = DIGIT
    found[0x80:] = OTHER
    found[0xE3:0xEE] = found[0xF0:0xF5] = SIGN  # the first byte of U+3000 to U+DFFF, and of what lies above U+FFFF
    return found


CLASSES = _classes()


class WordBeginnings:
    """Texts (N), looked through by the beginnings of their words."""

    def __init__(self, texts: Sequence[str]) -> None:
        coded = [_readable(text) for text in texts]
        lengths = np.fromiter((len(one) + 1 for one in coded), np.int64, len(coded))
        self._starts = np.concatenate([[0], np.cumsum(lengths)])  # of the texts (N + 1)
        data = np.frombuffer(b"\n".join(coded) + b"\n" + bytes(LONGEST), np.uint8)
        kind = CLASSES[data]
        before = np.concatenate([[SEPARATOR], kind[:-1]])
        after = np.concatenate([kind[1:], [SEPARATOR]])
        letter, letter_before = (kind == LOWER) | (kind == UPPER), (before == LOWER) | (before == UPPER)
        begins = (kind != SEPARATOR) & (before == SEPARATOR)
        begins |= (kind == UPPER) & ((before == LOWER) | ((before == UPPER) & (after == LOWER)))
        begins |= ((kind == DIGIT) & letter_before) | (letter & (before == DIGIT)) | (kind == SIGN)
        self._places = np.flatnonzero(begins)
        self._data = np.where(kind == UPPER, data + 32, data)

    def having(self, word: str) -> npt.NDArray[np.bool_]:
        """Which texts have a word that begins with this one, of `typed_words` → (N,)."""
        places = self._places
        for i, byte in enumerate(word.encode("utf-8", "replace")[:LONGEST]):
            places = places[self._data[places + i] == byte]
        found = np.zeros(len(self._starts) - 1, np.bool_)
        found[np.searchsorted(self._starts, places, "right") - 1] = True
        return found


def typed_words(text: str) -> list[str]:
    """The words of what somebody types, each of which must begin a word of a file."""
    return [word for word in SEPARATORS.split(BORDER.sub(" ", fold(text))) if word]


def _readable(text: str) -> bytes:
    """A text in which words are compared; of ASCII the case stays, as capitals tell where words begin."""
    if text.isascii():
        return text.encode()
    try:
        return BORDER.sub(" ", fold(HUMP.sub(" ", text))).encode()
    except UnicodeEncodeError:  # a name that is no UTF-8
        return os.fsencode(text)
