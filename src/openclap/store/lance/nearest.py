"""The nearest windows of a table to a query, in order, and a sample of its vectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from openclap.batches import batches
from openclap.store.lance.conditions import is_any_of
from openclap.store.lance.rows import HEARD, LEVEL, table_to_scored_windows, vectors_of, window_columns
from openclap.store.path_patterns import path_to_text
from openclap.store.ranking import round_score, sort_rows, take_best
from openclap.store.records import FILES_AT_ONCE, ScoredWindow, Vectors
from openclap.store.validation import validate_width

__all__ = ["best_windows", "find_nearest", "sample_vectors"]

PARTITIONS_PROBED = 40  # of √n: recall@10 is above 0.99 at a million rows (bench/search.py)
REFINED = 3  # times as many rows as are asked for are compared by their whole vectors
LOOKED_AT_MOST = 20_000  # rows that are asked for at once


def find_nearest(table: Any, query: Vectors, k: int, condition: str | None, per_file: bool) -> list[ScoredWindow]:
    """As `Store.nearest`; `condition` is that of the filter."""
    validate_width(query, table.schema.field("embedding").type.list_size)
    found: list[ScoredWindow] = []  # the best windows of files that are left out of further questions
    condition = " AND ".join(filter(None, [HEARD if LEVEL in table.schema.names else None, condition]))
    k = min(k, table.count_rows())
    wanted = 2 * k + 10
    while k:  # again, as further windows of a file are not hits, and ties are ordered by path
        done = {row.path for row in found}
        others = f"NOT ({is_any_of('path', map(path_to_text, done))})" if done else None
        rows = _query_nearest(table, query, wanted, " AND ".join(filter(None, [condition, others])))
        hits = take_best(sort_rows([*found, *rows]), k, per_file)
        if len(rows) < wanted or (len(hits) == k and round_score(rows[-1].score) < round_score(hits[-1].score)):
            return hits
        if wanted < LOOKED_AT_MOST:
            wanted = min(4 * wanted, LOOKED_AT_MOST)
        elif len(hits) == k:  # thousands of rows tie
            return hits
        else:  # a few files have thousands of windows that are nearer than those of all others
            found += take_best(rows, k, per_file)
    return []


def _query_nearest(table: Any, query: Vectors, count: int, condition: str) -> list[ScoredWindow]:
    """The nearest rows, in order; `_distance` is selected because LanceDB warns where it is not."""
    search = (
        table.search(query, vector_column_name="embedding")
        .distance_type("cosine")
        .select([*window_columns(table), "_distance"])
    )
    search = search.where(condition, prefilter=True) if condition else search
    search = search.minimum_nprobes(PARTITIONS_PROBED).maximum_nprobes(0).refine_factor(REFINED)
    return sort_rows(table_to_scored_windows(query, search.limit(count).to_arrow()))


def best_windows(table: Any, query: Vectors, paths: Iterable[str]) -> list[ScoredWindow]:
    """As `Store.nearest_in`, of paths as texts."""
    best: list[ScoredWindow] = []
    for some in batches(dict.fromkeys(paths), FILES_AT_ONCE):
        validate_width(query, table.schema.field("embedding").type.list_size)
        found = table.search().where(is_any_of("path", some)).select(window_columns(table)).limit(None).to_arrow()
        rows = sorted(sort_rows(table_to_scored_windows(query, found)), key=lambda row: row.silent)
        best += take_best(rows, len(some), per_file=True)
    return sorted(sort_rows(best), key=lambda row: row.silent)


def sample_vectors(table: Any, count: int) -> Vectors:
    """As `Store.sample`."""
    rows = table.count_rows()
    if not rows:
        return np.zeros((0, 0), np.float32)
    places = np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(int)).tolist()
    return vectors_of(table.take_offsets(places).select(["key", "embedding"]).to_arrow().sort_by("key"))
