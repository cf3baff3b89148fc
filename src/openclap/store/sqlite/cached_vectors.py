"""A library's database → all its vectors as arrays, with every row that has been written so far."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

from openclap.store.sqlite.connection import WAIT_SECONDS
from openclap.store.sqlite.database import Database
from openclap.store.sqlite.rows import blocks_after, meta_of, width_of
from openclap.store.sqlite.vector_cache import VectorCache

__all__ = ["CachedVectors"]

NEWER_MOST = 20_000  # rows that are held in memory alone, or
NEWER_SHARE = 0.05  # this share of all rows, before they are written to the disk
NEWER_LEAST = 2_000


class CachedVectors:
    """The `VectorCache` in a folder, loaded when it is first needed and brought up to date before each use."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._loaded: tuple[tuple[Any, ...], VectorCache] | None = None  # what it was loaded for, and the cache
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the mapped arrays."""
        self._loaded = None

    def current(self, db: sqlite3.Connection) -> VectorCache | None:
        """The vectors as they were last written or extended; None where the library holds none."""
        width = width_of(db)
        if not width:
            return None
        identity = meta_of(db, "identity")
        made_for = identity, width, self._database.changes
        if self._loaded is None or self._loaded[0] != made_for:
            cache = VectorCache(self._folder, identity, width)
            cache.load()
            self._loaded = made_for, cache
        return self._loaded[1]

    def fresh(self, db: sqlite3.Connection) -> VectorCache | None:
        """The vectors with every row that the database has now; None where it has none."""
        with self._lock:
            cache = self.current(db)
            if cache is None:
                return None
            last = db.execute("SELECT coalesce(max(id), 0) FROM windows").fetchone()[0]
            if last <= cache.last:
                return cache
            waiting = db.execute("SELECT count(*) FROM windows WHERE id > ?", [cache.last]).fetchone()[0]
            most = max(NEWER_LEAST, min(NEWER_MOST, int(NEWER_SHARE * cache.rows)))
            if cache.newer + waiting > most and self.rebuild(db, cache):
                return cache
            cache.extend(blocks_after(db, cache.last))
            return cache

    def rebuild(self, db: sqlite3.Connection, cache: VectorCache) -> bool:
        """Write every row to the disk, or load what another process has just written → whether that was possible."""
        from filelock import FileLock, Timeout

        last = db.execute("SELECT coalesce(max(id), 0) FROM windows").fetchone()[0]
        try:
            cache.folder.mkdir(exist_ok=True)
            with FileLock(cache.folder / "lock", timeout=WAIT_SECONDS):
                before = cache.last
                if cache.load() and cache.last >= last > before:
                    return True
                rows = db.execute("SELECT count(*) FROM windows").fetchone()[0]
                cache.build(blocks_after(db, 0), rows)
        except (Timeout, OSError):
            return False
        return True
