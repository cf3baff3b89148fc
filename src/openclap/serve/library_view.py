"""A library as the service shows it: its files are called by names below their common folder.

Where on the server's disk that folder lies is told to nobody: filters are names and patterns below it as well. What can
still be asked for are words of folders between the one that was indexed and the common one: they are words of files as
all others are, by the choice of who indexed them (docs/service.md says how to leave them out).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from openclap.clap import CLAP
from openclap.detector import Detector
from openclap.errors import LibraryError, RequestRefused, UsageError
from openclap.library import Library
from openclap.library.filtering import collection_to_tag
from openclap.library.listing import shown_name
from openclap.library.query import Query, read_question
from openclap.library.search import By, Per
from openclap.library.served_files import ServedFiles
from openclap.normalization import Vectors
from openclap.results import Hit, Moment, Ranked, Step
from openclap.store import SearchFilter, StoreState
from openclap.teach import counter_examples, suggest

__all__ = ["LibraryView"]

R = TypeVar("R", Hit, Moment, Step)


class LibraryView:
    """A library that one thread uses.

    Parameters
    ----------
    roots
        Folders that its files are read from, no link followed below them; none, the folder that all of them lie in.
        Nothing of a file is told but where something is heard in it.
    """

    def __init__(self, place: str, clap: CLAP, roots: Sequence[str | os.PathLike[str]] = ()) -> None:
        self._library = Library.open(place, model=clap)
        self._root: str | None = None  # with a separator at its end
        self._state: StoreState | None = None  # when the root was found
        self._served = ServedFiles(roots)
        self._named = bool(roots)

    def search(
        self,
        query: Query | None,
        k: int,
        filter: SearchFilter,
        *,
        without: Sequence[str] = (),
        per: Per = "file",
        by: By = "both",
        like: str | None = None,
    ) -> Ranked[Hit]:
        """Search as `Library.search` does; `within` and `path` are below the library's common folder.

        `like` is the absolute path of a recording of the library, which the hits should sound like, too.
        """
        self._require_sounds()
        inside = None if filter.within is None else tuple(self._path_of(name) for name in filter.within)
        placed = replace(filter, within=inside, path=self._pattern_of(filter.path))
        if query is not None:
            self._require_collections(query, placed)
        if like is not None:
            end = self._library.end(like)
            if end is None:
                raise RequestRefused("the sound to look for has left the library", 404, "sound_not_found")
            given = [] if query is None else query if isinstance(query, list) else [query]
            query = [*given, end.vector] if given else end.vector
            placed = replace(placed, outside=(*placed.outside, like))
        assert query is not None, "there is something to look for"
        return self._name_hits(self._library.search(query, k, without=without, per=per, by=by, filter=placed))

    def moments(self, query: Query, k: int, stop: threading.Event | None = None) -> Ranked[Moment]:
        """Find moments as `Library.moments` does."""
        self._require_sounds()
        self._require_collections(query, SearchFilter())
        return self._name_hits(self._library.moments(query, k, served=self._served, stop=stop))

    def journey(self, ends: Sequence[tuple[str, bool]], n: int) -> Ranked[Step]:
        """Walk as `Library.journey` does; an end is an absolute path, or words where it is no path."""
        self._require_sounds()
        first, last = (self._library.end(text) if is_path else text for text, is_path in ends)
        if first is None or last is None:
            raise RequestRefused("an end of the journey has left the library", 404, "sound_not_found")
        return self._name_hits(self._library.journey(first, last, n))

    # -- teaching --------------------------------------------------------------------------------------

    def examples(self, wanted: Sequence[tuple[str, tuple[float, float] | None]]) -> list[Vectors | None]:
        """The rows (E,) of files at absolute paths, or of windows in them; None for what is not there as it is now."""
        return [self._library.embedding(path, window=window) for path, window in wanted]

    def counter_examples(self, yes: Vectors) -> Vectors:
        """Windows from all over the library (K, E), as `teach.counter_examples`."""
        return counter_examples(self._library, yes)

    def rank(self, detector: Detector, k: int, next_: int, marked: Sequence[str]) -> tuple[Ranked[Hit], list[Hit]]:
        """The `k` best hits of a detector, and the `next_` recordings to mark next; those `marked` are left out of these."""
        try:
            self._require_sounds()
        except RequestRefused:  # it is empty
            return Ranked([]), []
        ranked = self.search(detector, k, SearchFilter()) if k else Ranked[Hit]([])
        following = suggest(self._library, detector, next_, marked=marked) if next_ else []
        return ranked, list(self._name_hits(Ranked(following)))

    def close(self) -> None:
        """Close the library."""
        self._library.close()

    def _require_collections(self, query: Query, filter: SearchFilter) -> None:
        """Refuse a collection that is not there, without naming those that are, as the library itself does."""
        asked = read_question(query, where=filter).filter.collections
        there = {collection_to_tag(one.name) for one in self._library.collections()} if asked else set()
        for name in asked:
            if collection_to_tag(name) not in there:
                raise UsageError(f"there is no collection {name!r} in this library")

    def _require_sounds(self) -> None:
        state = self._library.state()
        if state != self._state:  # the routes of the library call files by names below the same folder
            self._find_root()
            self._state = state
        if self._root is None:
            raise RequestRefused(
                "this server's library holds no sounds yet; whoever runs it can fill it",
                409,
                "empty_library",
            )

    def _find_root(self) -> None:
        """Find the folder that all files lie in."""
        folder = self._library.common_folder()
        if folder is None:
            self._root = None
            return
        self._root = folder.rstrip(os.sep) + os.sep
        if not self._named:
            self._served = ServedFiles([folder])

    def _name_hits(self, found: Ranked[R]) -> Ranked[R]:
        if not all(one.path.startswith(self._root or "") for one in found):  # files were added elsewhere meanwhile
            self._find_root()
        if self._root is None:
            raise LibraryError("the library was emptied meanwhile")
        named = (replace(one, path=shown_name(one.path, self._root or "")) for one in found)
        return Ranked(
            named,
            found.left_out,
            calibrated=found.calibrated,
            unknown=found.unknown,
            understood=found.understood,
            by=found.by,
        )

    def _path_of(self, name: str) -> str:
        if "\0" in name or name.startswith("/") or ".." in name.split("/"):
            raise UsageError(f"within holds {name!r}; give names as a search gives them, or the folders in them")
        return f"{self._root}{name}"

    def _pattern_of(self, glob: str | None) -> str | None:
        """Put the common folder before a pattern, so that patterns cannot be used to guess where the library lies."""
        if glob is None:
            return None
        if glob.startswith("/") or "\0" in glob:
            raise UsageError(f"path is {glob!r}; give a pattern below the library's folder, as *.wav or */rain/*")
        root = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(self._root)[:-1])
        return f"{root or '*'}{glob}" if glob.startswith("*") else f"{root or ''}*/{glob}"
