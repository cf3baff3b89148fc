"""Several libraries that are asked as one: the best of each, merged by what their order goes by.

library A ─ k best ─┐
library B ─ k best ─┴─ by relevance, or by the cosine ─ k best
library C, empty      a warning
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from openclap.errors import LibraryError, LibraryWarning
from openclap.library.library import Library
from openclap.results import Hit, Moment, Ranked
from openclap.warn_caller import warn_caller

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.library.filtering import Paths
    from openclap.library.query import Query
    from openclap.store import Recording

__all__ = ["SeveralLibraries"]

R = TypeVar("R", Hit, Moment)


class SeveralLibraries:
    """Libraries that one model made, asked as if they were one; nothing is added to them.

    Parameters
    ----------
    libraries
        One or more, opened with the same model.
    """

    def __init__(self, libraries: Sequence[Library]) -> None:
        self.libraries = list(libraries)
        self._told: set[int] = set()  # places in `libraries` of those that were found empty, and named

    @classmethod
    def open(cls, places: Iterable[str | os.PathLike[str]], model: CLAP) -> SeveralLibraries:
        """Open libraries, each as `Library.open` does; a place that is named twice counts once.

        Raises
        ------
        LibraryMismatch
            One was made by another model.
        LibraryError
            One is not there, or cannot be read: answers without it would look like those of all.
        """
        named = list(dict.fromkeys(os.fspath(place) for place in places))
        for place in named:
            if "://" not in place and not os.path.lexists(os.path.expanduser(place)):
                raise LibraryError(f"{place}: there is no library; check the path, or leave it out")
        return cls([Library.open(place, model=model) for place in named])

    def search(self, query: Query, k: int = 10, **options: Any) -> Ranked[Hit]:
        """As `Library.search`, over all of them. A file that several hold is found once, at its best place.

        Warns
        -----
        LibraryWarning
            Some are empty; once for each of them.
        """
        found = [library.search(query, k, **options) for library in self._with_sounds()]
        windows = options.get("per") == "window"
        key = (lambda hit: (hit.path, hit.start, hit.end)) if windows else (lambda hit: hit.path)
        return _merge(found, k, lambda hit: hit.score if hit.relevance is None else hit.relevance, key)

    def moments(self, query: Query, k: int = 10, **options: Any) -> Ranked[Moment]:
        """As `Library.moments`, over all of them; warns as `search` does."""
        found = [library.moments(query, k, **options) for library in self._with_sounds()]
        return _merge(found, k, lambda moment: moment.score, lambda moment: (moment.path, moment.start, moment.end))

    def _with_sounds(self) -> list[Library]:
        """Those that hold sounds; all where none does, as each says by itself what to do then."""
        filled = [bool(library.stats()["files"]) for library in self.libraries]
        if not any(filled):
            return self.libraries
        for number, library in enumerate(self.libraries):
            if not filled[number] and number not in self._told:
                self._told.add(number)
                warn_caller(f"{library.stats()['path']} holds no sounds yet; the others are searched", LibraryWarning)
        return [library for library, has_sounds in zip(self.libraries, filled, strict=True) if has_sounds]

    def lengths(self, paths: Iterable[str]) -> dict[str, float]:
        """As `Library.lengths`."""
        wanted = list(paths)
        return {path: seconds for library in self.libraries for path, seconds in library.lengths(wanted).items()}

    def paths(self, within: Paths | None = None) -> Iterator[str]:
        """As `Library.paths`."""
        return (path for library in self.libraries for path in library.paths(within))

    def recordings(self, most: int | None = None, *, within: Paths | None = None) -> Iterator[Recording]:
        """As `Library.recordings`."""
        return (one for library in self.libraries for one in library.recordings(most, within=within))

    def stats(self) -> dict[str, Any]:
        """How many files and windows all of them hold."""
        all_ = [library.stats() for library in self.libraries]
        return {name: sum(stats[name] for stats in all_) for name in ("files", "windows")}


def _merge(found: Sequence[Ranked[R]], k: int, order: Callable[[R], float], key: Callable[[R], Any]) -> Ranked[R]:
    best: dict[Any, R] = {}
    for one in sorted((one for some in found for one in some), key=order, reverse=True):
        best.setdefault(key(one), one)
    named = [some.by for some in found if some]
    return Ranked(
        list(best.values())[:k],
        sum(some.left_out for some in found),
        calibrated=all(some.calibrated for some in found),
        unknown={word.word: word for some in found for word in some.unknown}.values(),
        understood=dict.fromkeys(text for some in found for text in some.understood),
        by=named[0] if named else found[0].by,
    )
