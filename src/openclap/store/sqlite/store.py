"""The store on this machine: one SQLite file is the truth, an array beside it makes searching fast.

    library.sqlite    files, tags, windows with their vectors (little-endian float32); any SQLite tool opens it
    cache/            `vectors.VectorCache`; can be deleted at any time

Every write is a transaction that is on the disk when the call returns; several processes may write in turn. Row numbers
are never used twice, so a reader knows what is new by one comparison. Knows nothing of audio, text or models.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.errors import LibraryError, LibraryMismatch
from openclap.plurals import count_noun
from openclap.store.disk import folder_bytes, lock_folder
from openclap.store.ranking import round_score, sort_rows, take_best
from openclap.store.records import (
    File,
    Recording,
    RememberedTags,
    ScoredWindow,
    SearchFilter,
    Store,
    Vectors,
    belongs_to_model,
    width_mismatch,
)
from openclap.store.sqlite import repair as mending
from openclap.store.sqlite.connection import WAIT_SECONDS
from openclap.store.sqlite.database import Database
from openclap.store.sqlite.filters import allowed_files, allowed_mask
from openclap.store.sqlite.migration import FORMAT_VERSION, copy_whole
from openclap.store.sqlite.rows import (
    FILE,
    ROWS_AT_ONCE,
    TAGGED,
    blocks_after,
    chunks,
    counts_of,
    file_to_row,
    key_to_path,
    meta_of,
    path_to_key,
    placeholders,
    read_model_identity,
    remembered_in,
    restore_tags,
    row_to_file,
    row_to_recording,
    width_of,
)
from openclap.store.sqlite.vector_cache import VectorCache
from openclap.store.validation import UNIT, BrokenValue, validate_path, validate_scores, validate_span, validate_width

__all__ = ["FORMAT_VERSION", "SqliteStore"]

NEWER_MOST = 20_000  # rows that a search holds in memory, or
NEWER_SHARE = 0.05  # this share of them, before they are written to the cache
NEWER_LEAST = 2_000
TIED_MOST = 20_000  # rows that are looked up, so that ties are by path
DEAD_SHARE = 0.2  # of the cached rows may be of deleted files


class SqliteStore:
    """A library in a folder. The folder and the file are made by the first write."""

    shared = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "library.sqlite"
        self.place = str(folder)
        self._broken = folder / "library.sqlite.broken"  # where what `repair` gives up is kept
        self._database = Database(self.file)
        self._claimed: dict[str, Any] = {}
        self._cached: tuple[tuple[Any, ...], VectorCache] | None = None  # what it was made for
        self._caching = threading.Lock()

    # -- who made it ---------------------------------------------------------------------------------

    def model_identity(self) -> dict[str, Any]:
        """What made the vectors; empty in a new store."""
        with self._database.read_transaction() as db:
            return {} if db is None else read_model_identity(db)

    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        """Become the maker where there is none yet → the maker there is now."""
        with self._writing() as db:
            if not read_model_identity(db):
                db.execute("INSERT INTO meta VALUES ('maker', ?)", [json.dumps(maker)])
            found = read_model_identity(db)
        self._claimed = found
        return found

    # -- writing -------------------------------------------------------------------------------------

    def put(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows, or replace them."""
        with self._writing() as db:
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
                db.execute("DELETE FROM windows WHERE file = ?", [number])
                db.executemany(
                    "INSERT INTO windows (file, start_seconds, end_seconds, embedding) VALUES (?, ?, ?, ?)",
                    [
                        (number, float(start), float(end), vector.astype("<f4").tobytes())
                        for start, end, vector in zip(recording.start, recording.end, recording.embedding, strict=True)
                    ],
                )

    def update_facts(self, files: Sequence[File]) -> None:
        """Note new sizes, times and revisions of reading of files whose content is what it was."""
        with self._writing() as db:
            db.executemany(
                "UPDATE files SET size = ?, mtime_ns = ?, reading = ? WHERE path = ? AND hash = ?",
                [(file.size, file.mtime_ns, file.reading, path_to_key(file.path), file.hash) for file in files],
            )

    def move(self, moves: Sequence[tuple[str, File]]) -> list[str]:
        """Give files another path, windows and tags with them, all at once; what was known at a new path is replaced.

        Returns the new paths of those that were moved: one whose content is not at its old path any more is not.
        """
        done: list[tuple[int, File]] = []
        with self._writing() as db:
            for old, file in moves:
                row = db.execute(
                    "SELECT id FROM files WHERE path = ? AND hash = ?", [path_to_key(old), file.hash]
                ).fetchone()
                if row is not None:
                    db.execute(
                        "INSERT OR IGNORE INTO remembered SELECT ?, ?, name, 1 FROM tags WHERE file = ?",
                        [file.hash, path_to_key(old), row[0]],
                    )
                    db.execute("UPDATE files SET path = ? WHERE id = ?", [f"\0moving {row[0]}", row[0]])
                    done.append((row[0], file))
            for number, file in done:
                db.execute("DELETE FROM files WHERE path = ?", [path_to_key(file.path)])
                db.execute(
                    "UPDATE files SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
                    [path_to_key(file.path), file.size, file.mtime_ns, number],
                )
                restore_tags(db, number, file)
        return list(dict.fromkeys(file.path for _, file in done))

    def delete(self, paths: Iterable[str]) -> int:
        """Forget files → how many there were."""
        with self._writing() as db:
            return sum(db.execute("DELETE FROM files WHERE path = ?", [path_to_key(path)]).rowcount for path in paths)

    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Put tags on files."""
        paths = list(paths)
        if not paths or not tags:
            return
        with self._writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO tags SELECT id, ? FROM files WHERE path = ?",
                [(tag, path_to_key(path)) for path in paths for tag in tags],
            )

    def remembered_tags(self) -> list[RememberedTags]:
        """Tags of content that has left, in no order."""
        with self._database.read_transaction() as db:
            return remembered_in(db) if db else []

    def remember_tags(self, tags: Sequence[RememberedTags]) -> None:
        """Remember tags of content that is not here."""
        rows = [(some.hash, path_to_key(some.path), name, some.moved) for some in tags for name in some.tags]
        if rows:
            with self._writing() as db:
                db.executemany("INSERT OR IGNORE INTO remembered VALUES (?, ?, ?, ?)", rows)

    # -- reading -------------------------------------------------------------------------------------

    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        """Those of the files that are in the store."""
        return {file.path: file for file in self._select("path", map(path_to_key, paths))}

    def find_by_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        """The files of each content."""
        found: dict[str, list[File]] = {}
        for file in self._select("hash", hashes):
            found.setdefault(file.hash, []).append(file)
        return found

    def files(self, where: SearchFilter | None = None) -> Iterator[File]:
        """Every file, by path; read in pages, so that a slow reader holds nobody up."""
        if where is not None:
            with self._database.read_transaction() as db:
                numbers = sorted(allowed_files(db, where)) if db else []
                found = [
                    row_to_file(row)
                    for some in chunks(numbers)
                    for row in db.execute(f"SELECT {TAGGED} FROM files WHERE id IN ({placeholders(some)})", some)  # type: ignore[union-attr]
                ]
            yield from sorted(found, key=lambda file: os.fsencode(file.path))
            return
        last: Any = ""
        while True:
            with self._database.read_transaction() as db:
                rows = (
                    db.execute(
                        f"SELECT {TAGGED} FROM files WHERE path > ? ORDER BY path LIMIT {ROWS_AT_ONCE}", [last]
                    ).fetchall()
                    if db
                    else []
                )
                found = [row_to_file(row) for row in rows]
            if not rows:
                return
            yield from found
            last = rows[-1][0]

    def recording(self, path: str) -> Recording | None:
        """One file with its windows."""
        with self._database.read_transaction() as db:
            row = db and db.execute(f"SELECT {TAGGED}, id FROM files WHERE path = ?", [path_to_key(path)]).fetchone()
            return row_to_recording(db, row) if db and row else None

    def scan(self, where: SearchFilter | None = None) -> Iterator[Recording]:
        """Every file with its windows, by path, in bounded memory."""
        maker = self.model_identity()
        for i, file in enumerate(self.files(where)):
            if i % ROWS_AT_ONCE == 0 and self.model_identity() != maker:
                raise LibraryMismatch(f"{self.folder} was taken over by another model meanwhile; start again")
            recording = self.recording(file.path)
            if recording is not None:
                yield recording

    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk, the cache included."""
        with self._database.read_transaction() as db:
            files, windows, seconds = counts_of(db) if db else (0, 0, 0.0)
        used = folder_bytes(self.folder) if db else 0
        return {"files": files, "windows": windows, "seconds": round(seconds, 3), "bytes": used}

    # -- searching -----------------------------------------------------------------------------------

    def nearest(
        self, query: Vectors, k: int, *, where: SearchFilter | None = None, per_file: bool = True
    ) -> list[ScoredWindow]:
        """The windows with the highest cosine to a unit vector (E,), best first; `per_file`, the best of each file."""
        with self._database.read_transaction() as db:
            cache = db and self._fresh_cache(db)
            if not db or not cache:
                return []
            validate_width(query, cache.width)
            allowed = None if where is None else allowed_mask(db, where)
            wanted, effort = 2 * k + 10, 1.0
            while True:  # rows of deleted files, and further windows of a file, are not hits
                near = cache.nearest(query, wanted, allowed, effort)
                rows = _load_scored_windows(db, near.ids, validate_scores(near.scores), cache.width)
                hits = take_best(rows, k, per_file)
                enough = len(hits) == k and (
                    round_score(rows[-1].score) < round_score(hits[-1].score) or wanted > TIED_MOST
                )
                if enough or near.everything:
                    return hits
                wanted, effort = 4 * wanted, 4 * effort if len(near.ids) < wanted else effort

    def sample(self, count: int) -> Vectors:
        """Rows from all over the store: (at most count, E)."""
        with self._database.read_transaction() as db:
            cache = db and self._fresh_cache(db)
            return cache.sample(count) if cache else np.zeros((0, 0), np.float32)

    def optimize(self) -> None:
        """Write new rows to the cache, so that the next process need not read them one by one."""
        with self._database.read_transaction() as db:
            cache = db and self._fresh_cache(db)
            if not db or not cache:
                return
            windows = counts_of(db)[1]
            if cache.newer or cache.rows - windows > DEAD_SHARE * cache.rows:
                self._rebuild(db, cache)

    def check(self) -> list[str]:
        """What is wrong with what is on disk, in words."""
        with self._database.read_transaction() as db:
            if db is None:
                return []
            wrong = mending.find_faults(db)
            with contextlib.suppress(BrokenValue):  # which is among them
                wrong += mending.find_cache_faults(db, self._cache_of(db))
            return wrong

    def repair(self) -> list[str]:
        """Mend what `check` finds; files whose rows are lost leave, to be indexed again → what was done, in words."""
        try:
            with self._database.read_transaction() as db:
                broken = db is not None and db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok"
        except LibraryError as error:
            if not isinstance(error.__cause__, sqlite3.DatabaseError):
                raise
            broken = True
        done = [self._salvage()] if broken else []
        with self._writing() as db:
            unmade = mending.missing_identity(db)
            if unmade:
                copy_whole(self.file, self._broken)
            done += mending.repair_tables(db)
        with self._database.read_transaction() as db:
            cache = db and self._cache_of(db)
            if db and cache and mending.find_cache_faults(db, cache):
                done.append("vector cache made again")
                self._rebuild(db, cache)
        return done

    def _salvage(self) -> str:
        """Copy every file that can still be read into a new database; the broken one is kept beside it."""
        self.close()
        aside = SqliteStore(self.folder / "salvage")
        try:
            kept, lost = mending.salvage(self.file, aside)
        finally:
            aside.close()
        shutil.copy2(self.file, self._broken)
        self.swap_in(aside)
        return (
            f"{count_noun(kept, 'file')} copied out of a broken database, {lost} lost: index again; the broken one is"
            f" {self._broken}"
        )

    def lock(self) -> AbstractContextManager[None]:
        """Nobody else re-embeds meanwhile."""
        return lock_folder(self.folder, self.place)

    def staging(self, maker: dict[str, Any]) -> SqliteStore:
        """A store of another maker in a folder of this one."""
        other = SqliteStore(self.folder / "reembedding")
        if not belongs_to_model(other, maker):
            other.close()
            shutil.rmtree(other.folder)
        return other

    def swap_in(self, aside: Store) -> None:
        """Hold what the one beside holds, which is then gone: its file is renamed over this one's."""
        assert isinstance(aside, SqliteStore)
        with aside._database.translate_errors("written to"):
            db = aside._database.connection()
            assert db is not None
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        aside.close()
        with self._database.translate_errors("written to"):
            db = self._database.connection()
            if db is not None:
                with contextlib.suppress(sqlite3.DatabaseError):  # a broken one that is being replaced
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.close()
            self._claimed = {}
            for ending in ("-wal", "-shm"):  # of what is replaced
                self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
            os.replace(aside.file, self.file)
            shutil.rmtree(aside.folder)
            shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def close(self) -> None:
        """Let go of connections and mapped arrays."""
        self._database.close()
        self._cached = None

    # -- the cache -----------------------------------------------------------------------------------

    def _cache_of(self, db: sqlite3.Connection) -> VectorCache | None:
        width = width_of(db)
        if not width:
            return None
        identity = meta_of(db, "identity")
        made_for = identity, width, self._database.changes
        if self._cached is None or self._cached[0] != made_for:
            cache = VectorCache(self.folder / "cache", identity, width)
            cache.load()
            self._cached = made_for, cache
        return self._cached[1]

    def _fresh_cache(self, db: sqlite3.Connection) -> VectorCache | None:
        """The vectors with every row there is now; None where there is none."""
        with self._caching:
            cache = self._cache_of(db)
            if cache is None:
                return None
            last = db.execute("SELECT coalesce(max(id), 0) FROM windows").fetchone()[0]
            if last <= cache.last:
                return cache
            waiting = db.execute("SELECT count(*) FROM windows WHERE id > ?", [cache.last]).fetchone()[0]
            most = max(NEWER_LEAST, min(NEWER_MOST, int(NEWER_SHARE * cache.rows)))
            if cache.newer + waiting > most and self._rebuild(db, cache):
                return cache
            cache.extend(blocks_after(db, cache.last))
            return cache

    def _rebuild(self, db: sqlite3.Connection, cache: VectorCache) -> bool:
        """Write every row to the cache, or take what another process has just written → False where nothing can be written."""
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

    # -- inside --------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, as long as the library is that of the model it was claimed for."""
        with self._database.write_transaction() as db:
            if self._claimed and read_model_identity(db) != self._claimed:
                raise LibraryMismatch(f"{self.folder} was taken over by another model meanwhile; open it again")
            yield db

    def _select(self, column: str, values: Iterable[Any]) -> Iterator[File]:
        with self._database.read_transaction() as db:
            for some in chunks(values) if db else ():
                assert db is not None
                yield from map(
                    row_to_file,
                    db.execute(f"SELECT {TAGGED} FROM files WHERE {column} IN ({placeholders(some)})", some),
                )


# -- rows --------------------------------------------------------------------------------------------


def _load_scored_windows(
    db: sqlite3.Connection, ids: npt.NDArray[np.int64], scores: Vectors, width: int
) -> list[ScoredWindow]:
    """Rows that still are in the library, best first; ties by path and start."""
    score_of = dict(zip(ids.tolist(), scores.tolist(), strict=True))
    found = []
    for some in chunks(score_of):
        for number, path, start, end, vector in db.execute(
            "SELECT windows.id, path, start_seconds, end_seconds, embedding FROM windows JOIN files ON file = files.id"
            f" WHERE windows.id IN ({placeholders(some)})",
            some,
        ):
            if not isinstance(vector, bytes) or len(vector) != 4 * width:
                raise BrokenValue("vectors are missing, or of different sizes")
            name = validate_path(key_to_path(path))
            score = min(1.0, max(-1.0, score_of[number]))
            embedding = np.frombuffer(vector, "<f4").astype(np.float32)
            if not abs(float(embedding @ embedding) - 1) < 2 * UNIT:  # what the cache has may be older
                raise BrokenValue(f"the vectors of {name} are none")
            found.append(ScoredWindow(name, *validate_span(name, start, end), score, embedding))
    return sort_rows(found)
