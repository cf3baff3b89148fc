"""A query's vector → the hits of a library, each with its confidence, best first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from openclap.clap import CLAP
from openclap.confidence import ReferenceBank, confidence_curves, has_own_curves
from openclap.detector import Detector
from openclap.library.query import Query, Vector, has_words
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.results import Hit, Ranked
from openclap.store import SearchFilter, Store

__all__ = ["Per", "find_hits"]

Per = Literal["file", "window"]


def find_hits(
    store: Store,
    clap: CLAP,
    bank: Callable[[], ReferenceBank],
    query: Query,
    vector: Vector,
    k: int,
    *,
    per: Per,
    where: SearchFilter | None,
    missing: bool,
) -> Ranked[Hit]:
    """The `k` best hits for a query, whose unit vector is (E,); see `Library.search`.

    A detector says itself how sure it is; only for other queries `bank` is called, which takes seconds the first time.
    """
    rows, away = nearest_reachable(store, vector, k, where=where, per_file=per == "file", missing=missing)
    words = has_words(query)
    least = confidence_curves(clap.config).least(words=words)
    confidence: Callable[[Vector], float]
    if isinstance(query, Detector):
        confidence = lambda window: float(query.probability(window[None])[0])
    else:
        confidence = partial(bank().confidence, vector, words=words)
    hits = []
    for row in rows:
        likely = confidence(row.embedding)
        lost = missing and not is_reachable(row.path)
        hits.append(Hit(row.path, row.start, row.end, row.score, likely, lost, likely < least))
    return Ranked(hits, len(away), calibrated=isinstance(query, Detector) or has_own_curves(clap))
