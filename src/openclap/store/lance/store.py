"""The store past one machine: LanceDB, in a folder whose name ends in .lance, or on S3, Google's or Azure's storage.

Every write is one commit, which is there for every reader when the call returns, whichever machine it runs on. Keys are declared,
so of two processes that write the same file one waits for the other, and the last one's vectors stay. In a folder one process
writes at a time. On object storage, where nothing can be locked, two that change one file at one moment can lose each other's tags,
or leave windows of both, which `check` finds. Past `indexes.INDEX_FROM` rows `tidy` builds an approximate index; what was written since is looked at row by row. Knows nothing of audio, text or models.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import numpy as np

from openclap.counting import counted
from openclap.errors import LibraryError, LibraryMismatch
from openclap.store.disk import alone_in, bytes_in
from openclap.store.lance import indexes, mending
from openclap.store.lance.migration import bring_up
from openclap.store.lance.remembered import TagsOfContent
from openclap.store.lance.rows import (
    FIRST,
    WINDOW,
    among,
    as_now,
    by,
    condition_of,
    facts_of,
    file_of,
    quoted,
    recordings_of,
    rows_of,
    table_of,
    update_of,
    vectors_of,
    windows_schema,
)
from openclap.store.lance.tables import FORMAT_VERSION, About, Tables, new_name
from openclap.store.patterns import lying_in, path_of, text_of
from openclap.store.ranking import best, ordered, rounded
from openclap.store.records import File, Recording, Remembered, Row, Store, Vectors, Where, is_of, wrong_width
from openclap.store.values import BrokenValue, checked_width

__all__ = ["LanceStore"]

LIBRARY, ASIDE = "library", "reembedding"
PARTITIONS_PROBED = 40  # of √n: recall@10 of 0.99 and more at a million rows (bench/search.py)
REFINED = 3  # times as many rows compared by their whole vectors as are asked for
PATHS_AT_ONCE = 2_000  # in one condition
FILES_AT_ONCE, SECONDS_AT_ONCE = 256, 100_000.0  # whose windows are in memory together
LOOKED_AT_MOST = 20_000  # rows of one question


class LanceStore:
    """A library in LanceDB. Nothing is made before the first write."""

    shared = True

    def __init__(self, uri: str, slot: str = LIBRARY) -> None:
        self.place = uri
        self._tables = Tables(uri)
        self._slot = slot
        self._claimed: dict[str, Any] = {}
        self._remembered = TagsOfContent(self._tables, of_library=slot == LIBRARY)

    # -- who made it ---------------------------------------------------------------------------------

    def maker(self) -> dict[str, Any]:
        """What made the vectors; empty in a new store."""
        with self._tables.told("read"):
            return self._tables.about(self._slot).maker

    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        """Become the maker where there is none yet → the maker there is now."""
        with self._tables.told("written to"):
            self._claimed = self._tables.introduce(self._slot, maker).maker
        return self._claimed

    # -- writing -------------------------------------------------------------------------------------

    def put(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows, or replace them."""
        last = {recording.file.path: recording for recording in recordings}
        if not last:
            return
        with self._tables.told("written to"), self._tables.locked():
            width = next(iter(last.values())).embedding.shape[1]
            table = self._writable(width)
            if width != table.schema.field("embedding").type.list_size:
                raise wrong_width(width, table.schema.field("embedding").type.list_size)
            known = self.known(last)
            returned, used = self._remembered.returned(
                [r.file for path, r in last.items() if path not in known or known[path].hash != r.file.hash]
            )
            self._remembered.note([file for path, file in known.items() if file.hash != last[path].file.hash])
            tags = {
                path: sorted({*(known[path].tags if path in known else ()), *returned.get(path, ())}) for path in last
            }
            paths = [text_of(path) for path in known]
            self._merge(table, table_of(list(last.values()), tags), self._with_surplus(paths, last))
            self._remembered.forget(used)

    def touch(self, files: Sequence[File]) -> None:
        """Note new sizes, times and revisions of reading of files whose content is what it was."""
        new = {text_of(file.path): file for file in files}
        with self._tables.told("written to"), self._tables.locked():
            found = self._found("path", new, ["key", "path", "hash"])
            rows = [row for row in found if row["hash"] == new[row["path"]].hash]
            if rows:
                facts = {
                    name: [getattr(new[row["path"]], name) for row in rows] for name in ("size", "mtime_ns", "reading")
                }
                self._update([row["key"] for row in rows], **facts)

    def move(self, moves: Sequence[tuple[str, File]]) -> list[str]:
        """Give files another path, windows and tags with them, all at once; what was known at a new path is replaced.

        Returns the new paths of those that were moved: one whose content is not at its old path any more is not.
        """
        with self._tables.told("written to"), self._tables.locked():
            at = {recording.file.path: recording for recording in self._recordings([old for old, _ in moves])}
            moved: dict[str, Recording] = {}
            left: list[str] = []
            tags: dict[str, tuple[str, ...]] = {}
            for old, file in moves:
                recording = at.get(old)
                if recording is not None and recording.file.hash == file.hash:
                    kept = {name: getattr(recording.file, name) for name in ("seconds", "reading")}
                    moved[file.path] = replace(recording, file=replace(file, **kept))
                    tags[file.path] = recording.file.tags
                    left.append(old)
                    del at[old]
            if moved:
                table = self._writable(next(iter(moved.values())).embedding.shape[1])
                returned, used = self._remembered.returned([recording.file for recording in moved.values()])
                self._remembered.note(file for path, file in self.known(moved).items() if path not in left)
                self._remembered.note(self.known(left).values(), moved=True)
                both = {path: sorted({*tags[path], *returned.get(path, ())}) for path in moved}
                rows = table_of(list(moved.values()), both)
                self._merge(table, rows, [text_of(path) for path in (*left, *moved)])
                self._remembered.forget(used)
        return list(moved)

    def delete(self, paths: Iterable[str]) -> int:
        """Forget files → how many there were. Of very many, some thousands a commit."""
        with self._tables.told("written to"), self._tables.locked():
            return self._leave(map(text_of, paths))

    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Put tags on files."""
        paths = list(paths)
        if not paths or not tags:
            return
        with self._tables.told("written to"), self._tables.locked():
            found = self._found("path", map(text_of, paths), ["key", "tags"])
            rows = [row for row in found if not set(tags) <= set(row["tags"] or ())]
            if rows:
                self._update([row["key"] for row in rows], tags=[sorted({*(row["tags"] or ()), *tags}) for row in rows])

    def remembered(self) -> list[Remembered]:
        """Tags of content that has left, in no order."""
        with self._tables.told("read"):
            return self._remembered.all()

    def remember(self, tags: Sequence[Remembered]) -> None:
        """Remember tags of content that is not here."""
        with self._tables.told("written to"), self._tables.locked():
            self._remembered.put(tags)

    # -- reading -------------------------------------------------------------------------------------

    def known(self, paths: Iterable[str]) -> dict[str, File]:
        """Those of the files that are in the store."""
        with self._tables.told("read"):
            rows = self._found("path", map(text_of, paths), None, FIRST)
            return {file.path: file for file in map(file_of, rows)}

    def with_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        """The files of each content."""
        with self._tables.told("read"):
            files = [file_of(row) for row in self._found("hash", hashes, None, FIRST)]
        files.sort(key=lambda file: (file.hash, os.fsencode(file.path)))
        return {content: list(group) for content, group in groupby(files, key=lambda file: file.hash)}

    def files(self, where: Where | None = None) -> Iterator[File]:
        """Every file, by path, as the library is when the first is asked for."""
        with self._tables.told("read"):
            table = self._windows()
            if table is None:
                return
            wanted = " AND ".join(filter(None, [FIRST, self._condition(where)]))
            found = table.search().where(wanted).select(facts_of(table)).order_by([by("path")]).limit(None).to_batches()
            for batch in found:
                yield from map(file_of, batch.to_pylist())

    def recording(self, path: str) -> Recording | None:
        """One file with its windows."""
        with self._tables.told("read"):
            return next(self._recordings([path]), None)

    def scan(self, where: Where | None = None) -> Iterator[Recording]:
        """Every file with its windows, by path, in bounded memory."""
        maker = self.maker()
        for some in _shares(self.files(where)):
            with self._tables.told("read"):
                if self._tables.about(self._slot).maker != maker:
                    raise LibraryMismatch(f"{self.place} was taken over by another model meanwhile; start again")
                yield from self._recordings([file.path for file in some])

    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk (on object storage, of the windows' table as it is now)."""
        with self._tables.told("read"):
            table = self._windows()
            if table is None:
                return {"files": 0, "windows": 0, "seconds": 0.0, "bytes": 0}
            lengths = table.search().where(FIRST).select(["seconds"]).limit(None).to_batches()
            counted = [(len(batch), float(np.sum(batch["seconds"].to_numpy()))) for batch in lengths]
            files, seconds = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0.0)
            folder = self._tables.folder
            used = bytes_in(folder) if folder is not None else table.stats()["total_bytes"]
            return {"files": files, "windows": table.count_rows(), "seconds": round(seconds, 3), "bytes": used}

    # -- searching -----------------------------------------------------------------------------------

    def nearest(self, query: Vectors, k: int, *, where: Where | None = None, per_file: bool = True) -> list[Row]:
        """The windows with the highest cosine to a unit vector (E,), best first; `per_file`, the best of each file."""
        found: list[Row] = []  # of files that have had their say
        with self._tables.told("read"):
            table = self._windows()
            if table is not None:
                checked_width(query, table.schema.field("embedding").type.list_size)
            condition = self._condition(where)
            k = min(k, table.count_rows()) if table is not None else 0
            wanted = 2 * k + 10
            while k:  # further windows of a file, and what only ties with the last, are no hits
                heard = {row.path for row in found}
                unheard = f"NOT ({among('path', map(text_of, heard))})" if heard else None
                rows = self._asked(table, query, wanted, " AND ".join(filter(None, [condition, unheard])))
                hits = best(ordered([*found, *rows]), k, per_file)
                if len(rows) < wanted or (len(hits) == k and rounded(rows[-1].score) < rounded(hits[-1].score)):
                    return hits
                if wanted < LOOKED_AT_MOST:
                    wanted = min(4 * wanted, LOOKED_AT_MOST)
                elif len(hits) == k:  # thousands that tie
                    return hits
                else:  # a few files have thousands of windows that are nearer than any of another
                    found += best(rows, k, per_file)
        return []

    def _asked(self, table: Any, query: Vectors, count: int, condition: str) -> list[Row]:
        """The nearest rows, in order. `_distance` is asked for since LanceDB warns when it is not."""
        search = (
            table.search(query, vector_column_name="embedding").distance_type("cosine").select([*WINDOW, "_distance"])
        )
        search = search.where(condition, prefilter=True) if condition else search
        search = search.minimum_nprobes(PARTITIONS_PROBED).maximum_nprobes(0).refine_factor(REFINED)
        return ordered(rows_of(query, search.limit(count).to_arrow()))

    def sample(self, count: int) -> Vectors:
        """Rows from all over the store: (at most count, E)."""
        with self._tables.told("read"):
            table = self._windows()
            rows = table.count_rows() if table is not None else 0
            if not rows:
                return np.zeros((0, 0), np.float32)
            places = np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(int)).tolist()
            found = table.take_offsets(places).select(["key", "embedding"]).to_arrow()
            return vectors_of(found.sort_by("key"))

    def tidy(self) -> None:
        """Join small pieces, drop old versions, bring indexes up to date: later searches are faster, none needs it."""
        with self._tables.told("written to"):
            table = self._windows()
            if table is not None:
                indexes.tidy(table)

    # -- keeping -------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """What is wrong with what is on disk, in words."""
        with self._tables.told("read"):
            try:
                table = self._windows()
            except BrokenValue as error:
                return [str(error)]
            if table is None:
                return []
            if not mending.readable(table):
                return ["some windows cannot be read"]
            bad = len(mending.bad_files(table))
            return (
                [
                    f"{counted(bad, 'file has', 'files have')} missing windows, windows of two contents, or vectors that are none"
                ]
                if bad
                else []
            )

    def repair(self) -> list[str]:
        """Mend what `check` finds; files whose rows are lost leave, to be indexed again → what was done, in words."""
        done: list[str] = []
        with self._tables.told("written to"), self._tables.locked():
            try:
                table = self._windows()
            except BrokenValue as error:
                return [self._give_up(str(error))]
            if table is None:
                return done
            if not mending.readable(table):
                done.append(self._salvage(table))
                table = self._windows()
            bad = mending.bad_files(table)
            table.delete("path IS NULL")
            for some in _parts((path for path in bad if path is not None), PATHS_AT_ONCE):
                self._note_readable(table, some)
                table.delete(among("path", some))
            if bad:
                done.append(f"{counted(len(bad), 'file')} without sound vectors removed: index again")
        return done

    def _give_up(self, why: str) -> str:
        """Begin anew where it cannot be told which model made the vectors, or where they are; their table stays beside it."""
        names = self._tables.unmade(self._slot)
        for table in map(self._tables.get, names):
            firsts = table.search().where(f"{FIRST} AND path IS NOT NULL").select(["path"]).limit(None).to_list()
            for some in _parts(sorted({row["path"] for row in firsts}), PATHS_AT_ONCE):
                self._note_readable(table, some)
        self._tables.get("about").delete(f"key = {quoted(self._slot)}")
        return f"{why}: its files removed, their tags are kept: index them again; their windows stay in {', '.join(names) or 'no table'}"

    def _salvage(self, broken: Any) -> str:
        """Copy the rows that can be read to a new table, and use that; the broken one stays beside it."""
        name, count = new_name(), broken.count_rows()
        table = self._tables.make(name, windows_schema(broken.schema.field("embedding").type.list_size))
        for rows in mending.readable_rows(broken):
            self._merge(table, as_now(rows).select(table.schema.names).cast(table.schema))
        self._tables.say(self._slot, About(self._tables.about(self._slot).maker, name))
        return f"{table.count_rows()} of {counted(count, 'window')} copied out of a broken table: index again; the broken one is {broken.name} in {self.place}"

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else re-embeds meanwhile.

        On object storage two may: those of one model do each other's work again, one of another model stops the first.
        """
        folder = self._tables.folder
        return nullcontext() if folder is None else alone_in(folder, self.place)

    def aside(self, maker: dict[str, Any]) -> LanceStore:
        """A store of another maker in a table beside this one's."""
        other = LanceStore(self.place, ASIDE)
        if not is_of(other, maker):
            with self._tables.told("written to"):
                self._tables.forget(ASIDE)
        return other

    def become(self, aside: Store) -> None:
        """Hold what the one beside holds, which is then gone: one row says which table is the library's."""
        assert isinstance(aside, LanceStore)
        with self._tables.told("written to"):
            new, old = self._tables.about(aside._slot), self._tables.about(self._slot)
            if not new.windows:
                raise LibraryError(
                    f"what was to replace {self.place} is gone: another process was faster; nothing was changed"
                )
            self._tables.say(self._slot, new, instead_of=[aside._slot])
            self._tables.drop(old.windows)
        self._claimed = {}

    def close(self) -> None:
        """Let go of the tables."""
        self._tables.close()

    # -- inside --------------------------------------------------------------------------------------

    def _windows(self) -> Any:
        """The table of windows, or None where there is none yet."""
        name = self._tables.about(self._slot).windows
        return self._tables.get(name) if name else None

    def _writable(self, width: int) -> Any:
        """The table of windows, made where it is missing."""
        about = self._tables.about(self._slot)
        if self._claimed and not about.windows:
            raise LibraryError(f"{self.place} was deleted or moved while it was in use; open it again")
        if self._claimed and about.maker != self._claimed:
            raise LibraryMismatch(f"{self.place} was taken over by another model meanwhile; open it again")
        name = about.windows or self._tables.introduce(self._slot, {}).windows
        table = self._tables.get(name)
        if table is None:
            return self._tables.make(name, windows_schema(width))
        if about.format < FORMAT_VERSION:
            bring_up(self._tables, self._slot, table)
        return table

    def _leave(self, paths: Iterable[str]) -> int:
        """Forget files of these texts of paths, but not their tags → how many there were."""
        gone = 0
        for some in _parts(dict.fromkeys(paths), PATHS_AT_ONCE):
            files = [file_of(row) for row in self._found("path", some, None, FIRST)]
            if files:
                self._remembered.note(files)
                self._writable(0).delete(among("path", some))
            gone += len(files)
        return gone

    def _note_readable(self, table: Any, paths: Sequence[str]) -> None:
        """Remember the tags of files that are not whole, as far as can be told."""
        some = f"{FIRST} AND {among('path', paths)}"
        for row in table.search().where(some).select(facts_of(table)).limit(None).to_list():
            with suppress(BrokenValue):
                self._remembered.note([file_of({**row, "size": 0, "mtime_ns": 0, "seconds": 0.0})])

    def _merge(self, table: Any, rows: Any, instead_of: Sequence[str] = ()) -> None:
        """Write rows in one commit, with which further rows of these texts of paths leave, at the cost of a look at every path."""
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        if instead_of:
            merge = merge.when_not_matched_by_source_delete(among("path", instead_of))
        merge.execute(rows)

    def _update(self, keys: Sequence[str], **columns: Sequence[Any]) -> None:
        """Set columns of the rows of these keys in one commit."""
        table = self._writable(0)
        table.merge_insert("key").when_matched_update_all().execute(update_of(table.schema, keys, **columns))

    def _with_surplus(self, known: Iterable[str], new: dict[str, Recording]) -> list[str]:
        """Texts of the paths that have more windows than they are about to have."""
        counts = {text_of(path): len(recording.start) for path, recording in new.items()}
        rows = self._found("path", known, ["path", "number"], "number > 0")
        return sorted({row["path"] for row in rows if row["number"] >= counts[row["path"]]})

    def _found(
        self, column: str, values: Iterable[str], columns: list[str] | None, also: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows whose column is one of these texts; with the facts of their file where no columns are named."""
        table = self._windows()
        for some in _parts(dict.fromkeys(values), PATHS_AT_ONCE) if table is not None else ():
            wanted = " AND ".join(filter(None, [also, among(column, some)]))
            yield from table.search().where(wanted).select(columns or facts_of(table)).limit(None).to_list()

    def _recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        table = self._windows()
        for some in _parts(paths, FILES_AT_ONCE) if table is not None else ():
            columns = [*facts_of(table), "number", "start", "end", "embedding"]
            found = table.search().where(among("path", map(text_of, some))).select(columns).limit(None).to_arrow()
            yield from recordings_of(found)

    def _condition(self, where: Where | None) -> str | None:
        """What a filter allows, in the words of the tables; of thousands of paths, only those that hold something are named."""
        if where is None or where.within is None or len(where.within) <= FILES_AT_ONCE:
            return condition_of(where)
        files = {row["path"] for row in self._found("path", map(text_of, where.within), ["path"], FIRST)}
        folders = {text_of(path).rstrip(os.sep) for path in where.within} - files
        table = self._windows()
        if len(folders) > FILES_AT_ONCE and table is not None:
            lies = lying_in(map(path_of, folders))
            for batch in table.search().where(FIRST).select(["path"]).limit(None).to_batches():
                files |= {path for path in batch["path"].to_pylist() if lies(path_of(path))}
            folders = set()
        within = tuple(path for path in where.within if text_of(path).rstrip(os.sep) in folders)
        return condition_of(replace(where, within=within), files=files)


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _shares(files: Iterable[File]) -> Iterator[list[File]]:
    """Files whose windows fit in memory together."""
    some: list[File] = []
    for file in files:
        some.append(file)
        if len(some) == FILES_AT_ONCE or sum(f.seconds for f in some) > SECONDS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some
