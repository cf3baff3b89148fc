"""Arrays under a key, in memory and on disk, each within a number of bytes: what was used last stays.

On disk it is one SQLite file, which several processes may use at once; each entry is an .npz without pickle, whose
checksums tell whether it is whole. What is damaged counts as missing. Nothing here raises for the sake of a disk: a
cache that cannot be read or written to is one that is empty.
"""

from __future__ import annotations

import contextlib
import io
import sqlite3
import threading
import time
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from openclap.regular_files import require_database

__all__ = ["ArrayCache", "Arrays"]

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

T = TypeVar("T")

PATIENCE = 0.5  # seconds that another process may hold the file
TOUCHED = 3600.0  # seconds after which a use is noted again
LEFT = 0.9  # of the bytes, when older entries had to go
ENTRY = 200  # bytes that an entry takes beside its arrays
LARGEST = 0.25  # of the bytes, for one entry
DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    TokenError,
)  # what reading an .npz of any content raises
SCHEMA = """
CREATE TABLE IF NOT EXISTS arrays (key TEXT PRIMARY KEY, used REAL NOT NULL, bytes INTEGER NOT NULL, content BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON arrays (used, bytes);
"""


class ArrayCache:
    """Arrays by key; several threads may use it.

    Parameters
    ----------
    memory
        Bytes of arrays that are held in this process.
    disk
        Bytes of entries in the file.
    file
        Where the file is; None: nothing is written.
    """

    def __init__(self, memory: int, disk: int = 0, file: Path | None = None) -> None:
        self._memory, self._disk = memory, disk
        self._file = file if disk else None
        self._held: OrderedDict[str, Arrays] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Arrays | None:
        """The arrays of a key; None where it has none."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        arrays = self._read(key)
        if arrays is not None:
            self._hold(key, arrays)
        return arrays

    def put(self, key: str, arrays: Arrays, *, on_disk: bool = True) -> None:
        """Keep arrays under a key, in place of those that it had; they must not be changed any more."""
        self._hold(key, arrays)
        if on_disk:
            self._write(key, arrays)

    # -- memory ------------------------------------------------------------------------------------------

    def _hold(self, key: str, arrays: Arrays) -> None:
        with self._lock:
            self._drop(key)
            if _size(arrays) > self._memory:
                return
            self._held[key] = arrays
            self._bytes += _size(arrays)
            while self._bytes > self._memory:
                self._drop(next(iter(self._held)))

    def _drop(self, key: str) -> None:
        if key in self._held:
            self._bytes -= _size(self._held.pop(key))

    # -- disk --------------------------------------------------------------------------------------------

    def _read(self, key: str) -> Arrays | None:
        def find(file: sqlite3.Connection) -> Any:
            row = file.execute("SELECT content, used FROM arrays WHERE key = ?", (key,)).fetchone()
            if row is not None and abs(time.time() - row[1]) > TOUCHED:
                with contextlib.suppress(
                    sqlite3.OperationalError
                ):  # it is read all the same, where nothing can be written
                    file.execute("UPDATE arrays SET used = ? WHERE key = ?", (time.time(), key))
            return None if row is None else row[0]

        content = self._transact(find)
        if content is None:
            return None
        arrays = _load(content)
        if arrays is None:
            self._transact(lambda file: file.execute("DELETE FROM arrays WHERE key = ?", (key,)))
        return arrays

    def _write(self, key: str, arrays: Arrays) -> None:
        if self._file is None or _size(arrays) > LARGEST * self._disk:
            return
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        content = buffer.getvalue()

        def insert(file: sqlite3.Connection) -> None:
            row = (key, time.time(), len(content) + ENTRY, content)
            file.execute("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?)", row)
            (total,) = file.execute("SELECT SUM(bytes) FROM arrays").fetchone()
            if total > self._disk:
                self._make_room(file, total)

        self._transact(insert)

    def _make_room(self, file: sqlite3.Connection, total: int) -> None:
        """Delete what was not used for longest."""
        for key, size in file.execute("SELECT key, bytes FROM arrays ORDER BY used").fetchall():
            if total <= LEFT * self._disk:
                break
            file.execute("DELETE FROM arrays WHERE key = ?", (key,))
            total -= size

    def _transact(self, use: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `use` does with the open file, all of it or nothing; None where the file cannot be used."""
        if self._file is None:
            return None
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_database(self._file)
            with contextlib.closing(sqlite3.connect(self._file, timeout=PATIENCE)) as file:
                file.execute("PRAGMA synchronous = OFF")  # what a crash of the machine damages is made again
                if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'by_use'").fetchone():
                    file.executescript(SCHEMA)
                    self._file.chmod(0o600)  # readable by this user alone
                with file:
                    return use(file)
        except sqlite3.OperationalError:  # another process holds it, the folder is read-only or the disk full
            return None
        except (sqlite3.DatabaseError, OSError):  # damaged: it is made anew
            with contextlib.suppress(OSError):
                self._file.unlink()
            return None


def _load(content: Any) -> Arrays | None:
    """The arrays of an entry; None where it is damaged."""
    try:
        saved = np.load(io.BytesIO(content), allow_pickle=False) if isinstance(content, bytes) else None
        arrays = {name: saved[name] for name in saved.files} if isinstance(saved, np.lib.npyio.NpzFile) else {}
    except DAMAGED:
        return None
    return arrays if arrays and all(isinstance(array, np.ndarray) for array in arrays.values()) else None


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values()) + ENTRY
