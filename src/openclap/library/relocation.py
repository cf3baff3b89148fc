"""A file, a folder or a disk that has another path now → the files of a library that are there, and their moves.

at the new path                               the file
---------------------------------------       ----------------------
nothing                                       stays, is told: missing
another size                                  stays, is told: changed
the same size and time                        moves; of some the content is compared, and of all if one differs
the same size, another time                   its content is compared: moves, or stays and is told as changed

In SQLite all that move do so in one transaction. LanceDB holds what it moves in memory, so it moves some thousand files
at a time; a run that was stopped there goes on when it is started again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from openclap.audio.content_hash import content_hash
from openclap.batches import batches
from openclap.errors import SoundError, UsageError
from openclap.library.file_words import text_at
from openclap.library.library_results import Relocation
from openclap.library.scan import size_and_time
from openclap.plurals import count_noun
from openclap.progress import with_progress
from openclap.store import File, FileText, SearchFilter, Store
from openclap.store.path_patterns import spellings

__all__ = ["relocate"]

MOVED_AT_ONCE = 5_000  # files, in LanceDB: twenty thousand took 1.6 GB
COMPARED = 8  # files of the same size and time whose content is compared, evenly spread


def relocate(store: Store, old: str, new: str, *, dry_run: bool, progress: bool) -> Relocation:
    """Move what a library holds at an absolute path to another one, as `Library.relocate` does."""
    files = list(store.files(SearchFilter(within=(old,))))
    if not files:
        raise UsageError(f"the library holds nothing at {old}; give the path that it had when it was indexed")
    found = _Found()
    for file, path in with_progress(list(_new_paths(files, old, new)), "comparing", len(files), show=progress):
        found.look_at(file, path)
    found.compare_some()
    if not found.moves:
        missing, changed = len(found.missing), len(found.changed)
        held = count_noun(len(files), "file")
        raise UsageError(
            f"none of the {held} that the library holds at {old} is at {new} ({missing} missing, {changed} with another"
            " content); give the path that has the same files below it"
        )
    if not dry_run:
        moves = sorted(found.moves.items())
        for some in _steps(store, moves):
            store.move(some, dict(_changed_texts(store, some)))
        store.optimize()
    return Relocation(len(found.moves), sorted(found.missing), sorted(found.changed), dry_run=dry_run)


def _steps(store: Store, moves: list[tuple[str, File]]) -> Iterator[list[tuple[str, File]]]:
    """Moves that are made together: all of them, where the store can, or where one ends at the old path of another."""
    chained = not {old for old, _ in moves}.isdisjoint(file.path for _, file in moves)
    yield from batches(moves, MOVED_AT_ONCE if store.shared and not chained else len(moves))


@dataclass
class _Found:
    """Files as they would be at their new paths, by the old ones, and the old paths of those that are not there."""

    moves: dict[str, File] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # old paths of moves of which nobody has compared the content

    def look_at(self, file: File, path: str) -> None:
        """Note whether a file is at its new path."""
        state = size_and_time(path)
        now = file if state is None else replace(file, path=path, size=state[0], mtime_ns=state[1])
        if state is None:  # also what may not be looked at
            self.missing.append(file.path)
        elif state == (file.size, file.mtime_ns):
            self.moves[file.path] = now
            self.unread.append(file.path)
        elif state[0] == file.size and file.is_hashed and _has_content(now):
            self.moves[file.path] = now
        else:
            self.changed.append(file.path)

    def compare_some(self) -> None:
        """Compare the content of some of the files whose size and time are right; if one is another, that of all."""
        some = self.unread[:: max(1, len(self.unread) // COMPARED)]
        others = [path for path in some if not _has_content(self.moves[path])]
        if others:
            others += [path for path in self.unread if path not in some and not _has_content(self.moves[path])]
        for path in others:
            del self.moves[path]
        self.changed += others


def _has_content(file: File) -> bool:
    """Whether the file at a path has the content that was indexed; of one that was never hashed nobody knows."""
    try:
        return not file.is_hashed or content_hash(file.path) == file.hash
    except SoundError:
        return False


def _new_paths(files: list[File], old: str, new: str) -> Iterator[tuple[File, str]]:
    """Files with the paths that they have now, in the spelling that is on the disk."""
    depth = len(Path(old).parts)
    for file in files:
        inside = Path(file.path).parts[depth:]
        path = os.path.join(new, *inside)  # noqa: PTH118 -- Path would drop nothing here, but is slow
        if not inside and os.path.isdir(new):  # noqa: PTH112 -- a file into a folder
            path = os.path.join(new, os.path.basename(file.path))  # noqa: PTH118, PTH119
        yield file, next(filter(os.path.lexists, spellings(path)), path)


def _changed_texts(store: Store, moves: list[tuple[str, File]]) -> Iterator[tuple[str, FileText]]:
    """The texts, by new path, of files whose own name or whose named folders are called otherwise there."""
    texts = store.texts(old for old, _ in moves)
    for old, file in moves:
        if old in texts:
            text = text_at(texts[old], old, file.path)
            if text != texts[old]:
                yield file.path, text
