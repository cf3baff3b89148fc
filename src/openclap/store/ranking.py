"""Rows in the order every store answers in: by cosine, ties by path and start."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from openclap.store.records import Row

__all__ = ["best", "ordered", "rounded"]

ROUNDED = 6  # digits of a cosine that count: float sums differ in the seventh


def rounded(score: float) -> float:
    """A cosine as far as it can be told from another."""
    return round(score, ROUNDED)


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Best first."""
    return sorted(rows, key=lambda row: (-rounded(row.score), row.path, row.start))


def best(rows: Iterable[Row], k: int, per_file: bool) -> list[Row]:
    """The first k of rows in order, or the first of each of k files."""
    if not per_file:
        return list(islice(rows, k))
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.path, row)
        if len(first) == k:
            break
    return list(first.values())
