"""The files of the library as the service shows them: listed, counted, looked at, opened, tagged.

    names of files ─ queue "library": one thread, a `Listing` of the library as it is now ─ places, rows, counts
    places ───────── readers: threads that open files (`ServedFiles`) and draw their waveforms

Files are called by names below the library's common folder, as in a search. A model is not needed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from openclap.array_cache import ArrayCache
from openclap.audio.decode_limits import DecodingStopped, limit
from openclap.audio.peaks import peaks
from openclap.errors import RequestRefused, SoundError, SoundNotFound, WithheldSound
from openclap.library import Library
from openclap.library.filtering import check_tags, collection_to_tag, normalize_tag, split_tags
from openclap.library.listing import Facets, ListedFile, ListFilter, Listing, Sort, shown_name
from openclap.library.served_files import FileVersion, ServedFiles
from openclap.serve.batching import BatchQueue
from openclap.serve.library_map import LibraryMap, MapCluster, MapPoint
from openclap.serve.settings import ServeSettings
from openclap.store import File, StoreState

__all__ = ["LibraryFacts", "LibraryFiles", "OpenSound"]

T = TypeVar("T")

READERS = 4  # threads that open files and decode them for their waveforms
PEAKS_MEMORY, PEAKS_DISK = 8 << 20, 256 << 20  # bytes; of 200 bytes a file
SEPARATOR = os.sep


@dataclass(frozen=True)
class LibraryFacts:
    """What a library holds, and the present name of the model that made it."""

    files: int
    windows: int
    seconds: float
    model: str | None


@dataclass(frozen=True)
class OpenSound:
    """A file of the library, open for reading, and what it was when it was indexed."""

    name: str
    file: File
    handle: BinaryIO


class LibraryFiles:
    """The files of one library.

    Parameters
    ----------
    settings
        `library`; `roots`, folders that files are read from, no link followed below them; none, the folder that all of
        them lie in; `manage`, whether the library may be changed; `uploads`.
    """

    def __init__(self, settings: ServeSettings) -> None:
        assert settings.library is not None
        self._settings = settings
        self.library = self._library = Library.open(settings.library)
        self._listing = Listing((), SEPARATOR)
        self._state: StoreState | None = None  # of the listing
        uploads = [] if settings.uploads is None else [settings.uploads]
        self.roots = [root for root in settings.roots if root not in uploads]
        self._own = uploads
        self._named = bool(settings.roots)
        self.chosen = self.served = ServedFiles(self.roots, own=uploads)  # what may be indexed, and what is handed out
        self._peaks = ArrayCache(PEAKS_MEMORY, PEAKS_DISK, user_cache_path("openclap") / "peaks.sqlite")
        self.queue: BatchQueue[Callable[[], Any], Any] = BatchQueue("library", lambda calls: [call() for call in calls])
        self._readers = ThreadPoolExecutor(READERS, "openclap-read")

    # -- what is there ---------------------------------------------------------------------------------

    async def facts(self) -> LibraryFacts:
        """What the library holds."""

        def find() -> LibraryFacts:
            stats = self._library.stats()
            return LibraryFacts(stats["files"], stats["windows"], stats["seconds"], stats.get("model"))

        return await self.ask(find)

    async def page(
        self, where: ListFilter, sort: Sort, *, descending: bool, offset: int, limit: int
    ) -> tuple[int, list[ListedFile]]:
        """How many files a filter allows, and some of them."""

        def find() -> tuple[int, list[ListedFile]]:
            listing = self.listing()
            rows = listing.select(where, sort, descending=descending)
            return len(rows), listing.files(rows[offset : offset + limit])

        return await self.ask(find)

    async def named(self, names: Sequence[str]) -> list[ListedFile]:
        """Those of these files that the library holds."""

        def find() -> list[ListedFile]:
            listing = self.listing()
            return listing.files(row for name in names if (row := listing.row_of(name)) is not None)

        return await self.ask(find)

    async def facets(self, where: ListFilter) -> Facets:
        """Counts of folders, formats, tags and collections."""
        return await self.ask(lambda: self.listing().facets(where))

    async def map(self, where: ListFilter, maps: LibraryMap) -> tuple[list[tuple[str, MapPoint]], list[MapCluster]]:
        """The points of what a filter allows, each with the name of its file, and their groups."""

        def find() -> tuple[Listing, npt.NDArray[np.int64]]:
            listing = self.listing()
            return listing, listing.select(where)

        listing, rows = await self.ask(find)
        points, clusters = await self.read(lambda: maps.points(listing, rows))
        return [(shown_name(listing.places[one.row], listing.root), one) for one in points], clusters

    async def why_not_played(self, files: Sequence[ListedFile]) -> list[str | None]:
        """Why each of these files would not be handed out, as far as is known without reading it; None where it would."""

        def look() -> list[str | None]:
            served = self.served
            found = (served.withhold_reason(file.place, file.version) for file in files)
            return [None if fault is None else fault.cause for fault in found]

        return await self.read(look)

    # -- files -----------------------------------------------------------------------------------------

    async def find(self, names: Iterable[str]) -> dict[str, File]:
        """Files as they were indexed, by name; what the library does not hold is left out."""
        wanted = list(dict.fromkeys(names))

        def look() -> dict[str, File]:
            listing = self.listing()
            places = {name: listing.places[row] for name in wanted if (row := listing.row_of(name)) is not None}
            files = self._library.find_files(places.values())
            return {name: files[place] for name, place in places.items() if place in files}

        return await self.ask(look)

    async def open(self, name: str) -> OpenSound:
        """Open a file of the library for reading.

        Raises
        ------
        RequestRefused
            404: it is not in the library, or not there any more; 403: it may not be handed out.
        """
        file = (await self.find([name])).get(name)
        if file is None:
            raise RequestRefused(f"the library holds no sound {name[:200]!r}", 404, "sound_not_found")
        return await self.read(lambda: self.open_now(name, file))

    def open_now(self, name: str, file: File) -> OpenSound:
        """As `open`, for a thread that may wait."""
        try:
            return OpenSound(name, file, self.served.open(file.path, FileVersion.from_index(file)))
        except SoundNotFound:
            raise RequestRefused(f"{name[:200]}: the file is not there any more", 404, "sound_not_found") from None
        except WithheldSound as error:
            raise RequestRefused(f"{name[:200]}: {error.cause}", 403, "withheld_sound") from None

    async def peaks(self, names: Iterable[str]) -> dict[str, bytes]:
        """The waveforms of files, by name: those that can be had. Each is decoded once, and kept by its content."""
        files, gone = await self.find(names), threading.Event()
        try:
            found = await asyncio.gather(*(self.read(partial(self._peaks_of, file, gone)) for file in files.values()))
        finally:
            gone.set()
        return {name: one for name, one in zip(files, found, strict=True) if one is not None}

    def _peaks_of(self, file: File, gone: threading.Event) -> bytes | None:
        content = file.hash if file.is_hashed else f"{file.path} {file.size} {file.mtime_ns}"
        known = self._peaks.get(content)
        if known is None and not gone.is_set():
            with (
                suppress(SoundError, DecodingStopped),
                self.served.open(file.path, FileVersion.from_index(file)) as sound,
            ):
                known = {"peaks": peaks(limit(sound, stop=gone))}
                self._peaks.put(content, known)
        return None if known is None else np.asarray(known["peaks"], np.uint8).tobytes()

    # -- changes ---------------------------------------------------------------------------------------

    async def tag(
        self,
        names: Sequence[str],
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        *,
        collect: Sequence[str] = (),
        uncollect: Sequence[str] = (),
    ) -> int:
        """Put tags on files and take others off, put them into collections and out → how many files have changed.

        Raises
        ------
        RequestRefused
            403: the library may not be changed here; 404: it holds none of the files.
        """
        self.require_manager()
        check_tags([*add, *remove])
        put = dict.fromkeys([*map(normalize_tag, add), *map(collection_to_tag, collect)])
        taken = dict.fromkeys([*map(normalize_tag, remove), *map(collection_to_tag, uncollect)])
        new = put.keys() - taken.keys()

        def change() -> int:
            listing, state = self.listing(), self._state
            found = (row for name in names if (row := listing.row_of(name)) is not None)
            rows = {row: listing.tags_of(row) for row in found}
            if not rows:
                raise RequestRefused("the library holds none of these files", 404, "sound_not_found")
            for tag in new:
                self._change(tag, [listing.places[row] for row, tags in rows.items() if tag not in tags], on=True)
            for tag in taken:
                self._change(tag, [listing.places[row] for row, tags in rows.items() if tag in tags], on=False)
            now = self._library.state()
            if state is not None and now.by_others == state.by_others and now.by_itself != state.by_itself:
                listing.retag(list(rows), list(new), list(taken))
                self._state = now
            return sum(not new <= tags or not taken.keys().isdisjoint(tags) for tags in rows.values())

        return await self.ask(change)

    def _change(self, tag: str, places: list[str], *, on: bool) -> None:
        """Put one tag on files, or take it off; a collection is a tag of its own kind."""
        if not places:
            return
        plain, collections = split_tags([tag])
        for name in plain:
            (self._library.tag if on else self._library.untag)(name, places)
        for name in collections:
            (self._library.collect if on else self._library.uncollect)(name, places)

    def require_manager(self) -> None:
        """Refuse what only the owner of the library may do.

        Raises
        ------
        RequestRefused
            403, unless the settings say that visitors may `manage`.
        """
        if not self._settings.manage:
            raise RequestRefused("this library can only be read here; its owner may change it", 403, "not_allowed")

    # -- threads ---------------------------------------------------------------------------------------

    async def ask(self, call: Callable[[], T]) -> T:
        """Have the library's thread do something."""
        return await asyncio.wrap_future(self.queue.ask(call))

    async def read(self, call: Callable[[], T]) -> T:
        """Have a thread do something that waits for files."""
        return await asyncio.wrap_future(self._readers.submit(call))

    def close(self) -> None:
        """Finish what was begun, and close the library."""
        self._readers.shutdown(cancel_futures=True)
        self.queue.close()
        self._library.close()

    def listing(self) -> Listing:
        """The files as they are now; for the library's thread."""
        state = self._library.state()
        if state != self._state:
            self._listing, self._state = self._library.listing(), state
            if not self._named:
                self.served = ServedFiles([Path(self._listing.root)], own=self._own)
        return self._listing
