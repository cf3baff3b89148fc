"""Files and folders → rows of a store: only what is new is embedded. Knows nothing of searching.

    paths ─ scan ─┬─ size and time as before ──────────────────────────── unchanged
                  └─ content hash ─┬─ known at this path ──────────────── unchanged: the time is noted
                                   ├─ known at a path that is gone ────── the file has moved: its rows move
                                   ├─ known elsewhere ─────────────────── a copy: its rows are copied
                                   └─ new ─ decode, embed ─────────────── rows, committed as they come

What is committed survives whatever happens next; a stopped run is continued by the next. Several processes may index into
one library at once.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from openclap.audio.files import opened
from openclap.errors import SoundError
from openclap.library.scan import find_sounds
from openclap.results import AddReport, Failure, Windows
from openclap.store import File, Recording, Store, Where

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["AT_ONCE", "HOP", "WINDOW", "Progress", "absolute", "add", "add_shard", "content_hash", "is_gone"]

WINDOW, HOP = 10.0, 5.0  # seconds
COMMIT_SECONDS = 1.0  # a killed run loses at most this much work,
COMMIT_FILES = 256  # or this many files
COMMIT_WINDOWS = 50_000  # that wait in memory, 100 MB, whatever else is wanted
TIDY_SHARDS = 256  # of others, after which the store is tidied: each is a commit
AT_ONCE = 512  # files that are hashed and looked up together
HASHERS = 4
HASH_BYTES = 16

T = TypeVar("T")
Advance = Callable[[int], None]
Progress = Callable[[int, int], None]  # told how many files of how many are done; what it raises stops the run
Spread = Callable[[Sequence[str], Collection[str]], Iterator[tuple[int, AddReport]]]  # new files, known ones → parts


def add(
    store: Store,
    clap: CLAP,
    paths: Sequence[str | os.PathLike[str]],
    *,
    claim: Callable[[], None],
    tags: Sequence[str] = (),
    progress: bool | Progress = False,
    skip: Callable[[Path, os.stat_result], bool] = lambda *_: False,
    spread: Spread | None = None,
) -> AddReport:
    """Bring what the store knows of these files and folders up to date. See `Library.add`.

    `claim` makes the store the model's before anything is written, or refuses; what `skip` says is left for another time;
    `spread` has the new files embedded elsewhere.
    """
    found = find_sounds(paths)
    known = store.known(map(str, found.files))
    fresh: list[tuple[Path, os.stat_result | None]] = []
    run = _Run(store, clap, known, failed=list(found.closed))
    for path in found.files:
        now, old = _stat(path), known.get(str(path))
        if old is not None and now is not None and (old.size, old.mtime_ns) == (now.st_size, now.st_mtime_ns):
            run.unchanged += 1
        elif (old is None or not is_gone(path)) and not (now is not None and skip(path, now)):
            fresh.append((path, now))
    gone = _gone(store, paths) if paths else []
    for root in map(absolute, paths):  # a disk that is not there must not empty the library
        kept = [path for path in gone if path.startswith(root + os.sep)] if is_gone(Path(root)) else []
        if kept:
            gone = [path for path in gone if path not in set(kept)]
            fresh = [(path, now) for path, now in fresh if str(path) != root]
            what = f"is not there (a disk that is missing?); its {len(kept)} files stay in the library: index the folder above to drop them"
            run.failed.append(Failure(root, what))
    if fresh or gone:
        claim()
    if fresh:
        with _progress(len(fresh), progress, run.failed) as advance:
            if spread is None:
                run.take(fresh, advance)
            else:
                run.join(spread([str(path) for path, _ in fresh], known), advance)
    left = [path for path in gone if path not in run.moved and is_gone(Path(path))]  # it may have come back meanwhile
    run.removed = store.delete(left) if left else 0
    untagged = [str(p) for p in found.files if str(p) not in known or not set(tags) <= set(known[str(p)].tags)]
    store.tag(untagged, tags)
    if fresh or left:
        store.tidy()
    return run.report()


def add_shard(store: Store, clap: CLAP, paths: Sequence[str], known: Collection[str]) -> AddReport:
    """What `add` does with its new files, for some of them: new vectors in one commit; done twice, it is as if it was done once.

    `known` are those the store knew when the run began: what it knows now was written by a worker that died before it could say so.
    """
    now = store.known(paths)
    run = _Run(store, clap, known, failed=[], often=False)
    fresh: list[tuple[Path, os.stat_result | None]] = []
    for path in map(Path, paths):
        stat, file = _stat(path), now.get(str(path))
        if file is not None and stat is not None and (file.size, file.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            run._count(file)
        else:
            fresh.append((path, stat))
    run.take(fresh, lambda _: None)
    return run.report()


def content_hash(path: str | os.PathLike[str]) -> str:
    """32 hex digits of what is in a file.

    Raises
    ------
    SoundError
        For what cannot be read, and for what is no file.
    """
    with opened(os.fspath(path), str(path)) as file:
        digest = hashlib.blake2b(digest_size=HASH_BYTES)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_gone(path: Path) -> bool:
    """Whether nothing is there; what cannot be looked at may still be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


