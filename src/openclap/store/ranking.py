"""Windows with their cosines → the order in which every store returns them: by cosine, ties by path and start."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from openclap.store.records import ScoredWindow

__all__ = ["round_score", "sort_rows", "take_best"]

DIGITS = 6  # of a cosine that count: sums of floats differ in the seventh


def round_score(score: float) -> float:
    """A cosine without the digits that differ from one way of computing to another."""
    return round(score, DIGITS)


def sort_rows(rows: Iterable[ScoredWindow]) -> list[ScoredWindow]:
    """Rows in order, the best first."""
    return sorted(rows, key=lambda row: (-round_score(row.score), row.path, row.start))


def take_best(rows: Iterable[ScoredWindow], k: int, per_file: bool) -> list[ScoredWindow]:
    """The first k rows of an order, or, with `per_file`, the first row of each of the first k files."""
    if not per_file:
        return list(islice(rows, k))
    first: dict[str, ScoredWindow] = {}
    for row in rows:
        first.setdefault(row.path, row)
        if len(first) == k:
            break
    return list(first.values())
