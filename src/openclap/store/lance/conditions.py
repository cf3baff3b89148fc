"""A `SearchFilter` → a condition of LanceDB, which fits rows of windows."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from lancedb.query import ColumnOrdering

from openclap.file_facts import asked_phrases
from openclap.store.path_patterns import (
    has_one_spelling,
    path_to_text,
    regex_of_folder,
    regex_of_formats,
    regex_of_pattern,
    spellings,
)
from openclap.store.records import SearchFilter
from openclap.words import split_words

__all__ = ["any_of", "by", "filter_condition", "has_words", "is_any_of", "quote"]

LARGEST = 2**62


def quote(text: str) -> str:
    """A text, quoted for a condition."""
    return "'" + text.replace("'", "''") + "'"


def by(column: str) -> Any:
    """The order by a column, the smallest first."""
    return ColumnOrdering(column_name=column, ascending=True)


def is_any_of(column: str, values: Iterable[str]) -> str:
    """The condition that a column is one of these texts."""
    return f"{column} IN ({', '.join(map(quote, values))})"


def filter_condition(where: SearchFilter | None, files: Collection[str] = ()) -> str | None:
    """A filter as a condition of LanceDB; `files` are further paths, as texts, that are allowed by `within`."""
    if where is None:
        return None
    conditions = [
        condition.format(wanted)
        for value, condition, wanted in (
            (where.path, "regexp_like(path, {})", where.path is not None and quote(regex_of_pattern(where.path))),
            (where.min_seconds, "seconds >= {}", _number(where.min_seconds)),
            (where.max_seconds, "seconds <= {}", _number(where.max_seconds)),
            (where.after, "mtime_ns >= {}", _nanoseconds(where.after)),
            (where.before, "mtime_ns < {}", _nanoseconds(where.before)),
        )
        if value is not None
    ]
    if where.formats:
        conditions.append(f"regexp_like(path, {quote(regex_of_formats(where.formats))})")
    conditions += [any_of([f"array_has(tags, {quote(way)})" for way in spellings(tag)]) for tag in where.tags]
    if where.within is not None:
        conditions.append(
            any_of([*map(_lies_in, where.within), *([is_any_of("path", sorted(files))] if files else [])])
        )
    if where.outside:
        conditions.append(f"NOT {any_of([*map(_lies_in, where.outside)])}")
    conditions += _text_conditions(where)
    return " AND ".join(conditions) or None


def has_words(phrase: str) -> str:
    """The condition that words stand together in the name, the folders or the tags of a file."""
    return f"strpos(words, {quote(f' {phrase} ')}) > 0"


def _text_conditions(where: SearchFilter) -> Iterator[str]:
    yield from (has_words(" ".join(words)) for words in map(split_words, where.words) if words)
    for name, value in where.facts:
        before, after = ("^[^|]*[|][^|]*", "[^|]*[|]") if name == "folder" else ("", "")
        regex = f"{before} (?:{'|'.join(asked_phrases(name, value))}) {after}"
        yield f"regexp_like(words, {quote(regex)})"


def any_of(conditions: Sequence[str]) -> str:
    """The condition that one of these holds, as a tree: a long chain would be too deep for the parser."""
    if len(conditions) <= 1:
        return f"({conditions[0]})" if conditions else "false"
    middle = len(conditions) // 2
    return f"({any_of(conditions[:middle])} OR {any_of(conditions[middle:])})"


def _lies_in(path: str) -> str:
    if not has_one_spelling(path):
        return f"regexp_like(path, {quote(regex_of_folder(path))})"
    folder = path_to_text(path).rstrip(os.sep) + os.sep
    beyond = folder[:-1] + chr(ord(os.sep) + 1)
    return f"path = {quote(path_to_text(path))} OR (path > {quote(folder)} AND path < {quote(beyond)})"


def _number(value: float | None) -> str:
    return f"CAST('{value}' AS DOUBLE)"


def _nanoseconds(seconds: float | None) -> int:
    if seconds is None:
        return 0
    wanted = seconds * 1e9
    return (
        math.ceil(max(-LARGEST, min(LARGEST, wanted))) if abs(wanted) < LARGEST else int(math.copysign(LARGEST, wanted))
    )
