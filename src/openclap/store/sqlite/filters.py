"""A `SearchFilter` → the files of the library's tables that it allows."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.store.path_patterns import (
    folder_matcher,
    has_one_spelling,
    is_plain,
    path_matcher,
    regex_of_formats,
    regex_of_pattern,
    spellings,
)
from openclap.store.records import SearchFilter
from openclap.store.sqlite.rows import path_to_key, placeholders
from openclap.store.sqlite.words import text_conditions

__all__ = ["allowed_files", "allowed_mask"]


def allowed_mask(db: sqlite3.Connection, where: SearchFilter) -> npt.NDArray[np.bool_]:
    """The file numbers that a filter allows, as a mask (highest number + 1,)."""
    highest = db.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()[0]
    mask = np.zeros(highest + 1, np.bool_)
    mask[list(allowed_files(db, where))] = True
    return mask


def allowed_files(db: sqlite3.Connection, where: SearchFilter) -> set[int]:
    """The numbers of the files that a filter allows."""
    conditions: list[str] = []
    values: list[Any] = []
    for value, condition in (
        (where.min_seconds, "seconds >= ?"),
        (where.max_seconds, "seconds <= ?"),
        (None if where.after is None else where.after * 1e9, "mtime_ns >= ?"),
        (None if where.before is None else where.before * 1e9, "mtime_ns < ?"),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    for tag in where.tags:
        ways = spellings(tag)
        conditions.append(f"EXISTS (SELECT 1 FROM tags WHERE file = id AND name IN ({placeholders(ways)}))")
        values += ways
    for condition, query in text_conditions(where):
        conditions.append(condition)
        values.append(query)
    if where.path is not None and is_plain(where.path):
        conditions.append("CAST(path AS TEXT) GLOB ?")
        values.append(where.path)
    elif where.path is not None:
        db.create_function("fits", 1, path_matcher(regex_of_pattern(where.path)), deterministic=True)
        conditions.append("fits(path)")
    if where.formats:
        db.create_function("ends", 1, path_matcher(regex_of_formats(where.formats)), deterministic=True)
        conditions.append("ends(path)")
    chosen = f"SELECT id FROM files WHERE {' AND '.join(conditions) or '1'}"
    found = (
        {number for (number,) in db.execute(chosen, values)}
        if where.within is None
        else _within(db, where.within, chosen, values)
    )
    return found - _within(db, where.outside, "SELECT id FROM files WHERE 1", []) if where.outside else found


def _within(db: sqlite3.Connection, paths: Sequence[str], chosen: str, values: list[Any]) -> set[int]:
    """The numbers of the chosen files that are these, or lie in these folders."""
    found: set[int] = set()
    odd = [path for path in paths if not has_one_spelling(path)]
    if odd:
        db.create_function("lies_in", 1, folder_matcher(odd), deterministic=True)
        found |= {number for (number,) in db.execute(f"{chosen} AND lies_in(path)", values)}
    for path in filter(has_one_spelling, paths):
        folder = path.rstrip(os.sep) + os.sep
        beyond = folder[:-1] + chr(ord(os.sep) + 1)
        # paths as text, and as bytes that are not UTF-8
        lies = "(path = ? OR (path > ? AND path < ?) OR (path > ? AND path < ?))"
        inside = [path_to_key(path), path_to_key(folder), path_to_key(beyond), os.fsencode(folder), os.fsencode(beyond)]
        found |= {number for (number,) in db.execute(f"{chosen} AND {lies}", [*values, *inside])}
    return found
