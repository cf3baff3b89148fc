"""Which store a place names."""

from __future__ import annotations

import os
from pathlib import Path

from openclap.errors import LibraryError, UsageError
from openclap.store.records import Store
from openclap.store.sqlite.store import SqliteStore

__all__ = ["open_store"]


def open_store(place: str | os.PathLike[str]) -> Store:
    """A folder → SQLite. Nothing is made before the first write."""
    name = os.fspath(place)
    if not name:
        raise UsageError("the path of the library is empty; give a folder")
    if "://" in name:
        raise UsageError(f"{name}: this version keeps libraries in folders only; give a path")
    folder = Path(os.path.abspath(os.path.expanduser(name)))
    if folder.exists() and not folder.is_dir():
        raise LibraryError(f"{folder} is a file; a library is a folder")
    return SqliteStore(folder)
