"""Paths of a library → whether the files can be reached now, and the nearest hits among those that can."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from openclap.store import ScoredWindow, SearchFilter, Store, nearest_recordings
from openclap.store.records import Vectors

__all__ = ["holds_nothing", "is_gone", "is_reachable", "nearest_reachable"]

GROWTH = 4  # times as many hits are asked for, while some cannot be reached


def is_gone(path: Path) -> bool:
    """Whether nothing is at a path; what cannot be looked at may be there."""
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


def holds_nothing(folder: str) -> bool:
    """Whether a folder is missing or empty; one that cannot be looked into may hold something."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False


def nearest_reachable(
    store: Store,
    vector: Vectors,
    k: int,
    *,
    where: SearchFilter | None = None,
    per_file: bool = True,
    whole: bool = False,
    missing: bool = False,
) -> tuple[list[ScoredWindow], list[ScoredWindow]]:
    """`Store.nearest` among the files that can be reached → the rows, and better ones that were left out.

    With `whole` they are those of `store.nearest_recordings`. With `missing`, all files count and nothing is left out.
    """

    def ask(count: int, among: SearchFilter | None) -> list[ScoredWindow]:
        if whole:
            return nearest_recordings(store, vector, count, where=among)
        return store.nearest(vector, count, where=among, per_file=per_file)

    if missing:
        return ask(k, where), []
    known: dict[str, bool] = {}
    away: dict[str, None] = {}
    wanted = k
    left_out: list[ScoredWindow] = []
    while True:
        given = where or SearchFilter()
        among = replace(given, outside=(*given.outside, *away)) if away else where
        rows = ask(wanted, among)
        good: list[ScoredWindow] = []
        before = len(away)
        for row in rows:
            if row.path not in known:
                known[row.path] = is_reachable(row.path)
            if known[row.path]:
                good.append(row)
            elif len(good) < k:
                left_out.append(row)
                away[_missing_folder(row.path)] = None
        if len(good) >= k or len(away) == before:
            return good[:k], left_out
        wanted *= GROWTH


def _missing_folder(path: str) -> str:
    """The outermost folder around a file that is missing or empty, as a disk that is not mounted; else the file."""
    outermost = path
    for folder in map(str, Path(path).parents) if os.path.isabs(path) else ():  # noqa: PTH117
        if not holds_nothing(folder):
            break
        outermost = folder
    return outermost
