"""A folder → its size, and a lock on it, for both stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openclap.errors import Hint, LibraryError

__all__ = ["folder_bytes", "lock_folder"]


@contextmanager
def lock_folder(folder: Path, place: str) -> Iterator[None]:
    """Hold the lock of a folder whose library is re-embedded; errors call the library `place`.

    Raises
    ------
    LibraryError
        Another process re-embeds it, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "reembedding.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LibraryError(f"{place} is being re-embedded by another process; wait until it is done") from None
    except OSError as error:
        raise LibraryError(
            f"{place} cannot be written to ({error.strerror or error})", Hint("other_library")
        ) from error
    try:
        yield
    finally:
        lock.release()


def folder_bytes(folder: str | Path) -> int:
    """The bytes of all files in a folder and below it."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # another process has just removed it
                total += Path(top, name).stat().st_size
    return total
