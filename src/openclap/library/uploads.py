"""Sounds that somebody sends → files in a folder where a library finds them again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

from openclap.atomic_write import atomic_write

__all__ = ["keep_upload", "safe_name"]

PIECE = 1 << 18  # bytes
DEEPEST, LONGEST = 8, 150  # folders of a name that are kept; bytes of one of its parts
MOST = 10_000  # files of one name
FORBIDDEN = {ord(sign): "_" for sign in '<>:"|?*'} | dict.fromkeys([*range(32), 127], "_")  # on some system


def safe_name(name: str) -> Path:
    """The name of an upload, with the folders that it had there, as one that leads nowhere else."""
    parts = [part.translate(FORBIDDEN).strip(" ").lstrip(".") for part in name.replace("\\", "/").split("/")]
    kept = [_cut(part) for part in parts if part][-DEEPEST:]
    return Path(*kept) if kept else Path("sound")


def keep_upload(sound: BinaryIO, name: Path, folder: Path) -> tuple[Path, bool] | None:
    """Copy an open file into a folder → its place there, and whether it is new; the same file twice is one.

    Parameters
    ----------
    name
        As `safe_name` gives it; another file of this name stays, and a number is added to it.

    Returns
    -------
    None where there are too many of this name.
    """
    for number in range(1, MOST):
        place = folder / (name if number == 1 else name.with_name(f"{name.stem}_{number}{name.suffix}"))
        if os.path.lexists(place):
            if place.is_file() and not place.is_symlink() and _is_same(sound, place):
                return place, False
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        sound.seek(0)
        with atomic_write(place) as part, part.open("wb") as copy:
            shutil.copyfileobj(sound, copy)
        return place, True
    return None


def _is_same(sound: BinaryIO, place: Path) -> bool:
    sound.seek(0)
    with place.open("rb") as kept:
        while True:
            piece = sound.read(PIECE)
            if piece != kept.read(PIECE):
                return False
            if not piece:
                return True


def _cut(part: str) -> str:
    """A part of a name that a disk can hold; its ending stays."""
    if len(part.encode("utf-8", "replace")) <= LONGEST:
        return part
    stem, dot, ending = part.rpartition(".")
    ending = dot + ending if stem and len(ending) <= 10 else ""
    return part.encode("utf-8", "replace")[: LONGEST - len(ending)].decode("utf-8", "ignore") + ending
