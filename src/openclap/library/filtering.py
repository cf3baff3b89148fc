"""Which files a search looks in: what a caller asks for → the `SearchFilter` that a store understands."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypedDict

from openclap.errors import UsageError
from openclap.file_facts import asked_phrases
from openclap.library.scan import absolute_path
from openclap.options import OLD_FILTER_NAMES, SearchFilter, make_options
from openclap.store.path_patterns import anchor_pattern
from openclap.words import split_words

__all__ = ["FilterKeywords", "Paths", "check_tags", "list_paths", "normalize_tag", "resolve_filter"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class FilterKeywords(TypedDict, total=False):
    """The fields of a `SearchFilter` as keywords of `Library.search` and `recommend`; the last three by old names."""

    within: Paths | None
    path: str | None
    min_seconds: float | None
    max_seconds: float | None
    after: float | None
    before: float | None
    tags: Sequence[str]
    glob: str | None
    shortest: float | None
    longest: float | None


def _is_text(text: str) -> bool:
    """Whether a text is valid Unicode; names from the disk may not be."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def list_paths(paths: Paths) -> list[str | os.PathLike[str]]:
    """One path, or several, as a list."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def check_tags(tags: Sequence[str]) -> None:
    """Refuse tags that are not words: files could not be found by them."""
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip() or not _is_text(tag):
            raise UsageError(f"a tag is {tag!r}; give words")


def normalize_tag(tag: str) -> str:
    """A tag as libraries store it: two tags that look the same are one."""
    return unicodedata.normalize("NFC", tag)


def resolve_filter(given: SearchFilter | None, options: FilterKeywords) -> SearchFilter | None:
    """A filter, changed by keyword arguments, as stores take it; None where every file is allowed.

    Paths become absolute, and a pattern that names no folder fits in every one.

    Raises
    ------
    UsageError
        There is no such keyword; a tag, a word or a pattern is not valid Unicode, or a fact is none that can be asked
        for.
    """
    renamed = {OLD_FILTER_NAMES.get(name, name): value for name, value in options.items()}
    asked = make_options(SearchFilter, {**vars(given or SearchFilter()), **renamed})
    if not all(map(_is_text, (*asked.tags, asked.path or "", *asked.words, *(value for _, value in asked.facts)))):
        raise UsageError("a tag, a word or a pattern holds what is no Unicode; use * for those characters")
    resolved = replace(
        asked,
        within=None if asked.within is None else tuple(map(absolute_path, list_paths(asked.within))),
        path=None if asked.path is None else anchor_pattern(asked.path),
        tags=tuple(asked.tags),
        words=tuple(filter(split_words, asked.words)),
    )
    for name, value in asked.facts:
        asked_phrases(name, value)  # refuses what cannot be asked for
    return None if resolved == SearchFilter() else resolved
