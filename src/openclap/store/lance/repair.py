"""A damaged table of windows → what is wrong with it, what can still be read, and a library that is whole again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from openclap.batches import batches
from openclap.plurals import count_noun
from openclap.store.lance.conditions import by, is_any_of, quote
from openclap.store.lance.remembered_tags import TagsOfContent
from openclap.store.lance.rows import (
    FIRST,
    LEVEL,
    fact_columns,
    row_to_file,
    upgrade_columns,
    vectors_of,
    windows_schema,
)
from openclap.store.lance.tables import About, Tables, is_outage, new_name
from openclap.store.lance.texts import TEXT, row_to_text
from openclap.store.lance.windows import PATHS_AT_ONCE, merge_rows
from openclap.store.validation import UNIT_TOLERANCE, BrokenValue, validate_level, validate_span

__all__ = ["find_bad_files", "find_faults", "mend", "start_over"]

ROWS_AT_ONCE = 4_096


def find_faults(table: Any) -> list[str]:
    """What is damaged, in words."""
    if not is_readable(table):
        return ["some windows cannot be read"]
    bad = len(find_bad_files(table))
    if not bad:
        return []
    return [
        f"{count_noun(bad, 'file has', 'files have')} missing windows, windows of two contents,"
        " or vectors that are none"
    ]


def mend(tables: Tables, slot: str, remembered: TagsOfContent, table: Any) -> list[str]:
    """Copy what can be read of a broken table, and remove files that are not whole → what was done, in words."""
    done: list[str] = []
    if not is_readable(table):
        done.append(salvage(tables, slot, table))
        table = tables.get(tables.about(slot).windows)
    bad = find_bad_files(table)
    table.delete("path IS NULL")
    for some in batches((path for path in bad if path is not None), PATHS_AT_ONCE):
        remember_readable_tags(table, some, remembered)
        table.delete(is_any_of("path", some))
    if bad:
        done.append(f"{count_noun(len(bad), 'file')} without sound vectors removed: index again")
    return done


def is_readable(table: Any) -> bool:
    """Whether every row can be read."""
    try:
        for _ in table.search().limit(None).to_batches():
            pass
    except (RuntimeError, ValueError, OSError) as error:
        if is_outage(error):
            raise
        return False
    return True


def find_bad_files(table: Any) -> list[str]:
    """The paths, as texts, of files that are not whole.

    A whole file has windows 0, 1, 2 … of one content, each with a unit vector and times that can be.
    """
    bad: dict[str, None] = {}
    for batch in table.search().select(["path", "embedding"]).limit(None).to_batches():
        whole = batch.filter(batch["embedding"].is_valid())
        with np.errstate(all="ignore"):
            wrong = ~(np.abs(np.linalg.norm(vectors_of(whole), axis=1) - 1) < UNIT_TOLERANCE)
        bad |= dict.fromkeys(whole["path"].filter(wrong).to_pylist() if wrong.any() else ())
        bad |= dict.fromkeys(batch["path"].filter(batch["embedding"].is_null()).to_pylist())
    columns = [*fact_columns(table, *TEXT, LEVEL), "start", "end"]
    for batch in table.search().select(columns).limit(None).to_batches():
        bad |= dict.fromkeys(row["path"] for row in batch.to_pylist() if not _is_whole(row))
    order, last, expected = [by("path"), by("number")], ("", ""), 0
    for batch in table.search().select(["path", "number", "hash"]).order_by(order).limit(None).to_batches():
        for path, number, content in zip(
            *(batch[name].to_pylist() for name in ("path", "number", "hash")), strict=True
        ):
            if path is None:
                continue
            expected = expected + 1 if path == last[0] else 0
            if number != expected or (expected and content != last[1]):
                bad[path] = None
            last = path, content
    return list(bad)


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a row has facts and words of a file, and times and a level of a window, that can be."""
    try:
        row_to_text(row)
        path = row_to_file(row).path
        validate_span(path, row["start"], row["end"])
        validate_level(path, row.get(LEVEL))
    except BrokenValue:
        return False
    return True


def _readable_rows(table: Any) -> Iterator[Any]:
    """The rows of a broken table that can be read, some thousands at a time."""
    count = table.count_rows()
    for start in range(0, count, ROWS_AT_ONCE):
        yield from _rows_at(table, start, min(count, start + ROWS_AT_ONCE))


def _rows_at(table: Any, start: int, end: int) -> Iterator[Any]:
    """The rows between two offsets that can be read."""
    try:
        yield table.take_offsets(list(range(start, end))).to_arrow()
    except (RuntimeError, ValueError, OSError) as error:
        if is_outage(error):
            raise
        middle = (start + end) // 2
        if middle > start:
            yield from _rows_at(table, start, middle)
            yield from _rows_at(table, middle, end)


def remember_readable_tags(table: Any, paths: Sequence[str], remembered: TagsOfContent) -> None:
    """Remember the tags of files that are not whole, as far as these can be read."""
    some = f"{FIRST} AND {is_any_of('path', paths)}"
    for row in table.search().where(some).select(fact_columns(table)).limit(None).to_list():
        with suppress(BrokenValue):
            remembered.remember_files([row_to_file({**row, "size": 0, "mtime_ns": 0, "seconds": 0.0})])


def start_over(tables: Tables, slot: str, remembered: TagsOfContent, why: str) -> str:
    """Remove all files of a library whose model or table is unknown, and keep their tags → what was done, in words.

    `why` says what is unknown. The table of windows, if any, stays on the disk.
    """
    names = tables.tables_of_broken_row(slot)
    for table in map(tables.get, names):
        firsts = table.search().where(f"{FIRST} AND path IS NOT NULL").select(["path"]).limit(None).to_list()
        for some in batches(sorted({row["path"] for row in firsts}), PATHS_AT_ONCE):
            remember_readable_tags(table, some, remembered)
    tables.get("about").delete(f"key = {quote(slot)}")
    return (
        f"{why}: its files removed, their tags are kept: index them again; their windows stay in"
        f" {', '.join(names) or 'no table'}"
    )


def salvage(tables: Tables, slot: str, broken: Any) -> str:
    """Use a new table with the rows of a broken one that can be read → what was done; the broken one stays."""
    name, count = new_name(), broken.count_rows()
    table = tables.make(name, windows_schema(broken.schema.field("embedding").type.list_size))
    for rows in _readable_rows(broken):
        merge_rows(table, upgrade_columns(rows).select(table.schema.names).cast(table.schema))
    tables.write_about(slot, About(tables.about(slot).maker, name))
    return (
        f"{table.count_rows()} of {count_noun(count, 'window')} copied out of a broken table: index again; the"
        f" broken one is {broken.name} in {tables.uri}"
    )
