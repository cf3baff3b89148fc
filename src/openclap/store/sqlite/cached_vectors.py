"""A library's database → all its vectors as arrays, with every row that has been written so far."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openclap.errors import LibraryError
from openclap.store.sqlite.connection import WAIT_SECONDS
from openclap.store.sqlite.database import Database
from openclap.store.sqlite.rows import blocks_after, meta_of, sample_vectors, width_of
from openclap.store.sqlite.vector_cache import Block, VectorCache

__all__ = ["CachedVectors"]

NEWER_MOST = 20_000  # rows that are held in memory alone, or
NEWER_SHARE = 0.05  # this share of all rows, before they are written to the disk
NEWER_LEAST = 2_000
NEWER_LATE = 2  # times as many are written by the search that finds them, others in the background


class CachedVectors:
    """The `VectorCache` in a folder, loaded when it is first needed and brought up to date before each use."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._loaded: tuple[tuple[Any, ...], VectorCache] | None = None  # what it was loaded for, and the cache
        self._lock = threading.Lock()
        self._rebuilding = threading.Thread()
        self._closing = False

    def close(self) -> None:
        """Let go of the mapped arrays; what is being written in the background is given up."""
        self._closing = True
        if self._rebuilding.is_alive():
            self._rebuilding.join()
        self._closing, self._loaded = False, None

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
            newer = cache.newer + db.execute("SELECT count(*) FROM windows WHERE id > ?", [cache.last]).fetchone()[0]
            most = max(NEWER_LEAST, min(NEWER_MOST, int(NEWER_SHARE * cache.rows)))
            if newer > NEWER_LATE * most and self.rebuild(db, cache):
                return cache
            cache.extend(blocks_after(db, cache.last))
            if newer > most and not self._rebuilding.is_alive():
                self._rebuilding = threading.Thread(target=self._rebuild_beside, args=[cache], name="vector cache")
                self._rebuilding.start()
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
                blocks = self._until_closed(blocks_after(db, 0))
                cache.build(blocks, rows, lambda count: sample_vectors(db, count, cache.width))
        except (Timeout, OSError):
            return False
        return True

    def _rebuild_beside(self, outgrown: VectorCache) -> None:
        """Write every row to the disk while others search, and let them use that."""
        cache = VectorCache(outgrown.folder, outgrown.identity, outgrown.width)
        with contextlib.suppress(LibraryError), self._database.read_transaction() as db:
            if db and self.rebuild(db, cache):
                with self._lock:
                    if self._loaded and self._loaded[1] is outgrown:
                        self._loaded = self._loaded[0], cache

    def _until_closed(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            if self._closing or not threading.main_thread().is_alive():
                raise InterruptedError("the library was closed")
            yield block
