"""The same recording more than once: other formats, other gain, cut or shifted. Knows nothing of searching.

    every file ─ content hash ─ equal: a copy
               └ fingerprint ─ keys ─ files that share some, or sound alike to the model ─ overlap ─ above 0.75: the same recording

Only the first ten minutes of a recording are compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from openclap.audio.fingerprint import Fingerprint, fingerprint, keys_of, overlap
from openclap.errors import SoundError
from openclap.results import Copy, Duplicates, Failure, Group

if TYPE_CHECKING:
    from openclap.store import File, Store, Where

__all__ = ["find_duplicates"]

THE_SAME = 0.75  # correlation; the same recording has 0.84 and more, strokes of two drums that sound alike at most that (LOG.md)
COMMON = 50  # files that share a key, above which it tells nothing
KEYS = 2  # that two recordings share, by chance hardly ever; one is enough where one of them has
SHORT = 125  # frames, two seconds, or less
ALIKE = 0.9  # cosine of two windows, from which files are compared in any case
NEIGHBOURS = 5
WORKERS = 2


@dataclass(frozen=True)
class _Link:
    """File `b` is file `a`, beginning `offset` seconds after it."""

    a: int
    b: int
    offset: float
    correlation: float


def find_duplicates(store: Store, where: Where | None = None, *, progress: bool = False) -> Duplicates:
    """Groups of files that hold the same recording, each by path; files that cannot be read any more are told."""
    files = list(store.files(where))
    first_of: dict[str, int] = {}  # one of each content is looked at
    links: list[_Link] = []
    for i, file in enumerate(files):
        if file.hash in first_of:
            links.append(_Link(first_of[file.hash], i, 0.0, 1.0))
        first_of.setdefault(file.hash, i)
    prints: dict[int, Fingerprint] = {}
    failed: list[Failure] = []
    for i, found in _fingerprints(files, list(first_of.values()), progress):
        if isinstance(found, SoundError):
            failed.append(Failure(files[i].path, found.cause))
        else:
            prints[i] = found
    pairs = _sharing_keys(prints) | _sounding_alike(store, files, prints, where)
    for a, b in sorted(pairs):
        lies = overlap(prints[a], prints[b])
        if lies.correlation >= THE_SAME:
            links.append(_Link(a, b, lies.offset, lies.correlation))
    return Duplicates([_group(files, members, links) for members in _connected(links)], failed)


def _fingerprints(
    files: Sequence[File], chosen: Sequence[int], progress: bool
) -> Iterator[tuple[int, Fingerprint | SoundError]]:
    def one(i: int) -> Fingerprint | SoundError:
        try:
            return fingerprint(files[i].path)
        except SoundError as error:
            return error

    from rich.console import Console
    from rich.progress import track

    with ThreadPoolExecutor(WORKERS, "openclap-fingerprint") as pool:
        made = zip(chosen, pool.map(one, chosen), strict=True)
        yield from track(made, "listening", len(chosen), console=Console(stderr=True), disable=not progress)


def _sharing_keys(prints: dict[int, Fingerprint]) -> set[tuple[int, int]]:
    holders: dict[int, list[int]] = defaultdict(list)
    for i, print_ in prints.items():
        for key in keys_of(print_).tolist():
            holders[key].append(i)
    shared = Counter(pair for some in holders.values() if 1 < len(some) <= COMMON for pair in combinations(some, 2))
    return {pair for pair, count in shared.items() if count >= KEYS or min(len(prints[i]) for i in pair) < SHORT}


def _sounding_alike(
    store: Store, files: Sequence[File], prints: dict[int, Fingerprint], where: Where | None
) -> set[tuple[int, int]]:
    """Pairs whose first windows are near for the model, which keys may miss in very short or noisy sounds."""
    number = {files[i].path: i for i in prints}
    pairs = set()
    for path, i in number.items():
        recording = store.recording(path)
        if recording is None:
            continue
        for row in store.nearest(recording.embedding[0], NEIGHBOURS + 1, where=where):
            other = number.get(row.path)
            if other is not None and other != i and row.score >= ALIKE:
                pairs.add((min(i, other), max(i, other)))
    return pairs


def _connected(links: Iterable[_Link]) -> list[list[int]]:
    """Files that are linked, directly or through others; each group sorted."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for link in links:
        a, b = root(link.a), root(link.b)
        parent[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in sorted(parent):
        groups[root(i)].append(i)
    return [groups[i] for i in sorted(groups)]


def _group(files: Sequence[File], members: Sequence[int], links: Iterable[_Link]) -> Group:
    """Every member's place on the first one, by way of the strongest links."""
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
