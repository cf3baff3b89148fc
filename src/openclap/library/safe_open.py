"""Paths → open files, without following a link on the way.

    /srv/sounds/rain/a.wav      each part is opened in the folder before it and must not be a link, so that whatever is
    └─ └─ └───── └─── └────     changed meanwhile leads nowhere else; the last part must be an ordinary file

A path that was checked first and opened later could lead to another file by then; an open file stays what it is.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

from openclap.errors import SoundNotFound, UnreadableSound, WithheldSound

__all__ = ["open_without_links"]

NOT_THERE = (errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL)
LINKS = (
    errno.ELOOP,
    errno.ENOTDIR,
    getattr(errno, "EFTYPE", errno.ELOOP),
    errno.EMLINK,
)  # what systems say of a link
BY_FOLDER = {os.open, os.stat} <= os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
CLOSED = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
# O_PATH: we may pass through folders that we may not list
FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | CLOSED
# O_NONBLOCK: a pipe that has taken the file's place must not be waited for
FILE = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
    | CLOSED
)
IS_A_LINK = "is a link, or lies behind one, and no link is followed here"
NO_FILE = "is no ordinary file"


def open_without_links(path: str, name: str) -> BinaryIO:
    """Open a file for reading; errors call it `name`.

    Parameters
    ----------
    path
        Absolute and without "..": a folder without links, as `os.path.realpath` gives it, and names below it.

    Raises
    ------
    WithheldSound
        A part of the path is a link, or the file is a pipe, a device or a folder.
    SoundNotFound, UnreadableSound
        Nothing is there, or there is no permission to read it.
    """
    if "\0" in path or os.path.abspath(path) != path:
        raise WithheldSound(name, "has a path that leads elsewhere")
    try:
        number = _open_by_folder(path, name) if BY_FOLDER else _open_compared(path, name)
    except PermissionError:
        raise UnreadableSound(name, "no permission to read it") from None
    except OSError as error:
        if error.errno in LINKS:
            raise WithheldSound(name, IS_A_LINK) from None
        if error.errno in NOT_THERE:
            raise SoundNotFound(name, "no such file; check the path") from None
        raise UnreadableSound(name, f"cannot be read ({error.strerror})") from None
    raw = io.FileIO(number, "rb")
    raw.name = name
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise WithheldSound(name, NO_FILE)
    except BaseException:
        raw.close()
        raise
    return cast("BinaryIO", io.BufferedReader(raw))


def _open_by_folder(path: str, name: str) -> int:
    """The descriptor of a file that is reached folder by folder."""
    top, *folders, last = Path(path).parts
    here = os.open(top, FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        now = os.stat(last, dir_fd=here, follow_symlinks=False)
        _refuse_link(now)
        if not stat.S_ISREG(now.st_mode):  # opening a device could have an effect
            raise WithheldSound(name, NO_FILE)
        return os.open(last, FILE, dir_fd=here)
    finally:
        os.close(here)


def _open_compared(path: str, name: str) -> int:
    """The descriptor on systems that cannot open a file in an open folder: the path is checked before and after."""
    parts = [Path(path), *Path(path).parents]
    for part in parts[:-1]:
        _refuse_link(part.lstat())
    if not stat.S_ISREG(parts[0].lstat().st_mode):
        raise WithheldSound(name, NO_FILE)
    number = os.open(path, FILE)
    try:
        for part in parts[:-1]:
            _refuse_link(part.lstat())
        if not os.path.samestat(os.fstat(number), parts[0].lstat()):
            raise OSError(errno.ELOOP, "it was replaced meanwhile")
    except BaseException:
        os.close(number)
        raise
    return number


def _refuse_link(now: os.stat_result) -> None:
    reparse = getattr(now, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    if stat.S_ISLNK(now.st_mode) or reparse:
        raise OSError(errno.ELOOP, "a link")
