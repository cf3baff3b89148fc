"""Files that have left the disk: which of them were deleted, and which may only be out of reach, as on a disk that is not mounted.

    folder          held    there now
    /nas              40            0      nothing is there any more: kept
    /nas/rain         12            5      more than half of ten or more at once: kept
    /nas/wind         12           11      one was deleted: it leaves the library

What was found at another path has moved, and counts as being there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from openclap.results import MissingFolder
from openclap.store import Row, Store, Where
from openclap.store.records import Vectors

__all__ = ["is_gone", "is_reachable", "nearest_reachable", "out_of_reach", "yields"]

MANY = 10  # files of a folder, more than half of which are not deleted one by one
GROWTH = 4  # times as many hits are looked at, where some cannot be reached


def is_gone(path: Path) -> bool:
    """Whether nothing is there; what cannot be looked at may still be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_reachable(path: str) -> bool:
    """Whether a file is there now and can be looked at."""
    try:
        os.stat(path)  # noqa: PTH116 -- the path as the library has it
    except (OSError, ValueError):
        return False
    return True


def out_of_reach(
    gone: Sequence[str], held: Collection[str], found: Iterable[str], moved: Collection[str], roots: Collection[str]
) -> tuple[list[str], list[MissingFolder]]:
    """Those of the files that are gone which must be kept, and the outermost folders they are missing from.

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
    for path, folders in above.items():
        outermost = next((folder for folder in reversed(folders) if folder in doubtful), None)
        if outermost is not None:
            kept.append(path)
            missing_from[outermost] += 1
    return kept, [MissingFolder(folder, count) for folder, count in sorted(missing_from.items())]


def nearest_reachable(
    store: Store, vector: Vectors, k: int, *, where: Where | None = None, per_file: bool = True
) -> tuple[list[Row], list[Row]]:
    """`Store.nearest` among the files that can be reached now → rows, and the better ones that were left out."""
    known: dict[str, bool] = {}
    away: dict[str, None] = {}
    wanted = k
    left_out: list[Row] = []
    while True:
        among = replace(where or Where(), outside=tuple(away)) if away else where
        rows = store.nearest(vector, wanted, where=among, per_file=per_file)
        good: list[Row] = []
        for row in rows:
            if row.path not in known:
                known[row.path] = is_reachable(row.path)
            if known[row.path]:
                good.append(row)
            elif len(good) < k:
                left_out.append(row)
                away[_away(row.path)] = None
        if len(good) >= k or len(rows) == len(good):
            return good[:k], left_out
        wanted *= GROWTH


def _away(path: str) -> str:
    """The outermost folder around a file that is missing, or empty: the disk that is not mounted; or the file alone."""
    outermost = path
    for folder in Path(path).parents:
        try:
            with os.scandir(folder) as entries:
                if next(entries, None) is not None:
                    break
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError):
            break
        outermost = str(folder)
    return outermost


def yields(folder: str, is_sound: Callable[[str], bool]) -> bool:
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
