"""Tags of files in SQLite: put on, and taken off together with what is remembered of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from openclap.batches import batches
from openclap.store.sqlite.rows import AT_ONCE, placeholders

__all__ = ["put_tags", "remove_tags"]


def put_tags(db: sqlite3.Connection, keys: Iterable[str | bytes], tags: Sequence[str]) -> None:
    """Put tags on the files at these paths."""
    db.executemany(
        "INSERT OR IGNORE INTO tags SELECT id, ? FROM files WHERE path = ?",
        [(tag, key) for key in keys for tag in tags],
    )


def remove_tags(db: sqlite3.Connection, keys: Iterable[str | bytes], tags: Sequence[str]) -> None:
    """Take tags off the files at these paths, and forget that their content ever had them, as `Store.untag` says."""
    these = f"name IN ({placeholders(tags)})"
    gone: list[str | bytes] = []
    for key in keys:
        row = db.execute("SELECT id, hash FROM files WHERE path = ?", [key]).fetchone()
        if row is None:
            gone.append(key)
            continue
        db.execute(f"DELETE FROM tags WHERE file = ? AND {these}", [row[0], *tags])
        db.execute(f"DELETE FROM remembered WHERE hash = ? AND {these}", [row[1], *tags])
    for some in batches(gone, AT_ONCE):
        db.execute(f"DELETE FROM remembered WHERE path IN ({placeholders(some)}) AND {these}", [*some, *tags])
