"""Tags of content that has left a library in LanceDB, in a table that is made when there are some.

Knows nothing of windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from openclap.store.lance.rows import is_any_of, remembered_row, remembered_schema, row_to_remembered
from openclap.store.lance.tables import Tables
from openclap.store.path_patterns import path_to_text
from openclap.store.records import File, RememberedTags

__all__ = ["TagsOfContent"]

TABLE = "remembered"
AT_ONCE = 2_000  # in one condition


class TagsOfContent:
    """What is remembered. What is made beside the library has no tags of its own, so it neither notes nor uses any up."""

    def __init__(self, tables: Tables, *, of_library: bool) -> None:
        self._tables = tables
        self._of_library = of_library

    def all(self) -> list[RememberedTags]:
        """Every content with its tags, in no order."""
        table = self._tables.get(TABLE)
        return list(map(row_to_remembered, table.search().limit(None).to_list())) if table is not None else []

    def put(self, tags: Sequence[RememberedTags]) -> None:
        """Remember these."""
        if tags:
            import pyarrow as pa

            table = self._tables.make(TABLE, remembered_schema())
            last = {row["key"]: row for row in map(remembered_row, tags)}
            rows = pa.Table.from_pylist(list(last.values()), schema=remembered_schema())
            table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def remember_files(self, files: Iterable[File], *, moved: bool = False) -> None:
        """Remember the tags of files that leave, or whose content has moved."""
        if self._of_library:
            self.put([RememberedTags(file.hash, file.path, file.tags, moved) for file in files if file.tags])

    def find_returned(self, files: Sequence[File]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
        """The tags of files whose content has been here before, and the keys of those that are used up by it.

        They are those of its path, or else of any; those of another path stay remembered: the file that had them may
        come back.
        """
        table = self._tables.get(TABLE) if files and self._of_library else None
        if table is None:
            return {}, []
        hashes = sorted({file.hash for file in files})
        rows: dict[str, list[dict[str, Any]]] = {}
        for start in range(0, len(hashes), AT_ONCE):
            for row in table.search().where(is_any_of("hash", hashes[start : start + AT_ONCE])).limit(None).to_list():
                rows.setdefault(row["hash"], []).append(row)
        found: dict[str, tuple[str, ...]] = {}
        used: list[str] = []
        for file in files:
            here = [row for row in rows.get(file.hash, []) if row["path"] == path_to_text(file.path)]
            any_path = [row for row in rows.get(file.hash, []) if not row["moved"]]
            found[file.path] = tuple(sorted({tag for row in here or any_path for tag in row["tags"] or ()}))
            used += [row["key"] for row in here]
        return found, used

    def forget(self, keys: Sequence[str]) -> None:
        """Remember no more what has come back."""
        for start in range(0, len(keys), AT_ONCE):
            self._tables.get(TABLE).delete(is_any_of("key", keys[start : start + AT_ONCE]))
