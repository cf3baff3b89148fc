"""Part of an open file as a file of its own, with another head in front of it where one is given."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

__all__ = ["open_slice"]


def open_slice(file: BinaryIO, start: int, end: int | None = None, *, head: bytes = b"") -> BinaryIO:
    """A file of `head` and the bytes from `start` to `end` of a seekable file; closing it leaves that file open."""
    if end is None:
        file.seek(0, io.SEEK_END)  # which does not give the place in every file of Python
        end = file.tell()
    return cast("BinaryIO", _FileSlice(file, start, max(start, end), head))


class _FileSlice(io.RawIOBase):
    """The file that `open_slice` gives."""

    def __init__(self, file: BinaryIO, start: int, end: int, head: bytes) -> None:
        super().__init__()
        self._file, self._start, self._head = file, start, head
        self._size = len(head) + end - start
        self._here = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._here)
        wanted = left if size is None or size < 0 else min(size, left)
        got = self._head[self._here : self._here + wanted]
        if len(got) < wanted:
            self._file.seek(self._start + self._here + len(got) - len(self._head))
            got += self._file.read(wanted - len(got))
        self._here += len(got)
        return got

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._here

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; where a broken header asks for one before the beginning, to the beginning."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._here, io.SEEK_END: self._size}[whence]
        self._here = max(0, base + offset)
        return self._here
