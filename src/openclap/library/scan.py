"""Folders → the sound files in them. Knows nothing of what is in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["EXTENSIONS", "find_sounds"]

EXTENSIONS = frozenset(
    [
        "wav",
        "wave",
        "flac",
        "ogg",
        "oga",
        "opus",
        "mp3",
        "m4a",
        "m4b",
        "aac",
        "aif",
        "aiff",
        "aifc",
        "caf",
        "w64",
        "rf64",
        "wma",
        "mp4",
        "m4v",
        "mkv",
        "mov",
        "webm",
        "mka",
        "avi",
        "au",
        "snd",
        "amr",
        "ac3",
        "wv",
        "ape",
    ]
)


def find_sounds(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Path], list[Path]]:
    """Files to index, and the folders that were looked through.

    Folders are searched recursively for known extensions; hidden files and folders are left out, links are followed
    once. A file that is named itself is always taken, whatever its name. Everything is absolute and sorted.
    """
    files: dict[Path, None] = {}
    folders: list[Path] = []
    for given in paths:
        path = Path(os.path.abspath(Path(given).expanduser()))  # the name the user knows: links are not resolved
        if path.is_dir():
            folders.append(path)
            files.update(dict.fromkeys(_below(path)))
        else:
            files[path] = None
    return list(files), folders


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link to a folder above itself
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root, name)
            for name in names
            if not name.startswith(".") and name.rpartition(".")[2].lower() in EXTENSIONS
        ]
    return sorted(found)
