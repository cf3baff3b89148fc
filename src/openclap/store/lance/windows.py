"""The table of windows of a library in LanceDB: which one it is, its rows, and commits that change them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from openclap.batches import batches
from openclap.errors import LibraryError, LibraryMismatch
from openclap.store.lance.conditions import by, filter_condition, is_any_of
from openclap.store.lance.migration import migrate
from openclap.store.lance.rows import (
    FIRST,
    LEVEL,
    TRACK,
    fact_columns,
    row_to_file,
    row_to_track,
    table_to_recordings,
    update_table,
    windows_schema,
)
from openclap.store.lance.tables import FORMAT_VERSION, Tables
from openclap.store.lance.texts import TEXT, has_texts
from openclap.store.path_patterns import folder_matcher, path_to_text, text_to_path
from openclap.store.records import FILES_AT_ONCE, File, Recording, SearchFilter, Vectors

__all__ = ["PATHS_AT_ONCE", "WITHOUT_TEXT", "WITH_TEXT", "WindowTable", "merge_rows"]

PATHS_AT_ONCE = 2_000  # in one condition
WITH_TEXT, WITHOUT_TEXT = "words IS NOT NULL", "words IS NULL"  # conditions


class WindowTable:
    """The windows of one slot of `about`: the library's, or those of a library that is made beside it."""

    def __init__(self, tables: Tables, slot: str) -> None:
        self._tables = tables
        self._slot = slot
        self.claimed: dict[str, Any] = {}  # the model identity that writes are for

    def current(self) -> Any:
        """The table of windows, or None where there is none yet."""
        name = self._tables.about(self._slot).windows
        return self._tables.get(name) if name else None

    def writable(self, width: int) -> Any:
        """The table of windows, which is made where it is missing, or brought to the present format."""
        about = self._tables.about(self._slot)
        if self.claimed and not about.windows:
            raise LibraryError(f"{self._tables.uri} was deleted or moved while it was in use; open it again")
        if self.claimed and about.maker != self.claimed:
            raise LibraryMismatch(f"{self._tables.uri} was taken over by another model meanwhile; open it again")
        name = about.windows or self._tables.create_about(self._slot, {}).windows
        table = self._tables.get(name)
        if table is None:
            return self._tables.make(name, windows_schema(width))
        if about.format < FORMAT_VERSION:
            migrate(self._tables, self._slot, table)
        return table

    def update(self, keys: Sequence[str], **columns: Sequence[Any]) -> None:
        """Set columns of the rows of these keys in one commit."""
        table = self.writable(0)
        table.merge_insert("key").when_matched_update_all().execute(update_table(table.schema, keys, **columns))

    def with_surplus(self, known: Iterable[str], new: dict[str, Recording]) -> list[str]:
        """Texts of the paths that have more windows now than they are about to have."""
        counts = {path_to_text(path): len(recording.start) for path, recording in new.items()}
        rows = self.select("path", known, ["path", "number"], "number > 0")
        return sorted({row["path"] for row in rows if row["number"] >= counts[row["path"]]})

    def select(
        self, column: str, values: Iterable[str], columns: list[str] | None, also: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows whose `column` is one of these texts, with `columns`, or else the facts of their file."""
        table = self.current()
        for some in batches(dict.fromkeys(values), PATHS_AT_ONCE) if table is not None else ():
            wanted = " AND ".join(filter(None, [also, is_any_of(column, some)]))
            yield from table.search().where(wanted).select(columns or fact_columns(table)).limit(None).to_list()

    def select_texts(self, paths: Iterable[str], also: str) -> Iterator[dict[str, Any]]:
        """The paths and texts of files that fit a condition; of a table without texts all, without any."""
        table = self.current()
        missing = table is None or not has_texts(table)
        if missing and also == WITH_TEXT:
            return iter(())
        columns, condition = (["path"], FIRST) if missing else (["path", *TEXT], f"{FIRST} AND {also}")
        return self.select("path", map(path_to_text, paths), columns, condition)

    def files(self, where: SearchFilter | None) -> Iterator[File]:
        """The files that a filter allows, by path."""
        table = self.current()
        if table is not None:
            wanted = " AND ".join(filter(None, [FIRST, self.condition(where)]))
            columns = fact_columns(table)
            found = table.search().where(wanted).select(columns).order_by([by("path")]).limit(None)
            for batch in found.to_batches():
                yield from map(row_to_file, batch.to_pylist())

    def tag_counts(self) -> dict[str, int]:
        """The numbers of files with each tag, by tag, in the order of the alphabet."""
        table = self.current()
        if table is None:
            return {}
        tagged = table.search().where(f"{FIRST} AND array_length(tags) > 0").select(["tags"]).limit(None)
        counts = Counter(
            tag for batch in tagged.to_batches() for tags in batch["tags"].to_pylist() for tag in tags or ()
        )
        return dict(sorted(counts.items()))

    def recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        """Files with their windows, those that are in the table."""
        table = self.current()
        for some in batches(paths, FILES_AT_ONCE) if table is not None else ():
            columns = [*fact_columns(table, *TEXT, LEVEL), "number", "start", "end", "embedding"]
            found = (
                table.search().where(is_any_of("path", map(path_to_text, some))).select(columns).limit(None).to_arrow()
            )
            yield from table_to_recordings(found)

    def has_levels(self) -> bool:
        """Whether the level of every window is noted."""
        table = self.current()
        if table is None or not table.count_rows():
            return True
        return LEVEL in table.schema.names and not table.count_rows(f"{LEVEL} IS NULL")

    def tracks(self, paths: Iterable[str]) -> dict[str, Vectors]:
        """The vectors of files as a whole (E,), by path; of those for which one is noted."""
        table = self.current()
        if table is None or TRACK not in table.schema.names:
            return {}
        width = table.schema.field("embedding").type.list_size
        rows = self.select("path", map(path_to_text, paths), ["path", TRACK], FIRST)
        noted = ((text_to_path(row["path"]), row_to_track(row, width)) for row in rows)
        return {path: vector for path, vector in noted if vector is not None}

    def condition(self, where: SearchFilter | None) -> str | None:
        """A filter as a condition of LanceDB; of thousands of paths it names only those that hold something."""
        table = self.current()
        if where is not None and (where.words or where.facts) and table is not None and not has_texts(table):
            return "false"
        if where is None or where.within is None or len(where.within) <= FILES_AT_ONCE:
            return filter_condition(where)
        files = {row["path"] for row in self.select("path", map(path_to_text, where.within), ["path"], FIRST)}
        folders = {path_to_text(path).rstrip(os.sep) for path in where.within} - files
        if len(folders) > FILES_AT_ONCE and table is not None:
            lies = folder_matcher(map(text_to_path, folders))
            for batch in table.search().where(FIRST).select(["path"]).limit(None).to_batches():
                files |= {path for path in batch["path"].to_pylist() if lies(text_to_path(path))}
            folders = set()
        within = tuple(path for path in where.within if path_to_text(path).rstrip(os.sep) in folders)
        return filter_condition(replace(where, within=within), files=files)


def merge_rows(table: Any, rows: Any, instead_of: Sequence[str] = ()) -> None:
    """Write rows in one commit, which also removes all other rows of the paths `instead_of`, given as texts."""
    merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    if instead_of:
        merge = merge.when_not_matched_by_source_delete(is_any_of("path", instead_of))
    merge.execute(rows)
