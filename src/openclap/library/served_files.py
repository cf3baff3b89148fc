"""Paths of a library → open files that others than its owner may have: those below given folders, as they were indexed.

    path of the library ─ below a given folder? ─ open, without links ─┬─ size and time, or content, as indexed?
                                                                       └─ a sound? ─ the open file

A library knows where files were. What lies there now may be anything, and a library that somebody else made may name
any file of the machine. So a path of a library is never opened by itself, and what is handed out is read from the
descriptor that was checked.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from openclap.audio.content_hash import hash_from_here
from openclap.audio.load import stream
from openclap.errors import SoundError, WithheldSound
from openclap.library.safe_open import open_without_links
from openclap.library.scan import absolute_path
from openclap.store import File

__all__ = ["FileVersion", "ServedFiles"]

T = TypeVar("T")

REMEMBERED = 4096  # files whose checks are remembered
LOOK_RATE = 8000  # Hz
LOOK_SECONDS = 0.1  # decoded of a file, to see whether it is a sound
OUTSIDE = "lies outside of the folders that may be used here"
CHANGED = "is not the file that was indexed any more; index its folder again"
NO_SOUND = "is no sound"


@dataclass(frozen=True)
class FileVersion:
    """What tells one version of a file from another: size in bytes, time of change, hash of the content if known."""

    size: int
    mtime_ns: int
    hash: str = ""

    @classmethod
    def from_index(cls, file: File) -> FileVersion:
        """The version that a library has indexed."""
        return cls(file.size, file.mtime_ns, file.hash)


@dataclass(frozen=True)
class _Folder:
    """A folder as it was given, `named`, and the path it had then with links resolved, `real`."""

    named: str
    real: str
    title: str = ""  # what users are shown
    own: bool = False  # a folder of the program, such as that of uploads

    def below(self, path: str) -> str | None:
        """The part of a path below this folder; None where it is not below."""
        for top in (self.named, self.real):
            start = top.rstrip(os.sep) + os.sep
            if os.path.normcase(path).startswith(os.path.normcase(start)) and len(path) > len(start):
                return path[len(start) :]
        return None


class ServedFiles:
    """The folders whose sounds may be handed out, with the links they have when this is made.

    Parameters
    ----------
    folders
        Folders of the owner. Each may be a link itself; links below it are not followed.
    own
        Folders of the program, such as that of uploads: a file in one is called by its last name alone.
    """

    def __init__(
        self, folders: Iterable[str | os.PathLike[str]], *, own: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        named = list(dict.fromkeys(map(absolute_path, folders)))
        self._folders = [
            _Folder(one, os.path.realpath(one), title) for one, title in zip(named, _titles(named), strict=True)
        ]
        self._folders += [_Folder(one, os.path.realpath(one), own=True) for one in map(absolute_path, own)]
        self._found: OrderedDict[tuple[object, ...], Any] = OrderedDict()  # what was found out about files
        self._lock = threading.Lock()

    def leads_inside(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path, with links resolved, is one of the owner's folders or lies in one."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder.real) for folder in self._folders if not folder.own)

    def name_of(self, path: str) -> str:
        """The name that users are shown for a file: below the innermost folder, without the path of that folder."""
        folder, inside = self._innermost(path)
        if folder is None or folder.own:
            return Path(path).name
        return inside if len(self.titles) == 1 else f"{folder.title}{os.sep}{inside}"

    @property
    def titles(self) -> list[str]:
        """The names that users are shown for the owner's folders: their last names, no two alike."""
        return [folder.title for folder in self._folders if not folder.own]

    def title_of(self, place: str | os.PathLike[str]) -> str:
        """The name that users are shown for a folder: the title of the owner's folder, and the names below it."""
        path = absolute_path(place)
        for folder in self._folders:
            if not folder.own and path in (folder.named, folder.real):
                return folder.title
        innermost, inside = self._innermost(path, own=False)
        return Path(path).name if innermost is None else f"{innermost.title}{os.sep}{inside}"

    def folder_of(self, title: str) -> str | None:
        """The path of the folder that `title_of` gives this name; None where there is none."""
        first, _, rest = title.partition(os.sep)
        for folder in self._folders:
            if not folder.own and first == folder.title:
                return str(Path(folder.named, rest.lstrip(os.sep)))
        return None

    def open(self, path: str, version: FileVersion | None) -> BinaryIO:
        """Open the file at a path of a library for reading; the caller closes it.

        Parameters
        ----------
        version
            What was indexed; None where nothing was.

        Raises
        ------
        WithheldSound
            It lies outside of the folders or behind a link, is not what was indexed, or is not a sound.
        SoundNotFound, UnreadableSound
            It is gone, or cannot be read.
        """
        name = Path(path).name
        return self._check_file(self._reach(path, name), name, version)

    def withhold_reason(self, path: str, version: FileVersion | None) -> SoundError | None:
        """Why `open` would refuse a file, as far as is known without reading it; None where nothing is."""
        name = Path(path).name
        try:
            with self._reach(path, name) as file:
                if version is None or os.fstat(file.fileno()).st_size != version.size:
                    return WithheldSound(name, CHANGED)
        except SoundError as error:
            return error
        return None

    # -- inside --------------------------------------------------------------------------------------

    def _innermost(self, path: str, *, own: bool = True) -> tuple[_Folder | None, str]:
        """The innermost folder that a path lies below, and the path below it; `own`, also of the program's folders."""
        found = [(folder, inside) for folder in self._folders if (inside := folder.below(path)) is not None]
        return min((one for one in found if own or not one[0].own), key=lambda one: len(one[1]), default=(None, ""))

    def _reach(self, path: str, name: str) -> BinaryIO:
        """Open a file below the first of the folders that leads there without a link."""
        fault: SoundError = WithheldSound(name, OUTSIDE)
        if os.path.abspath(path) != path:  # "..", or two slashes, after which a path begins anew
            raise fault
        for folder in self._folders:
            inside = folder.below(path)
            if inside is None:
                continue
            try:
                return open_without_links(str(Path(folder.real, inside)), name)
            except SoundError as error:
                fault = error
        raise fault

    def _check_file(self, file: BinaryIO, name: str, version: FileVersion | None) -> BinaryIO:
        """Refuse an open file that is not a sound, or not the version; only its descriptor is used, not its name."""
        try:
            now = os.fstat(file.fileno())
            if version is None or not self._is(version, file, now):
                raise WithheldSound(name, CHANGED)
            if not self._look_up_once("sound", now, lambda: _is_sound(file)):
                raise WithheldSound(name, NO_SOUND)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def _is(self, version: FileVersion, file: BinaryIO, now: os.stat_result) -> bool:
        """Whether an open file is a version: by size and time, or by its content where the time has changed."""
        if now.st_size != version.size:
            return False
        if now.st_mtime_ns == version.mtime_ns:
            return True
        return bool(version.hash) and self._look_up_once("hash", now, lambda: _hash_of(file)) == version.hash

    def _look_up_once(self, what: str, now: os.stat_result, find: Callable[[], T]) -> T:
        """What `find` finds out about a file; it is asked again only when the file has changed."""
        key = (what, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = find()
        with self._lock:
            self._found[key] = found
            while len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        return found


def _hash_of(file: BinaryIO) -> str:
    """The `content_hash` of an open file."""
    file.seek(0)
    return hash_from_here(file)


def _is_sound(file: BinaryIO) -> bool:
    """Whether a sound can be decoded from an open file, whatever its name."""
    file.seek(0)
    try:
        with closing(stream(file, LOOK_RATE, block_seconds=LOOK_SECONDS)) as blocks:
            return next(blocks, None) is not None
    except SoundError:
        return False


def _titles(folders: list[str]) -> list[str]:
    """The last names of folders, with numbers where several have the same."""
    titles: list[str] = []
    for folder in folders:
        name = Path(folder).name or "disk"
        same = (name, *(f"{name} ({number})" for number in range(2, len(folders) + 2)))
        titles.append(next(title for title in same if title not in titles))
    return titles
