"""A path or an address → the store there, SQLite or LanceDB."""

from __future__ import annotations

import os
import re
from pathlib import Path

from openclap.errors import LibraryError, MissingExtra, UsageError
from openclap.store.records import Store
from openclap.store.sqlite.store import SqliteStore

__all__ = ["open_store"]

ADDRESS = re.compile(r"(s3|gs|az)://[^/\s#?%]+/+[^/#?%\x00-\x1f][^#?%\x00-\x1f]*")


def open_store(place: str | os.PathLike[str]) -> Store:
    """Open the store at a place: LanceDB for a name that ends in .lance or an address on object storage, else SQLite.

    Nothing is made on disk before the first write.

    Raises
    ------
    UsageError, LibraryError
        It is not a place for a library.
    MissingExtra
        LanceDB is not installed.
    """
    name = os.fspath(place)
    if not name:
        raise UsageError("the path of the library is empty; give a folder")
    if "://" in name:
        if not ADDRESS.fullmatch(name):
            raise UsageError(
                f"{name} is no place for a library; give a folder, or an address as s3://BUCKET/sounds.lance (or gs://,"
                " az://), without # ? %"
            )
        return _open_lance(name.rstrip("/"))
    folder = Path(os.path.abspath(os.path.expanduser(name)))
    if folder.exists() and not folder.is_dir():
        raise LibraryError(f"{folder} is a file; a library is a folder")
    return _open_lance(str(folder)) if folder.suffix == ".lance" else SqliteStore(folder)


def _open_lance(uri: str) -> Store:
    try:
        from openclap.store.lance.store import LanceStore
    except ImportError:
        raise MissingExtra("LanceDB is not installed: install openclap's extra 'scale' (docs/install.md)") from None
    return LanceStore(uri)
