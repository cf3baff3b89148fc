r"""Patterns of paths → regular expressions that Python and Rust read alike, and names that look the same.

`*` is anything, `?` one character, `[…]` one of these, `[^…]` none of these; the whole path must fit. A character is
what a reader takes for one: é fits whether it is written as one sign (NFC, as most systems do) or as e and an accent
(NFD, as those that come from a Mac). On Windows / and \ are one separator, and large and small letters are one.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable

__all__ = [
    "anchor_pattern",
    "fold_case",
    "folder_matcher",
    "has_one_spelling",
    "is_plain",
    "path_matcher",
    "path_to_text",
    "regex_of_folder",
    "regex_of_pattern",
    "spellings",
    "text_to_path",
]

UNDECODED = re.compile("[\udc80-\udcff]")  # bytes of a file's name that are no UTF-8, as Python spells them
MARKS = (  # that belong to the letter before
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
)
SYLLABLE = "[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?"  # of Korean, in parts
ONE = f"(?:\0..|{SYLLABLE}|[\\s\\S][{MARKS}]*)"
ANYTHING, NOTHING = "[\\s\\S]*", "[^\\s\\S]"


def path_to_text(path: str) -> str:
    """A path as text: each byte that is no UTF-8 as NUL and two digits, and no path has a NUL."""
    return UNDECODED.sub(lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", path)


def text_to_path(text: str) -> str:
    """The path of a text."""
    return re.sub("\0(..)", lambda found: chr(0xDC00 + int(found[1], 16)), text)


def fold_case() -> bool:
    """Whether this platform takes large and small letters of a name for one."""
    return os.path.normcase("A") == "a"


def spellings(text: str) -> list[str]:
    """A text, and how else it may be written though it looks the same."""
    return list(dict.fromkeys([text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]))


def has_one_spelling(path: str) -> bool:
    """Whether no other name looks like this one, here."""
    return not fold_case() and (path.isascii() or len(spellings(path)) == 1)


def is_plain(pattern: str) -> bool:
    """Whether a pattern means the same to SQLite's GLOB, which is faster."""
    return pattern.isascii() and not fold_case() and os.sep == "/" and "?" not in pattern and "[" not in pattern


def anchor_pattern(glob: str) -> str:
    """A pattern of whole paths: one that does not begin at a root or with * counts in every folder."""
    rooted = glob.startswith(("/", "*")) or (os.sep == "\\" and re.match(r"[A-Za-z]:|\\", glob) is not None)
    return glob if rooted else f"*/{glob}"


def regex_of_pattern(glob: str, *, sep: str = os.sep, fold: bool | None = None) -> str:
    """The regular expression of a pattern, for the texts of paths; `sep` and `fold` are those of the platform."""
    pattern, literal, i = "", "", 0
    glob = unicodedata.normalize("NFC", glob)
    while i < len(glob):
        sign = glob[i]
        i += 1
        if sign not in "*?[":
            literal += sign
            continue
        pattern, literal = pattern + _literal(literal, sep), ""
        if sign == "[":
            negated = glob.startswith("^", i)
            end = glob.find("]", i + negated + 1)
            if end < 0:
                return NOTHING  # an open bracket fits nothing, as in SQLite
            pattern += _class_of(glob[i + negated : end], negated)
            i = end + 1
        else:
            pattern += ANYTHING if sign == "*" else ONE
    return f"{_flags(fold)}^{pattern}{_literal(literal, sep)}$"


def regex_of_folder(path: str, *, sep: str = os.sep, fold: bool | None = None) -> str:
    """The regular expression of a file's path, or of everything in a folder, for the texts of paths."""
    return f"{_flags(fold)}^{_literal(path.rstrip(sep), sep)}(?:{_literal(sep, sep)}{ANYTHING})?$"


def path_matcher(regex: str) -> Callable[[str | bytes], bool]:
    """Whether a path, text or bytes, fits."""
    compiled = re.compile(regex)
    return lambda path: compiled.search(path_to_text(os.fsdecode(path))) is not None


def folder_matcher(
    paths: Iterable[str], *, sep: str = os.sep, fold: bool | None = None
) -> Callable[[str | bytes], bool]:
    """Whether a path, text or bytes, is one of these or lies below it, however it is written."""
    small = fold_case() if fold is None else fold

    def key(path: str) -> str:
        same = unicodedata.normalize("NFC", path)
        return same.casefold() if small else same

    wanted = {key(path).rstrip(sep) for path in paths}

    def lies(path: str | bytes) -> bool:
        rest = key(os.fsdecode(path))
        while rest and rest not in wanted:
            rest = rest.rpartition(sep)[0]
        return rest in wanted

    return lies


def _flags(fold: bool | None) -> str:
    return "(?i)" if (fold_case() if fold is None else fold) else ""


def _literal(text: str, sep: str) -> str:
    """These signs, each as it may be written."""
    return "".join(_letter(letter, sep) for letter in _letters(unicodedata.normalize("NFC", text)))


def _letters(text: str) -> list[str]:
    """Letters with the accents after them."""
    return re.findall(f"[\\s\\S][{MARKS}]*", text)


def _letter(letter: str, sep: str) -> str:
    if letter in ("/", sep):
        return "[/\\\\]" if sep == "\\" else re.escape(letter)
    ways = spellings(letter)
    escaped = [re.escape(path_to_text(way)) for way in ways]
    return escaped[0] if len(ways) == 1 else f"(?:{'|'.join(escaped)})"


def _class_of(signs: str, negated: bool) -> str:
    """A class of a regular expression: of `a-z` all between, and of `z-a` none; of é also e with an accent."""
    inside, composed, i = "", [], 0
    while i < len(signs):
        if signs[i + 1 : i + 2] == "-" and i + 2 < len(signs):
            first, last = signs[i], signs[i + 2]
            inside += f"{_escape(first)}-{_escape(last)}" if first <= last else ""
            i += 3
        else:
            inside += _escape(signs[i])
            composed += [re.escape(way) for way in spellings(signs[i])[1:]]
            i += 1
    if not inside:
        return "[\\s\\S]" if negated else NOTHING
    if negated or not composed:
        return f"[{'^' * negated}{inside}]"
    return f"(?:{'|'.join([*composed, f'[{inside}]'])})"


def _escape(sign: str) -> str:
    return "\\" + sign if sign in "\\[]&~^-" else sign
