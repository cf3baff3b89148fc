"""What is said of the files of a library, and of what was done with them: frozen dataclasses, as in `openclap.results`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from openclap.results import Result

__all__ = ["Collection", "LibraryChange", "LibraryFile", "LibraryFolder", "Relocation"]


@dataclass(frozen=True)
class LibraryFile(Result):
    """A file that a library holds: its length in seconds, the number of its windows, what it is tagged and kept in.

    `missing`, in the JSON where it is true: the file cannot be reached now; known where only such files were asked for.
    """

    path: str
    seconds: float
    windows: int
    tags: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    missing: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, `missing` only where the file is."""
        values = {**asdict(self), "tags": list(self.tags), "collections": list(self.collections)}
        return {name: value for name, value in values.items() if name != "missing" or value}


@dataclass(frozen=True)
class LibraryFolder(Result):
    """A folder in which a library holds files: how many lie in it, not below, their seconds and their windows."""

    path: str
    files: int
    seconds: float
    windows: int


@dataclass(frozen=True)
class Collection(Result):
    """A named set of files in a library, and how many they are; or a tag, and how many files bear it."""

    name: str
    files: int


@dataclass(frozen=True)
class LibraryChange(Result):
    """How many files of a library were forgotten, tagged or collected, and those of the paths that it does not hold."""

    files: int
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Relocation(Result):
    """How many files of a library have another path now, and the old paths of those that stay as they were.

    Attributes
    ----------
    moved
        How many were moved; with `dry_run` how many would be.
    missing
        Files that are not at the new place.
    changed
        Files at the new place whose content is another one than was indexed.
    """

    moved: int
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, `dry_run` only where it was one."""
        return {name: value for name, value in asdict(self).items() if name != "dry_run" or value}
