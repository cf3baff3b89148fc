"""What can be wrong with a table of windows, and what of it can still be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from openclap.store.lance.rows import by, fact_columns, row_to_file, vectors_of
from openclap.store.lance.tables import is_outage
from openclap.store.validation import UNIT, BrokenValue, validate_span

__all__ = ["find_bad_files", "is_readable", "readable_rows"]

ROWS_AT_ONCE = 4_096


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
    """The texts of the paths that cannot be, or whose windows are not 0, 1, 2 …, all of one content, each with a unit vector and its times."""
    bad: dict[str, None] = {}
    for batch in table.search().select(["path", "embedding"]).limit(None).to_batches():
        whole = batch.filter(batch["embedding"].is_valid())
        with np.errstate(all="ignore"):
            wrong = ~(np.abs(np.linalg.norm(vectors_of(whole), axis=1) - 1) < UNIT)
        bad |= dict.fromkeys(whole["path"].filter(wrong).to_pylist() if wrong.any() else ())
        bad |= dict.fromkeys(batch["path"].filter(batch["embedding"].is_null()).to_pylist())
    for batch in table.search().select([*fact_columns(table), "start", "end"]).limit(None).to_batches():
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
    """Whether the facts of a file and the times of a window are what they can be."""
    try:
        validate_span(row_to_file(row).path, row["start"], row["end"])
    except BrokenValue:
        return False
    return True


def readable_rows(table: Any) -> Iterator[Any]:
    """Those rows of a broken table that can be read, some thousands at a time."""
    count = table.count_rows()
    for start in range(0, count, ROWS_AT_ONCE):
        yield from _rows_at(table, start, min(count, start + ROWS_AT_ONCE))


def _rows_at(table: Any, start: int, end: int) -> Iterator[Any]:
    """Those rows between two places that can be read."""
    try:
        yield table.take_offsets(list(range(start, end))).to_arrow()
    except (RuntimeError, ValueError, OSError) as error:
        if is_outage(error):
            raise
        middle = (start + end) // 2
        if middle > start:
            yield from _rows_at(table, start, middle)
            yield from _rows_at(table, middle, end)
