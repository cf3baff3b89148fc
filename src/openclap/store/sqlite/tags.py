"""Tags of files in SQLite: put on, counted, and taken off together with what is remembered of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from openclap.batches import batches
from openclap.store.records import RememberedTags
from openclap.store.sqlite.rows import AT_ONCE, path_to_key, placeholders
from openclap.store.validation import BrokenValue

__all__ = ["count_tags", "put_tags", "remember_tags", "remove_tags"]


def count_tags(db: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Every tag, with the number of files that have it."""
    for name, count in db.execute("SELECT name, count(*) FROM tags GROUP BY name ORDER BY name"):
        if not isinstance(name, str):
            raise BrokenValue("a tag is no text")
        yield name, count


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


def remember_tags(db: sqlite3.Connection, tags: Iterable[RememberedTags]) -> None:
    """Remember tags of content that is not in the library."""
    rows = [(some.hash, path_to_key(some.path), name, some.moved) for some in tags for name in some.tags]
    db.executemany("INSERT OR IGNORE INTO remembered VALUES (?, ?, ?, ?)", rows)
