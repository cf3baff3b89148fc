"""The path of a library's SQLite file → transactions, for many threads and processes, with errors in plain words.

What the tables hold is in `rows`.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openclap.errors import Hint, LibraryError, MissingExtra
from openclap.store.sqlite.connection import WAIT_SECONDS, Connection, NotCreatedYet
from openclap.store.sqlite.first_format import first_format_beside
from openclap.store.sqlite.migration import FORMAT_VERSION
from openclap.store.validation import BrokenValue

__all__ = ["Database"]

DAMAGE = re.compile(
    "no such (table|column)|decode|JSON|malformed|has no column|user-defined"
)  # messages of operational errors that mean a damaged file


class Database:
    """A database file with a connection for each thread; the first write makes the folder and the file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.changes = 0  # how often another file has taken this name: caches of the one before are void
        self._of_thread = threading.local()
        self._open: weakref.WeakSet[Connection] = weakref.WeakSet()  # one for each thread

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection | None]:
        """A connection that sees the library as it is at this moment; None where there is no library yet."""
        with self.translate_errors("read"):
            db = self.connection()
            if db is None or db.in_transaction:
                yield db
                return
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.rollback()

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are all committed at the end, or none of them."""
        with self.translate_errors("written to"):
            db = self.connection(make=True)
            assert db is not None
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.commit()
            except BaseException:
                if db.in_transaction:
                    db.rollback()
                raise

    def connection(self, *, make: bool = False) -> sqlite3.Connection | None:
        """The connection of this thread, to the file that is there now."""
        held: Connection | None = getattr(self._of_thread, "held", None)
        if held is not None:
            current = held.version == FORMAT_VERSION or not make
            if current and held.is_current(self.file):
                return held.db
            if held.process == os.getpid():  # a forked process must not close what its parent uses
                held.close()
            self._of_thread.held = None
            self.changes += 1
            if make and not self._is_there():
                raise LibraryError(f"{self.file.parent} was deleted or moved while it was in use; open it again")
        if not self._is_there() and not make:
            return None
        if not self.file.exists() and make:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = Connection(self.file, make=make)
        except NotCreatedYet:
            return None
        self._of_thread.held = held
        self._open.add(held)
        return held.db

    def is_broken(self) -> bool:
        """Whether SQLite cannot read the file, or finds it damaged."""
        try:
            with self.read_transaction() as db:
                return db is not None and db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok"
        except LibraryError as error:
            if not isinstance(error.__cause__, sqlite3.DatabaseError):
                raise
            return True

    def close(self) -> None:
        """Close all connections."""
        for held in list(self._open):
            held.close()
        self._of_thread = threading.local()

    @contextmanager
    def translate_errors(self, what: str) -> Iterator[None]:
        """Turn errors of SQLite and of the disk into a `LibraryError` in plain words."""
        try:
            yield
        except BrokenValue as error:
            raise self._damage_error(error) from error
        except sqlite3.OperationalError as error:
            if "no such module" in str(error):
                raise MissingExtra(
                    f"the SQLite of this Python ({sqlite3.sqlite_version}) has no full-text index ({error}), in which a"
                    " library keeps names and tags; use a Python whose SQLite has FTS5, as those of python.org and conda"
                ) from error
            if DAMAGE.search(str(error)):
                raise self._damage_error(error) from error
            full = "what was there before is unharmed; make room", "give yourself permission", Hint("other_library")
            busy = f"another process has been writing for {WAIT_SECONDS} s; wait until it is done"
            advice = (busy,) if "locked" in str(error) else full
            raise LibraryError(f"{self.file} cannot be {what} ({error})", *advice) from error
        except (sqlite3.DatabaseError, OverflowError) as error:
            raise self._damage_error(error) from error
        except OSError as error:
            raise LibraryError(
                f"{self.file.parent} cannot be {what} ({error.strerror or error})", Hint("other_library")
            ) from error

    def _is_there(self) -> bool:
        return self.file.exists() or first_format_beside(self.file) is not None

    def _damage_error(self, error: Exception) -> LibraryError:
        """The error of a damaged library; it names the file that was read, which may be one of format 1."""
        held: Connection | None = getattr(self._of_thread, "held", None)
        unread = error.file if isinstance(error, BrokenValue) else None
        file = unread or (self.file if held is None else held.source)
        mend = () if unread else (Hint("repair"),)
        return LibraryError(
            f"{file} is no library of openclap, or broken ({error})", *mend, "move it away and index again"
        )
