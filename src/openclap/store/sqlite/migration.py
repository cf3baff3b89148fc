"""An older library in SQLite → one of the present format, in place, by the first process that writes.

    version 2 ─ STEPS[2] ─ version 3 ─ …     in one transaction, with a copy beside the file until it has succeeded
            └ COMPAT_VIEWS[2]                views that look like the present tables, for processes that only read

A new format is a row in `STEPS`, and in `COMPAT_VIEWS` for every older format.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from openclap.atomic_write import atomic_write
from openclap.errors import Hint, LibraryError
from openclap.regular_files import require_database
from openclap.silence import track_vector
from openclap.store.sqlite.rows import matrix_of
from openclap.store.sqlite.words import WORDS
from openclap.store.validation import UNIT_TOLERANCE, BrokenValue

__all__ = [
    "FORMAT_VERSION",
    "OLDEST",
    "TAGS_OF_CONTENT",
    "TRACKS",
    "copy_whole",
    "create_compat_views",
    "drop_copies",
    "migrate",
    "statements",
]

FORMAT_VERSION = 5  # for 1, a single .npz file, see `first_format`
OLDEST = 2

TRACKS = """
CREATE TABLE {}tracks (
    file INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE, embedding BLOB NOT NULL);
"""  # of files with several windows; a table of its own, as rows of files are read by the thousand, and vectors seldom

TAGS_OF_CONTENT = """
CREATE TABLE remembered (
    hash TEXT NOT NULL, path NOT NULL, name TEXT NOT NULL, moved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hash, path, name)) WITHOUT ROWID;
CREATE TRIGGER file_removed_with_tags BEFORE DELETE ON files BEGIN
    INSERT OR REPLACE INTO remembered SELECT old.hash, old.path, name, 0 FROM tags WHERE file = old.id; END;
CREATE TRIGGER file_changed_with_tags BEFORE UPDATE OF hash ON files WHEN old.hash <> new.hash BEGIN
    INSERT OR REPLACE INTO remembered SELECT old.hash, old.path, name, 0 FROM tags WHERE file = old.id; END;
"""


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; `executescript` of sqlite3 would end the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _tags_of_content_and_readings(db: sqlite3.Connection) -> None:
    """2 → 3: remember tags of content that leaves, and the revision of decoding by which each file was read."""
    db.execute("ALTER TABLE files ADD COLUMN reading INTEGER NOT NULL DEFAULT 1")
    for statement in statements(TAGS_OF_CONTENT):
        db.execute(statement)


def _words(db: sqlite3.Connection) -> None:
    """3 → 4: a full-text index of the words of files, which the next `add` fills."""
    db.execute(WORDS.format(""))


def _levels_and_tracks(db: sqlite3.Connection) -> None:
    """4 → 5: the level of each window, which the next embedding fills, and the vector of each file as a whole."""
    db.execute("ALTER TABLE windows ADD COLUMN level REAL")
    db.execute(TRACKS.format(""))
    db.executemany("INSERT INTO tracks (file, embedding) VALUES (?, ?)", _tracks_of_windows(db))


def _tracks_of_windows(db: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    """The vector as a whole, as a blob, of each file with several windows that are sound."""
    rows = db.execute("SELECT file, embedding FROM windows ORDER BY file")
    for file, group in groupby(rows, key=itemgetter(0)):
        with contextlib.suppress(BrokenValue):  # `check` finds it
            blobs = [blob for _, blob in group]
            if len(blobs) == 1:  # its window is the whole
                continue
            vectors = matrix_of(blobs)
            track = track_vector(vectors, np.full(len(vectors), np.nan))
            if abs(float(track @ track) - 1) < UNIT_TOLERANCE:
                yield file, track.astype("<f4").tobytes()


STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {
    2: _tags_of_content_and_readings,
    3: _words,
    4: _levels_and_tracks,
}
NO_WORDS = WORDS.format("temp.")
NO_LEVELS = """
CREATE TEMP VIEW windows AS SELECT id, file, start_seconds, end_seconds, embedding, NULL AS level FROM main.windows;
CREATE TEMP TABLE tracks (file INTEGER PRIMARY KEY, embedding BLOB);
"""
COMPAT_VIEWS = {
    2: f"""
CREATE TEMP VIEW files AS SELECT id, path, size, mtime_ns, hash, seconds, 1 AS reading FROM main.files;
CREATE TEMP TABLE remembered (hash TEXT, path, name TEXT, moved INTEGER);
{NO_WORDS}{NO_LEVELS}
""",
    3: f"{NO_WORDS}{NO_LEVELS}",
    4: NO_LEVELS,
}


def create_compat_views(db: sqlite3.Connection, version: int) -> None:
    """Let a connection read an older library as if it were of the present format, without changing it."""
    db.execute("PRAGMA temp_store = MEMORY")
    for statement in statements(COMPAT_VIEWS.get(version, "")):
        db.execute(statement)


def migrate(db: sqlite3.Connection, file: Path) -> None:
    """Bring an older library to the present format in one transaction; other processes wait meanwhile.

    Raises
    ------
    LibraryError
        It would not hold what it held before; it is left as it was.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)
        if version in STEPS:
            copy_whole(file, _name_of_copy(file, version))
            before = _count_rows(db)
            while version in STEPS:
                STEPS[version](db)
                version += 1
            db.execute(f"PRAGMA user_version = {version}")
            if _count_rows(db) != before:
                raise LibraryError(
                    f"{file} could not be brought up to format version {version}; it is as it was",
                    Hint("repair"),
                )
        db.commit()
    except BaseException:
        if db.in_transaction:
            db.rollback()
        raise
    drop_copies(file)


def drop_copies(file: Path) -> None:
    """Remove copies of older formats, which a process that was killed after its migration may have left."""
    for version in range(OLDEST, FORMAT_VERSION):
        with contextlib.suppress(OSError):
            _name_of_copy(file, version).unlink(missing_ok=True)


def copy_whole(file: Path, to: Path) -> None:
    """Copy a library as it is at this moment, with what is only in its -wal file; no partial copy gets the name."""
    require_database(file)
    with (
        atomic_write(to, own=True, sync=True) as part,
        contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source,
    ):
        part.unlink(missing_ok=True)  # left by a process that was killed
        with contextlib.closing(sqlite3.connect(part)) as target:
            source.backup(target)


def _name_of_copy(file: Path, version: int) -> Path:
    return file.with_name(f"{file.name}.version-{version}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _count_rows(db: sqlite3.Connection) -> tuple[int, ...]:
    """The numbers of files, windows and tags."""
    return tuple(
        db.execute(f"SELECT count(*) FROM main.{table}").fetchone()[0] for table in ("files", "windows", "tags")
    )
