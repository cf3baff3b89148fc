"""Rows of the library's tables ↔ files, recordings and vectors."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np

from openclap.batches import batches
from openclap.silence import track_vector
from openclap.store.records import File, Recording, RememberedTags, Vectors
from openclap.store.sqlite.vector_cache import Block
from openclap.store.validation import (
    UNIT_TOLERANCE,
    BrokenValue,
    validate_file,
    validate_identity,
    validate_level,
    validate_path,
    validate_span,
    validate_vectors,
)

__all__ = [
    "AT_ONCE",
    "FILE",
    "ROWS_AT_ONCE",
    "TAGGED",
    "blocks_after",
    "count_windows",
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
    "sample_vectors",
    "tracks_of",
    "vectors_of",
    "width_of",
    "write_windows",
]

AT_ONCE = 500  # values in one statement
ROWS_AT_ONCE = 4096
FILE = "path, size, mtime_ns, hash, seconds, reading"
TAGGED = f"{FILE}, (SELECT json_group_array(name) FROM (SELECT name FROM tags WHERE file = files.id ORDER BY name))"


def meta_of(db: sqlite3.Connection, name: str) -> str:
    """A fact about the library; an empty text where it is not noted."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()
    value = row[0] if row else ""
    if not isinstance(value, str):
        raise BrokenValue(f"the {name} of the library is no text")
    return value


def read_model_identity(db: sqlite3.Connection) -> dict[str, Any]:
    """The model that made the vectors, as facts by name; empty in a new library."""
    return validate_identity(meta_of(db, "maker"))


def width_of(db: sqlite3.Connection) -> int:
    """The embedding size E; 0 where there is no window."""
    row = db.execute("SELECT embedding FROM windows LIMIT 1").fetchone()
    width = matrix_of([row[0]]).shape[1] if row else 0
    noted = _width_of_maker(meta_of(db, "maker"))
    if width and noted and width != noted:
        raise BrokenValue(f"its vectors have {width} numbers, those of the model that made it {noted}")
    return width


@lru_cache(8)
def _width_of_maker(maker: str) -> int:
    """The embedding size E of the model that made the library."""
    return int(validate_identity(maker).get("embedding", 0))


