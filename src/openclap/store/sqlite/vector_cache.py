"""All vectors of a store → arrays on disk, mapped into memory, and the nearest of them to a query.

They are a cache, which can be deleted at any time.

    cache/current            the name of the generation that counts, renamed into place last
    cache/<generation>/      ids, files (N,) · vectors (N, E) · from 250 000 rows on: centroids (P, E), edges (P + 1,)

Up to a quarter of a million rows every search looks at every row: exact, and bound by the speed of memory. Beyond, rows
lie sorted by the nearest of P = √N centroids, and a search looks at the rows of the nearest ones only (an inverted
file), with exact cosines. Rows newer than the generation are held in memory and always looked at.

Rows have numbers here, and so have the files they belong to; the cache knows nothing else of them.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.plurals import count_noun

__all__ = ["PARTITION_FROM", "Block", "VectorCache"]

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Block = tuple[Numbers, Numbers, Vectors]  # ids (n,), files (n,), vectors (n, E)

VERSION = 1
ARRAYS = ("ids", "files", "vectors", "centroids", "edges")
PARTITION_FROM = 250_000  # rows; below, looking at every row takes less than 30 ms
PROBED_SHARE = 0.05  # of the rows, in the nearest partitions, are looked at: recall@10 > 0.99 (bench/search.py)
PROBED_LEAST = 20_000  # rows, at least
GATHERED_MOST = 50_000  # rows that a filter allows, up to which all of them are looked at
SAMPLED = 32  # rows that a centroid is learnt from
ROUNDS = 8  # of k-means
MAPPED_MOST = 256 << 20  # bytes that were read, after which pages are released: they stay in the system's cache
ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class NearestRows:
    """The best rows, in no order; with `everything`, looking at more partitions would find no other row."""

    ids: Numbers
    files: Numbers
    scores: Vectors
    everything: bool


@dataclass(frozen=True, eq=False)
class _Generation:
    """The arrays of one generation; `centroids` is None where its rows are not partitioned."""

    ids: Numbers
    files: Numbers
    vectors: Vectors
    centroids: Vectors | None
    edges: Numbers | None


class VectorCache:
    """The arrays of one store; `identity` is the store's, so that the cache of another one is not used."""

    def __init__(self, folder: Path, identity: str, width: int) -> None:
        self.folder = folder
        self.identity = identity
        self.width = width
        self._base = _empty(width)
        self._new = _empty(width)
        self._touched = 0
        self.last = 0  # the highest row number in the cache

    # -- on disk -------------------------------------------------------------------------------------

    def load(self) -> bool:
        """Map the current generation into memory → whether there is a usable one."""
        try:
            name = (self.folder / "current").read_text(encoding="utf-8").strip()
            place = self.folder / Path(name).name
            manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
            if (manifest["version"], manifest["identity"], manifest["width"]) != (VERSION, self.identity, self.width):
                return False
            arrays = {key: np.load(place / f"{key}.npy", mmap_mode="r") for key in manifest["arrays"] if key in ARRAYS}
            if not _fit(arrays, int(manifest["rows"]), self.width) or int(manifest["last"]) < 0:
                return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, EOFError):
            return False
        self._base = _Generation(
            np.array(arrays["ids"]),
            np.array(arrays["files"]),
            arrays["vectors"],
            np.array(arrays["centroids"]) if "centroids" in arrays else None,
            np.array(arrays["edges"]) if "edges" in arrays else None,
        )
        self._new = _empty(self.width)
        self.last = int(manifest["last"])
        return True

    def build(self, blocks: Iterator[Block], rows: int) -> None:
        """Write a generation with these rows, make it the current one, and use it.

        Parameters
        ----------
        blocks
            Rows in order of their numbers.
        rows
            How many rows there are in all.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f"making-{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            arrays, last = self._write(aside, blocks, rows)
            manifest = {
                "format": "openclap-vectors",
                "version": VERSION,
                "identity": self.identity,
                "width": self.width,
                "rows": rows,
                "last": last,
                "arrays": arrays,
            }
            (aside / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
            for file in aside.iterdir():
                _fsync(file)
            name = f"{last}-{rows}-{os.getpid()}"
            shutil.rmtree(self.folder / name, ignore_errors=True)
            os.replace(aside, self.folder / name)
            pointer = self.folder / f"current-{os.getpid()}"
            pointer.write_text(name, encoding="utf-8")
            os.replace(pointer, self.folder / "current")
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        for other in self.folder.iterdir():
            if other.is_dir() and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
        self.load()

    def _write(self, place: Path, blocks: Iterator[Block], rows: int) -> tuple[list[str], int]:
        """Write the arrays into a folder → their names, and the highest row number."""
        ids, files = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        partitioned = rows >= PARTITION_FROM
        unsorted = place / ("unsorted.npy" if partitioned else "vectors.npy")
        vectors = _new_array(unsorted, (rows, self.width))
        end = 0
        for some_ids, some_files, some in blocks:
            ids[end : end + len(some)], files[end : end + len(some)] = some_ids, some_files
            vectors[end : end + len(some)] = some
            end += len(some)
            _release_pages(vectors)
        assert end == rows, (end, rows)
        last = int(ids[-1]) if rows else 0
        names = ["ids", "files", "vectors"]
        if partitioned:
            centroids, edges, order = partition(vectors)
            ids, files = ids[order], files[order]
            by_partition = _new_array(place / "vectors.npy", (rows, self.width))
            for start in range(0, rows, ROWS_AT_ONCE):
                by_partition[start : start + ROWS_AT_ONCE] = vectors[order[start : start + ROWS_AT_ONCE]]
                _release_pages(by_partition)
            _release_pages(vectors)
            del vectors
            unsorted.unlink()
            np.save(place / "centroids.npy", centroids)
            np.save(place / "edges.npy", edges)
            names += ["centroids", "edges"]
        np.save(place / "ids.npy", ids)
        np.save(place / "files.npy", files)
        return names, last

    # -- in memory -----------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """The number of rows, with those that were deleted since."""
        return len(self._base.ids) + len(self._new.ids)

    @property
    def newer(self) -> int:
        """The number of rows that are not on disk yet."""
        return len(self._new.ids)

    def extend(self, blocks: Iterator[Block]) -> None:
        """Add rows that are newer than the generation, in memory."""
        new = self._new
        ids, files, vectors = zip((new.ids, new.files, new.vectors), *blocks, strict=True)
        self._new = _Generation(np.concatenate(ids), np.concatenate(files), np.concatenate(vectors), None, None)
        if len(self._new.ids):
            self.last = int(self._new.ids[-1])

    def nearest(
        self, query: Vectors, count: int, allowed: npt.NDArray[np.bool_] | None = None, effort: float = 1.0
    ) -> NearestRows:
        """The best `count` rows, with all that tie with the last of them; fewer where there are fewer.

        Parameters
        ----------
        allowed : bool (highest file number + 1,)
            Which files may be found.
        effort
            How many times as many partitions as usual to look at.
        """
        base, new = self._base, self._new
        found = [self._scan_all(new, query, allowed)]
        everything = True
        share = self._allowed_share(allowed)
        if base.centroids is None:
            found.append(self._scan_all(base, query, allowed))
        elif allowed is not None and share * len(base.ids) <= GATHERED_MOST:
            found.append(_gather(base, query, np.flatnonzero(_allowed_mask(allowed, base.files))))
        else:
            part, everything = self._probe_partitions(query, effort / max(share, 1e-9))
            found.append(_filter(part, allowed))
        ids, files, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if count < len(scores):
            least = np.partition(scores, len(scores) - count)[len(scores) - count]
            chosen = scores >= least
            return NearestRows(ids[chosen], files[chosen], scores[chosen], False)
        return NearestRows(ids, files, scores, everything)

    def differs(self, true: Callable[[list[int]], dict[int, Vectors]]) -> list[str]:
        """Find vectors on disk that differ from those of the store → in words; deleted rows do not count."""
        wrong = 0
        for start in range(0, len(self._base.ids), ROWS_AT_ONCE):
            ids = self._base.ids[start : start + ROWS_AT_ONCE].tolist()
            known = true(ids)
            wrong += sum(
                number in known and not np.array_equal(known[number], self._base.vectors[start + i])
                for i, number in enumerate(ids)
            )
            _release_pages(self._base.vectors)
        return (
            [f"{wrong} of {count_noun(len(self._base.ids), 'cached vector')} {'differs' if wrong == 1 else 'differ'}"]
            if wrong
            else []
        )

    def sample(self, count: int) -> Vectors:
        """Vectors evenly spread over all rows: (at most count, E)."""
        places: list[int] = np.unique(np.linspace(0, max(self.rows - 1, 0), min(count, self.rows)).astype(int)).tolist()
        base = len(self._base.ids)
        rows = [self._base.vectors[i] if i < base else self._new.vectors[i - base] for i in places]
        return np.array(rows, np.float32).reshape(len(places), self.width)

    def _scan_all(
        self, part: _Generation, query: Vectors, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[Numbers, Numbers, Vectors]:
        if allowed is not None and self._allowed_share(allowed) < 0.2:
            return _gather(part, query, np.flatnonzero(_allowed_mask(allowed, part.files)))
        return _filter((part.ids, part.files, part.vectors @ query), allowed)

    def _allowed_share(self, allowed: npt.NDArray[np.bool_] | None) -> float:
        if allowed is None or not len(self._base.ids):
            return 1.0
        return float(_allowed_mask(allowed, self._base.files).mean())

    def _probe_partitions(self, query: Vectors, effort: float) -> tuple[tuple[Numbers, Numbers, Vectors], bool]:
        """The rows of the partitions nearest to the query."""
        base = self._base
        assert base.centroids is not None
        assert base.edges is not None
        sizes = np.diff(base.edges)
        by_nearness = np.argsort(-(base.centroids @ query), kind="stable")
        enough = max(PROBED_LEAST, PROBED_SHARE * len(base.ids)) * effort
        count = int(np.searchsorted(np.cumsum(sizes[by_nearness]), enough)) + 1
        probed = np.sort(by_nearness[:count])
        places, scores = [np.zeros(0, np.intp)], [np.zeros(0, np.float32)]
        for run in np.split(probed, np.flatnonzero(np.diff(probed) > 1) + 1):  # neighbours are read in one go
            start, end = base.edges[run[0]], base.edges[run[-1] + 1]
            places.append(np.arange(start, end))
            scores.append(base.vectors[start:end] @ query)
        place, score = np.concatenate(places), np.concatenate(scores)
        self._touched += len(place) * self.width * 4
        if self._touched > MAPPED_MOST:
            _release_pages(base.vectors)
            self._touched = 0
        return (base.ids[place], base.files[place], score), count >= len(sizes)


def partition(vectors: Vectors) -> tuple[Vectors, Numbers, Numbers]:
    """Spherical k-means → centroids (P, E); edges (P + 1,) of partitions in the order (N,) of rows by partition."""
    rows = len(vectors)
    count = max(2, round(rows**0.5))
    chosen = np.random.default_rng(0).permutation(rows)[: count * SAMPLED]
    sample = np.array(vectors[np.sort(chosen)])
    centroids = sample[np.linspace(0, len(sample) - 1, count).astype(np.intp)]
    for _ in range(ROUNDS):
        nearest = _nearest_centroid(sample, centroids)
        sums = np.zeros_like(centroids)
        np.add.at(sums, nearest, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), centroids).astype(np.float32)
    assigned = np.empty(rows, np.int32)
    for start in range(0, rows, ROWS_AT_ONCE):
        assigned[start : start + ROWS_AT_ONCE] = _nearest_centroid(vectors[start : start + ROWS_AT_ONCE], centroids)
        _release_pages(vectors)
    edges = np.concatenate([[0], np.cumsum(np.bincount(assigned, minlength=count))]).astype(np.int64)
    return centroids, edges, np.argsort(assigned, kind="stable")


def _nearest_centroid(rows: Vectors, centroids: Vectors) -> npt.NDArray[np.intp]:
    parts = [
        (rows[i : i + ROWS_AT_ONCE] @ centroids.T).argmax(1).astype(np.intp) for i in range(0, len(rows), ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def _gather(part: _Generation, query: Vectors, places: npt.NDArray[np.intp]) -> tuple[Numbers, Numbers, Vectors]:
    pieces = [part.vectors[places[i : i + ROWS_AT_ONCE]] @ query for i in range(0, len(places), ROWS_AT_ONCE)] or [
        np.zeros(0, np.float32)
    ]
    return part.ids[places], part.files[places], np.concatenate(pieces)


def _filter(
    rows: tuple[Numbers, Numbers, Vectors], allowed: npt.NDArray[np.bool_] | None
) -> tuple[Numbers, Numbers, Vectors]:
    if allowed is None:
        return rows
    kept = _allowed_mask(allowed, rows[1])
    return rows[0][kept], rows[1][kept], rows[2][kept]


def _allowed_mask(allowed: npt.NDArray[np.bool_], files: Numbers) -> npt.NDArray[np.bool_]:
    """Which rows belong to allowed files; files that are newer than the mask are not allowed."""
    known = files < len(allowed)
    return allowed[np.where(known, files, 0)] & known


def _fit(arrays: dict[str, Any], rows: int, width: int) -> bool:
    """Whether the arrays of a generation fit together: what is on disk may be anything."""
    count = len(arrays["centroids"]) if "centroids" in arrays else 0
    wanted = {"ids": ((rows,), np.int64), "files": ((rows,), np.int64), "vectors": ((rows, width), np.float32)}
    if count:
        wanted |= {"centroids": ((count, width), np.float32), "edges": ((count + 1,), np.int64)}
    if any((arrays[name].shape, arrays[name].dtype) != kind for name, kind in wanted.items()):
        return False
    edges = arrays["edges"] if count else np.array([0, rows])
    return bool(edges[0] == 0 and edges[-1] == rows and (np.diff(edges) >= 0).all() and (arrays["files"] >= 0).all())


def _empty(width: int) -> _Generation:
    none = np.zeros(0, np.int64)
    return _Generation(none, none, np.zeros((0, width), np.float32), None, None)


def _new_array(path: Path, shape: tuple[int, int]) -> Vectors:
    if not shape[0]:
        np.save(path, np.zeros(shape, np.float32))
        return np.zeros(shape, np.float32)
    array: Vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    if hasattr(os, "posix_fallocate"):  # on a full disk a mapped page that has no room kills the process
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array


def _fsync(path: Path) -> None:
    """Write a file to the disk: a power cut must not leave one of the right size without its content."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _release_pages(array: Any) -> None:
    """Release mapped pages, so that memory stays small; they stay in the file cache of the system."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
