"""What a store holds (files, recordings, tags), what it can be asked, and the interface of every store.

Stores know nothing of audio, text or models.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from openclap.batches import batches_until
from openclap.errors import Hint, LibraryError, LibraryMismatch
from openclap.file_facts import Facts
from openclap.options import SearchFilter
from openclap.silence import is_heard, track_vector

__all__ = [
    "File",
    "FileText",
    "Recording",
    "RememberedTags",
    "ScoredWindow",
    "SearchFilter",
    "Store",
    "StoreState",
    "Vectors",
    "WordMatch",
    "belongs_to_model",
    "width_mismatch",
]

Vectors = npt.NDArray[np.float32]
Seconds = npt.NDArray[np.float64]


FILES_AT_ONCE, SECONDS_AT_ONCE = 256, 100_000.0  # of files whose windows are in memory together
ELSEWHERE = 0.5
UNHASHED = "unknown "  # begins the `hash` of a file whose content was never hashed


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
        When it was last changed.
    hash : str
        Of its content; two files with one hash sound the same.
    seconds : float
        Its length.
    tags : tuple of str
        Sorted. `put` neither sets nor clears them, `tag` adds some, `untag` removes some. A store remembers the tags of
        content that leaves it, and gives them back when the content returns.
    reading : int
        The revision of decoding by which its windows were made; 1 where none was noted.
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
        """Whether its content was hashed; libraries of format 1 did not do that."""
        return not self.hash.startswith(UNHASHED)


@dataclass(frozen=True)
class FileText:
    """What a file is called and says of itself, as `openclap.words` splits it.

    Attributes
    ----------
    name, folders, tags : str
        Words of the file's name, of the folders around it and of its tags, separated by spaces.
    facts : tuple of (str, str)
        Names of `file_facts.FACTS` with values as they are shown.
    """

    name: str = ""
    folders: str = ""
    tags: str = ""
    facts: Facts = ()


@dataclass(frozen=True, eq=False)
class Recording:
    """A file with its windows: `start` and `end` in seconds (W,), unit rows `embedding` float32 (W, E).

    Its `text` is None where nobody has read it; `put` then keeps the one that the store has. `level` float32 (W,), in dB
    of full scale, is None where nobody has measured it, and a single level is NaN there.
    """

    file: File
    start: Seconds
    end: Seconds
    embedding: Vectors
    text: FileText | None = None
    level: Vectors | None = None

    @property
    def levels(self) -> Vectors:
        """The levels of the windows (W,), NaN where they are unknown."""
        return np.full(len(self.start), np.nan, np.float32) if self.level is None else self.level

    @property
    def heard(self) -> npt.NDArray[np.bool_]:
        """In which windows something is heard (W,)."""
        return is_heard(self.levels)

    @property
    def track(self) -> Vectors:
        """The vector (E,) of the whole recording, see `silence.track_vector`."""
        return track_vector(self.embedding, self.levels)


@dataclass(frozen=True)
class RememberedTags:
    """The tags that content had when it left a library, or a path of it.

    Content that has `moved` took its tags along; these come back only at the old path, if the content does.
    """

    hash: str
    path: str
    tags: tuple[str, ...]
    moved: bool = False


@dataclass(frozen=True)
class ScoredWindow:
    """A window of a library, its cosine with a query, its vector (E,), and whether nothing is heard in it."""

    path: str
    start: float
    end: float
    score: float
    embedding: Vectors = field(repr=False, compare=False)
    silent: bool = False


@dataclass(frozen=True)
class WordMatch:
    """A file of a library, and those of the words asked for that it is called by, in their order.

    `share` in [0, 1] is how much of the question that is: rare words count more than common ones, and words of folders
    and tags `ELSEWHERE` of what those of the name do.
    """

    path: str
    matched: tuple[str, ...]
    share: float

    @classmethod
    def of(
        cls, path: str, rarity: Mapping[str, float], matched: Collection[str], in_name: Collection[str]
    ) -> WordMatch:
        """The match of a file; `rarity` has every word asked for, in order."""
        found = sum(rarity[word] * (1.0 if word in in_name else ELSEWHERE) for word in matched)
        return cls(path, tuple(word for word in rarity if word in matched), found / sum(rarity.values()))


@dataclass(frozen=True)
class StoreState:
    """What tells whether a store has changed: by others, and by this thread itself where a store knows that apart."""

    by_others: object = None
    by_itself: int = 0


class Store(Protocol):
    """Files, their windows and the unit vectors of these, on disk; `tests/test_stores.py` runs over every store.

    What the calls mean is said here alone; a store says what is special about it.

    Each call that writes is one transaction: when it has returned, its work survives whatever happens to the process.
    """

    place: str  # the path or address that `open_store` takes, which errors name
    shared: bool  # whether other machines may write to it

    def model_identity(self) -> dict[str, Any]:
        """The model that made the vectors, as facts by name; empty in a new store."""

    def claim(self, maker: dict[str, Any]) -> dict[str, Any]:
        """Note the model that makes the vectors, where none is noted → the one that is noted now."""

    def put(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows, or replace them."""

    def restore(self, recordings: Sequence[Recording]) -> None:
        """Add files with their windows and tags."""
        self.put(recordings)
        for recording in recordings:
            self.tag([recording.file.path], recording.file.tags)

    def update_facts(self, files: Sequence[File]) -> None:
        """Note new sizes, times and revisions of reading for files whose content is unchanged."""

    def move(self, moves: Sequence[tuple[str, File]], texts: Mapping[str, FileText] | None = None) -> list[str]:
        """Give files, with windows and tags, another path; files that the store had at new paths are replaced.

        `moves` are pairs of an old path and the file as it is now; `texts` are those of new paths, and files without
        one here keep theirs. Returns the new paths of files that were moved; a file with another content by now is not.
        """

    def note_texts(self, texts: Mapping[str, FileText]) -> None:
        """Note the texts of files, by path; what is not in the store is left out."""

    def texts(self, paths: Iterable[str]) -> dict[str, FileText]:
        """The texts of these files, by path; those that have none are left out."""

    def without_text(self, paths: Iterable[str]) -> list[str]:
        """Those of these files in the store whose texts were never read."""

    def delete(self, paths: Iterable[str]) -> int:
        """Forget files → how many there were."""

    def tag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Put tags on files."""

    def untag(self, paths: Iterable[str], tags: Sequence[str]) -> None:
        """Take tags off files, and forget that their content, or what was at these paths before, ever had them.

        So they do not come back when the content leaves and returns, or moves to a path where it was before.
        """

    def remembered_tags(self) -> list[RememberedTags]:
        """Remembered tags of content that has left, in no order."""

    def remember_tags(self, tags: Sequence[RememberedTags]) -> None:
        """Remember tags of content that is not in the store."""

    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        """The files at these paths that are in the store, by path."""

    def find_by_hash(self, hashes: Iterable[str]) -> dict[str, list[File]]:
        """The files with these hashes of content, by hash."""

    def files(self, where: SearchFilter | None = None) -> Iterator[File]:
        """Every file, by path."""

    def recordings(self, paths: Sequence[str]) -> Iterator[Recording]:
        """The files at these paths that are in the store, with their windows."""

    def tag_counts(self) -> dict[str, int]:
        """The numbers of files with each tag, by tag, in the order of the alphabet."""

    def window_counts(self, paths: Iterable[str]) -> dict[str, int]:
        """The numbers of windows of these files, by path; what is not in the store is left out."""

    def recording(self, path: str) -> Recording | None:
        """One file with its windows; None where it is not in the store."""
        return next(self.recordings([path]), None)

    def scan(self, where: SearchFilter | None = None) -> Iterator[Recording]:
        """Every file with its windows, by path, in bounded memory."""
        maker = self.model_identity()
        for some in batches_until(self.files(where), _fill_memory):
            if self.model_identity() != maker:
                raise LibraryMismatch(f"{self.place} was taken over by another model meanwhile; start again")
            yield from self.recordings([file.path for file in some])

    def nearest(
        self, query: Vectors, k: int, *, where: SearchFilter | None = None, per_file: bool = True
    ) -> list[ScoredWindow]:
        """The k windows with the highest cosine to a unit vector (E,), best first; with `per_file`, one of each file.

        Silent windows are left out. Ties are ordered by path and start. What any process has put a moment ago is found.
        """

    def nearest_in(self, query: Vectors, paths: Iterable[str]) -> list[ScoredWindow]:
        """The window with the highest cosine to a unit vector (E,) of each of these files, best first.

        Of a file that is silent throughout, it is a silent window; these come last.
        """

    def has_levels(self) -> bool:
        """Whether the level of every window is known; libraries of before do not know them."""

    def tracks(self, paths: Iterable[str]) -> dict[str, Vectors]:
        """The vectors (E,) of whole recordings (`silence.track_vector`), by path; of those that are in the store."""

    def match_words(self, words: Sequence[str], k: int, *, where: SearchFilter | None = None) -> list[WordMatch]:
        """The k files that are called by most of these words, best first.

        Of as many words the rarer ones count more, and those of a file's own name more than those of folders and tags;
        then shorter names, then paths are in order. Words are those of `words.split_words`; several in one string must
        stand together.
        """

    def sample(self, count: int) -> Vectors:
        """Vectors from all over the store (at most count, E); the same ones until the store changes."""

    def optimize(self) -> None:
        """Bring caches and indexes up to date, so that the next search does not have to."""

    def check(self) -> list[str]:
        """Find what is damaged on disk → in words; an empty list if nothing is."""

    def repair(self) -> list[str]:
        """Mend what `check` finds → what was done, in words; files that have lost rows leave, to be indexed again."""

    def state(self) -> StoreState:
        """What is another one once anything in the store has changed, whoever did it; for one thread to compare."""

    def path_bounds(self) -> list[str]:
        """Some paths between which all others are, in the order of their letters; none in an empty store."""
        paths = [file.path for file in self.files()]
        return [min(paths), max(paths)] if paths else []

    def is_empty(self) -> bool:
        """Whether there is no file: every search asks, so nothing is read that is not needed."""

    def stats(self) -> dict[str, Any]:
        """files, windows, seconds, bytes on disk."""

    def lock(self) -> AbstractContextManager[object]:
        """Hold the lock for re-embedding; another process that tries is refused."""

    def staging(self, maker: dict[str, Any]) -> Store:
        """A store beside this one, for another model; what a stopped run of the same model has put there is kept."""

    def swap_in(self, staging: Store) -> None:
        """Replace what this store holds by what a `staging` store holds, in one step; that store is then gone."""

    def close(self) -> None:
        """Close files and connections; the next call opens them again."""


def _fill_memory(files: Sequence[File]) -> bool:
    """Whether the windows of these files are as many as may be in memory together."""
    return len(files) == FILES_AT_ONCE or sum(file.seconds for file in files) > SECONDS_AT_ONCE


def belongs_to_model(store: Store, maker: dict[str, Any]) -> bool:
    """Whether a store was made by this model, or by none yet; a broken store was not."""
    try:
        return store.model_identity() in ({}, maker)
    except LibraryError:
        return False


def width_mismatch(got: int, has: int) -> LibraryError:
    """The error for vectors of `got` numbers in a library of vectors of `has` numbers."""
    return LibraryError(f"vectors of {got} numbers do not fit a library of vectors of {has}", Hint("other_library"))
