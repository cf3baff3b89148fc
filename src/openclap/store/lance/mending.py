"""What can be wrong with a table of windows, and what of it can still be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from openclap.store.lance.rows import by, vectors_of
from openclap.store.lance.tables import is_outage

__all__ = ["bad_files", "readable", "readable_rows"]

ROWS_AT_ONCE = 4_096
UNIT = 1e-3  # from the length 1 that a vector may be


def readable(table: Any) -> bool:
    """Whether every row can be read."""
    try:
        for _ in table.search().limit(None).to_batches():
            pass
    except (RuntimeError, ValueError, OSError) as error:
        if is_outage(error):
            raise
        return False
    return True


def bad_files(table: Any) -> list[str]:
    """The texts of the paths whose windows are not 0, 1, 2 …, all of one content, each with a unit vector."""
    bad: dict[str, None] = {}
    for batch in table.search().select(["path", "embedding"]).limit(None).to_batches():
        wrong = ~(np.abs(np.linalg.norm(vectors_of(batch), axis=1) - 1) < UNIT)
        bad |= dict.fromkeys(batch["path"].filter(wrong).to_pylist() if wrong.any() else ())
    order, last, expected = [by("path"), by("number")], ("", ""), 0
    for batch in table.search().select(["path", "number", "hash"]).order_by(order).limit(None).to_batches():
        for path, number, content in zip(
            *(batch[name].to_pylist() for name in ("path", "number", "hash")), strict=True
        ):
            expected = expected + 1 if path == last[0] else 0
            if number != expected or (expected and content != last[1]):
                bad[path] = None
            last = path, content
    return list(bad)


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
