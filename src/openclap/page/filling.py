"""Folders of the server and uploaded files → a library, step by step, within what the page may do.

Knows nothing of gradio.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from pathlib import Path

from openclap.library import Library
from openclap.library.safe_open import open_without_links, resolve_folder
from openclap.library.scan import absolute_path, find_sounds
from openclap.library.uploads import keep_upload
from openclap.page.desk import Desk
from openclap.page.jobs import Job
from openclap.page.strings import Told
from openclap.results import AddReport
from openclap.store.disk import folder_bytes

__all__ = ["Filling", "fill", "folders_in", "keep", "titles_in"]

EVERY = 0.25  # seconds between two looks at the progress
LISTED = 300  # folders to choose from


class _Stopped(Exception):
    """Somebody pressed stop."""


@dataclass
class Filling:
    """One run: how far it is, and at last its report."""

    done: int = 0
    total: int = 0
    seconds: float = 0.0
    report: AddReport | None = None
    stopped: bool = False
    stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def told(self, done: int, total: int) -> None:
        """What `Library.add` tells."""
        self.done, self.total = done, total
        if self.stop.is_set():
            raise _Stopped


def titles_in(desk: Desk, folder: str | None) -> list[str]:
    """`folders_in`, as they are called: where they lie on the server is nobody's business."""
    return [desk.served.title_of(place) for place in folders_in(desk, folder)]


def _place_of(desk: Desk, folder: str) -> Path:
    """Where a folder lies, by what it is called, or by its path."""
    return Path(absolute_path(desk.served.folder_of(folder) or folder))


def folders_in(desk: Desk, folder: str | None) -> list[str]:
    """The roots, and around a folder its parent, itself and the folders in it, as far as they may be used."""
    shown = [absolute_path(root) for root in desk.settings.roots]
    around = _place_of(desk, folder) if folder else Path(shown[0]) if shown else None
    if around is None or not around.is_dir() or not desk.within_roots(around):
        return shown
    shown += [str(place) for place in (around.parent, around) if desk.within_roots(place)]
    try:
        inside = sorted(entry.path for entry in os.scandir(around) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:  # not for us
        inside = []
    shown += [place for place in inside[:LISTED] if desk.within_roots(Path(place))]
    return list(dict.fromkeys(shown))


def keep(desk: Desk, files: Sequence[str], visitor: str) -> list[Path]:
    """Copy uploaded files to where the library finds them again; the same file twice is one.

    Raises
    ------
    Told
        There is no room.
    """
    folder = desk.uploads(visitor)
    folder.mkdir(parents=True, exist_ok=True)
    everyone = desk.folder / "visitors"  # a visitor's folder is small, all of theirs together must be bounded
    top = everyone if folder.is_relative_to(everyone) else folder
    if folder_bytes(top) + sum(Path(file).stat().st_size for file in files) > desk.settings.kept_bytes:
        raise Told("error.full")
    return [_kept(Path(file), folder) for file in files]


def _kept(file: Path, folder: Path) -> Path:
    name = Path(file.name.lstrip(".") or "sound")
    with open_without_links(resolve_folder(file), file.name) as given:
        found = keep_upload(given, name, folder)
    if found is None:
        raise Told("error.full")
    return found[0]


def _chosen(desk: Desk, folder: str | None, files: Sequence[str], visitor: str) -> list[Path]:
    """What to index: a folder that may be, and uploads."""
    chosen: list[Path] = []
    if folder:
        place = _place_of(desk, folder)
        roots = ", ".join(desk.served.titles) or "–"
        if not place.is_dir() or not desk.within_roots(place):
            raise Told("error.outside", roots=roots)
        found = find_sounds([place]).files
        outside = sum(not desk.within_roots(file) for file in found)
        if outside:
            raise Told("error.outside_links", count=outside, roots=roots)
        if not found:
            raise Told("error.no_sounds")
        chosen.append(place)
    if files:
        chosen += keep(desk, files, visitor)
    if not chosen:
        raise Told("error.nothing_chosen")
    return chosen


def fill(
    desk: Desk, folder: str | None, files: Sequence[str], tags: Sequence[str], visitor: str, run: Filling
) -> Iterator[Filling]:
    """Index what was chosen, telling again and again how far it is.

    Raises
    ------
    Told
        It may not be indexed, or another one is at work.
    LibraryMismatch
        The library is another model's; `maker` names it.
    """
    if not desk.indexing.acquire(blocking=False):
        raise Told("error.busy")
    try:
        begun = time.monotonic()
        clap, place = desk.clap, desk.place("own", visitor)
        library: Library | None = None

        def work() -> AddReport:
            nonlocal library
            chosen = _chosen(desk, folder, files, visitor)
            library = Library.open(place, model=clap)
            return library.add(chosen, tags=tags, progress=told)

        def told(done: int, total: int) -> None:
            run.told(done, total)
            if desk.closing.is_set():
                raise _Stopped

        with desk.jobs.at_work(Job(visitor, "library", run.stop)):  # who asked may leave: what is finished is kept
            future = desk.index(work)
            while wait([future], timeout=EVERY).not_done:
                run.seconds = time.monotonic() - begun
                yield run
        run.seconds = time.monotonic() - begun
        try:
            run.report = future.result()
        except _Stopped:
            run.stopped = True
        finally:
            if library is not None:
                library.close()
        yield run
    finally:
        desk.indexing.release()
