"""The store past one machine: LanceDB, in a folder whose name ends in .lance, or on S3, Google's or Azure's storage.

Every write is one commit, which is there for every reader when the call returns, whichever machine it runs on. Keys are
declared, so of two processes that write the same file one waits for the other, and the last one's vectors stay. In a
folder one process writes at a time. On object storage, where nothing can be locked, two that change one file at one
moment can lose each other's tags, or leave windows of both, which `check` finds. Past `indexes.INDEX_FROM` rows
`optimize` builds an approximate index; what was written since is looked at row by row. Knows nothing of audio, text or
models.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import numpy as np

from openclap.errors import LibraryError, LibraryMismatch
from openclap.plurals import count_noun
from openclap.store.disk import folder_bytes, lock_folder
from openclap.store.lance import indexes
from openclap.store.lance import repair as mending
from openclap.store.lance.migration import migrate
from openclap.store.lance.remembered_tags import TagsOfContent
from openclap.store.lance.rows import (
    FIRST,
    WINDOW,
    by,
    fact_columns,
    filter_condition,
    is_any_of,
    quote,
    recordings_to_table,
    row_to_file,
    table_to_recordings,
    table_to_scored_windows,
    update_table,
    upgrade_columns,
    vectors_of,
    windows_schema,
)
from openclap.store.lance.tables import FORMAT_VERSION, About, Tables, new_name
from openclap.store.path_patterns import folder_matcher, path_to_text, text_to_path
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
from openclap.store.validation import BrokenValue, validate_width

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

    def model_identity(self) -> dict[str, Any]:
        """What made the vectors; empty in a new store."""
        with self._tables.translate_errors("read"):
            return self._tables.about(self._slot).maker

    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        """Become the maker where there is none yet → the maker there is now."""
        with self._tables.translate_errors("written to"):
            self._claimed = self._tables.create_about(self._slot, maker).maker
        return self._claimed

    # -- writing -------------------------------------------------------------------------------------

    def put(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows, or replace them."""
        last = {recording.file.path: recording for recording in recordings}
        if not last:
            return
        with self._tables.translate_errors("written to"), self._tables.lock():
            width = next(iter(last.values())).embedding.shape[1]
            table = self._writable(width)
            if width != table.schema.field("embedding").type.list_size:
                raise width_mismatch(width, table.schema.field("embedding").type.list_size)
            known = self.find_files(last)
            returned, used = self._remembered.find_returned(
                [r.file for path, r in last.items() if path not in known or known[path].hash != r.file.hash]
            )
            self._remembered.remember_files([file for path, file in known.items() if file.hash != last[path].file.hash])
            tags = {
                path: sorted({*(known[path].tags if path in known else ()), *returned.get(path, ())}) for path in last
            }
            paths = [path_to_text(path) for path in known]
            self._merge(table, recordings_to_table(list(last.values()), tags), self._with_surplus(paths, last))
            self._remembered.forget(used)

    def update_facts(self, files: Sequence[File]) -> None:
        """Note new sizes, times and revisions of reading of files whose content is what it was."""
        new = {path_to_text(file.path): file for file in files}
        with self._tables.translate_errors("written to"), self._tables.lock():
            found = self._select("path", new, ["key", "path", "hash"])
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
        with self._tables.translate_errors("written to"), self._tables.lock():
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
                returned, used = self._remembered.find_returned([recording.file for recording in moved.values()])
                self._remembered.remember_files(
                    file for path, file in self.find_files(moved).items() if path not in left
                )
                self._remembered.remember_files(self.find_files(left).values(), moved=True)
                both = {path: sorted({*tags[path], *returned.get(path, ())}) for path in moved}
                rows = recordings_to_table(list(moved.values()), both)
                self._merge(table, rows, [path_to_text(path) for path in (*left, *moved)])
                self._remembered.forget(used)
        return list(moved)

    def delete(self, paths: Iterable[str]) -> int:
        """Forget files → how many there were. Of very many, some thousands a commit."""
        with self._tables.translate_errors("written to"), self._tables.lock():
            return self._delete_rows(map(path_to_text, paths))

    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Put tags on files."""
        paths = list(paths)
        if not paths or not tags:
            return
        with self._tables.translate_errors("written to"), self._tables.lock():
            found = self._select("path", map(path_to_text, paths), ["key", "tags"])
            rows = [row for row in found if not set(tags) <= set(row["tags"] or ())]
            if rows:
                self._update([row["key"] for row in rows], tags=[sorted({*(row["tags"] or ()), *tags}) for row in rows])

    def remembered_tags(self) -> list[RememberedTags]:
        """Tags of content that has left, in no order."""
        with self._tables.translate_errors("read"):
            return self._remembered.all()

    def remember_tags(self, tags: Sequence[RememberedTags]) -> None:
        """Remember tags of content that is not here."""
        with self._tables.translate_errors("written to"), self._tables.lock():
            self._remembered.put(tags)

    # -- reading -------------------------------------------------------------------------------------

    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        """Those of the files that are in the store."""
        with self._tables.translate_errors("read"):
            rows = self._select("path", map(path_to_text, paths), None, FIRST)
            return {file.path: file for file in map(row_to_file, rows)}

    def find_by_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        """The files of each content."""
        with self._tables.translate_errors("read"):
            files = [row_to_file(row) for row in self._select("hash", hashes, None, FIRST)]
        files.sort(key=lambda file: (file.hash, os.fsencode(file.path)))
        return {content: list(group) for content, group in groupby(files, key=lambda file: file.hash)}

    def files(self, where: SearchFilter | None = None) -> Iterator[File]:
        """Every file, by path, as the library is when the first is asked for."""
        with self._tables.translate_errors("read"):
            table = self._windows()
            if table is None:
                return
            wanted = " AND ".join(filter(None, [FIRST, self._condition(where)]))
            found = (
                table.search().where(wanted).select(fact_columns(table)).order_by([by("path")]).limit(None).to_batches()
            )
            for batch in found:
                yield from map(row_to_file, batch.to_pylist())

    def recording(self, path: str) -> Recording | None:
        """One file with its windows."""
        with self._tables.translate_errors("read"):
            return next(self._recordings([path]), None)

    def scan(self, where: SearchFilter | None = None) -> Iterator[Recording]:
        """Every file with its windows, by path, in bounded memory."""
        maker = self.model_identity()
        for some in _batches_of_files(self.files(where)):
            with self._tables.translate_errors("read"):
                if self._tables.about(self._slot).maker != maker:
                    raise LibraryMismatch(f"{self.place} was taken over by another model meanwhile; start again")
                yield from self._recordings([file.path for file in some])

    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk (on object storage, of the windows' table as it is now)."""
        with self._tables.translate_errors("read"):
            table = self._windows()
            if table is None:
                return {"files": 0, "windows": 0, "seconds": 0.0, "bytes": 0}
            lengths = table.search().where(FIRST).select(["seconds"]).limit(None).to_batches()
            counted = [(len(batch), float(np.sum(batch["seconds"].to_numpy()))) for batch in lengths]
            files, seconds = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0.0)
            folder = self._tables.folder
            used = folder_bytes(folder) if folder is not None else table.stats()["total_bytes"]
            return {"files": files, "windows": table.count_rows(), "seconds": round(seconds, 3), "bytes": used}

    # -- searching -----------------------------------------------------------------------------------

    def nearest(
        self, query: Vectors, k: int, *, where: SearchFilter | None = None, per_file: bool = True
    ) -> list[ScoredWindow]:
        """The windows with the highest cosine to a unit vector (E,), best first; `per_file`, the best of each file."""
        found: list[ScoredWindow] = []  # of files that have had their say
        with self._tables.translate_errors("read"):
            table = self._windows()
            if table is not None:
                validate_width(query, table.schema.field("embedding").type.list_size)
            condition = self._condition(where)
            k = min(k, table.count_rows()) if table is not None else 0
            wanted = 2 * k + 10
            while k:  # further windows of a file, and what only ties with the last, are no hits
                heard = {row.path for row in found}
                unheard = f"NOT ({is_any_of('path', map(path_to_text, heard))})" if heard else None
                rows = self._query_nearest(table, query, wanted, " AND ".join(filter(None, [condition, unheard])))
                hits = take_best(sort_rows([*found, *rows]), k, per_file)
                if len(rows) < wanted or (len(hits) == k and round_score(rows[-1].score) < round_score(hits[-1].score)):
                    return hits
                if wanted < LOOKED_AT_MOST:
                    wanted = min(4 * wanted, LOOKED_AT_MOST)
                elif len(hits) == k:  # thousands that tie
                    return hits
                else:  # a few files have thousands of windows that are nearer than any of another
                    found += take_best(rows, k, per_file)
        return []

    def _query_nearest(self, table: Any, query: Vectors, count: int, condition: str) -> list[ScoredWindow]:
        """The nearest rows, in order. `_distance` is asked for since LanceDB warns when it is not."""
        search = (
            table.search(query, vector_column_name="embedding").distance_type("cosine").select([*WINDOW, "_distance"])
        )
        search = search.where(condition, prefilter=True) if condition else search
        search = search.minimum_nprobes(PARTITIONS_PROBED).maximum_nprobes(0).refine_factor(REFINED)
        return sort_rows(table_to_scored_windows(query, search.limit(count).to_arrow()))

    def sample(self, count: int) -> Vectors:
        """Rows from all over the store: (at most count, E)."""
        with self._tables.translate_errors("read"):
            table = self._windows()
            rows = table.count_rows() if table is not None else 0
            if not rows:
                return np.zeros((0, 0), np.float32)
            places = np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(int)).tolist()
            found = table.take_offsets(places).select(["key", "embedding"]).to_arrow()
            return vectors_of(found.sort_by("key"))

    def optimize(self) -> None:
        """Join small pieces, drop old versions, bring indexes up to date: later searches are faster, none needs it."""
        with self._tables.translate_errors("written to"):
            table = self._windows()
            if table is not None:
                indexes.tidy(table)

    # -- keeping -------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """What is wrong with what is on disk, in words."""
        with self._tables.translate_errors("read"):
            try:
                table = self._windows()
            except BrokenValue as error:
                return [str(error)]
            if table is None:
                return []
            if not mending.is_readable(table):
                return ["some windows cannot be read"]
            bad = len(mending.find_bad_files(table))
            return (
                [
                    f"{count_noun(bad, 'file has', 'files have')} missing windows, windows of two contents, or vectors"
                    " that are none"
                ]
                if bad
                else []
            )

    def repair(self) -> list[str]:
        """Mend what `check` finds; files whose rows are lost leave, to be indexed again → what was done, in words."""
        done: list[str] = []
        with self._tables.translate_errors("written to"), self._tables.lock():
            try:
                table = self._windows()
            except BrokenValue as error:
                return [self._start_over(str(error))]
            if table is None:
                return done
            if not mending.is_readable(table):
                done.append(self._salvage(table))
                table = self._windows()
            bad = mending.find_bad_files(table)
            table.delete("path IS NULL")
            for some in _chunks((path for path in bad if path is not None), PATHS_AT_ONCE):
                self._note_readable(table, some)
                table.delete(is_any_of("path", some))
            if bad:
                done.append(f"{count_noun(len(bad), 'file')} without sound vectors removed: index again")
        return done

    def _start_over(self, why: str) -> str:
        """Begin anew where it cannot be told which model made the vectors, or where they are; their table stays beside it."""
        names = self._tables.tables_of_broken_row(self._slot)
        for table in map(self._tables.get, names):
            firsts = table.search().where(f"{FIRST} AND path IS NOT NULL").select(["path"]).limit(None).to_list()
            for some in _chunks(sorted({row["path"] for row in firsts}), PATHS_AT_ONCE):
                self._note_readable(table, some)
        self._tables.get("about").delete(f"key = {quote(self._slot)}")
        return (
            f"{why}: its files removed, their tags are kept: index them again; their windows stay in"
            f" {', '.join(names) or 'no table'}"
        )

    def _salvage(self, broken: Any) -> str:
        """Copy the rows that can be read to a new table, and use that; the broken one stays beside it."""
        name, count = new_name(), broken.count_rows()
        table = self._tables.make(name, windows_schema(broken.schema.field("embedding").type.list_size))
        for rows in mending.readable_rows(broken):
            self._merge(table, upgrade_columns(rows).select(table.schema.names).cast(table.schema))
        self._tables.write_about(self._slot, About(self._tables.about(self._slot).maker, name))
        return (
            f"{table.count_rows()} of {count_noun(count, 'window')} copied out of a broken table: index again; the"
            f" broken one is {broken.name} in {self.place}"
        )

    def lock(self) -> AbstractContextManager[None]:
        """Nobody else re-embeds meanwhile.

        On object storage two may: those of one model do each other's work again, one of another model stops the first.
        """
        folder = self._tables.folder
        return nullcontext() if folder is None else lock_folder(folder, self.place)

    def staging(self, maker: dict[str, Any]) -> LanceStore:
        """A store of another maker in a table beside this one's."""
        other = LanceStore(self.place, ASIDE)
        if not belongs_to_model(other, maker):
            with self._tables.translate_errors("written to"):
                self._tables.forget(ASIDE)
        return other

    def swap_in(self, aside: Store) -> None:
        """Hold what the one beside holds, which is then gone: one row says which table is the library's."""
        assert isinstance(aside, LanceStore)
        with self._tables.translate_errors("written to"):
            new, old = self._tables.about(aside._slot), self._tables.about(self._slot)
            if not new.windows:
                raise LibraryError(
                    f"what was to replace {self.place} is gone: another process was faster; nothing was changed"
                )
            self._tables.write_about(self._slot, new, instead_of=[aside._slot])
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
        name = about.windows or self._tables.create_about(self._slot, {}).windows
        table = self._tables.get(name)
        if table is None:
            return self._tables.make(name, windows_schema(width))
        if about.format < FORMAT_VERSION:
            migrate(self._tables, self._slot, table)
        return table

    def _delete_rows(self, paths: Iterable[str]) -> int:
        """Forget files of these texts of paths, but not their tags → how many there were."""
        gone = 0
        for some in _chunks(dict.fromkeys(paths), PATHS_AT_ONCE):
            files = [row_to_file(row) for row in self._select("path", some, None, FIRST)]
            if files:
                self._remembered.remember_files(files)
                self._writable(0).delete(is_any_of("path", some))
            gone += len(files)
        return gone

    def _note_readable(self, table: Any, paths: Sequence[str]) -> None:
        """Remember the tags of files that are not whole, as far as can be told."""
        some = f"{FIRST} AND {is_any_of('path', paths)}"
        for row in table.search().where(some).select(fact_columns(table)).limit(None).to_list():
            with suppress(BrokenValue):
                self._remembered.remember_files([row_to_file({**row, "size": 0, "mtime_ns": 0, "seconds": 0.0})])

    def _merge(self, table: Any, rows: Any, instead_of: Sequence[str] = ()) -> None:
        """Write rows in one commit, with which further rows of these texts of paths leave, at the cost of a look at every path."""
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        if instead_of:
            merge = merge.when_not_matched_by_source_delete(is_any_of("path", instead_of))
        merge.execute(rows)

    def _update(self, keys: Sequence[str], **columns: Sequence[Any]) -> None:
        """Set columns of the rows of these keys in one commit."""
        table = self._writable(0)
        table.merge_insert("key").when_matched_update_all().execute(update_table(table.schema, keys, **columns))

    def _with_surplus(self, known: Iterable[str], new: dict[str, Recording]) -> list[str]:
        """Texts of the paths that have more windows than they are about to have."""
        counts = {path_to_text(path): len(recording.start) for path, recording in new.items()}
        rows = self._select("path", known, ["path", "number"], "number > 0")
        return sorted({row["path"] for row in rows if row["number"] >= counts[row["path"]]})

    def _select(
        self, column: str, values: Iterable[str], columns: list[str] | None, also: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows whose column is one of these texts; with the facts of their file where no columns are named."""
        table = self._windows()
        for some in _chunks(dict.fromkeys(values), PATHS_AT_ONCE) if table is not None else ():
            wanted = " AND ".join(filter(None, [also, is_any_of(column, some)]))
            yield from table.search().where(wanted).select(columns or fact_columns(table)).limit(None).to_list()

    def _recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        table = self._windows()
        for some in _chunks(paths, FILES_AT_ONCE) if table is not None else ():
            columns = [*fact_columns(table), "number", "start", "end", "embedding"]
            found = (
                table.search().where(is_any_of("path", map(path_to_text, some))).select(columns).limit(None).to_arrow()
            )
            yield from table_to_recordings(found)

    def _condition(self, where: SearchFilter | None) -> str | None:
        """What a filter allows, in the words of the tables; of thousands of paths, only those that hold something are named."""
        if where is None or where.within is None or len(where.within) <= FILES_AT_ONCE:
            return filter_condition(where)
        files = {row["path"] for row in self._select("path", map(path_to_text, where.within), ["path"], FIRST)}
        folders = {path_to_text(path).rstrip(os.sep) for path in where.within} - files
        table = self._windows()
        if len(folders) > FILES_AT_ONCE and table is not None:
            lies = folder_matcher(map(text_to_path, folders))
            for batch in table.search().where(FIRST).select(["path"]).limit(None).to_batches():
                files |= {path for path in batch["path"].to_pylist() if lies(text_to_path(path))}
            folders = set()
        within = tuple(path for path in where.within if path_to_text(path).rstrip(os.sep) in folders)
        return filter_condition(replace(where, within=within), files=files)


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _batches_of_files(files: Iterable[File]) -> Iterator[list[File]]:
    """Files whose windows fit in memory together."""
    some: list[File] = []
    for file in files:
        some.append(file)
        if len(some) == FILES_AT_ONCE or sum(f.seconds for f in some) > SECONDS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some
