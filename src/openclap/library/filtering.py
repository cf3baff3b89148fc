"""Which files a search looks in: what a caller asks for → the `SearchFilter` that a store understands.

A collection is a tag of a reserved name, `collection:trailer`: so it is remembered with the content, moves with the
files, and both stores have it, but nobody is shown it among the tags.
"""

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

__all__ = [
    "FilterKeywords",
    "Paths",
    "check_tags",
    "collection_to_tag",
    "list_paths",
    "list_words",
    "normalize_tag",
    "resolve_filter",
    "split_tags",
]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
RESERVED = "collection:"  # begins the tags that are collections


class FilterKeywords(TypedDict, total=False):
    """The fields of a `SearchFilter` as keywords of `Library.search` and `recommend`; the last three by old names."""

    within: Paths | None
    path: str | None
    min_seconds: float | None
    max_seconds: float | None
    after: float | None
    before: float | None
    tags: Sequence[str]
    collections: Sequence[str]
    formats: Sequence[str]
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


def list_words(words: str | Sequence[str]) -> list[str]:
    """One word, or several, as a list."""
    return [words] if isinstance(words, str) else list(words)


def check_tags(tags: Sequence[str]) -> None:
    """Refuse tags that are not words, by which files could not be found, and those that would be collections."""
    for tag in tags:
        _check_name(tag, "tag")
        if tag.startswith(RESERVED):
            raise UsageError(f"a tag is {tag!r}; names that begin with {RESERVED} are those of collections")


def normalize_tag(tag: str) -> str:
    """A tag as libraries store it: two tags that look the same are one."""
    return unicodedata.normalize("NFC", tag)


def collection_to_tag(name: str) -> str:
    """The tag that the files of a collection have.

    Raises
    ------
    UsageError
        The name is empty, or no Unicode.
    """
    _check_name(name, "collection")
    return RESERVED + normalize_tag(" ".join(name.split()))


def split_tags(tags: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tags of a file without those that are collections, and the names of the collections that it is in."""
    every = list(tags)
    kept = tuple(tag for tag in every if not tag.startswith(RESERVED))
    return kept, tuple(tag.removeprefix(RESERVED) for tag in every if tag.startswith(RESERVED))


def _check_name(name: str, what: str) -> None:
    if not isinstance(name, str) or not name.strip() or not _is_text(name):
        raise UsageError(f"a {what} is {name!r}; give words")


def resolve_filter(given: SearchFilter | None, options: FilterKeywords) -> SearchFilter | None:
    """A filter, changed by keyword arguments, as stores take it; None where every file is allowed.

    Paths become absolute, a pattern that names no folder fits in every one, and collections are tags.

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
        tags=(*list_words(asked.tags), *map(collection_to_tag, list_words(asked.collections))),
        collections=(),
        formats=tuple(one.lower().lstrip(".") for one in list_words(asked.formats)),
        words=tuple(filter(split_words, asked.words)),
    )
    for name, value in asked.facts:
        asked_phrases(name, value)  # refuses what cannot be asked for
    return None if resolved == SearchFilter() else resolved
