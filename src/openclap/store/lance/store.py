"""The store past one machine: LanceDB tables, in a folder whose name ends in .lance, or on S3, Google's or Azure's storage.

    about      which model made the library, and which table holds its windows: becoming another library is one row changed
    windows-…  a row a window (`rows`)

Every write is one commit of LanceDB, which is there for every reader when the call returns, whichever machine it runs on; keys
are declared, so that of two processes that write the same file one waits for the other. Past INDEX_FROM rows `tidy` builds an
approximate index; what was written since is looked at row by row. Knows nothing of audio, text or models.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from openclap.errors import LibraryError, LibraryMismatch, MissingExtra
from openclap.store.lance.rows import (
    FACTS,
    FIRST,
    WINDOW,
    about_of,
    about_schema,
    among,
    condition_of,
    file_of,
    recordings_of,
    row_of,
    table_of,
    text_of,
    update_of,
    vectors_of,
    windows_schema,
)
from openclap.store.ranking import best, ordered, rounded
from openclap.store.records import File, Recording, Row, Store, Vectors, Where

__all__ = ["LanceStore"]

FORMAT_VERSION = 1
LIBRARY, ASIDE = "library", "reembedding"
INDEX_FROM = 100_000  # rows: below, looking at every row takes 0.15 s
PATHS_FROM = 10_000  # rows from which paths are worth an index
PARTITIONS_PROBED = 40  # with √n partitions: recall@10 of 0.99 and more (bench/search.py)
REFINED = 3  # times as many rows looked at exactly as are asked for
UNTIDY = 20  # pieces of a table that are worth joining
KEPT = timedelta(hours=1)  # old versions, for those who are reading them
PATHS_AT_ONCE = 2_000  # in one condition
FILES_AT_ONCE = 256
ROWS_AT_ONCE = 4_096
UNIT = 1e-3  # from the length 1 that a vector may be
REASONS = [  # what is in the long messages of the storage → what to do about it
    ("NoSuchBucket|region for bucket", "there is no such bucket; make it, or give another --library"),
    ("[Nn]o space left|StorageFull", "the disk is full; what was there before is unharmed, make room"),
    ("[Pp]ermission denied|[Rr]ead-only", "it is not yours to change; give yourself permission, or another --library"),
    ("AWS credentials", "it wants credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("AccessDenied|Forbidden|InvalidAccessKey|SignatureDoesNotMatch", "the storage refuses the credentials it was given"),
    ("HttpError|Connect|dns error|error sending request", "the storage is not reachable; is AWS_ENDPOINT_URL right?"),
]  # fmt: skip
NOTHING_THERE = re.compile("was not found|not found in|does not exist")


class LanceStore:
    """A library in LanceDB. Nothing is made before the first write."""

    shared = True

    def __init__(self, uri: str, slot: str = LIBRARY) -> None:
        self.uri = uri
        self.place = uri
        self.folder = None if "://" in uri else Path(uri)
        self._slot = slot
        self._claimed: dict[str, Any] = {}
        self._db: Any = None
        self._tables: dict[str, Any] = {}
        self._opening = threading.RLock()

    # -- who made it ---------------------------------------------------------------------------------

    def maker(self) -> dict[str, Any]:
        """What made the vectors; empty in a new store."""
        with self._told("read"):
            return self._about()[0]

    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        """Become the maker where there is none yet → the maker there is now."""
        with self._told("written to"):
            about = self._make_about(maker)
            if not self._about()[0]:
                about.update(f"key = '{self._slot}' AND maker = '{{}}'", {"maker": json.dumps(maker)})
            self._claimed = self._about()[0]
        return self._claimed

    # -- writing -------------------------------------------------------------------------------------

    def put(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows, or replace them."""
        last = {recording.file.path: recording for recording in recordings}
        if not last:
            return
        with self._told("written to"):
            table = self._writable(next(iter(last.values())).embedding.shape[1])
            known = self.known(last)
            rows = table_of(list(last.values()), {path: file.tags for path, file in known.items()})
            self._merge(table, rows, instead_of=known)

    def touch(self, files: Sequence[File]) -> None:
        """Note new sizes and times of files whose content is what it was."""
        new = {text_of(file.path): file for file in files}
        with self._told("written to"):
            rows = [
                row
                for row in self._rows_of(new, ["key", "path", "hash"])
                if row["hash"] == new[row["path"]].hash
            ]  # fmt: skip
            if rows:
                facts = {name: [getattr(new[row["path"]], name) for row in rows] for name in ("size", "mtime_ns")}
                self._update([row["key"] for row in rows], **facts)

    def move(self, moves: Sequence[tuple[str, File]]) -> list[str]:
        """Give files another path, windows and tags with them, all at once; what was known at a new path is replaced.

        Returns the new paths of those that were moved: one whose content is not at its old path any more is not.
        """
        with self._told("written to"):
            at = {recording.file.path: recording for recording in self._recordings([old for old, _ in moves])}
            moved: dict[str, Recording] = {}
            left: list[str] = []
            tags: dict[str, tuple[str, ...]] = {}
            for old, file in moves:
                recording = at.get(old)
                if recording is not None and recording.file.hash == file.hash:
                    moved[file.path] = replace(recording, file=replace(file, seconds=recording.file.seconds))
                    tags[file.path] = recording.file.tags
                    left.append(old)
                    del at[old]
            if moved:
                rows = table_of(list(moved.values()), tags)
                self._merge(
                    self._writable(rows.schema.field("embedding").type.list_size), rows, instead_of=[*left, *moved]
                )
        return list(moved)

    def delete(self, paths: Iterable[str]) -> int:
        """Forget files → how many there were."""
        gone = 0
        with self._told("written to"):
            for some in _parts(dict.fromkeys(map(text_of, paths)), PATHS_AT_ONCE):
                table = self._windows()
                count = table.count_rows(f"{FIRST} AND {among('path', some)}") if table is not None else 0
                if count:
                    self._refuse_taken()
                    table.delete(among("path", some))
                gone += count
        return gone

    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Put tags on files."""
        with self._told("written to"):
            rows = [
                row
                for row in self._rows_of(map(text_of, paths), ["key", "path", "tags"])
                if not set(tags) <= set(row["tags"] or ())
            ]
            if rows:
                all_tags = [sorted({*(row["tags"] or ()), *tags}) for row in rows]
                self._update([row["key"] for row in rows], tags=all_tags)

    # -- reading -------------------------------------------------------------------------------------

    def known(self, paths: Iterable[str]) -> dict[str, File]:
        """Those of the files that are in the store."""
        with self._told("read"):
            rows = self._rows_of(map(text_of, paths), FACTS, FIRST)
            return {file.path: file for file in map(file_of, rows)}

    def with_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        """The files of each content."""
        with self._told("read"):
            files = [file_of(row) for row in self._rows_of(hashes, FACTS, FIRST, column="hash")]
        files.sort(key=lambda file: (file.hash, os.fsencode(file.path)))
        return {content: list(group) for content, group in groupby(files, key=lambda file: file.hash)}

    def files(self, where: Where | None = None) -> Iterator[File]:
        """Every file, by path, as the library is when the first is asked for."""
        with self._told("read"):
            table = self._windows()
            if table is None:
                return
            wanted = " AND ".join(filter(None, [FIRST, condition_of(where)]))
            found = table.search().where(wanted).select(FACTS).order_by([_by("path")]).limit(None).to_batches()
            for batch in found:
                yield from map(file_of, batch.to_pylist())

    def recording(self, path: str) -> Recording | None:
        """One file with its windows."""
        with self._told("read"):
            return next(self._recordings([path]), None)

    def scan(self, where: Where | None = None) -> Iterator[Recording]:
        """Every file with its windows, by path, in bounded memory."""
        for some in _parts(self.files(where), FILES_AT_ONCE):
            with self._told("read"):
                yield from self._recordings([file.path for file in some])

    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk (on object storage, of the vectors and what belongs to them)."""
        with self._told("read"):
            table = self._windows()
            if table is None:
                return {"files": 0, "windows": 0, "seconds": 0.0, "bytes": 0}
            lengths = table.search().where(FIRST).select(["seconds"]).limit(None).to_batches()
            counted = [(len(batch), float(np.sum(batch["seconds"].to_numpy()))) for batch in lengths]
            files, seconds = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0.0)
            if self.folder is not None:
                used = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
            else:
                used = table.stats()["total_bytes"]
            return {"files": files, "windows": table.count_rows(), "seconds": round(seconds, 3), "bytes": used}

    # -- searching -----------------------------------------------------------------------------------

    def nearest(self, query: Vectors, k: int, *, where: Where | None = None, per_file: bool = True) -> list[Row]:
        """The windows with the highest cosine to a unit vector (E,), best first; `per_file`, the best of each file."""
        condition = condition_of(where)
        wanted = 2 * k + 10
        with self._told("read"):
            table = self._windows()
            while table is not None:  # further windows of a file, and what only ties with the last, are no hits
                search = (
                    table.search(query, vector_column_name="embedding")
                    .distance_type("cosine")
                    .select([*WINDOW, "_distance"])
                )
                if condition is not None:
                    search = search.where(condition, prefilter=True)
                search = search.minimum_nprobes(PARTITIONS_PROBED).maximum_nprobes(0).refine_factor(REFINED)
                rows = ordered(row_of(query, search.limit(wanted).to_arrow()))
                hits = best(rows, k, per_file)
                if len(rows) < wanted or (len(hits) == k and rounded(rows[-1].score) < rounded(hits[-1].score)):
                    return hits
                wanted *= 4
        return []

    def sample(self, count: int) -> Vectors:
        """Rows from all over the store: (at most count, E)."""
        with self._told("read"):
            table = self._windows()
            rows = table.count_rows() if table is not None else 0
            if not rows:
                return np.zeros((0, 0), np.float32)
            places = np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(int)).tolist()
            found = table.take_offsets(places).select(["key", "embedding"]).to_arrow()
            return vectors_of(found.sort_by("key"))

    def tidy(self) -> None:
        """Join small pieces, drop old versions, bring the index up to date: later searches are faster, none needs it."""
        with self._told("written to"), self._others_first():
            table = self._windows()
            rows = table.count_rows() if table is not None else 0
            if not rows:
                return
            from lancedb.index import BTree, IvfSq

            indexed = {column for index in table.list_indices() for column in index.columns}
            if rows >= INDEX_FROM and "embedding" not in indexed:
                table.create_index("embedding", config=IvfSq("cosine", num_partitions=round(rows**0.5)))
            if rows >= PATHS_FROM and "path" not in indexed:
                for column in ("path", "hash", "key"):
                    table.create_index(column, config=BTree())
            if table.stats()["fragment_stats"]["num_fragments"] >= UNTIDY or indexed:
                table.optimize(cleanup_older_than=KEPT)

    # -- keeping -------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """What is wrong with what is on disk, in words."""
        with self._told("read"):
            table = self._windows()
            if table is None:
                return []
            if not _readable(table):
                return ["some windows cannot be read"]
            bad = len(_bad_files(table))
            return [f"{bad} files have missing windows, or vectors that are none"] if bad else []

    def repair(self) -> list[str]:
        """Mend what `check` finds; files whose rows are lost leave, to be indexed again → what was done, in words."""
        done: list[str] = []
        with self._told("written to"):
            table = self._windows()
            if table is None:
                return done
            if not _readable(table):
                done.append(self._salvage(table))
                table = self._windows()
            bad = _bad_files(table)
            for some in _parts(bad, PATHS_AT_ONCE):
                table.delete(among("path", some))
            if bad:
                done.append(f"{len(bad)} files without sound vectors removed: index them again")
        return done

    def _salvage(self, broken: Any) -> str:
        """Copy the rows that can be read to a new table, and use that; the broken one stays beside it."""
        name, count = _new_name(), broken.count_rows()
        table = self._make_windows(name, broken.schema.field("embedding").type.list_size)
        for start in range(0, count, ROWS_AT_ONCE):
            for rows in _rows_at(broken, start, min(count, start + ROWS_AT_ONCE)):
                self._merge(table, rows.cast(table.schema))
        self._table("about").update(f"key = '{self._slot}'", {"windows": name})
        return f"{table.count_rows()} of {count} windows copied out of a broken table: index again; the broken one is {broken.name} in {self.uri}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else re-embeds meanwhile.

        On object storage two may: those of one model do each other's work again, one of another model stops the first.
        """
        if self.folder is None:
            yield
            return
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "reembedding.lock", timeout=0)
        with self._told("written to"):
            try:
                lock.acquire()
            except Timeout:
                raise LibraryError(
                    f"{self.place} is being re-embedded by another process; wait until it is done"
                ) from None
        try:
            yield
        finally:
            lock.release()

    def aside(self, maker: dict[str, Any]) -> LanceStore:
        """A store of another maker in a table beside this one's."""
        other = LanceStore(self.uri, ASIDE)
        if other.maker() not in ({}, maker):
            other._vanish()
        return other

    def become(self, aside: Store) -> None:
        """Hold what the one beside holds, which is then gone: one row says which table is the library's."""
        assert isinstance(aside, LanceStore)
        with self._told("written to"):
            maker, name = aside._about()
            old = self._about()[1]
            self._table("about").update(f"key = '{self._slot}'", {"maker": json.dumps(maker), "windows": name})
            self._table("about").delete(f"key = '{aside._slot}'")
            self._drop(old)
        self._claimed = {}

    def _vanish(self) -> None:
        """Forget everything."""
        with self._told("written to"):
            name = self._about()[1]
            self._table("about").delete(f"key = '{self._slot}'")
            self._drop(name)

    def close(self) -> None:
        """Let go of the tables."""
        with self._opening:
            self._db, self._tables = None, {}

    # -- tables --------------------------------------------------------------------------------------

    def _connect(self) -> Any:
        with self._opening:
            if self._db is None:
                lancedb = import_lancedb()
                if self.folder is not None and self.folder.exists() and not (self.folder / "about.lance").exists() and any(self.folder.iterdir()):  # fmt: skip
                    raise LibraryMismatch(f"{self.folder} holds something else than a library; use another --library")
                self._db = lancedb.connect(self.uri, read_consistency_interval=timedelta(0))
            return self._db

    def _table(self, name: str) -> Any:
        """A table as it is now, or None."""
        with self._opening:
            if self.folder is not None and not (self.folder / f"{name}.lance").exists():
                self._tables.pop(name, None)
                return None
            if name not in self._tables:
                try:
                    self._tables[name] = self._connect().open_table(name)
                except (ValueError, FileNotFoundError) as error:
                    if NOTHING_THERE.search(str(error)):
                        return None
                    raise
            return self._tables[name]

    def _about(self) -> tuple[dict[str, Any], str]:
        """Who made the library, and the name of its table; ({}, "") where there is none."""
        table = self._table("about")
        rows = table.search().where(f"key = '{self._slot}'").limit(None).to_list() if table is not None else []
        if not rows:
            return {}, ""
        if rows[0]["format"] != FORMAT_VERSION:
            raise LibraryMismatch(
                f"{self.place} is of format version {rows[0]['format']}; this openclap reads version {FORMAT_VERSION}: update openclap, or index again into another --library"
            )
        return json.loads(rows[0]["maker"]), rows[0]["windows"]

    def _windows(self) -> Any:
        """The table of windows, or None where there is none yet."""
        name = self._about()[1]
        return self._table(name) if name else None

    def _make_about(self, maker: dict[str, Any]) -> Any:
        """The table with a row of this store, made where it is missing."""
        if self._claimed and not self._about()[1]:
            raise LibraryError(f"{self.place} was deleted or moved while it was in use; open it again")
        table = self._table("about")
        if table is None:
            table = self._create("about", about_schema())
        if not self._about()[1]:
            row = {"key": self._slot, "format": FORMAT_VERSION, "maker": json.dumps(maker), "windows": _new_name()}
            table.merge_insert("key").when_not_matched_insert_all().execute(about_of(row))
        return table

    def _writable(self, width: int) -> Any:
        """The table of windows, made where it is missing."""
        self._make_about({})
        self._refuse_taken()
        name = self._about()[1]
        table = self._table(name)
        return self._make_windows(name, width) if table is None else table

    def _make_windows(self, name: str, width: int) -> Any:
        return self._create(name, windows_schema(width))

    def _create(self, name: str, schema: Any) -> Any:
        """A table with a declared key; of two processes that come at once, one makes it."""
        with self._opening:
            db = self._connect()
            table = db.create_table(name, schema=schema, exist_ok=True)
            if not any(b"primary-key" in key for key in table.schema.field("key").metadata or ()):
                with contextlib.suppress(RuntimeError, ValueError):  # another process was first
                    table.set_unenforced_primary_key("key")
                table = db.open_table(name)
            self._tables[name] = table
            return table

    def _drop(self, name: str) -> None:
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it is nobody's any more
            self._connect().drop_table(name)
        self._tables.pop(name, None)

    def _refuse_taken(self) -> None:
        if self._claimed and self._about()[0] != self._claimed:
            raise LibraryMismatch(f"{self.place} was taken over by another model meanwhile; open it again")

    # -- rows ----------------------------------------------------------------------------------------

    def _merge(self, table: Any, rows: Any, instead_of: Iterable[str] = ()) -> None:
        """Write rows in one commit; further rows of these paths leave with it."""
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        paths = list(map(text_of, instead_of))
        if paths:
            merge = merge.when_not_matched_by_source_delete(among("path", paths))
        merge.execute(rows)

    def _update(self, keys: Sequence[str], **columns: Sequence[Any]) -> None:
        """Set columns of the rows of these keys in one commit."""
        self._refuse_taken()
        table = self._windows()
        table.merge_insert("key").when_matched_update_all().execute(update_of(table.schema, keys, **columns))

    def _rows_of(
        self, values: Iterable[str], columns: list[str], also: str | None = None, column: str = "path"
    ) -> Iterator[dict[str, Any]]:
        """Rows whose path, or other column, is one of these texts."""
        table = self._windows()
        for some in _parts(dict.fromkeys(values), PATHS_AT_ONCE) if table is not None else ():
            wanted = " AND ".join(filter(None, [also, among(column, some)]))
            yield from table.search().where(wanted).select(columns).limit(None).to_list()

    def _recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        table = self._windows()
        for some in _parts(paths, FILES_AT_ONCE) if table is not None else ():
            columns = [*FACTS, "number", "start", "end", "embedding"]
            found = table.search().where(among("path", map(text_of, some))).select(columns).limit(None).to_arrow()
            yield from recordings_of(found)

    @contextmanager
    def _others_first(self) -> Iterator[None]:
        """What another process has just done need not be done here."""
        try:
            yield
        except RuntimeError as error:
            if "conflict" not in str(error).lower():
                raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Errors of LanceDB and of the storage, in words."""
        try:
            yield
        except (RuntimeError, ValueError, OSError) as error:
            if isinstance(error, LibraryError):
                raise
            told = re.sub(r"\s+", " ", str(error))
            short = next((words for found, words in REASONS if re.search(found, told)), told[:200])
            raise LibraryError(f"{self.place} cannot be {what}: {short}") from error


def import_lancedb() -> Any:
    """LanceDB, or how to get it."""
    try:
        import lancedb
    except ImportError:
        raise MissingExtra("a library in LanceDB needs an extra:  pip install 'openclap[scale]'") from None
    return lancedb


def _new_name() -> str:
    return f"windows-{uuid.uuid4().hex[:12]}"


def _by(column: str) -> Any:
    from lancedb.query import ColumnOrdering

    return ColumnOrdering(column_name=column, ascending=True)


def _readable(table: Any) -> bool:
    """Whether every row can be read."""
    try:
        for _ in table.search().limit(None).to_batches():
            pass
    except (RuntimeError, ValueError, OSError):
        return False
    return True


def _bad_files(table: Any) -> list[str]:
    """The texts of the paths whose windows are not 0, 1, 2 …, each with a unit vector."""
    bad: dict[str, None] = {}
    last, expected = "", 0
    order = [_by("path"), _by("number")]
    for batch in table.search().select(["path", "number", "embedding"]).order_by(order).limit(None).to_batches():
        sound = np.abs(np.linalg.norm(vectors_of(batch), axis=1) - 1) < UNIT
        rows = zip(batch["path"].to_pylist(), batch["number"].to_pylist(), sound.tolist(), strict=True)
        for path, number, fine in rows:
            expected = expected + 1 if path == last else 0
            last = path
            if number != expected or not fine:
                bad[path] = None
    return list(bad)


def _rows_at(table: Any, start: int, end: int) -> Iterator[Any]:
    """Those rows between two places that can be read."""
    try:
        yield table.take_offsets(list(range(start, end))).to_arrow()
    except (RuntimeError, ValueError, OSError):
        middle = (start + end) // 2
        if middle > start:
            yield from _rows_at(table, start, middle)
            yield from _rows_at(table, middle, end)


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
