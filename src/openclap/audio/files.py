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
from typing import IO, Any, BinaryIO, cast

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
            yield _rewind(_Bytes(sound), name)
        elif isinstance(sound, (str, os.PathLike)):
            with _open_path(os.path.expanduser(os.fsdecode(sound)), name) as file:
                yield _rewind(file, name)
        else:
            with _open_file(sound, name) as file:
                yield _rewind(file, name)
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
            yield cast("BinaryIO", _FileFrom(file, start))
        finally:
            if not getattr(file, "closed", False):
                file.seek(start)
        return
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        shutil.copyfileobj(file, spool)
        spool.seek(0)
        yield cast("BinaryIO", spool)


def _rewind(file: Any, name: str) -> BinaryIO:
    """The file at its beginning, without a name (libsndfile's binding would go by it); an empty file is refused."""
    if file.seek(0, io.SEEK_END) == 0:
        raise EmptySound(name, "is 0 bytes long")
    file.seek(0)
    return cast("BinaryIO", file if isinstance(file, (io.BytesIO, _FileFrom)) else _FileFrom(file, 0))


class _FileFrom(io.RawIOBase):
    """Another file from `start` on; closing it leaves that file open."""

    def __init__(self, file: Any, start: int) -> None:
        super().__init__()
        self._file = file
        self._start = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return bytes(self._file.read(size))

    def readinto(self, buffer: Any) -> int:
        if hasattr(self._file, "readinto"):
            return int(self._file.readinto(buffer) or 0)
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return int(self._file.tell()) - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; where a broken header asks for an impossible place, to the nearest possible one."""
        place = offset + self._start
        if whence != io.SEEK_SET:
            place = offset + (self._file.tell() if whence == io.SEEK_CUR else self._end())
        try:
            self._file.seek(max(self._start, place))
        except (OSError, ValueError, OverflowError):  # otherwise the libraries print it with a traceback
            self._end()
        return self.tell()

    def _end(self) -> int:
        self._file.seek(0, io.SEEK_END)
        return int(self._file.tell())


class _Bytes(io.BytesIO):
    """Bytes as a file in which seeking before the beginning goes to the beginning."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset, whence = offset + self.tell(), io.SEEK_SET
        if whence == io.SEEK_SET:
            return super().seek(min(max(0, offset), self.getbuffer().nbytes + 1))
        return super().seek(max(offset, -self.getbuffer().nbytes), whence)
