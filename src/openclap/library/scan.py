"""Folders → the sound files in them. Knows nothing of what is in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from openclap.errors import UsageError
from openclap.results import Failure

__all__ = ["EXTENSIONS", "Found", "find_sounds"]

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


@dataclass(frozen=True)
class Found:
    """What there is to index: `files`, and what could not be looked into."""

    files: list[Path]
    folders: list[Path]  # that were looked through
    closed: list[Failure]  # folders without permission, and the like


def find_sounds(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """Files to index, and the folders that were looked through.

    Folders are searched recursively for known extensions; hidden files and folders are left out, links are followed
    once. A file that is named itself is always taken, whatever its name. Everything is absolute and sorted.

    Raises
    ------
    UsageError
        An empty path, which would be the current folder.
    """
    files: dict[Path, None] = {}
    folders: list[Path] = []
    closed: list[Failure] = []
    for given in paths:
        if not os.fspath(given):
            raise UsageError("a path is empty; give files or folders ('.' is the current folder)")
        path = Path(os.path.abspath(Path(os.path.expanduser(given))))  # the name the user knows: links are not resolved
        if path.is_dir():
            folders.append(path)
            files.update(dict.fromkeys(_below(path, closed)))
        else:
            files[path] = None
    return Found(list(files), folders, closed)


def _below(folder: Path, closed: list[Failure]) -> list[Path]:
    found: list[Path] = []
    seen: set[str] = set()

    def note(error: OSError) -> None:
        closed.append(Failure(str(error.filename), f"cannot be looked into ({error.strerror})"))

    for root, folders, names in os.walk(folder, followlinks=True, onerror=note):
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
