"""Folders of the server and uploads → the library, one run at a time, told step by step.

    a folder below the roots ─┐
    uploads ─ kept ───────────┴─ one thread: `Library.add` ─ {"done", "total"} … the report, or {"error"}

The model is asked piece by piece, so that requests and the run take turns. Who hangs up stops the run; what is finished
stays in the library.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from openclap.clap import CLAP
from openclap.errors import LibraryError, LibraryMismatch, ModelError, OpenClapError, RequestRefused
from openclap.library import Library
from openclap.library.scan import absolute_path, find_sounds
from openclap.library.served_files import ServedFiles
from openclap.library.uploads import keep_upload, safe_name
from openclap.plurals import count_noun
from openclap.results import AddReport
from openclap.serve.settings import ServeSettings
from openclap.store.disk import folder_bytes
from openclap.thread_priority import give_way

__all__ = ["LibraryIndexing", "Run"]

EVERY, AT_LEAST = 0.25, 10.0  # seconds between two looks at a run, and between two lines at most
LISTED = 1000  # folders to choose from
log = logging.getLogger("openclap.serve")


class _Stopped(Exception):
    """Nobody wants the run any more."""


@dataclass
class Run:
    """One run: how far it is, and how to stop it."""

    done: int = 0
    total: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def tell(self, done: int, total: int) -> None:
        """What `Library.add` calls."""
        self.done, self.total = done, total
        if self.stop.is_set():
            raise _Stopped


class LibraryIndexing:
    """Fills the library of `settings` with sounds that `clap` embeds.

    Parameters
    ----------
    served
        The folders that may be indexed.
    """

    def __init__(self, settings: ServeSettings, clap: CLAP, served: ServedFiles) -> None:
        self._settings, self._clap, self._served = settings, clap, served
        self._thread = ThreadPoolExecutor(1, "openclap-index", give_way)
        self._busy = threading.Lock()
        self.run = Run()  # the last one

    # -- folders ---------------------------------------------------------------------------------------

    def folders(self, inside: str) -> list[str]:
        """The folders that may be indexed, or those in one of them, as they are called.

        Raises
        ------
        RequestRefused
            404: there is no such folder.
        """
        if not inside:
            return self._served.titles
        try:
            with os.scandir(self._place_of(inside)) as entries:
                found = sorted(entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir())
        except OSError:  # not for us
            return []
        return [self._served.title_of(place) for place in found[:LISTED] if self._served.leads_inside(place)]

    def _place_of(self, folder: str) -> Path:
        """Where a folder lies, by what it is called."""
        place = None if "\0" in folder else self._served.folder_of(folder.rstrip(os.sep))
        path = None if place is None else Path(absolute_path(place))
        if path is None or not path.is_dir() or not self._served.leads_inside(path):
            raise RequestRefused(
                f"there is no folder {folder[:200]!r} that may be indexed; GET /v1/library/folders names them",
                404,
                "folder_not_found",
            )
        return path

    # -- runs ------------------------------------------------------------------------------------------

    def index_folder(self, folder: str) -> AsyncIterator[bytes]:
        """Index a folder → the lines of the answer.

        Raises
        ------
        RequestRefused
            404: there is no such folder; 409: another run is at work.
        """
        place = self._place_of(folder)

        def choose() -> list[Path]:
            outside = sum(not self._served.leads_inside(file) for file in find_sounds([place]).files)
            if outside:
                raise RequestRefused(
                    f"{count_noun(outside, 'file')} of this folder can be reached by a link alone, from outside of what"
                    " may be used here",
                    403,
                    "withheld_sound",
                )
            return [place]

        run = self._begin()
        return self._lines(run, self._start(run, lambda: self._add(run, choose(), {})))

    def index_uploads(self, files: Sequence[tuple[str, BinaryIO]]) -> AsyncIterator[bytes]:
        """Keep uploads, and index them → the lines of the answer; the files are open, and read before the first line.

        Raises
        ------
        RequestRefused
            400: there are none; 403: none are taken here; 409: another run is at work; 413: there is no room.
        """
        folder = self._settings.uploads
        if folder is None:
            raise RequestRefused("this server keeps no uploads; whoever runs it can name a folder", 403, "not_allowed")
        if not files:
            raise RequestRefused("there is nothing to index; give a folder, or upload files", 400, "invalid_request")
        run = self._begin()
        try:
            kept = self._keep(files, Path(os.path.expanduser(folder)))
        except BaseException:
            self._busy.release()
            raise
        return self._lines(run, self._start(run, lambda: self._add(run, list(kept), kept)))

    def close(self) -> None:
        """Stop what runs; what is finished stays."""
        self.run.stop.set()
        self._thread.shutdown()

    # -- inside ----------------------------------------------------------------------------------------

    def _begin(self) -> Run:
        if not self._busy.acquire(blocking=False):
            raise RequestRefused("the library is being filled already; wait until that is done", 409, "busy")
        self.run = Run()
        return self.run

    def _start(self, run: Run, work: Any) -> Future[AddReport]:
        future: Future[AddReport] = self._thread.submit(work)
        future.add_done_callback(lambda _: self._busy.release())
        return future

    def _keep(self, files: Sequence[tuple[str, BinaryIO]], folder: Path) -> dict[Path, bool]:
        """The places of uploads, and whether each is new there."""
        folder.mkdir(parents=True, exist_ok=True)
        if folder_bytes(folder) + sum(file.seek(0, 2) for _, file in files) > self._settings.kept_bytes:
            raise RequestRefused("there is no room for more uploads; delete some", 413, "uploads_full")
        kept: dict[Path, bool] = {}
        for name, file in files:
            found = keep_upload(file, safe_name(name), folder)
            if found is None:
                raise RequestRefused("there are too many uploads of one name; delete some", 413, "uploads_full")
            kept.setdefault(*found)
        return kept

    def _add(self, run: Run, places: Sequence[Path], kept: dict[Path, bool]) -> AddReport:
        assert self._settings.library is not None
        library = Library.open(self._settings.library, model=self._clap)
        try:
            report = library.add(places, progress=run.tell)
        finally:
            library.close()
        for failure in report.failed:  # what is no sound is not kept
            if kept.get(Path(failure.path)):
                with suppress(OSError):
                    Path(failure.path).unlink()
        return report

    async def _lines(self, run: Run, future: Future[AddReport]) -> AsyncIterator[bytes]:
        """How far a run is, again and again, and at last its report; who stops to listen stops the run."""
        waiting, told, since = asyncio.wrap_future(future), (-1, -1), 0.0
        try:
            while True:
                done, _ = await asyncio.wait([waiting], timeout=EVERY)
                since += EVERY
                if (run.done, run.total) != told or since >= AT_LEAST:
                    told, since = (run.done, run.total), 0.0
                    yield _line({"done": run.done, "total": run.total})
                if done:
                    break
            yield _line(self._result(waiting))
        finally:
            run.stop.set()

    def _result(self, done: asyncio.Future[AddReport]) -> dict[str, Any]:
        try:
            report = done.result().to_dict()
        except _Stopped:
            return {"error": {"message": "the run was stopped", "type": "server_error", "code": "stopped"}}
        except OpenClapError as error:
            return {"error": _describe(error)}
        for one in (*report["failed"], *report.get("missing_folders", [])):
            one["path"] = self._served.name_of(one["path"])
        return dict(report)


def _line(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts).encode() + b"\n"


def _describe(error: OpenClapError) -> dict[str, str]:
    """An error of a run, without the places of the server that it may name; these are in the log."""
    if isinstance(error, RequestRefused):
        return {"message": str(error), "type": "invalid_request_error", "code": error.code}
    log.error(str(error), extra={"facts": {"route": "/v1/library/index"}})
    if isinstance(error, LibraryMismatch) and error.maker:
        maker = Path(error.maker).name
        return {
            "message": f"the library was made by another model ({maker}); load that one to add to it",
            "type": "server_error",
            "code": "library_mismatch",
        }
    what = "library" if isinstance(error, LibraryError) else "model" if isinstance(error, ModelError) else "folder"
    message = f"the {what} cannot be used now; the server's log says why"
    return {"message": message, "type": "server_error", "code": "not_indexed"}
