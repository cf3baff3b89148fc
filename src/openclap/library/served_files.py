"""Files of a library as others than its owner may have them: those below the folders that were named, as they were indexed.

    path of the library ─ below a folder that was named? ─ open, no link followed ─┬─ size and time, or content, as indexed?
                                                                                  └─ a sound? ─ the open file

A library tells where files were; what lies there now may be anything, and a library that somebody else made may name
any file of the machine. So a path of a library is never opened by itself, and what is handed out is read from the
descriptor that was looked at.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from openclap.audio.load import stream
from openclap.errors import SoundError, WithheldSound
from openclap.library.indexing import HASH_BYTES
from openclap.library.safe_open import open_without_links
from openclap.store import File

__all__ = ["CHANGED", "FileVersion", "ServedFiles"]

T = TypeVar("T")

REMEMBERED = 4096  # files that were looked into
LOOK_RATE = 8000  # Hz
LOOK_SECONDS = 0.1  # that are decoded of what may be no sound
OUTSIDE = "lies outside of the folders that may be used here"
CHANGED = "is not the file that was indexed any more; index its folder again"
NO_SOUND = "is no sound"


@dataclass(frozen=True)
class FileVersion:
    """A file as it once was: bytes, when it was changed, and the hash of its content where that is known."""

    size: int
    mtime_ns: int
    hash: str = ""

    @classmethod
    def from_index(cls, file: File) -> FileVersion:
        """As a library knows it."""
        return cls(file.size, file.mtime_ns, file.hash)

    @classmethod
    def from_disk(cls, path: str | os.PathLike[str]) -> FileVersion | None:
        """As it is now; None, there is no file, or a link."""
        with suppress(OSError, ValueError):
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode):
                return cls(found.st_size, found.st_mtime_ns)
        return None


@dataclass(frozen=True)
class _Folder:
    """A folder as it was called when it was named, and where it was then, its links followed."""

    named: str
    real: str
    title: str = ""  # what it is called
    own: bool = False

    def below(self, path: str) -> str | None:
        """The part of a path below this folder; None, it is not below."""
        for top in (self.named, self.real):
            start = top.rstrip(os.sep) + os.sep
            if os.path.normcase(path).startswith(os.path.normcase(start)) and len(path) > len(start):
                return path[len(start) :]
        return None


class ServedFiles:
    """The folders whose sounds may be handed out, each as it is when this is made.

    Parameters
    ----------
    folders
        Folders that their owner names; each may be a link itself, below it none is followed.
    own
        Folders of the program, as those of uploads: a file in one is called by its last name alone.
    """

    def __init__(
        self, folders: Iterable[str | os.PathLike[str]], *, own: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        named = list(dict.fromkeys(map(_absolute, folders)))
        self._folders = [
            _Folder(one, os.path.realpath(one), title) for one, title in zip(named, _titles(named), strict=True)
        ]
        self._folders += [_Folder(one, os.path.realpath(one), own=True) for one in map(_absolute, own)]
        self._found: OrderedDict[tuple[object, ...], Any] = OrderedDict()  # what was looked into
        self._lock = threading.Lock()

    def leads_inside(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path, its links followed, lies in a folder that was named, or is one."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder.real) for folder in self._folders if not folder.own)

    def name_of(self, path: str) -> str:
        """What a file is called: its name below the innermost folder that it lies in, and nothing of where that lies."""
        found = [
            (len(inside), folder, inside) for folder in self._folders if (inside := folder.below(path)) is not None
        ]
        if not found:
            return Path(path).name
        _, folder, inside = min(found, key=lambda one: one[0])
        if folder.own:
            return Path(path).name
        return inside if len(self.titles) == 1 else f"{folder.title}{os.sep}{inside}"

    @property
    def titles(self) -> list[str]:
        """What the named folders are called: their last names, each another."""
        return [folder.title for folder in self._folders if not folder.own]

    def title_of(self, place: str | os.PathLike[str]) -> str:
        """What a folder is called that is a named one, or lies below it: the title of that, and the names below it."""
        path = _absolute(place)
        for folder in self._folders:
            if not folder.own and path in (folder.named, folder.real):
                return folder.title
        found = [
            (len(inside), folder, inside)
            for folder in self._folders
            if (inside := folder.below(path)) is not None and not folder.own
        ]
        if not found:
            return Path(path).name
        _, folder, inside = min(found, key=lambda one: one[0])
        return f"{folder.title}{os.sep}{inside}"

    def folder_of(self, title: str) -> str | None:
        """The path of a folder by what `title_of` calls it; None, there is none of that name."""
        first, _, rest = title.partition(os.sep)
        for folder in self._folders:
            if not folder.own and first == folder.title:
                return str(Path(folder.named, rest.lstrip(os.sep)))
        return None

    def open(self, path: str, version: FileVersion | None) -> BinaryIO:
        """The file at a path of a library, open for reading, which the caller closes.

        Parameters
        ----------
        version
            What was indexed; None, nothing was.

        Raises
        ------
        WithheldSound
            It lies outside of the folders, behind a link, is not what was indexed, or no sound.
        SoundNotFound, UnreadableSound
            It has gone, or cannot be read.
        """
        name = Path(path).name
        return self._check_file(self._reach(path, name), name, version)

    def open_given(self, path: str, version: FileVersion | None) -> BinaryIO:
        """The same for a file that no library told of, wherever it lies: who uses the program has given it, or the program made it."""
        name = Path(path).name
        return self._check_file(open_without_links(path, name), name, version)

    def withhold_reason(self, path: str, version: FileVersion | None) -> SoundError | None:
        """Why a file of a library would not be handed out now, as far as can be told without reading it; None, it may be."""
        name = Path(path).name
        try:
            with self._reach(path, name) as file:
                if version is None or os.fstat(file.fileno()).st_size != version.size:
                    return WithheldSound(name, CHANGED)
        except SoundError as error:
            return error
        return None

    # -- inside --------------------------------------------------------------------------------------

    def _reach(self, path: str, name: str) -> BinaryIO:
        """Open it below one of the folders; of several the first that leads there without a link."""
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
        """The file, once it is the one that was indexed and a sound; its descriptor is looked at, never its name again."""
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
        """Whether an open file is what was indexed: by size and time, or, touched since, by its content."""
        if now.st_size != version.size:
            return False
        if now.st_mtime_ns == version.mtime_ns:
            return True
        return bool(version.hash) and self._look_up_once("hash", now, lambda: _hash_of(file)) == version.hash

    def _look_up_once(self, what: str, now: os.stat_result, find: Callable[[], T]) -> T:
        """What is found of a file, which is looked into again when anything of it has changed."""
        key = (what, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]  # type: ignore[no-any-return]
        found = find()
        with self._lock:
            self._found[key] = found
            while len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        return found


def _hash_of(file: BinaryIO) -> str:
    """As `indexing.content_hash`, of what is open."""
    file.seek(0)
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _is_sound(file: BinaryIO) -> bool:
    """Whether a sound can be decoded from it, whatever its name."""
    file.seek(0)
    try:
        with closing(stream(file, LOOK_RATE, block_seconds=LOOK_SECONDS)) as blocks:
            return next(blocks, None) is not None
    except SoundError:
        return False


def _titles(folders: list[str]) -> list[str]:
    """The last names of folders, numbered where several have the same."""
    titles: list[str] = []
    for folder in folders:
        name = Path(folder).name or "disk"
        same = (name, *(f"{name} ({number})" for number in range(2, len(folders) + 2)))
        titles.append(next(title for title in same if title not in titles))
    return titles


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(Path(os.path.expanduser(path)))
