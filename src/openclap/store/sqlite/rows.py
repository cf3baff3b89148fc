"""Rows of the library's tables ↔ files, recordings, vectors. Knows nothing of transactions or caches."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, TypeVar

import numpy as np

from openclap.store.records import File, Recording, RememberedTags, Vectors
from openclap.store.sqlite.vector_cache import Block
from openclap.store.validation import BrokenValue, validate_file, validate_identity, validate_span, validate_vectors

__all__ = [
    "FILE",
    "ROWS_AT_ONCE",
    "TAGGED",
    "blocks_after",
    "chunks",
    "counts_of",
    "file_to_row",
    "key_to_path",
    "matrix_of",
    "meta_of",
    "path_to_key",
    "placeholders",
    "read_model_identity",
    "remembered_in",
    "restore_tags",
    "row_to_file",
    "row_to_recording",
    "vectors_of",
    "width_of",
]

T = TypeVar("T")

AT_ONCE = 500  # values in one statement
ROWS_AT_ONCE = 4096
FILE = "path, size, mtime_ns, hash, seconds, reading"
TAGGED = f"{FILE}, (SELECT json_group_array(name) FROM (SELECT name FROM tags WHERE file = files.id ORDER BY name))"


def meta_of(db: sqlite3.Connection, name: str) -> str:
    """A fact about the library, or nothing."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()
    value = row[0] if row else ""
    if not isinstance(value, str):
        raise BrokenValue(f"the {name} of the library is no text")
    return value


def read_model_identity(db: sqlite3.Connection) -> dict[str, Any]:
    """What made the vectors; empty in a new library."""
    return validate_identity(meta_of(db, "maker"))


def width_of(db: sqlite3.Connection) -> int:
    """E, or 0 where there is no window."""
    row = db.execute("SELECT embedding FROM windows LIMIT 1").fetchone()
    width = matrix_of([row[0]]).shape[1] if row else 0
    said = _width_said(meta_of(db, "maker"))
    if width and said and width != said:
        raise BrokenValue(f"its vectors have {width} numbers, those of the model that made it {said}")
    return width


@lru_cache(8)
def _width_said(maker: str) -> int:
    """E as the maker has it."""
    return int(validate_identity(maker).get("embedding", 0))


def path_to_key(path: str) -> str | bytes:
    """A path as SQLite holds it: text, or bytes where the file's name is no Unicode."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def file_to_row(file: File) -> tuple[Any, ...]:
    """What FILE names."""
    return path_to_key(file.path), file.size, file.mtime_ns, file.hash, file.seconds, file.reading


def row_to_file(row: tuple[Any, ...]) -> File:
    """Of a row of TAGGED."""
    path, size, mtime_ns, content, seconds, reading, tags = row[:7]
    return validate_file(key_to_path(path), size, mtime_ns, content, seconds, json.loads(tags), reading)


def key_to_path(path: Any) -> Any:
    """A path as Python has it; what is none stays what it is."""
    return os.fsdecode(path) if isinstance(path, bytes) else path


def row_to_recording(db: sqlite3.Connection, row: tuple[Any, ...]) -> Recording:
    """A file of a row of TAGGED and its number, with its windows."""
    file = row_to_file(row)
    windows = db.execute(
        "SELECT start_seconds, end_seconds, embedding FROM windows WHERE file = ? ORDER BY id", [row[7]]
    ).fetchall()
    vectors = validate_vectors(file.path, matrix_of([blob for _, _, blob in windows]), width_of(db))
    spans = np.array([validate_span(file.path, start, end) for start, end, _ in windows], np.float64)
    return Recording(file, spans[:, 0].copy(), spans[:, 1].copy(), vectors.astype(np.float32))


def counts_of(db: sqlite3.Connection) -> tuple[int, int, float]:
    """How many files and windows there are, and seconds."""
    row = db.execute("SELECT files, windows, seconds FROM counts").fetchone()
    if row is None or not all(isinstance(value, int | float) and math.isfinite(value) for value in row):
        raise BrokenValue(f"its counts are {row}")
    return int(row[0]), int(row[1]), float(row[2])


def remembered_in(db: sqlite3.Connection) -> list[RememberedTags]:
    """Tags of content that has left."""
    rows = db.execute("SELECT hash, path, moved, name FROM remembered ORDER BY hash, path, moved, name").fetchall()
    whole = [row for row in rows if isinstance(row[0], str) and isinstance(row[3], str)]
    groups = groupby(whole, key=lambda row: (row[0], key_to_path(row[1]), bool(row[2])))
    return [RememberedTags(hash, path, tuple(row[3] for row in group), moved) for (hash, path, moved), group in groups]


def restore_tags(db: sqlite3.Connection, number: int, file: File) -> None:
    """Put the tags that content had when it left on the file that brings it back: those of its path, or else of any.

    Those of another path stay remembered: the file that had them may come back, too.
    """
    here = [file.hash, path_to_key(file.path)]
    names = db.execute("SELECT name FROM remembered WHERE hash = ? AND path = ?", here).fetchall()
    if names:
        db.execute("DELETE FROM remembered WHERE hash = ? AND path = ?", here)
    else:
        names = db.execute("SELECT DISTINCT name FROM remembered WHERE hash = ? AND NOT moved", here[:1]).fetchall()
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(number, name) for (name,) in names])


def blocks_after(db: sqlite3.Connection, after: int) -> Iterator[Block]:
    """Every row above a number, in order."""
    rows = db.execute("SELECT id, file, embedding FROM windows WHERE id > ? ORDER BY id", [after])
    while some := rows.fetchmany(ROWS_AT_ONCE):
        vectors = matrix_of([blob for _, _, blob in some])
        ids, files = (np.array([row[i] for row in some], np.int64) for i in (0, 1))
        yield ids, files, vectors.astype(np.float32, copy=False)


def matrix_of(blobs: Sequence[bytes]) -> Vectors:
    """Vectors of one size → (n, E)."""
    if not all(isinstance(blob, bytes) for blob in blobs):
        raise BrokenValue("a vector is no vector")
    if len({len(blob) for blob in blobs}) != 1 or not blobs[0] or len(blobs[0]) % 4:
        raise BrokenValue("vectors are missing, or of different sizes")
    return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), -1).astype(np.float32, copy=False)


def vectors_of(db: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Vectors]:
    """The vectors of some rows, those that are there."""
    return {
        number: np.frombuffer(
            blob[: len(blob) // 4 * 4] if isinstance(blob, bytes) else b"", "<f4"
        )  # one of a wrong size differs
        for some in chunks(ids)
        for number, blob in db.execute(f"SELECT id, embedding FROM windows WHERE id IN ({placeholders(some)})", some)
    }


def placeholders(values: Sequence[Any]) -> str:
    """As many question marks."""
    return ", ".join("?" * len(values))


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """As many as go into one statement."""
    rest = iter(values)
    while some := list(islice(rest, AT_ONCE)):
        yield some