@dataclass
class _Run:
    """One call of `add`: what has been counted so far, and what waits to be committed."""

    store: Store
    clap: CLAP
    known: Collection[str]
    failed: list[Failure]
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    moved: set[str] = field(default_factory=set)  # paths that files have left
    often: bool = True  # commit every second
    _touched: list[File] = field(default_factory=list)
    _windows: int = 0  # that wait
    _waiting: list[Recording] = field(default_factory=list)
    _committed: float = field(default_factory=time.monotonic)

    def take(self, fresh: Sequence[tuple[Path, os.stat_result | None]], advance: Advance) -> None:
        """Every file that is not as it was."""
        try:
            with ThreadPoolExecutor(HASHERS, thread_name_prefix="openclap-hash") as pool:
                for some in _parts(fresh):
                    self._take(some, list(pool.map(_hash_or_error, (path for path, _ in some))), advance)
        finally:  # Ctrl-C: what is embedded is kept
            self._commit()

    def join(self, parts: Iterator[tuple[int, AddReport]], advance: Advance) -> None:
        """What others did with some of the files."""
        for number, (count, part) in enumerate(parts, 1):
            if number % TIDY_SHARDS == 0:
                self.store.tidy()
            self.added, self.updated, self.unchanged = self.added + part.added, self.updated + part.updated, self.unchanged + part.unchanged  # fmt: skip
            self.failed += part.failed
            advance(count)

    def report(self) -> AddReport:
        return AddReport(self.added, self.unchanged, self.updated, self.removed, self.failed)

    def _take(
        self, some: Sequence[tuple[Path, os.stat_result | None]], hashes: Sequence[str | SoundError], advance: Advance
    ) -> None:
        by_hash = self.store.with_hash({h for h in hashes if isinstance(h, str)})
        files: list[File] = []
        for (path, now), found in zip(some, hashes, strict=True):
            if isinstance(found, SoundError):
                self.failed.append(Failure(str(path), found.cause))
                advance(1)
            else:
                size, mtime = (now.st_size, now.st_mtime_ns) if now is not None else (0, 0)
                files.append(File(str(path), size, mtime, found, 0.0))
        arrived = self._move(files, by_hash)
        new: list[File] = []
        copies: list[File] = []
        started: set[str] = set()
        for file in files:
            if file.path in arrived or self._recognised(file, by_hash.get(file.hash, [])):
                advance(1)
            elif file.hash in started:
                copies.append(file)
            else:
                started.add(file.hash)
                new.append(file)
        self._embed(new, advance)
        self._commit()
        by_hash = self.store.with_hash({file.hash for file in copies}) if copies else {}
        for file in copies:  # of what was embedded a moment ago, or failed
            if not self._recognised(file, by_hash.get(file.hash, [])):
                self._embed([file], advance)
            else:
                advance(1)

    def _move(self, files: Sequence[File], by_hash: dict[str, list[File]]) -> set[str]:
        """Tell the store of content that has left its path, for nothing or for other content → where it is now."""
        now = {file.path: file.hash for file in files}
        moves: list[tuple[str, File]] = []
        for file in files:
            same = by_hash.get(file.hash, [])
            if any(other.path == file.path for other in same):
                continue
            for other in same:
                left = now.get(other.path, other.hash) != other.hash or is_gone(Path(other.path))
                if left and other.path not in self.moved:
                    self.moved.add(other.path)
                    moves.append((other.path, replace(file, seconds=other.seconds)))
                    break
        arrived = set(self.store.move(moves)) if moves else set()
        self.updated += len(arrived)
        return arrived

    def _recognised(self, file: File, same: Sequence[File]) -> bool:
        """Whether the content is known already, here or elsewhere; if so, the store is told."""
        if any(other.path == file.path for other in same):
            self._touched.append(file)
            self.unchanged += 1
            return True
        for other in same:
            recording = self.store.recording(other.path)
            if recording is not None and recording.file.hash == file.hash:
                self._count(file)
                self._put(replace(recording, file=replace(file, seconds=recording.file.seconds)))
                return True
        return False

    def _embed(self, files: Sequence[File], advance: Advance) -> None:
        for file, windows in zip(
            files, self.clap.encode_each([file.path for file in files], window=WINDOW, hop=HOP), strict=True
        ):
            if isinstance(windows, Windows):
                self._count(file)
                self._put(
                    Recording(
                        replace(file, seconds=float(windows.end[-1])), windows.start, windows.end, windows.embedding
                    )
                )
            else:
                self.failed.append(Failure(file.path, windows.cause))
            advance(1)

    def _count(self, file: File) -> None:
        if file.path in self.known:
            self.updated += 1
        else:
            self.added += 1

    def _put(self, recording: Recording) -> None:
        self._waiting.append(recording)
        self._windows += len(recording.start)
        late = len(self._waiting) >= COMMIT_FILES or time.monotonic() - self._committed > COMMIT_SECONDS
        if (self.often and late) or self._windows >= COMMIT_WINDOWS:
            self._commit()

    def _commit(self) -> None:
        if self._waiting:
            self.store.put(self._waiting)
            self._waiting, self._windows = [], 0
        if self._touched:
            self.store.touch(self._touched)
            self._touched = []
        self._committed = time.monotonic()


