"""Folders → the sound files in them, by the endings of their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openclap.errors import UsageError
from openclap.library.exclusions import Exclusions
from openclap.results import Failure

__all__ = ["EXTENSIONS", "FoundSounds", "absolute_path", "find_sounds", "is_sound", "require_sounds", "size_and_time"]

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
    """What there is to index: `files`, and what could not be read."""

    files: list[Path]
    folders: list[Path]  # that were looked through
    unreadable: list[Failure]  # folders without permission, ignore files that cannot be read, and the like
    exclusions: Exclusions = field(default_factory=Exclusions)


def find_sounds(paths: Iterable[str | os.PathLike[str]], exclude: Sequence[str] = ()) -> FoundSounds:
    """Find the files to index in files and folders.

    Folders are searched recursively for known extensions, and links are followed once; hidden files and folders, those
    of the system, and what `exclude` and ignore files name (see `Exclusions`) are left out. A file that is given itself
    is always taken, whatever its name. All paths are absolute and sorted.

    Raises
    ------
    UsageError
        A path is empty, which would mean the current folder, or a pattern is.
    """
    exclusions = Exclusions(exclude)
    files: dict[Path, None] = {}
    folders: list[Path] = []
    unreadable: list[Failure] = []
    for given in paths:
        if not os.fspath(given):
            raise UsageError("a path is empty; give files or folders ('.' is the current folder)")
        path = Path(absolute_path(given))
        if path.is_dir():
            folders.append(path)
            files.update(dict.fromkeys(_sounds_below(path, unreadable, exclusions)))
        else:
            files[path] = None
    return FoundSounds(list(files), folders, [*unreadable, *exclusions.failed], exclusions)


def require_sounds(found: FoundSounds) -> None:
    """Refuse folders in which no sound was found; what could not be read is reported elsewhere.

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
    """Whether a file's name ends as those of sounds do."""
    return name.rpartition(".")[2].lower() in EXTENSIONS


def _sounds_below(folder: Path, unreadable: list[Failure], exclusions: Exclusions) -> list[Path]:
    found: list[Path] = []
    seen: set[str] = set()

    def note(error: OSError) -> None:
        unreadable.append(Failure(str(error.filename), f"cannot be looked into ({error.strerror})"))

    for root, folders, names in os.walk(folder, followlinks=True, onerror=note):
        real = os.path.realpath(root)
        if real in seen:  # a link to a folder above itself
            folders.clear()
            continue
        seen.add(real)
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(
            name
            for name in visible
            if not exclusions.is_excluded(os.path.join(root, name), folder=True)  # noqa: PTH118
        )
        sounds = [Path(root, name) for name in names if not name.startswith(".") and is_sound(name)]
        if not exclusions.takes_all_files(root):
            sounds = [path for path in sounds if not exclusions.is_excluded(str(path), folder=False)]
        found += sounds
    return sorted(found)


def absolute_path(path: str | os.PathLike[str]) -> str:
    """A path as libraries store it: absolute, with links as they are: the name that the user knows."""
    return os.path.abspath(Path(os.path.expanduser(path)))


def size_and_time(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """A file's bytes and its time in ns, by which a change is noticed; None where it cannot be looked at."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns
