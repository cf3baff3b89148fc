"""Files that leave or return to a library in LanceDB → their tags, remembered in a table or found in it.

The table is made when the first tags are remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa

from openclap.batches import batches
from openclap.store.lance.conditions import is_any_of
from openclap.store.lance.rows import SCHEMAS, remembered_row, row_to_remembered
from openclap.store.lance.tables import Tables
from openclap.store.path_patterns import path_to_text
from openclap.store.records import File, RememberedTags

__all__ = ["TagsOfContent"]

TABLE = "remembered"
AT_ONCE = 2_000  # in one condition


class TagsOfContent:
    """The remembered tags; a library that is made beside another one neither remembers nor uses any."""

    def __init__(self, tables: Tables, *, of_library: bool) -> None:
        self._tables = tables
        self._of_library = of_library

    def all(self) -> list[RememberedTags]:
        """All remembered tags, in no order."""
        table = self._tables.get(TABLE)
        return list(map(row_to_remembered, table.search().limit(None).to_list())) if table is not None else []

    def put(self, tags: Sequence[RememberedTags]) -> None:
        """Remember tags."""
        if tags:
            table = self._tables.make(TABLE, SCHEMAS[TABLE])
            last = {row["key"]: row for row in map(remembered_row, tags)}
            rows = pa.Table.from_pylist(list(last.values()), schema=SCHEMAS[TABLE])
            table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def remember_files(self, files: Iterable[File], *, moved: bool = False) -> None:
        """Remember the tags of files that leave, or whose content has moved."""
        if self._of_library:
            self.put([RememberedTags(file.hash, file.path, file.tags, moved) for file in files if file.tags])

    def find_returned(self, files: Sequence[File]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
        """Tags of files whose content was here before, by path, and the keys of rows that are used up by that.

        Tags of the same path count, or else those of any path; the latter stay remembered, as the file that had them
        may come back.
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

    def remove(self, tags: Collection[str], **of: Collection[str]) -> None:
        """Forget tags of what has one of these values in one of these columns, `hash` and `path`."""
        table = self._tables.get(TABLE) if self._of_library else None
        if table is None:
            return
        rows: dict[str, dict[str, Any]] = {}
        for column, values in of.items():
            for some in batches(values, AT_ONCE):
                found = table.search().where(is_any_of(column, some)).limit(None).to_list()
                rows |= {row["key"]: row for row in found if not set(tags).isdisjoint(row["tags"] or ())}
        rest = {key: [tag for tag in row["tags"] if tag not in tags] for key, row in rows.items()}
        self.put([row_to_remembered({**rows[key], "tags": left}) for key, left in rest.items() if left])
        self.forget([key for key, left in rest.items() if not left])

    def forget(self, keys: Sequence[str]) -> None:
        """Forget the rows of content that has come back."""
        for start in range(0, len(keys), AT_ONCE):
            self._tables.get(TABLE).delete(is_any_of("key", keys[start : start + AT_ONCE]))
