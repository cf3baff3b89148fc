"""Files that openclap finds by itself (caches, models, libraries), opened only where they are files.

Opening a pipe of that name would wait for a writer, maybe for ever, and a device may never end. What a user names may
well be a pipe: `--labels-file <(…)` is read where it is asked for, not here.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["open_regular", "read_regular", "require_database", "require_regular"]

OF_SQLITE = ("", "-wal", "-shm", "-journal")  # endings of the files of a database

# O_NONBLOCK: a pipe that takes the file's place between the two looks at it is not waited for either
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading.

    Raises
    ------
    OSError
        It is not there, cannot be read, or is a folder, a pipe or a device.
    """
    require_regular(path)  # opening a device could have an effect
    file = cast("BinaryIO", open(path, "rb", opener=_open_now))  # noqa: SIM115 -- Path.open takes no opener
    try:
        _check(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The content of a file; errors as in `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def require_regular(path: str | os.PathLike[str]) -> None:
    """Raise what `open_regular` would, for a file that a library opens by its name."""
    _check(Path(path).stat().st_mode, path)


def require_database(path: str | os.PathLike[str]) -> None:
    """As `require_regular` for all files of a SQLite database, none of which need be there yet."""
    for ending in OF_SQLITE:
        with suppress(FileNotFoundError):  # another process may remove one at any time
            require_regular(os.fspath(path) + ending)


def _open_now(path: str, flags: int) -> int:
    return os.open(path, flags | FLAGS)


def _check(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", os.fspath(path))
