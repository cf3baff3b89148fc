"""Vectors of many rows → codes of 64 bytes, and the rows that are likely the nearest to a query.

Whoever has the vectors compares what is found: an estimate comes with the margin by which it may be wrong.

    x (E,)  →  its strongest 256 of E axes  →  128 pairs of numbers  →  each pair is the nearest of 16 centers: 4 bits

This is product quantisation (Jégou, Douze and Schmid 2011) on axes that spread what varies evenly over the pairs (Ge and others
2013): the strongest half of the principal axes, turned at random, and each paired with one of the weak half. faiss looks at all
codes, 32 rows at a time (André, Kermarrec and Le Scouarnec 2017). There are no partitions: queries in words lie apart from
sounds, and partitions that are chosen by vectors of sounds hold too little of what such a query looks for.

Only plain arrays are read, never a file of faiss: its reader trusts what it reads, and a library may come from anybody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Codes", "Mask", "Nearest", "Numbers", "Vectors", "allowed_rows", "are_arrays", "best_of", "encode"]

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

PAIRS_MOST = 128  # of numbers in a code
ROUNDS = 8  # of k-means
CANDIDATES = (
    400  # rows that a search finds at least, and one more for each thousand: most compare a third of them, or less
)
SPREADS = 2.75  # by so many standard deviations may an estimate be wrong: recall@10 > 0.995 (bench/search.py)
SPARED = 400_000  # rows that a process looks at without faiss: importing it takes as long as looking at 200 000
FEW_SHARE = 0.02  # of rows that a filter leaves: faster without faiss, which looks at all
AT_ONCE = 16_384  # rows
IN_BLOCK = 32  # rows that faiss looks at together
HALF_ORDER = np.arange(16).reshape(2, 8).T.ravel()  # in which the rows of half a block lie: 0, 8, 1, 9, …


@dataclass(frozen=True, eq=False)
class Nearest:
    """Places of rows with their cosines, which are wrong by at most `margin`; `everything`: no other row is left."""

    places: Numbers
    scores: Vectors
    margin: float
    everything: bool


@dataclass(eq=False)
class Codes:
    """Rows with codes. M pairs; `error_mean` (E,) and `error_spread` (E, E) are of vectors less what codes say of them."""

    ids: Numbers
    files: Numbers
    codes: Bytes  # (N, M / 2): two pairs a byte, the first in the lower half
    axes: Vectors  # (E, 2M)
    centers: Vectors  # (M, 16, 2)
    error_mean: Vectors
    error_spread: Vectors

    spared = SPARED

    def fit(self, rows: int, width: int) -> bool:
        """Whether the arrays fit together: what is on disk may be anything."""
        pairs = _pairs_of(width)
        learnt = self.axes, self.centers, self.error_mean, self.error_spread
        shapes: list[tuple[int, ...]] = [(width, 2 * pairs), (pairs, 16, 2), (width,), (width, width)]
        return (
            are_arrays(np.int64, (rows,), self.ids, self.files)
            and are_arrays(np.uint8, (rows, pairs // 2), self.codes)
            and all(are_arrays(np.float32, shape, part) for shape, part in zip(shapes, learnt, strict=True))
            and all(np.isfinite(part).all() for part in learnt)
        )

    def nearest(self, query: Vectors, count: int, allowed: Mask | None) -> Nearest:
        """The rows that are likely the best, in no order."""
        count = max(count, CANDIDATES + len(self.ids) // 1000)
        kept = None if allowed is None else allowed_rows(allowed, self.files)
        rows = len(self.ids) if kept is None else int(np.count_nonzero(kept))
        turned = query @ self.axes
        if rows <= max(count, FEW_SHARE * len(self.ids)) or ("faiss" not in sys.modules and rows <= self.spared):
            self.spared -= rows
            places = np.arange(rows) if kept is None else np.flatnonzero(kept)
            scores = self._estimate(turned, places)
            best = best_of(scores, count)
            places, scores = places[best], scores[best]
        else:
            places, scores = self._search(turned, count, kept)
        spread = float(query @ self.error_spread @ query)
        return Nearest(
            places, scores + query @ self.error_mean, SPREADS * max(spread, 0.0) ** 0.5 + 1e-6, len(places) >= rows
        )

    def agree(self, places: Numbers, vectors: Vectors) -> Mask:
        """Whether the rows at these places have the codes of these vectors."""
        same: Mask = (self.codes[places] == _compute_codes(self._quantizer, vectors @ self.axes)).all(1)
        return same

    def _estimate(self, turned: Vectors, places: Numbers) -> Vectors:
        """What the codes of these rows say of their cosines, with numpy."""
        of_pairs = np.einsum("mkd,md->mk", self.centers, turned.reshape(-1, 2))
        of_bytes = (of_pairs[1::2, :, None] + of_pairs[::2, None]).reshape(-1, 256)
        scores = np.zeros(len(places), np.float32)
        for start in range(0, len(places), AT_ONCE):
            part = scores[start : start + AT_ONCE]
            columns = np.ascontiguousarray(self.codes[places[start : start + AT_ONCE]].T)
            for table, column in zip(of_bytes, columns, strict=True):
                part += table[column]
        return scores

    def _search(self, turned: Vectors, count: int, kept: Mask | None) -> tuple[Numbers, Vectors]:
        """The rows whose estimates are best, with faiss."""
        import faiss

        options = None
        if kept is not None:
            options = faiss.SearchParametersIVF(sel=faiss.IDSelectorBitmap(np.packbits(kept, bitorder="little")))
        scores, places = self._index.search(turned[None], count, params=options)
        found = places[0] >= 0
        return places[0][found], scores[0][found]

    @cached_property
    def _quantizer(self) -> Any:
        import faiss

        quantizer = faiss.ProductQuantizer(self.axes.shape[1], len(self.centers), 4)
        faiss.copy_array_to_vector(np.array(self.centers).ravel(), quantizer.centroids)
        return quantizer

    @cached_property
    def _index(self) -> Any:
        """All codes in the order in which faiss looks at them. An inverted file, of one list, as only these take filters."""
        import faiss

        rows, (pairs, _, _) = len(self.ids), self.centers.shape
        only = faiss.IndexFlatIP(2 * pairs)
        only.add(np.zeros((1, 2 * pairs), np.float32))
        index = faiss.IndexIVFPQFastScan(only, 2 * pairs, 1, pairs, 4, faiss.METRIC_INNER_PRODUCT)
        index.pq, index.by_residual, index.is_trained = self._quantizer, False, True
        index.ntotal = rows
        lists = faiss.downcast_InvertedLists(index.invlists)
        lists.resize(0, rows)
        faiss.rev_swig_ptr(lists.get_ids(0), rows)[:] = np.arange(rows)
        blocks = faiss.rev_swig_ptr(lists.get_codes(0), -(-rows // IN_BLOCK) * IN_BLOCK * pairs // 2)
        blocks = blocks.reshape(-1, IN_BLOCK * pairs // 2)
        packer = index.get_CodePacker()
        for start in range(0, rows, AT_ONCE):
            some = np.zeros((-(-min(AT_ONCE, rows - start) // IN_BLOCK) * IN_BLOCK, pairs // 2), np.uint8)
            some[: rows - start] = self.codes[start : start + AT_ONCE]
            blocks[start // IN_BLOCK :][: len(some) // IN_BLOCK] = _pack(some, packer)
        return index


def encode(blocks: Iterable[tuple[Numbers, Numbers, Vectors]], sample: Vectors) -> Codes:
    """Learn from a sample (n, E) what codes say, and encode all rows: ids (n,), files (n,), vectors (n, E)."""
    import faiss

    faiss.omp_set_num_threads(
        1
    )  # of this thread: others search meanwhile, and two that wait for each other take longer
    axes = _even_axes(sample)
    pairs = axes.shape[1] // 2
    quantizer = faiss.ProductQuantizer(2 * pairs, pairs, 4)
    quantizer.cp.niter, quantizer.cp.min_points_per_centroid = ROUNDS, 1
    quantizer.train(sample @ axes)
    error = sample - quantizer.decode(_compute_codes(quantizer, sample @ axes)) @ axes.T
    parts = [
        (ids, files, _compute_codes(quantizer, np.nan_to_num(vectors) @ axes))  # a damaged row must not be left out
        for ids, files, vectors in blocks
    ]
    ids, files, codes = (np.concatenate(part) for part in zip(*parts, strict=True))
    centers = faiss.vector_to_array(quantizer.centroids).reshape(pairs, 16, 2)
    spread = (error - error.mean(0)).T @ (error - error.mean(0)) / len(error)
    return Codes(ids, files, codes, axes, centers, error.mean(0), spread)


def _pairs_of(width: int) -> int:
    return min(PAIRS_MOST, width // 4 * 2)


def _even_axes(sample: Vectors) -> Vectors:
    """Orthogonal axes (E, 2M), of which each two neighbours hold about as much of what varies in a sample (n, E)."""
    from_mean = sample - sample.mean(0)
    principal = np.linalg.eigh(from_mean.T @ from_mean)[1][:, ::-1].astype(np.float64)
    pairs = _pairs_of(sample.shape[1])
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((pairs, pairs)))[0]
    strong, weak = principal[:, :pairs] @ turn, principal[:, pairs : 2 * pairs][:, ::-1]
    return np.stack([strong, weak], 2).reshape(len(principal), -1).astype(np.float32)


def _compute_codes(quantizer: Any, turned: Vectors) -> Bytes:
    codes: Bytes = quantizer.compute_codes(np.ascontiguousarray(turned))
    return codes


def _pack(codes: Bytes, packer: Any) -> Bytes:
    """Codes (32 n, M / 2) → blocks (n, 16 M), as faiss reads them: the halves of a byte belong to rows that lie 16 apart."""
    import faiss

    rows = codes.reshape(-1, 2, 16, codes.shape[1])[:, :, HALF_ORDER]
    pairs = np.stack([part[:, 0] | part[:, 1] << 4 for part in (rows & 15, rows >> 4)], 1)  # (n, 2, 16, M / 2)
    blocks = pairs.transpose(0, 3, 1, 2).reshape(len(rows), -1)
    for number in range(len(blocks)):
        theirs = np.zeros_like(blocks[0])
        packer.pack_all(faiss.swig_ptr(codes[IN_BLOCK * number :]), faiss.swig_ptr(theirs))
        if (
            theirs == blocks[number]
        ).all():  # faiss itself takes three times as long: it is asked for the first one only
            break
        blocks[number] = theirs
    return blocks


def best_of(scores: Vectors, count: int) -> Mask:
    """Which scores are the best `count`, with all that tie with the last of them."""
    last = len(scores) - count
    return scores >= np.partition(scores, last)[last] if last > 0 else np.ones(len(scores), np.bool_)


def allowed_rows(allowed: Mask | None, files: Numbers) -> Mask:
    """Which rows belong to allowed files; files that are newer than the mask are not allowed."""
    if allowed is None:
        return np.ones(len(files), np.bool_)
    return np.append(allowed, False).take(files, mode="clip")


def are_arrays(kind: type, shape: tuple[int, ...], *arrays: npt.NDArray[Any]) -> bool:
    """Whether arrays have this type and shape."""
    return all(array.dtype == kind and array.shape == shape and array.flags.c_contiguous for array in arrays)
