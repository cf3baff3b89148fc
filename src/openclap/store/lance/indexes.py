"""A table that has grown → the same table with indexes and few pieces, in which searches are fast again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from lancedb.index import FTS, BTree, IvfSq

from openclap.store.lance.texts import NAMED

__all__ = ["tidy"]

INDEX_FROM = 100_000  # rows; below, looking at every row takes 0.15 s
INDEX_AGAIN = 4  # times as many rows as an index was made for, before it is made anew
PATHS_FROM = 10_000  # rows from which paths get an index
WORDS_FROM = 10_000  # rows from which words get one; below, looking at every row takes some ms
# words were split and shortened before
AS_THEY_ARE: dict[str, Any] = {
    "base_tokenizer": "whitespace",
    "max_token_length": None,
    **dict.fromkeys(("lower_case", "stem", "remove_stop_words", "ascii_folding"), False),
}
UNTIDY_PIECES, UNTIDY_ROWS = 20, 20_000  # small pieces, or rows that are in no index, from which it is worth it
KEPT = timedelta(days=1)  # how long old versions are kept, for processes that are reading them


def tidy(table: Any) -> None:
    """Join small pieces, drop old versions and bring indexes up to date; gives up where another process writes."""
    with _unless_disturbed():
        rows = table.count_rows()
        if not rows:
            return
        indexed = {column: index.name for index in table.list_indices() for column in index.columns}
        if rows >= INDEX_FROM:
            _index_vectors(table, rows, indexed.get("embedding"))
        for column in ("path", "hash", "key"):
            if rows >= PATHS_FROM and column not in indexed:
                table.create_index(column, config=BTree())
        if rows >= WORDS_FROM and NAMED in table.schema.names and NAMED not in indexed:
            table.create_index(NAMED, config=FTS(**AS_THEY_ARE))
        unknown = max((table.index_stats(name).num_unindexed_rows for name in indexed.values()), default=0)
        pieces = table.stats()["fragment_stats"]["num_small_fragments"]
        if pieces >= UNTIDY_PIECES or unknown >= UNTIDY_ROWS:
            table.optimize(cleanup_older_than=KEPT)


def _index_vectors(table: Any, rows: int, name: str | None) -> None:
    """Make an index, named by the number of its rows, where there is none or one for far fewer rows."""
    made_for = int(name.rpartition("-")[2]) if name is not None else 0
    if rows >= INDEX_AGAIN * made_for:
        config = IvfSq("cosine", num_partitions=round(rows**0.5))
        table.create_index("embedding", config=config, name=f"embedding-{rows}")
        if name is not None:
            table.drop_index(name)


@contextmanager
def _unless_disturbed() -> Iterator[None]:
    """Ignore conflicts with a process that writes at the same time: there will be another occasion."""
    try:
        yield
    except RuntimeError as error:
        if "conflict" not in str(error).lower():
            raise
