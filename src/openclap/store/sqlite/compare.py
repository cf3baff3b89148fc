"""Rows that seem near to a query → the best windows, by their cosines with the vectors of the database."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.batches import batches
from openclap.silence import is_heard
from openclap.store.ranking import round_score, sort_rows, take_best
from openclap.store.records import ScoredWindow, Vectors
from openclap.store.sqlite.rows import AT_ONCE, HEARD, key_to_path, matrix_of, placeholders, width_of
from openclap.store.sqlite.vector_cache import SAME, NearestRows
from openclap.store.validation import (
    UNIT_TOLERANCE,
    BrokenValue,
    validate_level,
    validate_path,
    validate_span,
    validate_width,
)

__all__ = ["best_windows", "find_best"]


@dataclass(frozen=True, eq=False)
class _Compared:
    """A window that is still in the library, with its cosine and the estimate of it."""

    score: float
    estimate: float
    file: int
    start: Any
    end: Any
    vector: Vectors
    silent: bool

    @property
    def order(self) -> tuple[bool, float]:
        """Heard ones first, then by cosine."""
        return self.silent, -round_score(self.score)


def find_best(
    db: sqlite3.Connection, near: NearestRows, query: Vectors, k: int, per_file: bool
) -> tuple[list[ScoredWindow], bool]:
    """Compare a unit vector (E,) with rows that seem near → the k best windows, or the best of each of k files, best first.

    Silent ones are none. Only as many rows are compared as may be among the best: those whose estimates are lower than those
    of the best found so far by no more than estimates may be wrong. Second: whether none but these rows is likely to be.
    """
    heard: list[_Compared] = []
    compared, upto, least = 0, 2 * k + 10, -math.inf  # the last: the estimate that is usual for the last of the best
    while compared < min(upto, len(near.ids)):
        some = slice(compared, upto)
        found = _compare(db, near.ids[some], query, near.scores[some], heard=True)
        heard += [row for row in found if not row.silent]
        heard.sort(key=lambda row: row.order)
        compared = min(upto, len(near.ids))
        best = _first_of(heard, k, per_file)
        if len(best) == k:
            too_low = [row.score - row.estimate for row in heard if row.score != row.estimate][:k]  # as of what is best
            least = best[-1].score - max(sum(too_low) / max(1, len(too_low)), 0.0)
        upto = int(np.searchsorted(-near.scores, near.margin - least, "right"))
    return _name_best(db, heard, k, per_file), least - SAME > near.beyond or near.beyond == -math.inf


def best_windows(db: sqlite3.Connection, query: Vectors, keys: Iterable[str | bytes]) -> list[ScoredWindow]:
    """The window of each file at these paths whose cosine with a unit vector (E,) is the highest, best first.

    A silent one only where all windows of a file are silent; these files are the last.
    """
    best: list[ScoredWindow] = []
    width = width_of(db)
    for some in batches(dict.fromkeys(keys), AT_ONCE) if width else ():
        validate_width(query, width)
        of_paths = f"ON file = files.id WHERE path IN ({placeholders(some)})"
        found = db.execute(f"SELECT windows.id FROM files JOIN windows {of_paths}", some).fetchall()
        rows = _compare(db, np.array(found, np.int64).ravel(), query)
        best += _name_best(db, sorted(rows, key=lambda row: row.order), len(some), per_file=True)
    return sorted(sort_rows(best), key=lambda row: row.silent)


def _compare(
    db: sqlite3.Connection,
    ids: npt.NDArray[np.int64],
    query: Vectors,
    estimates: Vectors | None = None,
    *,
    heard: bool = False,
) -> list[_Compared]:
    """Compare a unit vector (E,) with those of the windows that are still in the library, in no order.

    With `heard`, silent ones are left out. They are not even read: a library may hold thousands with one vector.
    """
    estimate_of = dict(zip(ids.tolist(), [0.0] * len(ids) if estimates is None else estimates.tolist(), strict=True))
    rows: list[Any] = []
    for some in batches(estimate_of, AT_ONCE):
        which = f"WHERE id IN ({placeholders(some)})" + f" AND {HEARD}" * heard
        rows += db.execute(f"SELECT id, file, start_seconds, end_seconds, embedding, level FROM windows {which}", some)
    vectors = matrix_of([row[4] for row in rows], len(query))
    if not (np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) < 2 * UNIT_TOLERANCE).all():
        raise BrokenValue("some of its vectors are none")  # the cache may have older, whole ones
    scores = np.einsum("ij,j->i", vectors, query).clip(-1.0, 1.0).tolist()
    silent = (~is_heard([validate_level("a file", row[5]) for row in rows])).tolist()
    return [
        _Compared(score, estimate_of[number], file, start, end, vector, is_silent)
        for (number, file, start, end, *_), vector, score, is_silent in zip(rows, vectors, scores, silent, strict=True)
    ]


def _first_of(rows: Iterable[_Compared], k: int, per_file: bool) -> list[_Compared]:
    """The first k rows, or the first row of each of the first k files."""
    if not per_file:
        return list(islice(rows, k))
    first: dict[int, _Compared] = {}
    for row in rows:
        first.setdefault(row.file, row)
        if len(first) == k:
            break
    return list(first.values())


def _name_best(db: sqlite3.Connection, ordered: list[_Compared], k: int, per_file: bool) -> list[ScoredWindow]:
    """The best k of rows in order, or the best of each of k files; ties by path and start. Only these are named and checked."""
    best = _first_of(ordered, k, per_file)
    chosen = ordered if len(best) < k else [row for row in ordered if row.order <= best[-1].order]
    paths: dict[int, Any] = {}
    for some in batches({row.file for row in chosen}, AT_ONCE):
        paths |= dict(db.execute(f"SELECT id, path FROM files WHERE id IN ({placeholders(some)})", some).fetchall())
    hits = []
    for row in chosen:
        if row.file in paths:
            name = validate_path(key_to_path(paths[row.file]))
            span = validate_span(name, row.start, row.end)
            hits.append(ScoredWindow(name, *span, row.score, row.vector, row.silent))
    return take_best(sorted(sort_rows(hits), key=lambda row: row.silent), k, per_file)
