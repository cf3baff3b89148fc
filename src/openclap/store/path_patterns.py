r"""Patterns of paths → regular expressions that mean the same to Python and to Rust.

`*` is anything, `?` one character, `[…]` one of these, `[^…]` none of these; the whole path must fit. A character is
what a reader sees as one: é fits whether it is stored as one code point (NFC, as on most systems) or as e and an accent
(NFD, as on a Mac). On Windows / and \ are the same separator, and case does not matter.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable

__all__ = [
    "anchor_pattern",
    "folder_matcher",
    "has_one_spelling",
    "is_plain",
    "one_spelling",
    "path_matcher",
    "path_to_text",
    "regex_of_folder",
    "regex_of_formats",
    "regex_of_pattern",
    "spellings",
    "text_to_path",
]

UNDECODED = re.compile("[\udc80-\udcff]")  # bytes of a file's name that are not UTF-8, as Python decodes them
MARKS = (  # accents that belong to the letter before
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
)
SYLLABLE = "[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?"  # of Korean, as NFD writes it
ONE = f"(?:\0..|{SYLLABLE}|[\\s\\S][{MARKS}]*)"
ANYTHING, NOTHING = "[\\s\\S]*", "[^\\s\\S]"


def path_to_text(path: str) -> str:
    """A path as valid Unicode: a byte that is not UTF-8 becomes NUL and two digits; no path holds a NUL itself."""
    return UNDECODED.sub(lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", path)


def text_to_path(text: str) -> str:
    """The path that `path_to_text` made this text of."""
    return re.sub("\0(..)", lambda found: chr(0xDC00 + int(found[1], 16)), text)


def fold_case() -> bool:
    """Whether file names of this platform ignore case."""
    return os.path.normcase("A") == "a"


def spellings(text: str) -> list[str]:
    """A text in all Unicode forms (as it is, NFC, NFD), which look the same, each once."""
    return list(dict.fromkeys([text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]))


def has_one_spelling(path: str) -> bool:
    """Whether no other path means the same file name on this platform."""
    return not fold_case() and (path.isascii() or len(spellings(path)) == 1)


def one_spelling(path: str, *, fold: bool | None = None) -> str:
    """A path in one of its spellings: two that mean the same file name on this platform become equal."""
    same = unicodedata.normalize("NFC", path)
    return same.casefold() if (fold_case() if fold is None else fold) else same


def is_plain(pattern: str) -> bool:
    """Whether a pattern means the same to the GLOB of SQLite, which is faster."""
    return pattern.isascii() and not fold_case() and os.sep == "/" and "?" not in pattern and "[" not in pattern


def regex_of_formats(formats: Iterable[str]) -> str:
    """The regular expression of paths that end in one of these, as .wav and .WAV for wav."""
    endings = (
        "".join(f"[{sign.lower()}{sign.upper()}]" if sign.isalpha() else re.escape(sign) for sign in one)
        for one in formats
    )
    return f"^{ANYTHING}[.](?:{'|'.join(endings)})$"


def anchor_pattern(glob: str) -> str:
    """A pattern for whole paths; one that begins neither at a root nor with `*` then fits in every folder."""
    rooted = glob.startswith(("/", "*")) or (os.sep == "\\" and re.match(r"[A-Za-z]:|\\", glob) is not None)
    return glob if rooted else f"*/{glob}"


def regex_of_pattern(glob: str, *, sep: str = os.sep, fold: bool | None = None) -> str:
    """The regular expression of a pattern, for paths as text; `sep` and `fold` are by default the platform's."""
    pattern, literal, i = "", "", 0
    glob = unicodedata.normalize("NFC", glob)
    while i < len(glob):
        char = glob[i]
        i += 1
        if char not in "*?[":
            literal += char
            continue
        pattern, literal = pattern + _literal(literal, sep), ""
        if char == "[":
            negated = glob.startswith("^", i)
            end = glob.find("]", i + negated + 1)
            if end < 0:
                return NOTHING  # an open bracket fits nothing, as in SQLite
            pattern += _class_of(glob[i + negated : end], negated)
            i = end + 1
        else:
            pattern += ANYTHING if char == "*" else ONE
    return f"{_flags(fold)}^{pattern}{_literal(literal, sep)}$"


def regex_of_folder(path: str, *, sep: str = os.sep, fold: bool | None = None) -> str:
    """The regular expression of a file, or of everything in a folder, for paths as text."""
    return f"{_flags(fold)}^{_literal(path.rstrip(sep), sep)}(?:{_literal(sep, sep)}{ANYTHING})?$"


def path_matcher(regex: str) -> Callable[[str | bytes], bool]:
    """A function that tells whether a path, text or bytes, fits a regular expression."""
    compiled = re.compile(regex)
    return lambda path: compiled.search(path_to_text(os.fsdecode(path))) is not None


def folder_matcher(
    paths: Iterable[str], *, sep: str = os.sep, fold: bool | None = None
) -> Callable[[str | bytes], bool]:
    """A function that tells whether a path is one of these or lies below one, in any Unicode form."""
    small = fold_case() if fold is None else fold

    wanted = {one_spelling(path, fold=small).rstrip(sep) for path in paths}

    def lies(path: str | bytes) -> bool:
        rest = one_spelling(os.fsdecode(path), fold=small)
        while rest and rest not in wanted:
            rest = rest.rpartition(sep)[0]
        return rest in wanted

    return lies


def _flags(fold: bool | None) -> str:
    return "(?i)" if (fold_case() if fold is None else fold) else ""


def _literal(text: str, sep: str) -> str:
    """The regular expression of a text in all Unicode forms."""
    return "".join(_letter(letter, sep) for letter in _letters(unicodedata.normalize("NFC", text)))


def _letters(text: str) -> list[str]:
    """The letters of a text, each with the accents after it."""
    return re.findall(f"[\\s\\S][{MARKS}]*", text)


def _letter(letter: str, sep: str) -> str:
    if letter in ("/", sep):
        return "[/\\\\]" if sep == "\\" else re.escape(letter)
    ways = spellings(letter)
    escaped = [re.escape(path_to_text(way)) for way in ways]
    return escaped[0] if len(ways) == 1 else f"(?:{'|'.join(escaped)})"


def _class_of(chars: str, negated: bool) -> str:
    """The regular expression of a `[…]`: `a-z` is all between, `z-a` nothing, and é is also e with an accent."""
    inside, composed, i = "", [], 0
    while i < len(chars):
        if chars[i + 1 : i + 2] == "-" and i + 2 < len(chars):
            first, last = chars[i], chars[i + 2]
            inside += f"{_escape(first)}-{_escape(last)}" if first <= last else ""
            i += 3
        else:
            inside += _escape(chars[i])
            composed += [re.escape(way) for way in spellings(chars[i])[1:]]
            i += 1
    if not inside:
        return "[\\s\\S]" if negated else NOTHING
    if negated or not composed:
        return f"[{'^' * negated}{inside}]"
    return f"(?:{'|'.join([*composed, f'[{inside}]'])})"


def _escape(char: str) -> str:
    return "\\" + char if char in "\\[]&~^-" else char
