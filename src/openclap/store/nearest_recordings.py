"""The vector of a sound → the recordings of a store that are most like it, as a whole or in a part.

vector ─ the nearest windows, one a file ─ the vectors of these files as a whole ─ the better cosine of the two

A whole recording is found again by its vector as a whole, whatever its format, gain and beginning; a short excerpt by
the window in which it lies. The better of both cosines finds either (`bench/tracks.py`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openclap.store.ranking import sort_rows
from openclap.store.records import ScoredWindow, SearchFilter, Store, Vectors

__all__ = ["nearest_recordings"]

LEAST, EACH = 200, 10  # recordings that are compared as a whole: at least, and for each one that is asked for


def nearest_recordings(
    store: Store, query: Vectors, k: int, *, where: SearchFilter | None = None
) -> list[ScoredWindow]:
    """The k recordings that are most like a sound, whose unit vector is (E,), best first; times are of the best window.

    `score` is the better of two cosines, and `embedding` the vector that it is of: the recording as a whole
    (`silence.track_vector`), or its best window. Only recordings with a window among the nearest are compared as a
    whole: no second index is needed, and what is read does not grow with the store.
    """
    rows = store.nearest(query, max(LEAST, EACH * k), where=where)
    tracks = store.tracks([row.path for row in rows])
    found = []
    for row in rows:
        whole = tracks.get(row.path, row.embedding)  # it may have left meanwhile
        score = float(np.clip(whole @ query, -1.0, 1.0))
        found.append(replace(row, score=score, embedding=whole) if score > row.score else row)
    return sort_rows(found)[:k]
