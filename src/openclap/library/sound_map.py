"""Whole recordings → places on a plane, where near ones sound alike, and groups of them. Knows nothing of files or labels.

    vectors (N, E) ─ groups: spherical k-means ─ the plane on which the groups lie farthest apart ─ places in [0, 1]

Everything is deterministic, and linear once it was made: a recording that was not among them has its place, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.normalization import Vectors, normalize_rows

__all__ = ["SoundMap", "make_map"]

Groups = npt.NDArray[np.int64]

GROUPS = 24  # at most
PER_GROUP = 12  # recordings, at least about so many
ROUNDS = 12  # of k-means
EDGE = 0.01  # share of recordings that may lie at each edge of the map
SPREAD = 0.3  # how much the differences within groups count beside those between them


@dataclass(frozen=True, eq=False)
class SoundMap:
    """A plane, and the groups on it.

    Attributes
    ----------
    centres : float32 (G, E)
        Unit vectors, the mean of each group.
    mean : float64 (E,)
    directions : float64 (2, E)
    low, high : float64 (2,)
        The ends of the plane.
    """

    centres: Vectors
    mean: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def places(self, rows: Vectors) -> Vectors:
        """Where recordings (N, E) lie → (N, 2) in [0, 1]."""
        flat = (rows - self.mean) @ self.directions.T
        return np.clip((flat - self.low) / (self.high - self.low), 0.0, 1.0).astype(np.float32)

    def groups(self, rows: Vectors) -> Groups:
        """The groups that recordings (N, E) belong to → (N,)."""
        return np.argmax(rows @ self.centres.T, axis=1)


def make_map(rows: Vectors) -> SoundMap:
    """Make the map of recordings (N, E), N >= 1."""
    centres = _centres(rows, max(1, min(GROUPS, len(rows) // PER_GROUP)))
    group = np.argmax(rows @ centres.T, axis=1)
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    between = centres[group] - mean
    scatter = between.T @ between + SPREAD * (centred.T @ centred)  # (E, E)
    _, vectors = np.linalg.eigh(scatter)
    directions = vectors[:, ::-1][:, :2].T
    if len(directions) < 2:
        directions = np.vstack([directions, np.zeros_like(directions)])
    signs = np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])  # a sign means nothing: one is chosen
    directions = directions * np.where(signs == 0, 1.0, signs)[:, None]
    flat = centred @ directions.T
    low, high = np.quantile(flat, [EDGE, 1 - EDGE], axis=0)
    margin = np.maximum(0.05 * (high - low), 1e-6)
    return SoundMap(centres, mean, directions, low - margin, high + margin)


def _centres(rows: Vectors, count: int) -> Vectors:
    """The means of groups: k-means on the sphere, which begins with recordings that lie far from one another."""
    chosen = [int(np.argmax(rows @ rows.mean(axis=0)))]
    nearest = rows @ rows[chosen[0]]
    for _ in range(1, count):
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, rows @ rows[chosen[-1]])
    centres = rows[chosen]
    for _ in range(ROUNDS):
        group = np.argmax(rows @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, group, rows)
        there = np.bincount(group, minlength=count) > 0
        moved = np.where(there[:, None], normalize_rows(sums), centres)
        if np.allclose(moved, centres, atol=1e-5):
            break
        centres = moved
    return centres.astype(np.float32)
