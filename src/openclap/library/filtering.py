"""Which files a search looks in: the options of a caller → a store's filter. Knows nothing of vectors.

Paths are made absolute, a pattern without a folder counts in every one, and what is no Unicode is refused.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence

from openclap.errors import UsageError
from openclap.library.indexing import absolute_path
from openclap.store import Where
from openclap.store.path_patterns import anchor_pattern

__all__ = ["Paths", "is_text", "make_filter", "normalize_tag"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def is_text(text: str) -> bool:
    """Whether it is Unicode: a name from the disk may not be."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def normalize_tag(tag: str) -> str:
    """A tag as it is kept: one that looks like another is the same."""
    return unicodedata.normalize("NFC", tag)


def make_filter(
    within: Paths | None,
    glob: str | None,
    shortest: float | None,
    longest: float | None,
    after: float | None,
    before: float | None,
    tags: Sequence[str],
) -> Where | None:
    """The filter that these options make; None where all are allowed."""
    some = [within] if isinstance(within, str | os.PathLike) else within
    inside = None if some is None else tuple(absolute_path(path) for path in some)
    pattern = None if glob is None else anchor_pattern(glob)
    if not all(map(is_text, (*tags, glob or ""))):
        raise UsageError("a tag or a pattern holds what is no Unicode; use * for those characters")
    where = Where(inside, pattern, shortest, longest, after, before, tuple(tags))
    return None if where == Where() else where
