"""Files that appear under their name when they are whole: written aside, in the same folder, then renamed.

Knows nothing of what is in them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from openclap.errors import UsageError

__all__ = ["ENDING", "atomic_write", "write_json", "write_text"]

ENDING = ".part"  # of what is not whole yet
LETTERS = 40  # of the file's name, which may be as long as names can be


@contextmanager
def atomic_write(file: Path, *, own: bool = False, sync: bool = False) -> Iterator[Path]:
    """A path to write to; it takes the file's name at the end, and is removed where something goes wrong.

    Parameters
    ----------
    file
        Its folder exists.
    own
        The folder is openclap's and one process writes there: the path is the file's name and `ENDING`, so what a
        killed one left is written over. Without it nobody else has the name, and what a killed one left stays.
    sync
        The content is on the disk before the name is.
    """
    name = file.name if own else f".{file.name[:LETTERS]}.{os.urandom(8).hex()}"
    part = file.parent / f"{name}{ENDING}"
    try:
        yield part
        if sync:
            with part.open("rb+") as written:  # some systems sync only what may be written to
                os.fsync(written.fileno())
        os.replace(part, file)
    except BaseException:
        with suppress(OSError, ValueError):  # ValueError: a folder's name that no folder has
            part.unlink()
        raise


def write_json(file: Path, value: Any, *, indent: int | None = 1, own: bool = False, sync: bool = False) -> None:
    """A file of JSON, whole or not at all; `own` and `sync` as `atomic_write` has them."""
    with atomic_write(file, own=own, sync=sync) as part:
        part.write_bytes(json.dumps(value, indent=indent).encode())


def write_text(file: Path, text: str, *, errors: str = "surrogateescape") -> None:
    """A file of UTF-8 that a user asked for, with the line ends it came with; `errors` is for what UTF-8 cannot say.

    Raises
    ------
    UsageError
        It cannot be written there.
    """
    try:
        with atomic_write(file) as part:
            part.write_text(text, encoding="utf-8", errors=errors, newline="")
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror or error}); choose another place") from error
