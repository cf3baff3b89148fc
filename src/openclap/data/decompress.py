"""Open compressed files as plain ones that can be read at any place.

x.tar.gz ─ gunzip ─ a temporary file without a name ─ read at any place, by any thread
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from openclap.errors import DataError
from openclap.regular_files import open_regular

__all__ = ["open_decompressed"]

MOST_UNPACKED = 4  # unpacked files at a time: a reader goes through tars in order, with some threads ahead
BLOCK = 1 << 20  # bytes


class _DecompressedFile:
    """One unpacked file, which stays on the disk as long as somebody reads it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # held by the thread that unpacks or reads it
        self.file: IO[bytes] | None = None
        self.size = 0

    def __del__(self) -> None:
        if self.file is not None:
            self.file.close()


_unpacked: OrderedDict[tuple[Any, ...], _DecompressedFile] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; a file compressed by gzip, bzip2, xz or Zstandard, by its first bytes, is unpacked.

    Unpacked files lie in the system's folder for temporary files (TMPDIR), a few at a time, until the process ends.

    Raises
    ------
    OSError
        The file is missing, cannot be read, or the disk is full.
    DataError
        The file is compressed, and is broken or cannot be unpacked here.
    """
    with open_regular(path) as file:
        opener = _opener(file.read(6))
        if opener is None:
            file.seek(0)
            yield file
            return
        state = os.fstat(file.fileno())
    found = _decompress(path, (str(path), state.st_size, state.st_mtime_ns, os.getpid()), opener)
    with _FileView(found) as view:
        yield cast("BinaryIO", view)


class _FileView(io.RawIOBase):
    """A reader with its own position in an unpacked file, which several may read at once."""

    def __init__(self, of: _DecompressedFile) -> None:
        super().__init__()
        self._of, self._at = of, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._of.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        assert self._of.file is not None
        with self._of.lock:
            self._of.file.seek(self._at)
            data = self._of.file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _decompress(path: Path, key: tuple[Any, ...], opener: Callable[[Path], IO[bytes]]) -> _DecompressedFile:
    with _lock:
        found = _unpacked.setdefault(key, _DecompressedFile())
        _unpacked.move_to_end(key)
        while len(_unpacked) > MOST_UNPACKED:
            _unpacked.popitem(last=False)  # its file is removed when the last reader is gone
    with found.lock:
        if found.file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed when the last reader is gone
            try:
                with opener(path) as packed:
                    shutil.copyfileobj(packed, file, BLOCK)
            except (EOFError, gzip.BadGzipFile, lzma.LZMAError, ValueError) as error:
                file.close()
                raise DataError(f"is cut short or broken: {error}") from None
            except BaseException:
                file.close()
                raise
            found.file, found.size = file, file.tell()
    return found


def _opener(head: bytes) -> Callable[[Path], IO[bytes]] | None:
    """The function that unpacks a file with this beginning; None for a plain file."""
    for magic, opener in (
        (b"\x1f\x8b", gzip.open),
        (b"BZh", bz2.open),
        (b"\xfd7zXZ\x00", lzma.open),
        (b"\x28\xb5\x2f\xfd", _zstd),
    ):
        if head.startswith(magic):
            return cast("Callable[[Path], IO[bytes]]", opener)
    return None


def _zstd(path: Path) -> IO[bytes]:
    try:
        from compression import zstd  # in the standard library from Python 3.14 on
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            raise DataError("is packed by Zstandard:  pip install backports.zstd , or unpack it with unzstd") from None
    return cast("IO[bytes]", zstd.open(path))
