"""Folders → the sound files in them. Knows nothing of what is in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openclap.errors import UsageError
from openclap.library.exclusions import Exclusions
from openclap.results import Failure

__all__ = ["EXTENSIONS", "FoundSounds", "find_sounds", "is_sound", "require_sounds"]

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
class FoundSounds:
    """What there is to index: `files`, and what could not be looked into."""

    files: list[Path]
    folders: list[Path]  # that were looked through
    unreadable: list[Failure]  # folders without permission, ignore files that cannot be read, and the like
    exclusions: Exclusions = field(default_factory=Exclusions)


def find_sounds(paths: Iterable[str | os.PathLike[str]], exclude: Sequence[str] = ()) -> FoundSounds:
    """Files to index, and the folders that were looked through.

    Folders are searched recursively for known extensions; hidden files and folders, those of the system, and what
    `exclude` and ignore files say (see `exclude`) are left out, links are followed once. A file that is named itself is
    always taken, whatever its name. Everything is absolute and sorted.

    Raises
    ------
    UsageError
        An empty path, which would be the current folder; a pattern that is none.
    """
    left_out = Exclusions(exclude)
    files: dict[Path, None] = {}
    folders: list[Path] = []
    closed: list[Failure] = []
    for given in paths:
        if not os.fspath(given):
            raise UsageError("a path is empty; give files or folders ('.' is the current folder)")
        path = Path(os.path.abspath(Path(os.path.expanduser(given))))  # the name the user knows: links are not resolved
        if path.is_dir():
            folders.append(path)
            files.update(dict.fromkeys(_below(path, closed, left_out)))
        else:
            files[path] = None
    return FoundSounds(list(files), folders, [*closed, *left_out.failed], left_out)


def require_sounds(found: FoundSounds) -> None:
    """Nothing where a sound was found, or where something could not be looked into, which is told by itself.

    Raises
    ------
    UsageError
        The folders hold no sounds.
    """
    if not found.files and not found.unreadable:
        where = ", ".join(map(str, found.folders)) or "what was given"
        raise UsageError(
            f"no sounds in {where}; give a folder that holds some (.wav, .flac, .mp3, …, neither hidden nor excluded),"
            " or name the files themselves"
        )


def is_sound(name: str) -> bool:
    """Whether a file is called as sounds are."""
    return name.rpartition(".")[2].lower() in EXTENSIONS


def _below(folder: Path, closed: list[Failure], left_out: Exclusions) -> list[Path]:
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
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not left_out.is_excluded(os.path.join(root, name), folder=True)  # noqa: PTH118
        )
        sounds = [Path(root, name) for name in names if not name.startswith(".") and is_sound(name)]
        if not left_out.takes_all_files(root):
            sounds = [path for path in sounds if not left_out.is_excluded(str(path), folder=False)]
        found += sounds
    return sorted(found)
