"""Filters → the files they allow, asked of the library's tables."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.store.records import Where
from openclap.store.sqlite.rows import key_of

__all__ = ["allowed_by", "mask_of"]


def mask_of(db: sqlite3.Connection, where: Where) -> npt.NDArray[np.bool_]:
    """Which file numbers a filter allows."""
    highest = db.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()[0]
    mask = np.zeros(highest + 1, np.bool_)
    mask[list(allowed_by(db, where))] = True
    return mask


def allowed_by(db: sqlite3.Connection, where: Where) -> set[int]:
    """The numbers of the files that a filter allows."""
    conditions: list[str] = []
    values: list[Any] = []
    for value, condition in (
        (where.glob, "CAST(path AS TEXT) GLOB ?"),
        (where.shortest, "seconds >= ?"),
        (where.longest, "seconds <= ?"),
        (None if where.after is None else where.after * 1e9, "mtime_ns >= ?"),
        (None if where.before is None else where.before * 1e9, "mtime_ns < ?"),
        *((tag, "EXISTS (SELECT 1 FROM tags WHERE file = id AND name = ?)") for tag in where.tags),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if where.within is None:
        query = " AND ".join(conditions) or "1"
        return {number for (number,) in db.execute(f"SELECT id FROM files WHERE {query}", values)}
    found: set[int] = set()
    for path in where.within:
        folder = path.rstrip(os.sep) + os.sep
        beyond = folder[:-1] + chr(ord(os.sep) + 1)
        lies = "(path = ? OR (path > ? AND path < ?) OR (path > ? AND path < ?))"  # text, and names that are no text
        query = " AND ".join([*conditions, lies])
        inside = [key_of(path), key_of(folder), key_of(beyond), os.fsencode(folder), os.fsencode(beyond)]
        found |= {number for (number,) in db.execute(f"SELECT id FROM files WHERE {query}", [*values, *inside])}
    return found
