"""The files of a library → groups that hold the same recording: in other formats, at other gain, cut or shifted.

    every file ─ content hash ─ equal: a copy
               └ fingerprint ─ keys ─ files that share some, or have near embeddings ─ overlap ─ above 0.75: the same

Only the first ten minutes of a recording are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from openclap.audio.fingerprint import FINGERPRINT_VERSION, Fingerprint, Overlaps, fingerprint
from openclap.audio.fingerprint_index import SAME_RECORDING, FingerprintIndex, connected_groups
from openclap.errors import SoundError
from openclap.library.indexing import or_error
from openclap.library.scan import size_and_time
from openclap.progress import with_progress
from openclap.results import Copy, Duplicates, Failure, Group
from openclap.store import File, SearchFilter, Store
from openclap.window_cache import WindowCache, user_cache

__all__ = ["find_duplicates"]

ALIKE = 0.9  # cosine of two files' first windows from which the files are compared in any case
NEIGHBOURS = 5  # such files, of each
WORKERS = 2
SCORES_AT_ONCE = 16_000_000  # 64 MB


@dataclass(frozen=True)
class _Link:
    """File `b` is file `a`, beginning `offset` seconds after it."""

    a: int
    b: int
    offset: float
    correlation: float


def find_duplicates(store: Store, where: SearchFilter | None = None, *, progress: bool = False) -> Duplicates:
    """Find groups of files that hold the same recording, and files that cannot be read any more.

    The first window of every file is compared with that of every other: this suits some hundred thousand files.
    """
    files = list(store.files(where))
    first_of: dict[str, int] = {}  # content hash → the one file of this content that is looked at
    links: list[_Link] = []
    for i, file in enumerate(files):
        if file.hash in first_of:
            links.append(_Link(first_of[file.hash], i, 0.0, 1.0))
        first_of.setdefault(file.hash, i)
    failed: list[Failure] = []
    with FingerprintIndex() as prints:
        for i, found in _fingerprints(files, list(first_of.values()), progress):
            if isinstance(found, SoundError):
                failed.append(Failure(files[i].path, found.cause))
            else:
                prints.add(i, found)
        overlaps = Overlaps(prints.__getitem__)
        for a, b in sorted(prints.candidate_pairs() | _near_embeddings(store, files, prints.length, where)):
            match = overlaps.of(a, b)
            if match.correlation >= SAME_RECORDING:
                links.append(_Link(a, b, match.offset, match.correlation))
    return Duplicates(
        [_group(files, members, links) for members in connected_groups((x.a, x.b) for x in links)], failed
    )


def _fingerprints(
    files: Sequence[File], chosen: Sequence[int], progress: bool
) -> Iterator[tuple[int, Fingerprint | SoundError]]:
    listen = partial(or_error, partial(_fingerprint_of, user_cache()))
    with ThreadPoolExecutor(WORKERS, "openclap-fingerprint") as pool:
        made = zip(chosen, pool.map(listen, (files[i] for i in chosen)), strict=True)
        yield from with_progress(made, "listening", len(chosen), show=progress)


def _fingerprint_of(cache: WindowCache, file: File) -> Fingerprint:
    """The fingerprint of a file, from before where its content was listened to.

    Raises
    ------
    SoundError
        It cannot be read any more.
    """
    if size_and_time(file.path) != (file.size, file.mtime_ns):  # gone or changed: its hash is another's
        return fingerprint(file.path)
    kept = cache.recall_content(
        file.hash, ("fingerprint", FINGERPRINT_VERSION), lambda: {"change": fingerprint(file.path)}
    )
    return kept["change"]


def _near_embeddings(
    store: Store, files: Sequence[File], chosen: Collection[int], where: SearchFilter | None
) -> set[tuple[int, int]]:
    """Pairs of files whose first windows have near embeddings; keys may miss those of very short or noisy sounds."""
    number = {files[i].path: i for i in chosen}
    firsts = [(number[r.file.path], r.embedding[0].copy()) for r in store.scan(where) if r.file.path in number]
    if not firsts:
        return set()
    numbers, vectors = [i for i, _ in firsts], np.array([vector for _, vector in firsts])
    pairs = set()
    rows = max(1, SCORES_AT_ONCE // len(vectors))
    for start in range(0, len(vectors), rows):
        scores = vectors[start : start + rows] @ vectors.T
        scores[np.arange(len(scores)), start + np.arange(len(scores))] = -1.0  # itself
        for i, row in enumerate(scores):
            near = np.flatnonzero(row >= ALIKE)
            for j in near[np.argsort(-row[near], kind="stable")[:NEIGHBOURS]].tolist():
                a, b = numbers[start + i], numbers[j]
                pairs.add((min(a, b), max(a, b)))
    return pairs


def _group(files: Sequence[File], members: Sequence[int], links: Iterable[_Link]) -> Group:
    """A group of files, each with its offset from the first one, which follows the strongest links."""
    near: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
    for link in links:
        near[link.a].append((link.b, link.offset, link.correlation))
        near[link.b].append((link.a, -link.offset, link.correlation))
    placed = {members[0]: (0.0, 1.0)}
    while len(placed) < len(members):
        strength, i, offset = max(
            (correlation, other, placed[i][0] + offset)
            for i in placed
            for other, offset, correlation in near[i]
            if other not in placed
        )
        placed[i] = (offset, strength)
    return Group([Copy(files[i].path, round(placed[i][0], 3), round(placed[i][1], 4)) for i in members])
