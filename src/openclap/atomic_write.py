"""Files that appear under their name only when they are complete: written beside it, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from openclap.errors import UsageError

__all__ = ["ENDING", "atomic_write", "write_json", "write_text"]

ENDING = ".part"  # of a file that is not complete yet
NAME_CHARACTERS = 40  # of the file's name that are in the temporary name, as a longer one might not be allowed


@contextmanager
def atomic_write(file: Path, *, own: bool = False, sync: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which is renamed to `file` at the end, and removed on an error.

    Parameters
    ----------
    file
        The file to write; its folder must exist.
    own
        The folder belongs to openclap and a single process writes there: the temporary name is that of the file and
        `ENDING`, so that the remains of a killed process are overwritten. Otherwise the name is unique and they stay.
    sync
        Flush the content to the disk before the rename.
    """
    name = file.name if own else f".{file.name[:NAME_CHARACTERS]}.{os.urandom(8).hex()}"
    part = file.parent / f"{name}{ENDING}"
    try:
        yield part
        if sync:
            with part.open("rb+") as written:  # some systems flush only files that are open for writing
                os.fsync(written.fileno())
        os.replace(part, file)
    except BaseException:
        with suppress(OSError, ValueError):  # ValueError: no file can have this name
            part.unlink()
        raise


def write_json(file: Path, value: Any, *, indent: int | None = 1, own: bool = False, sync: bool = False) -> None:
    """Write a JSON file, completely or not at all; `own` and `sync` as in `atomic_write`."""
    with atomic_write(file, own=own, sync=sync) as part:
        part.write_bytes(json.dumps(value, indent=indent).encode())


def write_text(file: Path, text: str, *, errors: str = "surrogateescape") -> None:
    """Write a UTF-8 file that a user asked for, with unchanged line ends; `errors` as in `str.encode`.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    try:
        with atomic_write(file) as part:
            part.write_text(text, encoding="utf-8", errors=errors, newline="")
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror or error}); choose another place") from error
