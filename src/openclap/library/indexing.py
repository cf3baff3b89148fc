"""Files and folders → rows of a store, where only new content is embedded.

    paths ─ scan ─┬─ size and time as before ─┬────────────────────────── unchanged
                  │                           └─ an earlier revision decoded it differently ─ embedded anew
                  └─ content hash ─┬─ known at this path ──────────────── unchanged: the time is noted
                                   ├─ known at a path that is gone ────── the file has moved: its rows move
                                   ├─ known elsewhere ─────────────────── a copy: its rows are copied
                                   └─ new ─ decode, embed ─────────────── rows, committed as they come

What is committed survives whatever happens next: the next run continues a stopped one. Several processes may index into
one library at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from openclap.audio.content_hash import content_hash
from openclap.audio.decode_revision import DECODE_REVISION, is_read_differently
from openclap.batches import batches
from openclap.clap import CLAP
from openclap.errors import SoundError
from openclap.library.file_words import read_text
from openclap.library.index_progress import Advance, Progress, track_progress
from openclap.library.reachability import is_gone
from openclap.library.removal import files_below
from openclap.library.scan import absolute_path, find_sounds, size_and_time
from openclap.results import AddReport, Failure, Windows
from openclap.store import File, FileText, Recording, Store

__all__ = ["AT_ONCE", "Spread", "add", "add_shard", "or_error"]

T = TypeVar("T")
R = TypeVar("R")

COMMIT_SECONDS = 1.0  # a killed run loses at most this much work,
COMMIT_FILES = 256  # or this many files
COMMIT_WINDOWS = 50_000  # windows, 100 MB, that wait in memory at most
TIDY_SHARDS = 256  # of a cluster, after which the store is tidied: each shard is a commit
AT_ONCE = 512  # files that are hashed and looked up together
TEXTS_AT_ONCE = 4_096  # files of an older library whose texts are noted together
HASHERS = 4

SizeAndTime = tuple[int, int]  # bytes, and ns
# new files, files the store knows, folders → for each part that was done, its number of files and its report
Spread = Callable[[Sequence[str], Collection[str], Sequence[str]], Iterator[tuple[int, AddReport]]]


def add(
    store: Store,
    clap: CLAP,
    paths: Sequence[str | os.PathLike[str]],
    *,
    claim: Callable[[], None],
    tags: Sequence[str] = (),
    exclude: Sequence[str] = (),
    keep: bool = False,
    prune: bool = False,
    progress: bool | Progress = False,
    skip: Callable[[Path, SizeAndTime], bool] = lambda *_: False,
    spread: Spread | None = None,
    texts: bool = True,
) -> AddReport:
    """Bring what the store knows of these files and folders up to date; see `Library.add`.

    Parameters
    ----------
    claim
        Called before anything is written: makes the store this model's, or refuses.
    skip
        Files for which this is true wait for another run.
    spread
        Embeds the new files elsewhere, instead of in this process.
    texts
        Read the words that files are called by; otherwise they wait for a run that does.
    """
    found = find_sounds(paths, exclude)
    known = store.find_files(map(str, found.files))
    fresh: list[tuple[Path, SizeAndTime | None]] = []
    roots = list(map(str, found.folders))
    run = _Run(store, clap, known, failed=list(found.unreadable), roots=roots if texts else None)
    for path in found.files:
        now, old = size_and_time(path), known.get(str(path))
        same = old is not None and (old.size, old.mtime_ns) == now
        if old is not None and same and (keep or old.is_hashed):
            run.note_unchanged(old)
        elif (old is None or not is_gone(path)) and not (now is not None and skip(path, now)):
            fresh.append((path, now))
    held = files_below(store, [absolute_path(path) for path in paths], found)
    for root in map(absolute_path, paths):  # the disk of a missing folder may not be mounted
        if is_gone(Path(root)) and any(path.startswith(root.rstrip(os.sep) + os.sep) for path in held.gone):
            fresh = [(path, now) for path, now in fresh if str(path) != root]
            if not prune:
                run.failed.append(Failure(root, "is not there; the files that it held stay in the library"))
    outdated = [] if keep else list(run.outdated)
    untold = [] if keep or not texts else store.without_text(known)
    if fresh or outdated or untold or (not keep and (held.gone or held.excluded)):
        claim()
    if fresh or outdated or untold:
        with track_progress(len(fresh) + len(outdated) + len(untold), progress, run.failed) as advance:
            if spread is None:
                run.embed_new(fresh, advance)
            else:
                run.merge_reports(spread([str(path) for path, _ in fresh], known, roots), advance)
            run.read_texts(untold, advance)
            if not keep:
                run.reembed_outdated(outdated, advance)
                run.reembed_outdated(run.outdated[len(outdated) :], lambda _: None)  # files that have just moved
    gone = [path for path in held.gone if path not in run.moved and is_gone(Path(path))]  # some may have come back
    kept, folders = ([], []) if prune else held.split_unreachable(gone, found, run.moved)
    leaving = [] if keep else [*sorted(set(gone) - set(kept)), *held.excluded]
    run.removed = store.delete(leaving) if leaving else 0
    untagged = [str(p) for p in found.files if str(p) not in known or not set(tags) <= set(known[str(p)].tags)]
    store.tag(untagged, tags)
    if fresh or outdated or untold or leaving:
        store.optimize()
    return replace(run.report(), kept_missing=len(kept), missing_folders=folders)


def add_shard(
    store: Store, clap: CLAP, paths: Sequence[str], known: Collection[str], roots: Sequence[str]
) -> AddReport:
    """Do what `add` does with new files, for some of them and in one commit; a second time it changes nothing.

    `known` are the files that the store knew when the run began. If it knows more of them now, a worker wrote them and
    died before it could report; `roots` are the folders that are indexed.
    """
    now = store.find_files(paths)
    run = _Run(store, clap, known, failed=[], roots=roots, often=False)
    fresh: list[tuple[Path, SizeAndTime | None]] = []
    for path in map(Path, paths):
        state, file = size_and_time(path), now.get(str(path))
        if file is not None and (file.size, file.mtime_ns) == state:
            run._count(file)
        else:
            fresh.append((path, state))
    run.embed_new(fresh, lambda _: None)
    return run.report()


@dataclass
class _Run:
    """One call of `add`: its counts so far, and the rows that wait to be committed."""

    store: Store
    clap: CLAP
    known: Collection[str]
    failed: list[Failure]
    roots: Sequence[str] | None  # the folders that are indexed; None where no texts are read
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    moved: set[str] = field(default_factory=set)  # paths that files have left
    outdated: list[File] = field(default_factory=list)  # files that an earlier revision of decoding has read
    often: bool = True  # commit every second
    _counted_unchanged: set[str] = field(default_factory=set)  # paths of those that are outdated, too
    _texts: dict[str, FileText] = field(default_factory=dict)  # of the files that are looked up together
    _new_facts: list[File] = field(default_factory=list)  # files of known content, whose facts wait to be noted
    _waiting: list[Recording] = field(default_factory=list)
    _waiting_windows: int = 0
    _committed: float = field(default_factory=time.monotonic)

    def embed_new(self, fresh: Sequence[tuple[Path, SizeAndTime | None]], advance: Advance) -> None:
        """Embed files that are new or have changed, or find their content in the store."""
        try:
            with ThreadPoolExecutor(HASHERS, thread_name_prefix="openclap-hash") as pool:
                for some in batches(fresh, AT_ONCE):
                    self._texts = {}
                    look = partial(or_error, self._look_at)
                    self._take(some, list(pool.map(look, (path for path, _ in some))), advance)
        finally:  # on Ctrl-C, too
            self._commit()

    def read_texts(self, paths: Sequence[str], advance: Advance) -> None:
        """Read the texts of files that the store knows without one, and of none that has got one meanwhile."""
        with ThreadPoolExecutor(HASHERS, thread_name_prefix="openclap-read") as pool:
            for some in batches(paths, TEXTS_AT_ONCE):
                untold = self.store.without_text(some)
                self.store.note_texts(dict(zip(untold, pool.map(self._text_of, untold), strict=True)))
                advance(len(some))

    def note_unchanged(self, file: File) -> None:
        """Count a file whose content is what it was."""
        self.unchanged += 1
        self._note_outdated(file)
        if file.reading < DECODE_REVISION:
            self._counted_unchanged.add(file.path)

    def reembed_outdated(self, files: Sequence[File], advance: Advance) -> None:
        """Embed files anew that this revision of decoding reads differently; for the others, only note the revision.

        No file is hashed again. Each batch notes what is done, so that the next run continues a stopped one.
        """
        try:
            with ThreadPoolExecutor(HASHERS, thread_name_prefix="openclap-ask") as pool:
                for some in batches(files, AT_ONCE):
                    self._reembed(some, list(pool.map(partial(or_error, _is_outdated), some)), advance)
        finally:
            self._commit()

    def merge_reports(self, parts: Iterator[tuple[int, AddReport]], advance: Advance) -> None:
        """Add up the reports of others who embedded some of the files."""
        for number, (count, part) in enumerate(parts, 1):
            if number % TIDY_SHARDS == 0:
                self.store.optimize()
            self.added += part.added
            self.updated += part.updated
            self.unchanged += part.unchanged
            self.failed += part.failed
            advance(count)

    def report(self) -> AddReport:
        """The counts so far."""
        return AddReport(self.added, self.unchanged, self.updated, self.removed, failed=self.failed)

    def _take(
        self, some: Sequence[tuple[Path, SizeAndTime | None]], hashes: Sequence[str | SoundError], advance: Advance
    ) -> None:
        by_hash = self.store.find_by_hash({h for h in hashes if isinstance(h, str)})
        files: list[File] = []
        for (path, now), found in zip(some, hashes, strict=True):
            if isinstance(found, SoundError):
                self.failed.append(Failure(str(path), found.cause))
                advance(1)
            else:
                files.append(File(str(path), *(now or (0, 0)), found, 0.0))
        arrived = self._move(files, by_hash)
        new: list[File] = []
        copies: list[File] = []
        started: set[str] = set()
        for file in files:
            if file.path in arrived or self._find_known(file, by_hash.get(file.hash, [])):
                advance(1)
            elif file.hash in started:
                copies.append(file)
            else:
                started.add(file.hash)
                new.append(file)
        self._embed(new, advance)
        self._commit()
        by_hash = self.store.find_by_hash({file.hash for file in copies}) if copies else {}
        for file in copies:  # their content was embedded a moment ago, or failed
            if not self._find_known(file, by_hash.get(file.hash, [])):
                self._embed([file], advance)
            else:
                advance(1)

    def _look_at(self, path: Path) -> str:
        """The hash of a file's content; its text is noted for whoever puts it into the store."""
        content = content_hash(path)
        if self.roots is not None:
            self._texts[str(path)] = self._text_of(str(path))
        return content

    def _text_of(self, path: str) -> FileText:
        return read_text(path, self.roots or ())

    def _move(self, files: Sequence[File], by_hash: dict[str, list[File]]) -> set[str]:
        """Give files of the store, whose content is at another path now, that path → the new paths."""
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
                    moves.append((other.path, replace(file, seconds=other.seconds, reading=other.reading)))
                    break
        arrived = set(self.store.move(moves, self._texts)) if moves else set()
        self.updated += len(arrived)
        for _, file in moves:
            if file.path in arrived:
                self._note_outdated(file)
        return arrived

    def _find_known(self, file: File, same: Sequence[File]) -> bool:
        """Whether the store knows the content, at this path or another; if so, its rows are noted for this file."""
        here = next((other for other in same if other.path == file.path), None)
        if here is not None:
            self._new_facts.append(replace(file, reading=here.reading))
            self.note_unchanged(replace(file, seconds=here.seconds, reading=here.reading))
            return True
        for other in same:
            recording = self.store.recording(other.path)
            if recording is not None and recording.file.hash == file.hash:
                copy = replace(file, seconds=recording.file.seconds, reading=recording.file.reading)
                self._count(file)
                self._note_outdated(copy)
                self._put(replace(recording, file=copy, text=self._texts.get(file.path)))
                return True
        return False

    def _note_outdated(self, file: File) -> None:
        """Remember a file that an earlier revision of decoding has read."""
        if file.reading < DECODE_REVISION:
            self.outdated.append(file)

    def _reembed(self, some: Sequence[File], is_outdated: Sequence[bool | SoundError], advance: Advance) -> None:
        first: dict[str, File] = {}
        copies: list[File] = []
        for file, answer in zip(some, is_outdated, strict=True):
            if not answer:
                self._new_facts.append(replace(file, reading=DECODE_REVISION))
            elif isinstance(answer, SoundError):
                self.failed.append(Failure(file.path, answer.cause))
            elif first.setdefault(file.hash, file) is file:
                continue
            else:
                copies.append(file)
                continue
            advance(1)
        self._embed(list(first.values()), advance, again=True)
        self._commit()
        for file in copies:
            recording = self.store.recording(first[file.hash].path)
            if recording is not None and (recording.file.hash, recording.file.reading) == (file.hash, DECODE_REVISION):
                self._count_reembedded(file)
                self._put(replace(recording, file=replace(recording.file, **_facts(file)), text=None))
            else:  # the first could not be read, or has changed meanwhile
                self._embed([file], lambda _: None, again=True)
            advance(1)

    def _count_reembedded(self, file: File) -> None:
        """Count a file that was embedded anew as updated; one that has moved or is a copy was counted before."""
        if file.path in self._counted_unchanged:
            self.unchanged -= 1
            self.updated += 1

    def _embed(self, files: Sequence[File], advance: Advance, *, again: bool = False) -> None:
        seconds = self.clap.front_end.window_seconds
        embedded = self.clap.encode_each([file.path for file in files], window=seconds, hop=seconds / 2)
        for file, windows in zip(files, embedded, strict=True):
            if isinstance(windows, Windows):
                (self._count_reembedded if again else self._count)(file)
                now = replace(file, seconds=float(windows.end[-1]), reading=DECODE_REVISION)
                text = self._texts.get(file.path)
                self._put(Recording(now, windows.start, windows.end, windows.embedding, text, windows.level))
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
        self._waiting_windows += len(recording.start)
        late = len(self._waiting) >= COMMIT_FILES or time.monotonic() - self._committed > COMMIT_SECONDS
        if (self.often and late) or self._waiting_windows >= COMMIT_WINDOWS:
            self._commit()

    def _commit(self) -> None:
        if self._waiting:
            self.store.put(self._waiting)
            self._waiting, self._waiting_windows = [], 0
        if self._new_facts:
            self.store.update_facts(self._new_facts)
            self._new_facts = []
        self._committed = time.monotonic()


def or_error(call: Callable[[T], R], what: T) -> R | SoundError:
    """What a call gives, or the error of a sound that cannot be used."""
    try:
        return call(what)
    except SoundError as error:
        return error


def _is_outdated(file: File) -> bool:
    return is_read_differently(file.path, file.reading)


def _facts(file: File) -> dict[str, Any]:
    """The facts in which a copy differs from the file it is a copy of."""
    return {"path": file.path, "size": file.size, "mtime_ns": file.mtime_ns}
