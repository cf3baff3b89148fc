"""Tells which characters are Chinese, and turns traditional ones into simplified ones.

`hant.txt` in this folder holds the traditional characters in its first line and, at the same places, the simplified
ones in its second: the pairs of single characters of ICU 72's transliterator Traditional-Simplified (Unicode licence
v3).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

__all__ = ["RUN", "has_foreign", "has_kana", "normalize_width", "to_simplified"]

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f々〇"
# kana and hangul; the lexicon has no words in them, but a translation model may
OTHER = "\u3041-\u30ff\u31f0-\u31ff\uac00-\ud7af\uff66-\uff9f"
SIGNS = "，、。；：！？…—～·“”‘’「」『』《》〈〉（）【】\u3000"

RUN = re.compile(f"[{HAN}{OTHER}{SIGNS}]+")  # what is translated in one piece; it may hold only signs
_WIDE = {0xFEE0 + ord(sign): sign for sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
# invisible characters that web pages put between others
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff"), "")
_KANA = re.compile("[\u3041-\u30fa\u31f0-\u31ff\uff66-\uff9f]")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]+")  # katakana and signs of old terminals: ﾜﾝﾜﾝ
_FOREIGN = re.compile(f"[{HAN}{OTHER}]")


def has_kana(text: str) -> bool:
    """Whether a text holds a letter of Japanese alone."""
    return _KANA.search(text) is not None


def has_foreign(text: str) -> bool:
    """Whether a text holds Chinese, Japanese or Korean; ASCII texts cost next to nothing."""
    return not text.isascii() and _FOREIGN.search(text) is not None


def normalize_width(text: str) -> str:
    """Turn full-width letters and digits into ASCII, half-width kana into kana, and remove invisible characters.

    Signs that stand apart from their letter, as in names of files on macOS, are put on it: か and ゙ are が.
    """
    kana = _HALF_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text.translate(_WIDE | _UNSEEN))
    return unicodedata.normalize("NFC", kana)


def to_simplified(text: str) -> str:
    """Turn traditional characters into simplified ones; all others stay."""
    return text if text.isascii() else text.translate(_table())


@cache
def _table() -> dict[int, int]:
    traditional, simple = (Path(__file__).parent / "hant.txt").read_text(encoding="utf-8").splitlines()
    return {ord(a): ord(b) for a, b in zip(traditional, simple, strict=True)}
