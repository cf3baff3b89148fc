"""What of a library leaves it: files that were deleted, and those that are left out now, but not those of a disk that may be away.

    folder          held    there now
    /nas              40            0      nothing is there any more: kept
    /nas/rain         12            5      more than half of ten or more at once: kept
    /nas/wind         12           11      one was deleted: it leaves the library

What was found at another path has moved, and counts as being there. Files are said to be missing from the outermost
folder that yields none any more, of these rather one that is empty or not there: the disk that is not mounted, not a
folder around it. Where all that hold them still yield some, it is the innermost that lost so many.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from openclap.library.reachability import holds_nothing, is_gone
from openclap.library.scan import FoundSounds, is_sound
from openclap.results import MissingFolder
from openclap.store import SearchFilter, Store

__all__ = ["HeldFiles", "files_below", "split_unreachable"]

MANY = 10  # files of a folder, more than half of which are not deleted one by one


@dataclass(frozen=True)
class HeldFiles:
    """What the library holds of the paths that were given: files, those of them that are gone, and those that are left out now."""

    files: list[str]
    gone: list[str]
    excluded: list[str]
    roots: frozenset[str]

    def split_unreachable(
        self, gone: Sequence[str], found: FoundSounds, moved: Collection[str]
    ) -> tuple[list[str], list[MissingFolder]]:
        """Those that are gone and must be kept, and from which folders they are missing."""
        looked_through = frozenset(map(str, found.folders))
        below = [path for path in gone if _folder_of(path, looked_through) or path not in self.roots]
        kept, folders = split_unreachable(below, self.files, map(str, found.files), moved, self.roots)
        alone = Counter(os.path.dirname(path) for path in set(gone) - set(below))  # noqa: PTH120
        empty = {folder: count for folder, count in alone.items() if not _yields(folder)}
        kept += [path for path in gone if path not in below and os.path.dirname(path) in empty]  # noqa: PTH120
        return kept, [*folders, *(MissingFolder(folder, count) for folder, count in empty.items())]


def files_below(store: Store, paths: Sequence[str], found: FoundSounds) -> HeldFiles:
    """What the library holds of absolute paths, in which these sounds were found."""
    roots = frozenset(paths)
    looked_through = frozenset(map(str, found.folders))
    named = roots - looked_through
    held = HeldFiles([], [], [], roots)
    for file in store.files(SearchFilter(within=tuple(roots))) if roots else ():
        root = _folder_of(file.path, looked_through)
        if root and file.path not in named and found.exclusions.is_excluded_below(file.path, root):
            held.excluded.append(file.path)
            continue
        held.files.append(file.path)
        if is_gone(Path(file.path)):
            held.gone.append(file.path)
    return held


def _folder_of(path: str, folders: Collection[str]) -> str:
    """The innermost of these folders that a file lies in, or nothing."""
    folder = os.path.dirname(path)  # noqa: PTH120 -- a hundred thousand of them
    while folder not in folders:
        path, folder = folder, os.path.dirname(folder)  # noqa: PTH120
        if folder == path:
            return folder if folder in folders else ""
    return folder


def split_unreachable(
    gone: Sequence[str], held: Collection[str], found: Iterable[str], moved: Collection[str], roots: Collection[str]
) -> tuple[list[str], list[MissingFolder]]:
    """Those of the files that are gone which must be kept, and the folders they are missing from.

    Parameters
    ----------
    gone
        Files of the library that are not there.
    held
        All that the library holds below the roots, those that are gone and those that moved included.
    found
        Sounds that are there now.
    moved
        Paths that files have left for others.
    roots
        The folders that were looked through.
    """
    if not gone:
        return [], []
    above = {path: _folders(path, roots) for path in gone}
    concerned = {folder for folders in above.values() for folder in folders}
    missing = set(gone)
    there = {path for path in held if path not in missing} | set(found)
    counts = {
        name: Counter(folder for path in paths for folder in _folders(path, roots) if folder in concerned)
        for name, paths in (("gone", gone), ("held", set(held)), ("there", there | set(moved)))
    }
    doubtful = {
        folder
        for folder in concerned
        if not counts["there"][folder]
        or (counts["held"][folder] >= MANY and 2 * counts["gone"][folder] > counts["held"][folder])
    }
    kept: list[str] = []
    missing_from: Counter[str] = Counter()
    empty = lru_cache(maxsize=None)(holds_nothing)
    for path, folders in above.items():
        unsure = [folder for folder in folders if folder in doubtful]
        if unsure:
            kept.append(path)
            silent = [folder for folder in unsure if not counts["there"][folder]] or unsure[:1]
            missing_from[next(filter(empty, reversed(silent)), silent[-1])] += 1
    return kept, [MissingFolder(folder, count) for folder, count in sorted(missing_from.items())]


def _yields(folder: str) -> bool:
    """Whether a folder holds a sound or another folder: that of a file which was named by itself and is gone."""
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(".") and (entry.is_dir() or is_sound(entry.name)) for entry in entries)
    except OSError:
        return False


def _folders(path: str, roots: Collection[str]) -> list[str]:
    """The folders that a path lies in, from the innermost to the outermost of the roots."""
    found: list[str] = []
    count = 0
    folder = os.path.dirname(path)  # noqa: PTH120 -- a hundred thousand of them
    while folder != path:
        found.append(folder)
        if folder in roots:
            count = len(found)
        path, folder = folder, os.path.dirname(folder)  # noqa: PTH120
    return found[:count]
