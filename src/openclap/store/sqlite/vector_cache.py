"""All vectors of a store → arrays on disk, and the rows that are nearest to a query.

They are a cache, which can be deleted at any time.

    cache/current            the name of the generation that counts, renamed into place last
    cache/<generation>/      ids, files (N,), and the vectors (N, E), or from 50 000 rows on the arrays of `Codes`

Where there are few rows a search looks at all vectors; where there are many, at all codes. Rows newer than the generation are
held in memory and always looked at. Rows have numbers here, and so have the files they belong to; the cache knows nothing else
of them.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from openclap.atomic_write import atomic_write
from openclap.plurals import count_noun
from openclap.regular_files import read_regular, require_regular
from openclap.store.sqlite.codes import (
    Codes,
    Mask,
    Nearest,
    Numbers,
    Vectors,
    allowed_rows,
    are_arrays,
    best_of,
    encode,
)

__all__ = ["SAME", "Block", "NearestRows", "VectorCache"]

Block = tuple[Numbers, Numbers, Vectors]  # ids (n,), files (n,), vectors (n, E)

VERSION = 2
CODED_FROM = 50_000  # rows; below, looking at every vector takes 2 ms, and faiss need not be imported
LEARNT_FROM = 20_000  # rows that codes are learnt from
ROWS_AT_ONCE = 16_384
SAME = 1e-6  # cosines that differ by less are the same


@dataclass(frozen=True, eq=False)
class NearestRows:
    """Rows that seem best, best first, with their cosines or estimates of these.

    Estimates may be wrong by `margin`, one way or the other; no row that is not among these has one above `beyond`, which is
    -inf where all rows are.
    """

    ids: Numbers
    scores: Vectors
    margin: float
    beyond: float


@dataclass(eq=False)
class _Rows:
    """Rows with their vectors; every search looks at all of them."""

    ids: Numbers
    files: Numbers
    vectors: Vectors

    def fit(self, rows: int, width: int) -> bool:
        """Whether the arrays fit together: what is on disk may be anything."""
        return are_arrays(np.int64, (rows,), self.ids, self.files) and are_arrays(
            np.float32, (rows, width), self.vectors
        )

    def nearest(self, query: Vectors, count: int, allowed: Mask | None) -> Nearest:
        """The places of the best rows, in no order, with all that tie with the last of them."""
        places = np.flatnonzero(allowed_rows(allowed, self.files))
        few = len(places) < 0.2 * len(self.ids)
        scores = self.vectors[places] @ query if few else (self.vectors @ query)[places]
        best = best_of(scores, count)
        return Nearest(places[best], scores[best], SAME, bool(best.all()))

    def agree(self, places: Numbers, vectors: Vectors) -> Mask:
        """Whether the rows at these places have these vectors."""
        same: Mask = (self.vectors[places] == vectors).all(1)
        return same


class VectorCache:
    """The arrays of one store; `identity` is the store's, so that the cache of another one is not used."""

    def __init__(self, folder: Path, identity: str, width: int) -> None:
        self.folder = folder
        self.identity = identity
        self.width = width
        self._facts = {"format": "openclap-vectors", "version": VERSION, "identity": identity, "width": width}
        self._base: _Rows | Codes = _join([], width)
        self._new = _join([], width)
        self.last = 0  # the highest row number in the cache

    # -- on disk -------------------------------------------------------------------------------------

    def load(self) -> bool:
        """Map the current generation into memory → whether there is a usable one."""
        try:
            name = read_regular(self.folder / "current").decode().strip()
            place = self.folder / Path(name).name
            manifest = json.loads(read_regular(place / "manifest.json").decode())
            if any(manifest[fact] != value for fact, value in self._facts.items()) or int(manifest["last"]) < 0:
                return False
            kind = Codes if manifest["coded"] else _Rows
            files = {field.name: place / f"{field.name}.npy" for field in fields(kind)}
            for file in files.values():
                require_regular(file)
            arrays = {name: np.load(file, mmap_mode="r") for name, file in files.items()}
            base = kind(**{name: np.asarray(array) for name, array in arrays.items()})  # its own class is slow
            if not base.fit(int(manifest["rows"]), self.width):
                return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, EOFError):
            return False
        self._base, self._new, self.last = base, _join([], self.width), int(manifest["last"])
        return True

    def build(self, blocks: Iterable[Block], rows: int, sample: Callable[[int], Vectors]) -> None:
        """Write a generation with these rows, make it the current one, and use it.

        Parameters
        ----------
        blocks
            Rows in order of their numbers.
        rows
            How many rows there are in all.
        sample
            Gives that many vectors (n, E) from all over the store, or fewer; it is only called where there are many rows.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f"making-{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            coded = rows >= CODED_FROM and self.width >= 4
            made = encode(blocks, sample(LEARNT_FROM)) if coded else _join(blocks, self.width)
            assert len(made.ids) == rows, (len(made.ids), rows)
            last = int(made.ids.max()) if rows else 0
            for field in fields(made):
                np.save(aside / f"{field.name}.npy", getattr(made, field.name))
            manifest = {**self._facts, "rows": rows, "last": last, "coded": coded}
            (aside / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
            for file in aside.iterdir():
                _fsync(file)
            name = f"{last}-{rows}-{os.getpid()}"
            shutil.rmtree(self.folder / name, ignore_errors=True)
            os.replace(aside, self.folder / name)
            with atomic_write(self.folder / "current", own=True) as pointer:
                pointer.write_text(name, encoding="utf-8")
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        for other in self.folder.iterdir():
            if other.is_dir() and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
        self.load()

    # -- in memory -----------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """The number of rows, with those that were deleted since."""
        return len(self._base.ids) + len(self._new.ids)

    @property
    def newer(self) -> int:
        """The number of rows that are not on disk yet."""
        return len(self._new.ids)

    def extend(self, blocks: Iterable[Block]) -> None:
        """Add rows that are newer than the generation, in memory."""
        self._new = _join([(self._new.ids, self._new.files, self._new.vectors), *blocks], self.width)
        if len(self._new.ids):
            self.last = int(self._new.ids[-1])

    def nearest(self, query: Vectors, count: int, allowed: Mask | None = None) -> NearestRows:
        """The rows that seem best, best first: `count` or more; fewer where there are fewer.

        Parameters
        ----------
        allowed : bool (highest file number + 1,)
            Which files may be found.
        """
        held = [part for part in (self._base, self._new) if len(part.ids)]
        found = [part.nearest(query, count, allowed) for part in held]
        ids = np.concatenate([part.ids[near.places] for part, near in zip(held, found, strict=True)])
        scores = np.concatenate([near.scores for near in found])
        order = np.argsort(-scores, kind="stable")
        beyond = [float(near.scores.min()) for near in found if not near.everything]
        return NearestRows(
            ids[order], scores[order], max(near.margin for near in found), max(beyond, default=-math.inf)
        )

    def differs(self, true: Callable[[list[int]], dict[int, Vectors]]) -> list[str]:
        """Find rows on disk that differ from those of the store → in words; deleted rows do not count."""
        wrong, ids = 0, self._base.ids
        for start in range(0, len(ids), ROWS_AT_ONCE):
            known = true(ids[start : start + ROWS_AT_ONCE].tolist())
            whole = {number: vector for number, vector in known.items() if vector.shape == (self.width,)}
            places = start + np.flatnonzero(np.isin(ids[start : start + ROWS_AT_ONCE], list(whole)))
            vectors = np.array([whole[number] for number in ids[places].tolist()], np.float32)
            wrong += len(known) - int(self._base.agree(places, vectors.reshape(-1, self.width)).sum())
        said = f"{wrong} of {count_noun(len(ids), 'cached vector')} {'differs' if wrong == 1 else 'differ'}"
        return [said] if wrong else []


def _join(blocks: Iterable[Block], width: int) -> _Rows:
    """All rows of some blocks."""
    none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, width), np.float32)
    return _Rows(*(np.concatenate(parts) for parts in zip(none, *blocks, strict=True)))


def _fsync(path: Path) -> None:
    """Write a file to the disk: a power cut must not leave one of the right size without its content."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