def _hash_or_error(path: Path) -> str | SoundError:
    try:
        return content_hash(path)
    except SoundError as error:
        return error


def _gone(store: Store, paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Files of the store that lay at or below these paths and are there no more."""
    where = Where(within=tuple(absolute(path) for path in paths))
    return [file.path for file in store.files(where) if is_gone(Path(file.path))]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):  # the loader says in words what is wrong
        return None


def absolute(path: str | os.PathLike[str]) -> str:
    """As the library knows it: links are not resolved."""
    return os.path.abspath(Path(os.path.expanduser(path)))


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some


@contextmanager
def _progress(total: int, show: bool | Progress, failed: list[Failure]) -> Iterator[Advance]:
    """Progress on stderr: done, rate, time left, failures; or told to who asked for it."""
    if callable(show):
        so_far = 0

        def tell(count: int) -> None:
            nonlocal so_far
            so_far += count
            show(so_far, total)

        tell(0)
        yield tell
        return
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("[red]{task.fields[bad]}"))  # fmt: skip
    began, done = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, rate="", bad="")

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = done / max(time.monotonic() - began, 1e-6)
            bad = f"{len(failed)} failed" if failed else ""
            bar.update(task, completed=done, rate=f"{rate:.0f} files/s", bad=bad)

        yield advance
