"""Rows in the order every store answers in: by cosine, ties by path and start."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from openclap.store.records import ScoredWindow

__all__ = ["round_score", "sort_rows", "take_best"]

ROUNDED = 6  # digits of a cosine that count: float sums differ in the seventh


def round_score(score: float) -> float:
    """A cosine as far as it can be told from another."""
    return round(score, ROUNDED)


def sort_rows(rows: Iterable[ScoredWindow]) -> list[ScoredWindow]:
    """Best first."""
    return sorted(rows, key=lambda row: (-round_score(row.score), row.path, row.start))


def take_best(rows: Iterable[ScoredWindow], k: int, per_file: bool) -> list[ScoredWindow]:
    """The first k of rows in order, or the first of each of k files."""
    if not per_file:
        return list(islice(rows, k))
    first: dict[str, ScoredWindow] = {}
    for row in rows:
        first.setdefault(row.path, row)
        if len(first) == k:
            break
    return list(first.values())
