"""A library: folders of sounds, indexed once, then searched by words or by a sound.

files ─ scan ─ encode_windows ─ store ─┐
                                       ├─ cosine ─ best window a file ─ Hit
words or sound ─ vector ───────────────┘
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclap.errors import LibraryError, LibraryMismatch, SoundError, UsageError
from openclap.library.moments import checked_query, merge
from openclap.library.scan import find_sounds
from openclap.library.store import File, NpzStore
from openclap.results import AddReport, Failure, Hit, Moment

if TYPE_CHECKING:
    from openclap.audio.load import Sound
    from openclap.clap import CLAP

__all__ = ["Library"]

WINDOW, HOP = 10.0, 5.0  # seconds
COMMIT_SECONDS = 10.0  # a killed run loses at most this much work


class Library:
    """A searchable collection of sounds. It remembers which model made it and refuses any other."""

    def __init__(self, store: NpzStore, model: CLAP | None) -> None:
        self._store = store
        self._model = model

    @classmethod
    def open(cls, path_or_uri: str | os.PathLike[str], model: CLAP | None = None) -> Library:
        """Open a library, which is a folder made when the first sound is added.

        Parameters
        ----------
        model
            The CLAP that embeds sounds and queries; without one a library can only tell what it holds.

        Raises
        ------
        LibraryMismatch
            The library was made by another model (both are named), or by another format version.
        """
        name = os.fspath(path_or_uri)
        if "://" in name:
            raise UsageError(f"{name}: this version keeps libraries in folders only; give a path")
        store = NpzStore(Path(name).expanduser())
        if store.folder.exists() and not store.folder.is_dir():
            raise LibraryError(f"{store.folder} is a file; a library is a folder")
        if model is not None and store.maker and store.maker["fingerprint"] != model.fingerprint:
            raise LibraryMismatch(
                f"{store.folder} was made by {store.maker['model']} ({store.maker['fingerprint']}), not by {model.name} ({model.fingerprint}); "
                f"use --model {store.maker['model']}, or index into another --library"
            )
        return cls(store, model)

    # -- adding --------------------------------------------------------------------------------------

    def add(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, progress: bool = False
    ) -> AddReport:
        """Add files and folders, or bring them up to date; what is unchanged (size and time) is not read again.

        Files that have left an added folder leave the library. A file that cannot be used is reported and tried
        again next time. Finished work is committed every few seconds: a stopped run is continued by the next.
        """
        clap = self._need_model()
        many = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        files, folders = find_sounds(many)
        counts = {"added": 0, "unchanged": 0, "updated": 0}
        failed: list[Failure] = []
        with self._store.writing():
            self._store.maker = self._store.maker or self._signature(clap)
            committed = time.monotonic()
            try:
                for path in _bar(files, progress, failed):
                    what = self._add_one(clap, path, failed)
                    if what:
                        counts[what] += 1
                    if time.monotonic() - committed > COMMIT_SECONDS:
                        self._store.commit()
                        committed = time.monotonic()
                removed = self._remove_gone(files, folders)
            finally:
                self._store.commit()
        return AddReport(**counts, removed=removed, failed=failed)

    def _add_one(self, clap: CLAP, path: Path, failed: list[Failure]) -> str | None:
        known = self._store.files.get(str(path))
        try:
            try:
                stat = path.stat()
                if known and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                    return "unchanged"
                file = File(str(path), stat.st_size, stat.st_mtime_ns, 0.0)
            except OSError:  # the loader says in words what is wrong
                file = File(str(path), 0, 0, 0.0)
            windows = clap.encode_windows(path, window=WINDOW, hop=HOP)
        except SoundError as error:
            failed.append(Failure(str(path), error.cause))
            if known:
                self._store.delete(str(path))
            return None
        file = File(file.path, file.size, file.mtime_ns, float(windows.end[-1]))
        self._store.put(file, windows.start, windows.end, windows.embedding)
        return "updated" if known else "added"

    def _remove_gone(self, files: Sequence[Path], folders: Sequence[Path]) -> int:
        present = {str(file) for file in files}
        inside = tuple(str(folder) + os.sep for folder in folders)
        gone = [path for path in self._store.files if path not in present and path.startswith(inside)] if inside else []
        for path in gone:
            self._store.delete(path)
        return len(gone)

    # -- searching -----------------------------------------------------------------------------------

    def search(
        self, query: str | Sound, k: int = 10, *, within: Iterable[str | os.PathLike[str]] | None = None
    ) -> list[Hit]:
        """The best window of each file that fits a query, best first.

        Parameters
        ----------
        query
            A string is words; a Path, bytes, (wave, rate) or dict is a sound.
        within
            Files and folders the results must lie in.
        """
        chosen, score = self._scored(query, k, within)
        paths, start, end, _ = self._store.windows()
        best: dict[str, int] = {}
        for i in chosen[np.argsort(-score[chosen], kind="stable")]:
            best.setdefault(str(paths[i]), int(i))
            if len(best) == k:
                break
        return [Hit(path, float(start[i]), float(end[i]), float(score[i])) for path, i in best.items()]

    def moments(self, query: str | Sound, k: int = 10) -> list[Moment]:
        """Spans of recordings that fit a query, overlapping good windows merged, best first."""
        chosen, score = self._scored(query, k, None)
        paths, start, end, _ = self._store.windows()
        found: list[Moment] = []
        for path in dict.fromkeys(paths[chosen]):
            own = paths == path
            found += merge(str(path), start[own], end[own], score[own])
        return sorted(found, key=lambda m: (-m.score, m.path, m.start))[:k]

    def _scored(self, query: str | Sound, k: int, within: Iterable[str | os.PathLike[str]] | None) -> tuple[Any, Any]:
        """Indices of the windows to rank, in order of path and time, and the cosine of every window."""
        if k < 1:
            raise UsageError(f"k is {k}; it must be 1 or more")
        vector = checked_query(self._need_model(), query)
        paths, start, _, embedding = self._store.windows()
        if not len(paths):
            raise LibraryError(f"{self._store.folder} holds no sounds yet; fill it with  openclap index FOLDER")
        score = np.clip(embedding @ vector, -1.0, 1.0)
        order = np.lexsort((start, paths))
        if within is not None:
            wanted = [os.path.abspath(Path(p).expanduser()) for p in within]
            inside = np.array([any(p == w or p.startswith(w.rstrip(os.sep) + os.sep) for w in wanted) for p in paths])
            order = order[inside[order]]
        return order, score

    def stats(self) -> dict[str, Any]:
        """What the library holds: files, windows, seconds, and the model that made it."""
        store = self._store
        paths, *_ = store.windows()
        return {
            "path": str(store.folder),
            "files": len(store.files),
            "windows": len(paths),
            "seconds": round(sum(file.seconds for file in store.files.values()), 3),
            "bytes": store.file.stat().st_size if store.file.exists() else 0,
            **(store.maker or {"model": None, "fingerprint": None}),
        }

    @staticmethod
    def _signature(clap: CLAP) -> dict[str, Any]:
        return {
            "model": clap.name,
            "fingerprint": clap.fingerprint,
            "embedding": clap.config.embedding,
            "front_end": vars(clap.front_end),
            "window": WINDOW,
            "hop": HOP,
        }

    def _need_model(self) -> CLAP:
        if self._model is None:
            raise UsageError("this library was opened without a model; give one: Library.open(path, model=clap)")
        return self._model


def _bar(files: Sequence[Path], show: bool, failed: list[Failure]) -> Iterable[Path]:
    """Progress on stderr: done, rate, time left, failures."""
    if not show:
        yield from files
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("[red]{task.fields[bad]}"))  # fmt: skip
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(files), rate="", bad="")
        for done, file in enumerate(files):
            yield file
            rate = (done + 1) / max(time.monotonic() - began, 1e-6)
            bar.update(
                task,
                completed=done + 1,
                rate=f"{rate:.0f} files/s",
                bad=f"{len(failed)} failed" if failed else "",
            )
