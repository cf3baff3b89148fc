"""Files of a library that are gone → those that were deleted and leave it, and those whose disk may not be mounted.

    folder          held    there now
    /nas              40            0      nothing is there any more: kept
    /nas/rain         12            5      more than half of ten or more went at once: kept
    /nas/wind         12           11      one was deleted: it leaves the library

A file that was found at another path has moved, and counts as being there. Kept files are reported as missing from a
folder: the outermost one that yields no sound any more, if possible one that is empty or not there (the disk that is
not mounted, not a folder around it); where all folders around them still yield some, the innermost that lost so many.
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

__all__ = ["files_below", "split_unreachable"]

MANY = 10  # files of a folder, of which hardly anybody deletes more than half


@dataclass(frozen=True)
class HeldFiles:
    """What the library holds below given paths, `roots`: all files, those that are gone, and those excluded now."""

    files: list[str]
    gone: list[str]
    excluded: list[str]
    roots: frozenset[str]

    def split_unreachable(
        self, gone: Sequence[str], found: FoundSounds, moved: Collection[str]
    ) -> tuple[list[str], list[MissingFolder]]:
        """Those of the files that are gone which must be kept, and the folders they are missing from."""
        looked_through = frozenset(map(str, found.folders))
        below = [path for path in gone if _folder_of(path, looked_through) or path not in self.roots]
        kept, folders = split_unreachable(below, self.files, map(str, found.files), moved, self.roots)
        alone = Counter(os.path.dirname(path) for path in set(gone) - set(below))  # noqa: PTH120
        empty = {folder: count for folder, count in alone.items() if not _yields(folder)}
        kept += [path for path in gone if path not in below and os.path.dirname(path) in empty]  # noqa: PTH120
        return kept, [*folders, *(MissingFolder(folder, count) for folder, count in empty.items())]


def files_below(store: Store, paths: Sequence[str], found: FoundSounds) -> HeldFiles:
    """What the library holds below absolute paths, in which these sounds were found."""
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
    """The innermost of these folders that a file lies in, or an empty text."""
    folder = os.path.dirname(path)  # noqa: PTH120 -- it is called for a hundred thousand files
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
        All files that the library holds below the roots, with those that are gone or have moved.
    found
        Sounds that are there now.
    moved
        Old paths of files that have moved.
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
    """Whether a folder, of a file that was named by itself and is gone, holds a sound or another folder."""
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(".") and (entry.is_dir() or is_sound(entry.name)) for entry in entries)
    except OSError:
        return False


def _folders(path: str, roots: Collection[str]) -> list[str]:
    """The folders that a path lies in, from the innermost to the outermost of the roots."""
    found: list[str] = []
    count = 0
    folder = os.path.dirname(path)  # noqa: PTH120 -- it is called for a hundred thousand files
    while folder != path:
        found.append(folder)
        if folder in roots:
            count = len(found)
        path, folder = folder, os.path.dirname(folder)  # noqa: PTH120
    return found[:count]