def path_to_key(path: str) -> str | bytes:
    """A path as the tables hold it: text, or bytes where it is not valid Unicode."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def file_to_row(file: File) -> tuple[Any, ...]:
    """The values of a file for the columns FILE."""
    return path_to_key(file.path), file.size, file.mtime_ns, file.hash, file.seconds, file.reading


def row_to_file(row: tuple[Any, ...]) -> File:
    """The file of a row with the columns TAGGED."""
    path, size, mtime_ns, content, seconds, reading, tags = row[:7]
    return validate_file(key_to_path(path), size, mtime_ns, content, seconds, json.loads(tags), reading)


def key_to_path(path: Any) -> Any:
    """A path of the tables as Python writes it; a value of another type stays what it is."""
    return os.fsdecode(path) if isinstance(path, bytes) else path


def row_to_recording(db: sqlite3.Connection, row: tuple[Any, ...]) -> Recording:
    """The file, with its windows, of a row with the columns TAGGED and id."""
    file = row_to_file(row)
    windows = db.execute(
        "SELECT start_seconds, end_seconds, embedding, level FROM windows WHERE file = ? ORDER BY id", [row[7]]
    ).fetchall()
    vectors = validate_vectors(file.path, matrix_of([blob for _, _, blob, _ in windows]), width_of(db))
    spans = np.array([validate_span(file.path, start, end) for start, end, *_ in windows], np.float64)
    level = np.array([validate_level(file.path, level) for *_, level in windows], np.float32)
    return Recording(file, spans[:, 0].copy(), spans[:, 1].copy(), vectors.astype(np.float32), level=level)


def write_windows(db: sqlite3.Connection, number: int, recording: Recording) -> None:
    """Write the windows of a file, and its vector as a whole, instead of those that it had."""
    db.execute("DELETE FROM windows WHERE file = ?", [number])
    levels = [None if math.isnan(level) else level for level in recording.levels.tolist()]
    vectors = (vector.astype("<f4").tobytes() for vector in recording.embedding)
    rows = zip(recording.start.tolist(), recording.end.tolist(), vectors, levels, strict=True)
    db.executemany(
        "INSERT INTO windows (file, start_seconds, end_seconds, embedding, level) VALUES (?, ?, ?, ?, ?)",
        [(number, *row) for row in rows],
    )
    db.execute("DELETE FROM tracks WHERE file = ?", [number])
    if len(recording.start) > 1:  # otherwise its window is the whole
        track = recording.track.astype("<f4").tobytes()
        db.execute("INSERT INTO tracks (file, embedding) VALUES (?, ?)", [number, track])


def tracks_of(db: sqlite3.Connection, paths: Iterable[str]) -> dict[str, Vectors]:
    """The vectors of files as a whole, by path; what is not noted, or damaged, is made of the windows."""
    found: dict[str, Vectors] = {}
    width = width_of(db)
    for some in batches(map(path_to_key, paths), AT_ONCE):
        rows = db.execute(
            "SELECT id, path, embedding FROM files LEFT JOIN tracks ON tracks.file = id"
            f" WHERE path IN ({placeholders(some)})",
            some,
        ).fetchall()
        path_of = {number: validate_path(key_to_path(path)) for number, path, _ in rows}
        noted = {number: np.frombuffer(blob, "<f4") for number, _, blob in rows if _has_width(blob, width)}
        unit = {
            number: vector for number, vector in noted.items() if abs(float(vector @ vector) - 1) < 2 * UNIT_TOLERANCE
        }
        others = {number: path for number, path in path_of.items() if number not in unit}
        unit |= _tracks_of_windows(db, others, width)
        found |= {path_of[number]: vector.astype(np.float32) for number, vector in unit.items()}
    return found


def _tracks_of_windows(db: sqlite3.Connection, files: Mapping[int, str], width: int) -> Iterator[tuple[int, Vectors]]:
    """The vectors as a whole of files (number → path), made of their windows, by number."""
    wanted = f"file IN ({placeholders([*files])}) ORDER BY file"
    rows = db.execute(f"SELECT file, embedding, level FROM windows WHERE {wanted}", [*files])
    for number, group in groupby(rows, key=lambda row: row[0]):
        windows, path = list(group), files[number]
        vectors = validate_vectors(path, matrix_of([blob for _, blob, _ in windows]), width)
        yield number, track_vector(vectors, np.array([validate_level(path, level) for *_, level in windows]))


def _has_width(blob: Any, width: int) -> bool:
    return isinstance(blob, bytes) and len(blob) == 4 * width


def counts_of(db: sqlite3.Connection) -> tuple[int, int, float]:
    """The numbers of files and windows, and their seconds in all."""
    row = db.execute("SELECT files, windows, seconds FROM counts").fetchone()
    if row is None or not all(isinstance(value, int | float) and math.isfinite(value) for value in row):
        raise BrokenValue(f"its counts are {row}")
    return int(row[0]), int(row[1]), float(row[2])


def count_windows(db: sqlite3.Connection, keys: Iterable[str | bytes]) -> Iterator[tuple[str, int]]:
    """The paths of those of these files that are in the library, with the numbers of their windows."""
    for some in batches(keys, AT_ONCE):
        counted = "SELECT path, (SELECT count(*) FROM windows WHERE file = files.id) FROM files"
        for path, count in db.execute(f"{counted} WHERE path IN ({placeholders(some)})", some):
            yield validate_path(key_to_path(path)), count


def remembered_in(db: sqlite3.Connection) -> list[RememberedTags]:
    """All remembered tags of content that has left."""
    rows = db.execute("SELECT hash, path, moved, name FROM remembered ORDER BY hash, path, moved, name").fetchall()
    whole = [row for row in rows if isinstance(row[0], str) and isinstance(row[3], str)]
    groups = groupby(whole, key=lambda row: (row[0], key_to_path(row[1]), bool(row[2])))
    return [RememberedTags(hash, path, tuple(row[3] for row in group), moved) for (hash, path, moved), group in groups]


def restore_tags(db: sqlite3.Connection, number: int, file: File) -> None:
    """Give a file the tags that its content had when it left: those remembered for its path, or else for any path.

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
    """Every row with an id above `after`, in order."""
    rows = db.execute("SELECT id, file, embedding FROM windows WHERE id > ? ORDER BY id", [after])
    while some := rows.fetchmany(ROWS_AT_ONCE):
        vectors = matrix_of([blob for _, _, blob in some])
        ids, files = (np.array([row[i] for row in some], np.int64) for i in (0, 1))
        yield ids, files, vectors.astype(np.float32, copy=False)


def matrix_of(blobs: Sequence[bytes], width: int = 0) -> Vectors:
    """Blobs that hold a vector each → (n, E); where the width E is not given, the first one tells it."""
    if not all(isinstance(blob, bytes) for blob in blobs):
        raise BrokenValue("a vector is no vector")
    width = width or (len(blobs[0]) // 4 if blobs else 0)
    if not width or any(len(blob) != 4 * width for blob in blobs):
        raise BrokenValue("vectors are missing, or of different sizes")
    return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), width).astype(np.float32, copy=False)


def sample_vectors(db: sqlite3.Connection, count: int, width: int) -> Vectors:
    """Vectors evenly spread over the library: (at most count, E)."""
    ids = [number for (number,) in db.execute("SELECT id FROM windows")] if count else []
    chosen = vectors_of(db, ids[:: max(1, len(ids) // max(1, count))][:count])
    sample = np.array([vector for vector in chosen.values() if len(vector) == width], np.float32).reshape(-1, width)
    return sample[np.isfinite(sample).all(1)]


def vectors_of(db: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Vectors]:
    """The vectors of those of the rows that are in the library, by id."""
    return {
        number: np.frombuffer(
            blob[: len(blob) // 4 * 4] if isinstance(blob, bytes) else b"", "<f4"
        )  # a vector of a wrong size is cut, so that it differs from the right one
        for some in batches(ids, AT_ONCE)
        for number, blob in db.execute(f"SELECT id, embedding FROM windows WHERE id IN ({placeholders(some)})", some)
    }


def placeholders(values: Sequence[Any]) -> str:
    """One question mark for each value, for a statement."""
    return ", ".join("?" * len(values))
