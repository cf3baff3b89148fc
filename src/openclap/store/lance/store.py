"""The store for many machines: LanceDB, in a folder whose name ends in .lance or on storage of S3, Google or Azure.

Every write is one commit, which readers on all machines see when the call returns. Keys are declared, so that of two
processes that write the same file one waits for the other, and the vectors of the last one stay. In a folder one
process writes at a time. Object storage has no locks: two processes that change one file at the same moment can lose
tags of each other, or leave windows of both, which `check` finds. From `indexes.INDEX_FROM` rows on, `optimize` builds
an approximate index; rows that were written later are looked at one by one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from typing_extensions import override

from openclap.batches import batches
from openclap.errors import LibraryError
from openclap.store.disk import folder_bytes, lock_folder
from openclap.store.lance import indexes, repair
from openclap.store.lance.conditions import is_any_of
from openclap.store.lance.nearest import best_windows, find_nearest, sample_vectors
from openclap.store.lance.remembered_tags import TagsOfContent
from openclap.store.lance.rows import (
    FIRST,
    recordings_to_table,
    row_to_file,
)
from openclap.store.lance.tables import Tables
from openclap.store.lance.texts import NAMED, TEXT, find_matches, has_texts, rank_matches, row_to_text, text_to_columns
from openclap.store.lance.windows import PATHS_AT_ONCE, WITH_TEXT, WITHOUT_TEXT, WindowTable, merge_rows
from openclap.store.path_patterns import path_to_text, text_to_path
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
    width_mismatch,
)
from openclap.store.validation import BrokenValue

__all__ = ["LanceStore"]

LIBRARY, STAGING = "library", "reembedding"


class LanceStore(Store):
    """A library in LanceDB; nothing is made on disk before the first write."""

    shared = True

    def __init__(self, uri: str, slot: str = LIBRARY) -> None:
        self.place = uri
        self._tables = Tables(uri)
        self._slot = slot
        self._rows = WindowTable(self._tables, slot)
        self._remembered = TagsOfContent(self._tables, of_library=slot == LIBRARY)

    # -- model ---------------------------------------------------------------------------------

    @override
    def model_identity(self) -> dict[str, Any]:
        with self._tables.translate_errors("read"):
            return self._tables.about(self._slot).maker

    @override
    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        with self._tables.translate_errors("written to"):
            self._rows.claimed = self._tables.create_about(self._slot, maker).maker
        return self._rows.claimed

    # -- writing -------------------------------------------------------------------------------------

    @override
    def put(self, recordings: Sequence[Recording]) -> None:
        last = {recording.file.path: recording for recording in recordings}
        if not last:
            return
        with self._tables.translate_errors("written to"), self._tables.lock():
            width = next(iter(last.values())).embedding.shape[1]
            table = self._rows.writable(width)
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
            texts = self.texts(path for path, recording in last.items() if recording.text is None and path in known)
            last |= {path: replace(last[path], text=text) for path, text in texts.items()}
            paths = [path_to_text(path) for path in known]
            merge_rows(table, recordings_to_table(list(last.values()), tags), self._rows.with_surplus(paths, last))
            self._remembered.forget(used)

    @override
    def update_facts(self, files: Sequence[File]) -> None:
        new = {path_to_text(file.path): file for file in files}
        with self._tables.translate_errors("written to"), self._tables.lock():
            found = self._rows.select("path", new, ["key", "path", "hash"])
            rows = [row for row in found if row["hash"] == new[row["path"]].hash]
            if rows:
                facts = {
                    name: [getattr(new[row["path"]], name) for row in rows] for name in ("size", "mtime_ns", "reading")
                }
                self._rows.update([row["key"] for row in rows], **facts)

    @override
    def move(self, moves: Sequence[tuple[str, File]], texts: Mapping[str, FileText] | None = None) -> list[str]:
        with self._tables.translate_errors("written to"), self._tables.lock():
            at = {recording.file.path: recording for recording in self._rows.recordings([old for old, _ in moves])}
            moved: dict[str, Recording] = {}
            left: list[str] = []
            tags: dict[str, tuple[str, ...]] = {}
            for old, file in moves:
                recording = at.get(old)
                if recording is not None and recording.file.hash == file.hash:
                    kept = {name: getattr(recording.file, name) for name in ("seconds", "reading")}
                    text = (texts or {}).get(file.path, recording.text)
                    moved[file.path] = replace(recording, file=replace(file, **kept), text=text)
                    tags[file.path] = recording.file.tags
                    left.append(old)
                    del at[old]
            if moved:
                table = self._rows.writable(next(iter(moved.values())).embedding.shape[1])
                returned, used = self._remembered.find_returned([recording.file for recording in moved.values()])
                self._remembered.remember_files(
                    file for path, file in self.find_files(moved).items() if path not in left
                )
                self._remembered.remember_files(self.find_files(left).values(), moved=True)
                both = {path: sorted({*tags[path], *returned.get(path, ())}) for path in moved}
                rows = recordings_to_table(list(moved.values()), both)
                merge_rows(table, rows, [path_to_text(path) for path in (*left, *moved)])
                self._remembered.forget(used)
        return list(moved)

    @override
    def delete(self, paths: Iterable[str]) -> int:
        with self._tables.translate_errors("written to"), self._tables.lock():
            return self._delete_rows(map(path_to_text, paths))

    @override
    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        paths = list(paths)
        if not paths or not tags:
            return
        with self._tables.translate_errors("written to"), self._tables.lock():
            found = self._rows.select("path", map(path_to_text, paths), ["key", "tags"])
            rows = [row for row in found if not set(tags) <= set(row["tags"] or ())]
            if rows:
                self._rows.update(
                    [row["key"] for row in rows], tags=[sorted({*(row["tags"] or ()), *tags}) for row in rows]
                )

    @override
    def untag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        paths, unwanted = list(map(path_to_text, paths)), set(tags)
        if not paths or not unwanted:
            return
        with self._tables.translate_errors("written to"), self._tables.lock():
            found = list(self._rows.select("path", paths, ["key", "path", "hash", "tags"]))
            known, hashes = ({row[name] for row in found} for name in ("path", "hash"))
            gone = [path for path in paths if path not in known]
            self._remembered.remove(unwanted, hash=hashes, path=gone)  # first: killed here, the rest can be done again
            rows = [row for row in found if unwanted & set(row["tags"] or ())]
            if rows:
                left = [sorted(set(row["tags"]) - unwanted) for row in rows]
                self._rows.update([row["key"] for row in rows], tags=left)

    @override
    def note_texts(self, texts: Mapping[str, FileText]) -> None:
        new = {path_to_text(path): text for path, text in texts.items()}
        with self._tables.translate_errors("written to"), self._tables.lock():
            rows = list(self._rows.select("path", new, ["key", "path", "number"]))
            columns = [text_to_columns(new[row["path"]], row["number"]) for row in rows]
            if rows:
                values = {name: [some[name] for some in columns] for name in (*TEXT, NAMED)}
                self._rows.update([row["key"] for row in rows], **values)

    @override
    def remembered_tags(self) -> list[RememberedTags]:
        with self._tables.translate_errors("read"):
            return self._remembered.all()

    @override
    def remember_tags(self, tags: Sequence[RememberedTags]) -> None:
        with self._tables.translate_errors("written to"), self._tables.lock():
            self._remembered.put(tags)

    # -- reading -------------------------------------------------------------------------------------

    @override
    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        with self._tables.translate_errors("read"):
            rows = self._rows.select("path", map(path_to_text, paths), None, FIRST)
            return {file.path: file for file in map(row_to_file, rows)}

    @override
    def find_by_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        with self._tables.translate_errors("read"):
            files = [row_to_file(row) for row in self._rows.select("hash", hashes, None, FIRST)]
        files.sort(key=lambda file: (file.hash, os.fsencode(file.path)))
        return {content: list(group) for content, group in groupby(files, key=lambda file: file.hash)}

    @override
    def files(self, where: SearchFilter | None = None) -> Iterator[File]:
        """Every file, by path, as the library is when the first one is asked for."""
        with self._tables.translate_errors("read"):
            yield from self._rows.files(where)

    @override
    def recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        with self._tables.translate_errors("read"):
            yield from self._rows.recordings(paths)

    @override
    def has_levels(self) -> bool:
        with self._tables.translate_errors("read"):
            return self._rows.has_levels()

    @override
    def tracks(self, paths: Iterable[str]) -> dict[str, Vectors]:
        wanted = list(paths)
        with self._tables.translate_errors("read"):
            found = self._rows.tracks(wanted)
        others = [path for path in wanted if path not in found]
        return found | {recording.file.path: recording.track for recording in self.recordings(others)}

    @override
    def tag_counts(self) -> dict[str, int]:
        with self._tables.translate_errors("read"):
            return self._rows.tag_counts()

    @override
    def window_counts(self, paths: Iterable[str]) -> dict[str, int]:
        with self._tables.translate_errors("read"):
            rows = self._rows.select("path", map(path_to_text, paths), ["path"])
            return dict(Counter(text_to_path(row["path"]) for row in rows))

    @override
    def texts(self, paths: Iterable[str]) -> dict[str, FileText]:
        with self._tables.translate_errors("read"):
            rows = self._rows.select_texts(paths, WITH_TEXT)
            texts = ((text_to_path(row["path"]), row_to_text(row)) for row in rows)
            return {path: text for path, text in texts if text is not None}

    @override
    def without_text(self, paths: Iterable[str]) -> list[str]:
        with self._tables.translate_errors("read"):
            return [text_to_path(row["path"]) for row in self._rows.select_texts(paths, WITHOUT_TEXT)]

    @override
    def state(self) -> StoreState:
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            return StoreState(None if table is None else (table.name, table.version))

    @override
    def is_empty(self) -> bool:
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            return table is None or not table.count_rows()

    @override
    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk (on object storage, of the windows' table as it is now)."""
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            if table is None:
                return {"files": 0, "windows": 0, "seconds": 0.0, "bytes": 0}
            lengths = table.search().where(FIRST).select(["seconds"]).limit(None).to_batches()
            counted = [(len(batch), float(np.sum(batch["seconds"].to_numpy()))) for batch in lengths]
            files, seconds = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0.0)
            folder = self._tables.folder
            used = folder_bytes(folder) if folder is not None else table.stats()["total_bytes"]
            return {"files": files, "windows": table.count_rows(), "seconds": round(seconds, 3), "bytes": used}

    # -- searching -----------------------------------------------------------------------------------

    @override
    def nearest(
        self, query: Vectors, k: int, *, where: SearchFilter | None = None, per_file: bool = True
    ) -> list[ScoredWindow]:
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            return [] if table is None else find_nearest(table, query, k, self._rows.condition(where), per_file)

    @override
    def nearest_in(self, query: Vectors, paths: Iterable[str]) -> list[ScoredWindow]:
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            return [] if table is None else best_windows(table, query, map(path_to_text, paths))

    @override
    def match_words(self, words: Sequence[str], k: int, *, where: SearchFilter | None = None) -> list[WordMatch]:
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            if table is None or not words or not has_texts(table):
                return []
            condition = " AND ".join(filter(None, [FIRST, self._rows.condition(where)]))
            return rank_matches(find_matches(table, words, k, condition), words, k, table.count_rows(FIRST))

    @override
    def sample(self, count: int) -> Vectors:
        with self._tables.translate_errors("read"):
            table = self._rows.current()
            return np.zeros((0, 0), np.float32) if table is None else sample_vectors(table, count)

    @override
    def optimize(self) -> None:
        """Make later searches faster: join small pieces, drop old versions, bring indexes up to date."""
        with self._tables.translate_errors("written to"):
            table = self._rows.current()
            if table is not None:
                indexes.tidy(table)

    # -- maintenance -------------------------------------------------------------------------------------

    @override
    def check(self) -> list[str]:
        with self._tables.translate_errors("read"):
            try:
                table = self._rows.current()
            except BrokenValue as error:
                return [str(error)]
            if table is None:
                return []
            return repair.find_faults(table)

    @override
    def repair(self) -> list[str]:
        with self._tables.translate_errors("written to"), self._tables.lock():
            try:
                table = self._rows.current()
            except BrokenValue as error:
                return [repair.start_over(self._tables, self._slot, self._remembered, str(error))]
            return [] if table is None else repair.mend(self._tables, self._slot, self._remembered, table)

    @override
    def lock(self) -> AbstractContextManager[None]:
        """Hold the lock for re-embedding.

        Object storage has none: two processes with one model both do all the work, and one with another model stops the
        first.
        """
        folder = self._tables.folder
        return nullcontext() if folder is None else lock_folder(folder, self.place)

    @override
    def staging(self, maker: dict[str, Any]) -> LanceStore:
        """A store in a table beside this one's, for another model."""
        other = LanceStore(self.place, STAGING)
        if not belongs_to_model(other, maker):
            with self._tables.translate_errors("written to"):
                self._tables.forget(STAGING)
        return other

    @override
    def swap_in(self, staging: Store) -> None:
        """Replace what this store holds by what a `staging` store holds: one row says which table is the library's."""
        assert isinstance(staging, LanceStore)
        with self._tables.translate_errors("written to"):
            new, old = self._tables.about(staging._slot), self._tables.about(self._slot)
            if not new.windows:
                raise LibraryError(
                    f"what was to replace {self.place} is gone: another process was faster; nothing was changed"
                )
            self._tables.write_about(self._slot, new, instead_of=[staging._slot])
            self._tables.drop(old.windows)
        self._rows.claimed = {}

    @override
    def close(self) -> None:
        self._tables.close()

    # -- inside --------------------------------------------------------------------------------------

    def _delete_rows(self, paths: Iterable[str]) -> int:
        """Forget the files at paths, given as texts, but remember their tags → how many there were."""
        gone = 0
        for some in batches(dict.fromkeys(paths), PATHS_AT_ONCE):
            files = [row_to_file(row) for row in self._rows.select("path", some, None, FIRST)]
            if files:
                self._remembered.remember_files(files)
                self._rows.writable(0).delete(is_any_of("path", some))
            gone += len(files)
        return gone
