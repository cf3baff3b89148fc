"""The map of the library: where its recordings lie, and what its groups are called; made once for each state of it.

listing ─ recordings evenly spread ─ their vectors ─ `make_map` ─ places, groups
                                                      groups ─ AudioSet's labels ─ names
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from openclap.clap import CLAP
from openclap.describe.chinese import label_in_chinese
from openclap.describe.describer import Describer
from openclap.describe.vocabulary import Vocabulary
from openclap.library import Library
from openclap.library.listing import Listing
from openclap.library.sound_map import SoundMap, make_map
from openclap.normalization import Vectors

__all__ = ["LibraryMap", "MapCluster", "MapPoint"]

POINTS = 20_000  # at most
SAMPLE = 4_000  # recordings by which the plane is chosen
AT_ONCE = 2_000  # vectors in memory


@dataclass(frozen=True)
class MapPoint:
    """A recording: its number in the listing, its place, its group."""

    row: int
    x: float
    y: float
    cluster: int


@dataclass(frozen=True)
class MapCluster:
    """A group of recordings: what it sounds like (in each language, too), its middle, and how many of the points are in it."""

    id: int
    name: str
    names: dict[str, str]
    x: float
    y: float
    count: int


class LibraryMap:
    """Maps of one library; several threads may ask, one makes them."""

    def __init__(self, library: Library, clap: Any) -> None:
        self._library, self._clap = library, clap
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None  # made once: five hundred texts are embedded for it
        self._places: list[str] | None = None  # of the listing that the map is of
        self._map: SoundMap | None = None
        self._names: list[str] = []
        self._found: npt.NDArray[np.float32] = np.zeros((0, 3), np.float32)  # x, y, group of each file; NaN: not yet

    def points(self, listing: Listing, rows: npt.NDArray[np.int64]) -> tuple[list[MapPoint], list[MapCluster]]:
        """The points of some files of a listing, evenly chosen where they are too many, and the groups of these."""
        if len(rows) > POINTS:
            rows = rows[np.linspace(0, len(rows) - 1, POINTS).astype(int)]
        with self._lock:
            if self._places is not listing.places:
                self._make(listing)
            if self._map is None:
                return [], []
            missing = rows[np.isnan(self._found[rows, 0])]
            for start in range(0, len(missing), AT_ONCE):
                self._place(listing, missing[start : start + AT_ONCE])
            found = self._found[rows]
            names = self._names
        there = ~np.isnan(found[:, 0])
        rows, found = rows[there], found[there]
        points = [
            MapPoint(int(row), float(x), float(y), int(group)) for row, (x, y, group) in zip(rows, found, strict=True)
        ]
        return points, _clusters(found, names)

    def _make(self, listing: Listing) -> None:
        """Choose the plane by recordings from all over the library."""
        count = len(listing)
        self._found = np.full((count, 3), np.nan, np.float32)
        some = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(int)) if count else np.zeros(0, int)
        _, vectors = self._vectors(listing, some)
        self._map = make_map(vectors) if len(vectors) else None
        self._names = self._names_of(self._map.centres) if self._map is not None else []
        self._places = listing.places

    def _place(self, listing: Listing, rows: npt.NDArray[np.int64]) -> None:
        assert self._map is not None
        there, vectors = self._vectors(listing, rows)
        if len(vectors):
            self._found[there] = np.column_stack([self._map.places(vectors), self._map.groups(vectors)])

    def _vectors(self, listing: Listing, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], Vectors]:
        """The vectors of those of the files that the library still holds, with their numbers."""
        places = [listing.places[row] for row in rows]
        found = self._library.tracks(places)
        there = [(row, found[place]) for row, place in zip(rows.tolist(), places, strict=True) if place in found]
        return np.array([row for row, _ in there], np.int64), np.array([vector for _, vector in there], np.float32)

    def _names_of(self, centres: Vectors) -> list[str]:
        """The label that is most likely heard in the middle of each group."""
        if self._vocabulary is None:
            self._vocabulary = Describer(cast(CLAP, self._clap)).vocabulary
        known = self._vocabulary
        return [known.labels[int(known.best_confidences(centre[None])[0].argmax())] for centre in centres]


def _clusters(found: npt.NDArray[np.float32], names: list[str]) -> list[MapCluster]:
    clusters = []
    for number, name in enumerate(names):
        inside = found[found[:, 2] == number]
        if len(inside):
            x, y = np.median(inside[:, :2], axis=0).tolist()
            names_of = {"en": name, "zh": label_in_chinese(name)}
            clusters.append(MapCluster(number, name, names_of, x, y, len(inside)))
    return clusters
