"""Rows of the library's tables ↔ files, recordings, vectors. Knows nothing of transactions or caches."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from openclap.store.records import File, Recording, Vectors
from openclap.store.sqlite.vectors import Block

__all__ = [
    "FILE",
    "ROWS_AT_ONCE",
    "TAGGED",
    "blocks_after",
    "file_of",
    "key_of",
    "maker_of",
    "marks",
    "matrix_of",
    "meta_of",
    "parts",
    "recording_of",
    "row_of",
    "vectors_of",
    "width_of",
]

T = TypeVar("T")

AT_ONCE = 500  # values in one statement
ROWS_AT_ONCE = 4096
FILE = "path, size, mtime_ns, hash, seconds"
TAGGED = f"{FILE}, (SELECT json_group_array(name) FROM (SELECT name FROM tags WHERE file = files.id ORDER BY name))"


def meta_of(db: sqlite3.Connection, name: str) -> str:
    """A fact about the library, or nothing."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()
    return row[0] if row else ""


def maker_of(db: sqlite3.Connection) -> dict[str, Any]:
    """What made the vectors; empty in a new library."""
    found: dict[str, Any] = json.loads(meta_of(db, "maker") or "{}")
    return found


def width_of(db: sqlite3.Connection) -> int:
    """E, or 0 where there is no window."""
    row = db.execute("SELECT length(embedding) / 4 FROM windows LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def key_of(path: str) -> str | bytes:
    """A path as SQLite holds it: text, or bytes where the file's name is no Unicode."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def row_of(file: File) -> tuple[Any, ...]:
    """What FILE names."""
    return key_of(file.path), file.size, file.mtime_ns, file.hash, file.seconds


def file_of(row: tuple[Any, ...]) -> File:
    """Of a row of TAGGED."""
    path, size, mtime_ns, content, seconds, tags = row[:6]
    return File(os.fsdecode(path), size, mtime_ns, content, seconds, tuple(json.loads(tags)))


def recording_of(db: sqlite3.Connection, row: tuple[Any, ...]) -> Recording:
    """A file of a row of TAGGED and its number, with its windows."""
    windows = db.execute(
        "SELECT start_seconds, end_seconds, embedding FROM windows WHERE file = ? ORDER BY id", [row[6]]
    ).fetchall()
    vectors = matrix_of([blob for _, _, blob in windows])
    start, end = (np.array([window[i] for window in windows], np.float64) for i in (0, 1))
    return Recording(file_of(row), start, end, vectors.astype(np.float32))


def blocks_after(db: sqlite3.Connection, after: int) -> Iterator[Block]:
    """Every row above a number, in order."""
    rows = db.execute("SELECT id, file, embedding FROM windows WHERE id > ? ORDER BY id", [after])
    while some := rows.fetchmany(ROWS_AT_ONCE):
        vectors = matrix_of([blob for _, _, blob in some])
        ids, files = (np.array([row[i] for row in some], np.int64) for i in (0, 1))
        yield ids, files, vectors.astype(np.float32, copy=False)


def matrix_of(blobs: Sequence[bytes]) -> Vectors:
    """Vectors of one size → (n, E)."""
    if len({len(blob) for blob in blobs}) != 1 or len(blobs[0]) % 4:
        raise sqlite3.DatabaseError("vectors are missing, or of different sizes")
    return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), -1).astype(np.float32, copy=False)


def vectors_of(db: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Vectors]:
    """The vectors of some rows, those that are there."""
    return {
        number: np.frombuffer(blob[: len(blob) // 4 * 4], "<f4")  # one of a wrong size differs, and is told
        for some in parts(ids)
        for number, blob in db.execute(f"SELECT id, embedding FROM windows WHERE id IN ({marks(some)})", some)
    }


def marks(values: Sequence[Any]) -> str:
    """As many question marks."""
    return ", ".join("?" * len(values))


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """As many as go into one statement."""
    rest = iter(values)
    while some := list(islice(rest, AT_ONCE)):
        yield some
