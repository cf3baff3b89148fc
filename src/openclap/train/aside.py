"""Files that appear under their name when they are whole, and folders that take the place of others. Knows nothing of what is in them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["replace_folder", "written", "written_json"]


@contextmanager
def written(file: Path, *, shared: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to, aside; it is synced and renamed at the end, and removed where something goes wrong.

    Parameters
    ----------
    shared
        Other processes may write the same file at the same time. What a killed one leaves aside then stays; without this,
        the next one writes over it.
    """
    aside = file.with_name(f"{file.name}.{os.getpid()}.part" if shared else f"{file.name}.part")
    try:
        with aside.open("wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)


def written_json(file: Path, value: Any, *, indent: int | None = 1, shared: bool = False) -> None:
    """A file of JSON, whole or not at all."""
    with written(file, shared=shared) as opened:
        opened.write(json.dumps(value, indent=indent).encode())


def replace_folder(made: Path, target: Path, aside: Path) -> None:
    """A finished folder takes its name; what was there is moved aside, to be removed by whoever made that place."""
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(target, aside)
    os.replace(made, target)
