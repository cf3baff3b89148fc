"""A path, bytes or an open file → an open, seekable, nameless binary file.

Every fault of the file itself becomes an error of one sentence here: not there, a directory, no permission, empty.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

from openclap.audio.file_slice import open_slice
from openclap.errors import EmptySound, SoundNotFound, UnreadableSound, UsageError

__all__ = ["open_binary"]

SPOOL_BYTES = 1 << 26  # 64 MiB of a file that cannot seek are held in memory, more on disk
NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)


@contextmanager
def open_binary(sound: Any, name: str) -> Iterator[BinaryIO]:
    """Open a path, bytes or a binary file at its beginning.

    A file that is already open is read from its position and set back there afterwards, so that reading it again gives
    the same. It is never closed.

    Raises
    ------
    SoundNotFound, UnreadableSound, EmptySound
        Naming the sound and the cause.
    UsageError
        The file was opened as text.
    """
    try:
        if isinstance(sound, (bytes, bytearray, memoryview)):
            yield _from_place(io.BytesIO(sound), 0, name)
        elif isinstance(sound, (str, os.PathLike)):
            with _open_path(os.path.expanduser(os.fsdecode(sound)), name) as file:
                yield _from_place(file, 0, name)
        else:
            with _open_file(sound, name) as part:
                yield part
    except OSError as error:  # the disk failed while the file was read
        raise UnreadableSound(name, f"cannot be read ({error.strerror or error})") from None


def _open_path(path: str, name: str) -> IO[bytes]:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 -- Path would tidy "a//b", and URLs with it
        if stat.S_ISDIR(mode):
            raise UnreadableSound(name, "is a directory; give a file")
        if not stat.S_ISREG(mode):  # opening a pipe may wait for ever, a device may never end
            raise UnreadableSound(name, "is a pipe or a device; give a file, or an open file")
        return open(path, "rb")  # noqa: PTH123
    except ValueError:
        raise SoundNotFound(name, "no file can have this name, it holds a zero byte") from None
    except PermissionError:
        raise UnreadableSound(name, "no permission to read it") from None
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise UnreadableSound(name, f"cannot be read ({error.strerror})") from None
    if re.match(r"[a-zA-Z][\w+.-]+://", path):
        raise SoundNotFound(
            name, "no file of this name; it looks like a URL, and nothing is fetched: download it first"
        )
    raise SoundNotFound(name, "no such file; check the path")


@contextmanager
def _open_file(file: Any, name: str) -> Iterator[BinaryIO]:
    try:
        nothing = file.read(0)
        seekable = file.seekable() if hasattr(file, "seekable") else hasattr(file, "seek")
        start = file.tell() if seekable else 0
    except (OSError, ValueError) as error:
        raise UnreadableSound(name, f"cannot be read ({error})") from None
    if not isinstance(nothing, (bytes, bytearray)):
        raise UsageError(f"{name} gives {type(nothing).__name__} where bytes are needed; open it with mode 'rb'")
    if seekable:
        try:
            yield _from_place(file, start, name)
        finally:
            if not getattr(file, "closed", False):
                file.seek(start)
        return
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        shutil.copyfileobj(file, spool)
        yield _from_place(spool, 0, name)


def _from_place(file: Any, start: int, name: str) -> BinaryIO:
    """A file from a place on, without its name (libsndfile's binding would go by it); an empty one is refused."""
    part = open_slice(file, start)
    if part.seek(0, io.SEEK_END) == 0:
        raise EmptySound(name, "is 0 bytes long")
    part.seek(0)
    return part
