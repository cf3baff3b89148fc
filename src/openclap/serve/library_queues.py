"""The views of the library that requests use at once, each with a queue and a thread of its own.

One is for searches, some for moments, which take long, and one for lessons, so that no search waits for these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from openclap.clap import CLAP
from openclap.errors import LibraryMismatch, RequestRefused
from openclap.serve.batching import BatchQueue
from openclap.serve.library_view import LibraryView

__all__ = ["LibraryQueues"]

Calls: TypeAlias = BatchQueue[Callable[[], Any], Any]
View: TypeAlias = tuple[Calls, LibraryView]

MOMENTS = 3  # searches for moments in the library at once


class LibraryQueues:
    """The library of a service, opened once for each thread that uses it.

    Parameters
    ----------
    place
        None: the service has no library.
    any_library
        A library of another model is no error here; who asks for it is told so.

    Raises
    ------
    LibraryError
        The library cannot be used.
    """

    def __init__(
        self, place: str | None, clap: CLAP, roots: Sequence[str | os.PathLike[str]], *, any_library: bool
    ) -> None:
        self._views: list[View] = []
        self._mismatch: LibraryMismatch | None = None
        names = () if place is None else ("search", *(f"moments-{i}" for i in range(MOMENTS)), "lessons")
        try:
            for name in names:
                assert place is not None
                view = LibraryView(place, clap, roots)
                self._views.append((BatchQueue(name, lambda calls: [call() for call in calls]), view))
        except LibraryMismatch as error:
            if not any_library:
                raise
            self._mismatch = error

    @property
    def is_usable(self) -> bool:
        """Whether there is a library that the loaded model can search in."""
        return bool(self._views) and self._mismatch is None

    @property
    def queues(self) -> list[Calls]:
        """The queues, for whoever counts what waits in them and closes them."""
        return [queue for queue, _ in self._views]

    # each raises RequestRefused where there is no library, and LibraryMismatch where another model made it

    def searches(self) -> View:
        """Queue and view for searches."""
        return self._all()[0]

    def lessons(self) -> View:
        """Queue and view for lessons."""
        return self._all()[-1]

    def moments(self) -> View:
        """Queue and view for moments, those that are least busy."""
        return min(self._all()[1:-1], key=lambda one: one[0].unfinished)

    def close(self) -> None:
        """Close the views, when their queues are closed."""
        for _, view in self._views:
            view.close()

    def _all(self) -> list[View]:
        if self._mismatch is not None:
            raise self._mismatch
        if not self._views:
            raise RequestRefused(
                "this server has no library to search in; whoever runs it can give it one", 503, "no_library"
            )
        return self._views
