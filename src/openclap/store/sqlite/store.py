"""The store for one machine: one SQLite file holds everything, an array beside it makes searching fast.

    library.sqlite    files, tags, windows with their vectors (little-endian float32); any SQLite tool opens it
    cache/            a `VectorCache`; it can be deleted at any time

Every write is a transaction that is on the disk when the call returns; several processes may write in turn. Row numbers
are never used twice, so a reader knows by one comparison what is new.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from openclap.errors import LibraryMismatch
from openclap.plurals import count_noun
from openclap.store.disk import folder_bytes, lock_folder
from openclap.store.records import (
    File,
    FileText,
    Recording,
    RememberedTags,
    ScoredWindow,
    SearchFilter,
    Store,
    StoreState,
    Vectors,
    WordMatch,
    belongs_to_model,
)
from openclap.store.sqlite import repair
from openclap.store.sqlite.cached_vectors import CachedVectors
from openclap.store.sqlite.codes import Mask
from openclap.store.sqlite.compare import best_windows, find_best
from openclap.store.sqlite.database import Database
from openclap.store.sqlite.files import (
    allowed_by_path,
    move_files,
    page_of_files,
    path_bounds,
    put_recordings,
    recording_at,
    select_files,
    update_facts,
)
from openclap.store.sqlite.filters import allowed_mask
from openclap.store.sqlite.migration import FORMAT_VERSION, copy_whole
from openclap.store.sqlite.rows import (
    count_windows,
    counts_of,
    path_to_key,
    read_model_identity,
    remembered_in,
    sample_vectors,
    tracks_of,
)
from openclap.store.sqlite.tags import count_tags, put_tags, remember_tags, remove_tags
from openclap.store.sqlite.words import UNREAD, delete_file, match_words, numbers_of, texts_of, write_text
from openclap.store.validation import BrokenValue, validate_width

__all__ = ["FORMAT_VERSION", "SqliteStore"]

TIED_MOST = 20_000  # rows that are looked up at most, to order ties by path
DEAD_SHARE = 0.2  # of the cached rows may be of deleted files, before the cache is written anew


class SqliteStore(Store):
    """A library in a folder; the first write makes the folder and the file."""

    shared = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "library.sqlite"
        self.place = str(folder)
        self._broken = folder / "library.sqlite.broken"  # what `repair` replaces is kept here
        self._database = Database(self.file)
        self._claimed: dict[str, Any] = {}
        self._vectors = CachedVectors(folder / "cache", self._database)
        self._last_mask: tuple[tuple[Any, ...], Mask] | None = None  # what it was made for, and the mask

    # -- model ---------------------------------------------------------------------------------

    @override
    def model_identity(self) -> dict[str, Any]:
        with self._database.read_transaction() as db:
            return {} if db is None else read_model_identity(db)

    @override
    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        with self._writing() as db:
            if not read_model_identity(db):
                db.execute("INSERT INTO meta VALUES ('maker', ?)", [json.dumps(maker)])
            found = read_model_identity(db)
        self._claimed = found
        return found

    # -- writing -------------------------------------------------------------------------------------

    @override
    def put(self, recordings: Sequence[Recording]) -> None:
        with self._writing() as db:
            put_recordings(db, recordings)

    @override
    def update_facts(self, files: Sequence[File]) -> None:
        with self._writing() as db:
            update_facts(db, files)

    @override
    def move(self, moves: Sequence[tuple[str, File]], texts: Mapping[str, FileText] | None = None) -> list[str]:
        with self._writing() as db:
            return move_files(db, moves, texts)

    @override
    def delete(self, paths: Iterable[str]) -> int:
        with self._writing() as db:
            return sum(delete_file(db, path_to_key(path)) for path in paths)

    @override
    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        paths = list(paths)
        if not paths or not tags:
            return
        with self._writing() as db:
            put_tags(db, map(path_to_key, paths), tags)

    @override
    def untag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        paths = list(paths)
        if paths and tags:
            with self._writing() as db:
                remove_tags(db, map(path_to_key, paths), tags)

    @override
    def note_texts(self, texts: Mapping[str, FileText]) -> None:
        with self._writing() as db:
            for number, path in list(numbers_of(db, texts)):
                write_text(db, number, texts[path])

    @override
    def remembered_tags(self) -> list[RememberedTags]:
        with self._database.read_transaction() as db:
            return remembered_in(db) if db else []

    @override
    def remember_tags(self, tags: Sequence[RememberedTags]) -> None:
        if any(some.tags for some in tags):
            with self._writing() as db:
                remember_tags(db, tags)

    # -- reading -------------------------------------------------------------------------------------

    @override
    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        return {file.path: file for file in self._select("path", map(path_to_key, paths))}

    @override
    def find_by_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        found: dict[str, list[File]] = {}
        for file in self._select("hash", hashes):
            found.setdefault(file.hash, []).append(file)
        return found

    @override
    def files(self, where: SearchFilter | None = None) -> Iterator[File]:
        """Every file, by path; read in pages, so that a slow reader does not hold up writers."""
        if where is not None:
            with self._database.read_transaction() as db:
                found = allowed_by_path(db, where) if db else []
            yield from found
            return
        last: str | bytes = ""
        while True:
            with self._database.read_transaction() as db:
                found, last = page_of_files(db, last) if db else ([], last)
            if not found:
                return
            yield from found

    @override
    def recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        for path in paths:
            with self._database.read_transaction() as db:
                found = recording_at(db, path) if db else None
            if found is not None:
                yield found

    @override
    def has_levels(self) -> bool:
        with self._database.read_transaction() as db:
            return not db or db.execute("SELECT 1 FROM windows WHERE level IS NULL LIMIT 1").fetchone() is None

    @override
    def tracks(self, paths: Iterable[str]) -> dict[str, Vectors]:
        with self._database.read_transaction() as db:
            return tracks_of(db, paths) if db else {}

    @override
    def tag_counts(self) -> dict[str, int]:
        with self._database.read_transaction() as db:
            return dict(count_tags(db)) if db else {}

    @override
    def window_counts(self, paths: Iterable[str]) -> dict[str, int]:
        with self._database.read_transaction() as db:
            return dict(count_windows(db, map(path_to_key, paths))) if db else {}

    @override
    def texts(self, paths: Iterable[str]) -> dict[str, FileText]:
        with self._database.read_transaction() as db:
            if db is None:
                return {}
            path_of = dict(numbers_of(db, paths))
            return {path_of[number]: text for number, text in texts_of(db, path_of)}

    @override
    def without_text(self, paths: Iterable[str]) -> list[str]:
        with self._database.read_transaction() as db:
            return [path for _, path in numbers_of(db, paths, UNREAD)] if db else []

    @override
    def state(self) -> StoreState:
        with self._database.read_transaction() as db:
            if db is None:
                return StoreState()
            (version,) = db.execute("PRAGMA data_version").fetchone()  # of changes by other connections
            return StoreState((self._database.changes, id(db), version), db.total_changes)

    @override
    def path_bounds(self) -> list[str]:
        with self._database.read_transaction() as db:
            return path_bounds(db) if db else []

    @override
    def is_empty(self) -> bool:
        with self._database.read_transaction() as db:
            return db is None or db.execute("SELECT 1 FROM files LIMIT 1").fetchone() is None

    @override
    def stats(self) -> dict[str, Any]:
        with self._database.read_transaction() as db:
            files, windows, seconds = counts_of(db) if db else (0, 0, 0.0)
        used = folder_bytes(self.folder) if db else 0
        return {"files": files, "windows": windows, "seconds": round(seconds, 3), "bytes": used}

    # -- searching -----------------------------------------------------------------------------------

    @override
    def nearest(
        self, query: Vectors, k: int, *, where: SearchFilter | None = None, per_file: bool = True
    ) -> list[ScoredWindow]:
        with self._database.read_transaction() as db:
            cache = db and self._vectors.fresh(db)
            if not db or not cache:
                return []
            validate_width(query, cache.width)
            allowed = self._allowed(db, where)
            wanted = 2 * k + 10
            while True:  # again, as rows of deleted files, silent and further windows of a file are not hits
                near = cache.nearest(query, wanted, allowed)
                hits, complete = find_best(db, near, query, k, per_file)
                if complete or (len(hits) == k and wanted > TIED_MOST):
                    return hits
                wanted = 4 * max(wanted, len(near.ids))

    @override
    def nearest_in(self, query: Vectors, paths: Iterable[str]) -> list[ScoredWindow]:
        with self._database.read_transaction() as db:
            return best_windows(db, query, map(path_to_key, paths)) if db else []

    @override
    def match_words(self, words: Sequence[str], k: int, *, where: SearchFilter | None = None) -> list[WordMatch]:
        with self._database.read_transaction() as db:
            if not db or not words:
                return []
            return match_words(db, words, k, self._allowed(db, where))

    @override
    def sample(self, count: int) -> Vectors:
        with self._database.read_transaction() as db:
            cache = db and self._vectors.fresh(db)
            return sample_vectors(db, count, cache.width) if db and cache else np.zeros((0, 0), np.float32)

    @override
    def optimize(self) -> None:
        """Write new rows to the cache, so that the next process does not have to read them one by one."""
        with self._database.read_transaction() as db:
            cache = db and self._vectors.fresh(db)
            if not db or not cache:
                return
            windows = counts_of(db)[1]
            if cache.newer or cache.rows - windows > DEAD_SHARE * cache.rows:
                self._vectors.rebuild(db, cache)

    @override
    def check(self) -> list[str]:
        with self._database.read_transaction() as db:
            if db is None:
                return []
            wrong = repair.find_faults(db)
            with contextlib.suppress(BrokenValue):  # it is among the faults already
                wrong += repair.find_cache_faults(db, self._vectors.current(db))
            return wrong

    @override
    def repair(self) -> list[str]:
        done = [self._salvage()] if self._database.is_broken() else []
        with self._writing() as db:
            unmade = repair.missing_identity(db)
            if unmade:
                copy_whole(self.file, self._broken)
            done += repair.repair_tables(db)
        with self._database.read_transaction() as db:
            cache = db and self._vectors.current(db)
            if db and cache and repair.find_cache_faults(db, cache):
                done.append("vector cache made again")
                self._vectors.rebuild(db, cache)
        return done

    def _salvage(self) -> str:
        """Copy every file that can still be read into a new database, and keep the broken one beside it."""
        self.close()
        salvaged = SqliteStore(self.folder / "salvage")
        try:
            kept, lost = repair.salvage(self.file, salvaged)
        finally:
            salvaged.close()
        shutil.copy2(self.file, self._broken)
        self.swap_in(salvaged)
        return (
            f"{count_noun(kept, 'file')} copied out of a broken database, {lost} lost: index again; the broken one is"
            f" {self._broken}"
        )

    @override
    def lock(self) -> AbstractContextManager[None]:
        return lock_folder(self.folder, self.place)

    @override
    def staging(self, maker: dict[str, Any]) -> SqliteStore:
        """A store in a folder of this one, for another model."""
        other = SqliteStore(self.folder / "reembedding")
        if not belongs_to_model(other, maker):
            other.close()
            shutil.rmtree(other.folder)
        return other

    @override
    def swap_in(self, staging: Store) -> None:
        """Replace what this store holds by what a `staging` store holds: its file is renamed over this one's."""
        assert isinstance(staging, SqliteStore)
        with staging._database.translate_errors("written to"):
            db = staging._database.connection()
            assert db is not None
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        staging.close()
        with self._database.translate_errors("written to"):
            db = self._database.connection()
            if db is not None:
                with contextlib.suppress(sqlite3.DatabaseError):  # a broken one that is being replaced
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.close()
            self._claimed = {}
            for ending in ("-wal", "-shm"):  # of the file that is replaced
                self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
            os.replace(staging.file, self.file)
            shutil.rmtree(staging.folder)
            shutil.rmtree(self.folder / "cache", ignore_errors=True)

    @override
    def close(self) -> None:
        self._vectors.close()
        self._last_mask = None
        self._database.close()

    # -- inside --------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is refused once the library is another model's than it was claimed for."""
        with self._database.write_transaction() as db:
            if self._claimed and read_model_identity(db) != self._claimed:
                raise LibraryMismatch(f"{self.folder} was taken over by another model meanwhile; open it again")
            yield db

    def _allowed(self, db: sqlite3.Connection, where: SearchFilter | None) -> Mask | None:
        """Which files a filter allows; the last one is kept, as a search asks for sounds and for names, and often again."""
        if where is None:
            return None
        made_for = db, db.execute("PRAGMA data_version").fetchone(), db.total_changes, where
        if self._last_mask is None or self._last_mask[0] != made_for:
            self._last_mask = made_for, allowed_mask(db, where)
        return self._last_mask[1]

    def _select(self, column: str, values: Iterable[Any]) -> Iterator[File]:
        with self._database.read_transaction() as db:
            yield from select_files(db, column, values) if db else ()
