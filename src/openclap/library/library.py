"""A library: folders of sounds, indexed once, then searched by words or by a sound.

files ─ scan ─ encode_windows ─ store ─┐
                                       ├─ cosine ─ best window a file ─ Hit
words or sound ─ vector ───────────────┘
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap.errors import LibraryError, LibraryMismatch, SoundError, UsageError
from openclap.library.moments import checked_query, merge
from openclap.library.scan import Found, find_sounds
from openclap.library.store import File, NpzStore, Rows
from openclap.results import AddReport, Failure, Hit, Moment, Windows

if TYPE_CHECKING:
    from openclap.audio.load import Sound
    from openclap.clap import CLAP

__all__ = ["Library"]

WINDOW, HOP = 10.0, 5.0  # seconds
COMMIT_SECONDS = 2.0  # a killed run loses at most this much work,
COMMIT_SHARE = 0.05  # or what is done while committing takes this share of the time: a large library is rewritten whole


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
        if not name:
            raise UsageError("the path of the library is empty; give a folder")
        if "://" in name:
            raise UsageError(f"{name}: this version keeps libraries in folders only; give a path")
        place = Path(os.path.expanduser(name))
        if place.exists() and not place.is_dir():
            raise LibraryError(f"{place} is a file; a library is a folder")
        library = cls(NpzStore(place), model)
        if model is not None:
            library._check_maker(model)
        return library

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
        found = find_sounds(many)
        self._store.refresh()
        plan = self._plan(found, many)
        if not plan.read and not plan.gone:  # nothing to write, so nobody has to wait and nothing need be writable
            return AddReport(unchanged=plan.unchanged, failed=found.closed)
        counts = {"added": 0, "updated": 0}
        failed = list(found.closed)
        with self._store.writing():
            self._check_maker(clap)
            self._store.maker = self._store.maker or self._signature(clap)
            plan = self._plan(found, many)  # another process may have been here
            writer = _Committer(self._store)
            try:
                for gone in plan.gone:
                    self._store.delete(gone)
                stats = [_stat(path) for path in plan.read]  # as they are before they are read
                embedded = clap.encode_each(plan.read, window=WINDOW, hop=HOP)
                for path, stat, found_windows in zip(_bar(plan.read, progress, failed), stats, embedded, strict=True):
                    if isinstance(found_windows, SoundError):
                        failed.append(Failure(str(path), found_windows.cause))
                        continue
                    counts["updated" if str(path) in self._store.files else "added"] += 1
                    self._put(path, stat, found_windows)
                    writer.maybe()
            finally:
                self._store.commit()
        return AddReport(**counts, unchanged=plan.unchanged, removed=len(plan.gone), failed=failed)

    def _plan(self, found: Found, given: Sequence[str | os.PathLike[str]]) -> _Plan:
        """What of the found files must be read, and what of the library is gone from the disk."""
        read, unchanged, known = [], 0, self._store.files
        for path in found.files:
            old = known.get(str(path))
            if old is None and str(path) not in known:
                read.append(path)
                continue
            stat = _stat(path)
            if old is not None and stat is not None and (old.size, old.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                unchanged += 1
            elif not _is_gone(path):
                read.append(path)
        below = tuple(_absolute(p).rstrip(os.sep) + os.sep for p in given)
        named = {str(path) for path in found.files}
        gone = [p for p in known if (p in named or p.startswith(below)) and _is_gone(Path(p))] if below else []
        missing = {
            path[:-1] for path in below if any(p.startswith(path) for p in gone)
        }  # a folder that left as a whole
        return _Plan([p for p in read if str(p) not in missing], unchanged, gone)

    def _put(self, path: Path, stat: os.stat_result | None, windows: Windows) -> None:
        size, mtime = (stat.st_size, stat.st_mtime_ns) if stat is not None else (0, 0)
        file = File(str(path), size, mtime, float(windows.end[-1]))
        self._store.put(file, windows.start, windows.end, windows.embedding)

    def _check_maker(self, model: CLAP) -> None:
        maker = self._store.maker
        if maker and maker["fingerprint"] != model.fingerprint:
            raise LibraryMismatch(
                f"{self._store.folder} was made by {maker['model']} ({maker['fingerprint']}), not by {model.name} from {model.source} ({model.fingerprint}); "
                "give the model that made it with --model, or index into another --library"
            )

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
        rows, score = self._scored(query, k)
        order = np.argsort(-score, kind="stable")  # ties: by path and time
        if within is not None:
            inside = _inside(rows.paths, within)
            order = order[inside[rows.file[order]]]
        best: dict[int, int] = {}
        for i in order:
            best.setdefault(int(rows.file[i]), int(i))
            if len(best) == k:
                break
        return [
            Hit(rows.paths[file], float(rows.start[i]), float(rows.end[i]), float(score[i])) for file, i in best.items()
        ]

    def moments(self, query: str | Sound, k: int = 10) -> list[Moment]:
        """Spans of recordings that fit a query, overlapping good windows merged, best first."""
        rows, score = self._scored(query, k)
        found: list[Moment] = []
        for path, a, b in zip(rows.paths, rows.edges[:-1], rows.edges[1:], strict=True):
            found += merge(path, rows.start[a:b], rows.end[a:b], score[a:b])
        return sorted(found, key=lambda m: (-m.score, m.path, m.start))[:k]

    def _scored(self, query: str | Sound, k: int) -> tuple[Rows, npt.NDArray[np.float32]]:
        """Every window, and its cosine with the query."""
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise UsageError(f"k is {k!r}; it must be a whole number, 1 or more")
        clap = self._need_model()
        self._store.refresh()
        self._check_maker(clap)
        rows = self._store.rows()
        if not len(rows.start):
            raise LibraryError(f"{self._store.folder} holds no sounds yet; fill it with  openclap index FOLDER")
        score: npt.NDArray[np.float32] = np.clip(rows.embedding @ checked_query(clap, query), -1.0, 1.0)
        return rows, score

    def stats(self) -> dict[str, Any]:
        """What the library holds: files, windows, seconds, and the model that made it."""
        store = self._store
        store.refresh()
        return {
            "path": str(store.folder),
            "files": len(store.files),
            "windows": len(store.rows().start),
            "seconds": round(sum(file.seconds for file in store.files.values()), 3),
            "bytes": store.file.stat().st_size if store.file.exists() else 0,
            **(copy.deepcopy(store.maker) or {"model": None, "fingerprint": None}),
        }

    @staticmethod
    def _signature(clap: CLAP) -> dict[str, Any]:
        return {
            "model": clap.name,
            "fingerprint": clap.fingerprint,
            "embedding": clap.config.embedding,
            "front_end": asdict(clap.front_end),
            "window": WINDOW,
            "hop": HOP,
        }

    def _need_model(self) -> CLAP:
        if self._model is None:
            raise UsageError("this library was opened without a model; give one: Library.open(path, model=clap)")
        return self._model


@dataclass(frozen=True)
class _Plan:
    read: list[Path]
    unchanged: int
    gone: list[str]


class _Committer:
    """Commits often where that is quick, and seldom enough where it is not."""

    def __init__(self, store: NpzStore) -> None:
        self._store = store
        self._last = time.monotonic()
        self._took = 0.0

    def maybe(self) -> None:
        """Commit if it is time."""
        now = time.monotonic()
        if now - self._last > max(COMMIT_SECONDS, self._took / COMMIT_SHARE):
            self._store.commit()
            self._last = time.monotonic()
            self._took = self._last - now


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):  # the loader says in words what is wrong
        return None


def _is_gone(path: Path) -> bool:
    """Whether nothing is there; what cannot be looked at may still be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _inside(paths: Sequence[str], within: Iterable[str | os.PathLike[str]]) -> npt.NDArray[np.bool_]:
    """Which paths are one of these files or lie in one of these folders."""
    wanted = [_absolute(p) for p in within]
    below = tuple(path.rstrip(os.sep) + os.sep for path in wanted)
    return np.array([path in wanted or path.startswith(below) for path in paths], bool)


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
