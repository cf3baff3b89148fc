"""Fingerprints of many recordings: which of them may be the same one. Knows nothing of where recordings come from."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from openclap.audio.fingerprint import BANDS, Fingerprint, landmark_keys

__all__ = ["SAME_RECORDING", "FingerprintIndex", "connected_groups"]

# correlation; the same recording has 0.84 and more, strokes of two drums that sound alike at most that (LOG.md)
SAME_RECORDING = 0.75
COMMON = 50  # files that share a key, above which it tells nothing
KEYS = 2  # that two recordings share, by chance hardly ever; one is enough where one of them has
SHORT = 125  # frames, two seconds, or less
NUMBER_BITS = 32  # of the number of a file, beside a key


class FingerprintIndex:
    """Fingerprints by number: 2 kB a second, so they lie in a file; their keys are in memory, half a kB a second."""

    def __init__(self) -> None:
        self.length: dict[int, int] = {}
        self._start: dict[int, int] = {}
        self._keys: list[npt.NDArray[np.int64]] = []  # key, and number of the file

    def __enter__(self) -> FingerprintIndex:
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, i: int, print_: Fingerprint) -> None:
        """Keep one under its number, below 2**32."""
        self._start[i], self.length[i] = self._file.seek(0, os.SEEK_END), len(print_)
        self._file.write(print_.tobytes())
        self._keys.append((landmark_keys(print_).astype(np.int64) << NUMBER_BITS) | i)

    def __getitem__(self, i: int) -> Fingerprint:
        """The fingerprint of a number, int8 (T, 31)."""
        self._file.seek(self._start[i])
        print_: Fingerprint = np.frombuffer(self._file.read(self.length[i] * BANDS), np.int8).reshape(-1, BANDS)
        return print_

    def candidate_pairs(self) -> set[tuple[int, int]]:
        """Pairs that have enough keys in common."""
        held = np.sort(np.concatenate([np.zeros(0, np.int64), *self._keys]))
        numbers = held & ((1 << NUMBER_BITS) - 1)
        edges = np.flatnonzero(np.diff(held >> NUMBER_BITS, prepend=-1, append=-1))
        sizes = np.diff(edges)
        pairs = [np.zeros(0, np.int64)]
        for size in np.unique(sizes[(sizes > 1) & (sizes <= COMMON)]).tolist():  # all keys with as many holders at once
            holders = numbers[edges[:-1][sizes == size][:, None] + np.arange(size)]
            first, second = np.triu_indices(size, 1)
            pairs.append(((holders[:, first] << NUMBER_BITS) | holders[:, second]).ravel())
        pair, count = np.unique(np.concatenate(pairs), return_counts=True)
        found = zip(
            (pair >> NUMBER_BITS).tolist(), (pair & ((1 << NUMBER_BITS) - 1)).tolist(), count.tolist(), strict=True
        )
        return {(a, b) for a, b, shared in found if shared >= KEYS or min(self.length[a], self.length[b]) < SHORT}


def connected_groups(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Numbers that are linked, directly or through others; each group sorted."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for one, other in links:
        a, b = root(one), root(other)
        parent[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in sorted(parent):
        groups[root(i)].append(i)
    return [groups[i] for i in sorted(groups)]
