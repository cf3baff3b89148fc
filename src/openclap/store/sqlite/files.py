"""Files of the library's tables: put, moved, brought up to date and read; each call is part of a transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from openclap.batches import batches
from openclap.store.records import File, FileText, Recording, SearchFilter, width_mismatch
from openclap.store.sqlite.filters import allowed_files
from openclap.store.sqlite.rows import (
    AT_ONCE,
    FILE,
    ROWS_AT_ONCE,
    TAGGED,
    file_to_row,
    key_to_path,
    path_to_key,
    placeholders,
    restore_tags,
    row_to_file,
    row_to_recording,
    width_of,
    write_windows,
)
from openclap.store.sqlite.words import delete_file, texts_of, write_text
from openclap.store.validation import validate_path

__all__ = [
    "allowed_by_path",
    "move_files",
    "page_of_files",
    "path_bounds",
    "put_recordings",
    "recording_at",
    "select_files",
    "update_facts",
]

# the first and last of texts, and of bytes, which come after all texts; one lookup each
PATH_BOUNDS = "SELECT " + ", ".join(
    f"(SELECT {end}(path) FROM files WHERE path {where} x'')" for where in ("<", ">=") for end in ("min", "max")
)


def put_recordings(db: sqlite3.Connection, recordings: Sequence[Recording]) -> None:
    """Add files with their windows, or replace them; content that returns gets its tags back."""
    width = width_of(db)
    returning = db.execute("SELECT 1 FROM remembered LIMIT 1").fetchone() is not None
    for recording in recordings:
        file, has = recording.file, recording.embedding.shape[1]
        width = width or has
        if has != width:
            raise width_mismatch(has, width)
        before = db.execute("SELECT hash FROM files WHERE path = ?", [path_to_key(file.path)]).fetchone()
        (number,) = db.execute(
            f"INSERT INTO files ({FILE}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET size ="
            " excluded.size, mtime_ns = excluded.mtime_ns, hash = excluded.hash, seconds = excluded.seconds,"
            " reading = excluded.reading RETURNING id",
            file_to_row(file),
        ).fetchone()
        if returning and before != (file.hash,):
            restore_tags(db, number, file)
        if recording.text is not None:
            write_text(db, number, recording.text)
        write_windows(db, number, recording)


def update_facts(db: sqlite3.Connection, files: Sequence[File]) -> None:
    """Note new sizes, times and revisions of reading for files whose content is unchanged."""
    db.executemany(
        "UPDATE files SET size = ?, mtime_ns = ?, reading = ? WHERE path = ? AND hash = ?",
        [(file.size, file.mtime_ns, file.reading, path_to_key(file.path), file.hash) for file in files],
    )


def move_files(
    db: sqlite3.Connection, moves: Sequence[tuple[str, File]], texts: Mapping[str, FileText] | None
) -> list[str]:
    """Give files other paths → the new ones of those that were moved; all leave before the first one arrives."""
    done: list[tuple[int, File]] = []
    for old, file in moves:
        row = db.execute("SELECT id FROM files WHERE path = ? AND hash = ?", [path_to_key(old), file.hash]).fetchone()
        if row is not None:
            db.execute(
                "INSERT OR IGNORE INTO remembered SELECT ?, ?, name, 1 FROM tags WHERE file = ?",
                [file.hash, path_to_key(old), row[0]],
            )
            db.execute("UPDATE files SET path = ? WHERE id = ?", [f"\0moving {row[0]}", row[0]])
            done.append((row[0], file))
    for number, file in done:
        delete_file(db, path_to_key(file.path))
        db.execute(
            "UPDATE files SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
            [path_to_key(file.path), file.size, file.mtime_ns, number],
        )
        restore_tags(db, number, file)
        if texts and file.path in texts:
            write_text(db, number, texts[file.path])
    return list(dict.fromkeys(file.path for _, file in done))


def select_files(db: sqlite3.Connection, column: str, values: Iterable[Any]) -> Iterator[File]:
    """The files whose `column` is one of these values, in no order."""
    for some in batches(values, AT_ONCE):
        found = db.execute(f"SELECT {TAGGED} FROM files WHERE {column} IN ({placeholders(some)})", some)
        yield from map(row_to_file, found)


def allowed_by_path(db: sqlite3.Connection, where: SearchFilter) -> list[File]:
    """The files that a filter allows, by path."""
    found = select_files(db, "id", sorted(allowed_files(db, where)))
    return sorted(found, key=lambda file: os.fsencode(file.path))


def page_of_files(db: sqlite3.Connection, after: str | bytes) -> tuple[list[File], str | bytes]:
    """Some thousands of files behind a path, by path, and the path after which the next ones are."""
    rows = db.execute(
        f"SELECT {TAGGED} FROM files WHERE path > ? ORDER BY path LIMIT {ROWS_AT_ONCE}", [after]
    ).fetchall()
    return [row_to_file(row) for row in rows], rows[-1][0] if rows else after


def recording_at(db: sqlite3.Connection, path: str) -> Recording | None:
    """The file at a path with its windows and its text; None where there is none."""
    row = db.execute(f"SELECT {TAGGED}, id FROM files WHERE path = ?", [path_to_key(path)]).fetchone()
    if row is None:
        return None
    return replace(row_to_recording(db, row), text=dict(texts_of(db, [row[7]])).get(row[7]))


def path_bounds(db: sqlite3.Connection) -> list[str]:
    """As `Store.path_bounds`."""
    ends = db.execute(PATH_BOUNDS).fetchone()
    return [validate_path(key_to_path(path)) for path in ends if path is not None]
