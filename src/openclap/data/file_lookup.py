"""Find the files that a table names, even if it was written on another system or in another form of Unicode."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from pathlib import Path

__all__ = ["FileLookup"]


class FileLookup:
    """Finds the files that one table names, relative to a folder.

    A backslash separates folders, unless a file has exactly this name. A name is found in either form of Unicode: é as
    one character (NFC, which most systems write) or as two (NFD, which macOS and its archives write).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[Path, dict[str, str]] = {}  # for each folder: names on the disk, by their NFC form

    def name_of(self, written: str) -> str:
        """The name of a file in the folder, with `/` between its parts; as written, where there is no such file."""
        name = written
        if "\\" in name and (os.name == "nt" or not os.path.lexists(self._folder / name)):
            name = name.replace("\\", "/")
        name = posixpath.normpath(name)
        if name.isascii() or os.path.lexists(self._folder / name):
            return name
        return self._listed_name(name) or name

    def path_of(self, written: str) -> Path:
        """The path of a file, whether it exists or not."""
        return self._folder / self.name_of(written)

    def _listed_name(self, name: str) -> str | None:
        """The name on the disk that is equal in NFC form, part by part; None where a part is missing."""
        place, found = self._folder, []
        for part in Path(name).parts:
            real = part if part.isascii() else self._names(place).get(unicodedata.normalize("NFC", part))
            if real is None:
                return None
            found.append(real)
            place /= real
        return Path(*found).as_posix() if found else None

    def _names(self, folder: Path) -> dict[str, str]:
        if folder not in self._listed:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 -- names, of any number of files
            except OSError:
                names = []
            self._listed[folder] = {unicodedata.normalize("NFC", name): name for name in names}
        return self._listed[folder]
