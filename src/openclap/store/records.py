"""What a store holds and what it must be able to do. Knows nothing of audio, text or models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from openclap.errors import LibraryError

__all__ = [
    "File",
    "Recording",
    "RememberedTags",
    "ScoredWindow",
    "SearchFilter",
    "Store",
    "Vectors",
    "belongs_to_model",
    "width_mismatch",
]

Vectors = npt.NDArray[np.float32]
Seconds = npt.NDArray[np.float64]


UNHASHED = "unknown "  # begins what stands for a hash where none was made


@dataclass(frozen=True)
class File:
    """A file of the library, as it was when it was embedded.

    Attributes
    ----------
    path : str
        Absolute.
    size : int
        Bytes.
    mtime_ns : int
    hash : str
        Of its content; two files with one hash sound the same.
    seconds : float
        Length.
    tags : tuple of str
        Sorted; `put` neither sets nor clears them, `tag` adds some. A store remembers those of content that leaves it,
        and gives them back when it returns.
    reading : int
        The revision of decoding by which its windows were made; 1 where that was not noted yet.
    """

    path: str
    size: int
    mtime_ns: int
    hash: str
    seconds: float
    tags: tuple[str, ...] = field(default=(), compare=False)
    reading: int = 1

    @property
    def is_hashed(self) -> bool:
        """Whether its content was hashed: the first version did not."""
        return not self.hash.startswith(UNHASHED)


@dataclass(frozen=True, eq=False)
class Recording:
    """A file with its windows: `start` and `end` in seconds (W,), unit rows `embedding` float32 (W, E)."""

    file: File
    start: Seconds
    end: Seconds
    embedding: Vectors


@dataclass(frozen=True)
class RememberedTags:
    """The tags that content had when it left a library, at the path where it lay.

    Content that has `moved` took them along: they come back at the old path alone, as where its disk was only away.
    """

    hash: str
    path: str
    tags: tuple[str, ...]
    moved: bool = False


@dataclass(frozen=True)
class ScoredWindow:
    """A window of a library, its cosine with a query, and its vector (E,)."""

    path: str
    start: float
    end: float
    score: float
    embedding: Vectors = field(repr=False, compare=False)


@dataclass(frozen=True)
class SearchFilter:
    """Which files of a library a search may find; a field that is None or empty allows all.

    Attributes
    ----------
    within : tuple of str
        Files, and folders that the files must lie in; absolute paths where a store is asked.
    path : str
        A pattern for the whole path: `*` is anything, `?` one character, `[…]` one of these; see `path_patterns`.
    min_seconds, max_seconds : float
        The length of the file.
    after, before : float
        When the file was last changed: seconds since 1970.
    tags : tuple of str
        All of them must be on the file.
    outside : tuple of str
        Files and folders that are left out.

    Paths, patterns and tags also fit other spellings of the same text: é as one sign, or as e with an accent.
    """

    within: tuple[str, ...] | None = None
    path: str | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    after: float | None = None
    before: float | None = None
    tags: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


class Store(Protocol):
    """Files, their windows and the windows' unit vectors, on disk. `tests/test_stores.py` runs over every one.

    Each writing call is one transaction: when it has returned, its work survives whatever happens to the process.
    """

    place: str  # what `open_store` opens, and how it is called in errors
    shared: bool  # whether other machines may write to it

    def model_identity(self) -> dict[str, Any]:
        """What made the vectors; empty in a new store."""

    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        """Become the maker where there is none yet → the maker there is now."""

    def put(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows, or replace them."""

    def update_facts(self, files: Sequence[File]) -> None:
        """Note new sizes, times and revisions of reading of files whose content is what it was."""

    def move(self, moves: Sequence[tuple[str, File]]) -> list[str]:
        """Give files another path (old path, file as it is now), windows and tags with them → the paths of those moved."""

    def delete(self, paths: Iterable[str]) -> int:
        """Forget files → how many there were."""

    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Put tags on files."""

    def remembered_tags(self) -> list[RememberedTags]:
        """Tags of content that has left, in no order."""

    def remember_tags(self, tags: Sequence[RememberedTags]) -> None:
        """Remember tags of content that is not here."""

    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        """Those of the files that are in the store."""

    def find_by_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        """The files of each content."""

    def files(self, where: SearchFilter | None = None) -> Iterator[File]:
        """Every file, by path."""

    def recording(self, path: str) -> Recording | None:
        """One file with its windows."""

    def scan(self, where: SearchFilter | None = None) -> Iterator[Recording]:
        """Every file with its windows, by path, in bounded memory."""

    def nearest(
        self, query: Vectors, k: int, *, where: SearchFilter | None = None, per_file: bool = True
    ) -> list[ScoredWindow]:
        """The windows with the highest cosine to a unit vector (E,), best first; `per_file`, the best of each file.

        Ties are ordered by path and start. What was put a moment ago, by any process, is found.
        """

    def sample(self, count: int) -> Vectors:
        """Rows from all over the store, the same ones as long as it does not change: (at most count, E)."""

    def optimize(self) -> None:
        """Bring the caches up to date, so that the next search need not."""

    def check(self) -> list[str]:
        """What is wrong with what is on disk, in words; nothing if nothing is."""

    def repair(self) -> list[str]:
        """Mend what `check` finds → what was done, in words."""

    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk."""

    def lock(self) -> AbstractContextManager[object]:
        """Nobody else makes one aside meanwhile; another who tries is refused."""

    def staging(self, maker: dict[str, Any]) -> Store:
        """A store of another maker beside this one; what an earlier one of the same maker holds is still there."""

    def swap_in(self, aside: Store) -> None:
        """Hold what the one beside holds, which is then gone; in one step."""

    def close(self) -> None:
        """Let go of files and connections."""


def belongs_to_model(store: Store, maker: dict[str, Any]) -> bool:
    """Whether what an earlier run made aside is of this maker, or of none yet; what is broken is not."""
    try:
        return store.model_identity() in ({}, maker)
    except LibraryError:
        return False


def width_mismatch(got: int, has: int) -> LibraryError:
    """What to say of vectors that do not fit."""
    return LibraryError(f"vectors of {got} numbers do not fit a library of vectors of {has}; use another --library")
