"""An index of fingerprints that finds pairs of recordings that may be the same one."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from openclap.audio.fingerprint import BANDS, Fingerprint, landmark_keys

__all__ = ["SAME_RECORDING", "FingerprintIndex", "connected_groups"]

# Correlation: the same recording has 0.84 or more, other recordings less than 0.75 (LOG.md).
SAME_RECORDING = 0.75
MAX_FILES_PER_KEY = 50  # a key that more files have tells nothing
MIN_SHARED_KEYS = 2  # of a pair; one is enough where a recording is no longer than
SHORT_FRAMES = 125  # two seconds
NUMBER_BITS = 32  # a key and the number of its file share 64 bits


class FingerprintIndex:
    """Fingerprints by number. They take 2 kB a second, in a temporary file; their keys take half a kB, in memory."""

    def __init__(self) -> None:
        self.length: dict[int, int] = {}
        self._start: dict[int, int] = {}
        self._keys: list[npt.NDArray[np.int64]] = []  # key << 32 | number

    def __enter__(self) -> FingerprintIndex:
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, i: int, fingerprint: Fingerprint) -> None:
        """Store a fingerprint under a number below 2**32."""
        self._start[i], self.length[i] = self._file.seek(0, os.SEEK_END), len(fingerprint)
        self._file.write(fingerprint.tobytes())
        self._keys.append((landmark_keys(fingerprint).astype(np.int64) << NUMBER_BITS) | i)

    def __getitem__(self, i: int) -> Fingerprint:
        """The fingerprint of a number, int8 (T, 31)."""
        self._file.seek(self._start[i])
        return np.frombuffer(self._file.read(self.length[i] * BANDS), np.int8).reshape(-1, BANDS)

    def candidate_pairs(self) -> set[tuple[int, int]]:
        """The pairs of numbers whose fingerprints have enough keys in common."""
        entries = np.sort(np.concatenate([np.zeros(0, np.int64), *self._keys]))
        numbers = entries & ((1 << NUMBER_BITS) - 1)
        edges = np.flatnonzero(np.diff(entries >> NUMBER_BITS, prepend=-1, append=-1))
        sizes = np.diff(edges)
        pairs = [np.zeros(0, np.int64)]
        for size in np.unique(
            sizes[(sizes > 1) & (sizes <= MAX_FILES_PER_KEY)]
        ).tolist():  # all keys that so many files have, at once
            holders = numbers[edges[:-1][sizes == size][:, None] + np.arange(size)]
            first, second = np.triu_indices(size, 1)
            pairs.append(((holders[:, first] << NUMBER_BITS) | holders[:, second]).ravel())
        pair, count = np.unique(np.concatenate(pairs), return_counts=True)
        counted = zip(
            (pair >> NUMBER_BITS).tolist(), (pair & ((1 << NUMBER_BITS) - 1)).tolist(), count.tolist(), strict=True
        )
        return {
            (a, b)
            for a, b, shared in counted
            if shared >= MIN_SHARED_KEYS or min(self.length[a], self.length[b]) < SHORT_FRAMES
        }


def connected_groups(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Groups of numbers that are linked, directly or through others; each group is sorted."""
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
