"""The path of a library's SQLite file → a connection for one thread, to tables of the present format.

A new library is created here, an older one migrated, and what is not a library refused.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

from openclap.errors import Hint, LibraryMismatch
from openclap.regular_files import require_database
from openclap.store.sqlite.first_format import VERSION as FIRST
from openclap.store.sqlite.first_format import convert, first_format_beside
from openclap.store.sqlite.migration import (
    FORMAT_VERSION,
    OLDEST,
    TAGS_OF_CONTENT,
    TRACKS,
    create_compat_views,
    drop_copies,
    migrate,
    statements,
)
from openclap.store.sqlite.words import WORDS

__all__ = ["WAIT_SECONDS", "Connection", "NotCreatedYet"]

APPLICATION_ID = 0x6F63_6C70  # "oclp": tells a library from databases of other programs
WAIT_SECONDS = 120  # for another process to finish writing
MEMORY = "file::memory:"
PAGE_BYTES = 16_384  # a page holds seven vectors of 512 numbers

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    hash TEXT NOT NULL, seconds REAL NOT NULL, reading INTEGER NOT NULL DEFAULT 1);
CREATE INDEX files_by_hash ON files (hash);
CREATE TABLE tags (
    file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, name TEXT NOT NULL,
    PRIMARY KEY (file, name)) WITHOUT ROWID;
CREATE TABLE windows (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, embedding BLOB NOT NULL, level REAL);
CREATE INDEX windows_by_file ON windows (file);
CREATE TABLE counts (files INTEGER NOT NULL, windows INTEGER NOT NULL, seconds REAL NOT NULL);
INSERT INTO counts VALUES (0, 0, 0.0);
CREATE TRIGGER file_added AFTER INSERT ON files BEGIN
    UPDATE counts SET files = files + 1, seconds = seconds + new.seconds; END;
CREATE TRIGGER file_removed AFTER DELETE ON files BEGIN
    UPDATE counts SET files = files - 1, seconds = seconds - old.seconds; END;
CREATE TRIGGER file_changed AFTER UPDATE OF seconds ON files BEGIN
    UPDATE counts SET seconds = seconds + new.seconds - old.seconds; END;
CREATE TRIGGER window_added AFTER INSERT ON windows BEGIN UPDATE counts SET windows = windows + 1; END;
CREATE TRIGGER window_removed AFTER DELETE ON windows BEGIN UPDATE counts SET windows = windows - 1; END;
"""


class NotCreatedYet(Exception):
    """Another process is creating the library right now, or was killed while it did."""


class Connection:
    """A connection, and what tells whether it still leads to the library of that name."""

    def __init__(self, file: Path, *, make: bool) -> None:
        self.process = os.getpid()
        self.version = FORMAT_VERSION
        self.source = file  # the file its rows come from
        exists = file.exists()
        require_database(file)
        self.writable = os.access(file if exists else file.parent, os.W_OK) and os.access(file.parent, os.W_OK)
        # readers share files in the folder; where these cannot be made, SQLite must be told that nobody writes
        self.immutable = not self.writable and not file.with_name(file.name + "-wal").exists()
        mode = (
            "rwc" if self.writable and make else "rw" if self.writable else "ro&immutable=1" if self.immutable else "ro"
        )
        place = f"{file.absolute().as_uri()}?mode={mode}" if exists or make else MEMORY
        self.db = sqlite3.connect(place, uri=True, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(file, make)
        except BaseException:
            self.db.close()
            raise
        self._seen = self._signature(file)

    def _prepare(self, file: Path, make: bool) -> None:
        self.db.execute("PRAGMA foreign_keys = ON")
        self.db.execute("PRAGMA trusted_schema = OFF")  # a manipulated library must not run functions of ours
        # tables first: a process that creates the library commits both at once, and numbers that were read before the
        # tables could still be 0
        foreign = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version, application = (
            self.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
        if make and self.writable and not foreign:
            _create(self.db, first_format_beside(file))
        elif foreign and application != APPLICATION_ID:
            raise LibraryMismatch(f"{file} is a database of another program", Hint("other_library"))
        elif not OLDEST <= version <= FORMAT_VERSION and foreign:
            raise LibraryMismatch(
                f"{file} is of format version {version}; this openclap reads versions {OLDEST} to {FORMAT_VERSION}",
                "update openclap",
                Hint("other_library"),
            )
        elif not foreign and (first := first_format_beside(file)) is not None:
            if make:
                raise sqlite3.OperationalError("attempt to write a readonly database")
            self._read_into_memory(first)
        elif not foreign:
            raise NotCreatedYet
        elif version < FORMAT_VERSION and make and self.writable:
            migrate(self.db, file)
        elif version < FORMAT_VERSION and make:
            raise sqlite3.OperationalError("attempt to write a readonly database")  # the views would hide that
        elif version < FORMAT_VERSION:
            create_compat_views(self.db, version)
            self.version = version
        elif make and self.writable:
            drop_copies(file)
        if self.writable:
            self.db.execute("PRAGMA synchronous = FULL")

    def _read_into_memory(self, first: Path) -> None:
        """Connect to a database in memory that holds what a library of format 1 holds."""
        self.db.close()
        self.db = sqlite3.connect(MEMORY, uri=True, isolation_level=None, check_same_thread=False)
        self.version, self.immutable, self.writable, self.source = FIRST, True, False, first
        _make_tables(self.db, first, f"{first.stat().st_mtime_ns} {first.stat().st_size}")
        self.db.execute(f"PRAGMA user_version = {FIRST}")

    def is_current(self, file: Path) -> bool:
        """Whether this process opened the connection, and the file is still the same one, of the same version."""
        return self.process == os.getpid() and self._signature(file) == self._seen and self._has_same_version()

    def _has_same_version(self) -> bool:
        """Whether no other process has migrated an older library."""
        if self.version == FORMAT_VERSION or self.db.in_transaction:
            return True
        return bool(self.db.execute("PRAGMA user_version").fetchone()[0] == self.version)

    def _signature(self, file: Path) -> tuple[Any, ...] | None:
        try:
            stat = file.stat()
        except OSError:
            return None
        if not self.immutable:
            return stat.st_dev, stat.st_ino
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, file.with_name(file.name + "-wal").exists()

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def __del__(self) -> None:
        if self.process == os.getpid() and hasattr(self, "db"):
            self.db.close()


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """Switch to a write-ahead log. SQLite does not wait here: of several that began at once, one was refused."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _create(db: sqlite3.Connection, first: Path | None) -> None:
    """Create a library, with what one of format 1 (`first`) holds; of two processes at once, only one does."""
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    _switch_to_wal(db)
    db.execute("BEGIN IMMEDIATE")
    try:
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            _make_tables(db, first, uuid.uuid4().hex)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _make_tables(db: sqlite3.Connection, first: Path | None, identity: str) -> None:
    for statement in statements(SCHEMA + TAGS_OF_CONTENT + TRACKS.format("") + WORDS.format("")):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('identity', ?)", [identity])
    if first is not None:
        convert(db, first)
