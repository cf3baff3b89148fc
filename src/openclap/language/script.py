"""Which characters are Chinese, and traditional ones as simplified ones. Knows nothing of words.

`hant.txt` beside this holds the traditional characters in its first line and, at the same places, the simplified ones
in its second: the pairs of single characters of ICU 72's transliterator Traditional-Simplified (Unicode licence v3).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["RUN", "has_foreign", "normalize_width", "to_simplified"]

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f々〇"
OTHER = "\u3041-\u30ff\u31f0-\u31ff\uac00-\ud7af"  # kana and hangul: the lexicon has no words in them, a model may
SIGNS = "，、。；：！？…—～·“”‘’「」『』《》〈〉（）【】\u3000"

RUN = re.compile(f"[{HAN}{OTHER}{SIGNS}]+")  # what is translated in one piece; may be signs alone
_WIDE = {0xFEE0 + ord(sign): sign for sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff"), "")  # what pages put between characters
_FOREIGN = re.compile(f"[{HAN}{OTHER}]")


def has_foreign(text: str) -> bool:
    """Whether a text holds Chinese, Japanese or Korean; of English ones it costs a look at one flag."""
    return not text.isascii() and _FOREIGN.search(text) is not None


def normalize_width(text: str) -> str:
    """Full-width letters and digits as ASCII, and nothing unseen between characters."""
    return text.translate(_WIDE | _UNSEEN)


def to_simplified(text: str) -> str:
    """Traditional characters as simplified ones; all others stay."""
    return text if text.isascii() else text.translate(_table())


@cache
def _table() -> dict[int, int]:
    traditional, simple = (Path(__file__).parent / "hant.txt").read_text(encoding="utf-8").splitlines()
    return {ord(a): ord(b) for a, b in zip(traditional, simple, strict=True)}
