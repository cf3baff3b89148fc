"""The links of an Ogg file: whole recordings one after another, as internet radio writes them.

    │ BOS │ page │ page │ EOS │ junk │ BOS │ page │ … │ EOS │
    └───────── link ──────────┘      └──────── link ────────┘

Only the headers of pages are read (RFC 3533), in 1.5 µs a page. A page that begins a stream (BOS) must have the right
checksum, so that nothing in a cover picture is taken for a link.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["Link", "find_links", "is_ogg"]

MAGIC = b"OggS"
HEADER_BYTES = 27
READ_BYTES = 1 << 20
BEGINS, ENDS = 2, 4  # flags of a page
AUDIO_HEADS = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"fLaC")  # how the first packet of a stream begins
SKELETON = b"fishead"  # how a Skeleton begins: a stream that describes the others


@dataclass
class Link:
    """One recording of a chain: the range of its bytes, how its streams begin, and whether parts are missing."""

    start: int
    end: int = 0
    heads: list[bytes] = field(default_factory=list)
    ends_well: bool = False  # its last page is complete and marked as the last
    lost_pages: bool = False  # numbers of pages are missing

    @property
    def audio(self) -> int:
        """How many streams of sound it holds side by side."""
        return sum(head.startswith(AUDIO_HEADS) for head in self.heads)

    @property
    def has_other_streams(self) -> bool:
        """Whether it holds more than one stream of sound: pictures, or another sound."""
        return sum(not head.startswith(SKELETON) for head in self.heads) > 1


def is_ogg(head: bytes) -> bool:
    """Whether a file begins with an Ogg page."""
    return head.startswith(MAGIC)


def find_links(file: BinaryIO) -> list[Link]:
    """The links of an Ogg file in order; memory does not grow with the file."""
    pages = _Pages(file)
    links: list[Link] = []
    numbers: dict[int, int] = {}  # stream of the link → number of its last page
    beginning = -1  # end of the last BOS page: another one here belongs to the same link
    while (page := pages.next()) is not None:
        at, end, flags, serial, number, head = page
        begins = bool(flags & BEGINS) and (not links or _is_whole(pages.read_range(at, end)))
        if not links or (begins and at != beginning):
            links.append(Link(at))
            numbers = {}
        link = links[-1]
        if begins:
            beginning = end
            link.heads.append(head)
        elif serial not in numbers and link.heads:  # a page of another link
            continue
        elif number > numbers.get(serial, number) + 1:
            link.lost_pages = True
        numbers[serial] = number
        link.end = min(end, pages.size)
        link.ends_well = bool(flags & ENDS) and end <= pages.size
    if links:
        links[0].start = 0
        links[-1].end = pages.size
    return links


class _Pages:
    """Goes through the pages of a file and skips whatever lies between them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        self._begin, self._buffer = 0, b""  # part of the file that is in memory, and where it begins
        self._here = 0

    def read_range(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, fewer at the end of the file; mostly from memory."""
        if start < self._begin or end > self._begin + len(self._buffer):
            self._file.seek(start)
            self._begin, self._buffer = start, self._file.read(max(READ_BYTES, end - start))
        return self._buffer[start - self._begin : end - self._begin]

    def next(self) -> tuple[int, int, int, int, int, bytes] | None:
        """(start, end, flags, serial, page number, first bytes) of the next page; None at the end."""
        while self._here < self.size - HEADER_BYTES:
            head = self.read_range(self._here, self._here + HEADER_BYTES + 255)
            if head[:5] == MAGIC + b"\0":
                flags, serial, number, count = head[5], *struct.unpack_from("<II", head, 14), head[26]
                body = self._here + HEADER_BYTES + count
                end = body + sum(head[HEADER_BYTES : HEADER_BYTES + count])
                here, self._here = self._here, end
                first = self.read_range(body, body + 8) if flags & BEGINS else b""
                return here, end, flags, serial, number, first
            self._seek_next_magic()
        return None

    def _seek_next_magic(self) -> None:
        """Go to the next place where a page may begin."""
        start = self._here + 1
        while start < self.size:
            piece = self.read_range(start, start + READ_BYTES)
            found = piece.find(MAGIC)
            if found >= 0:
                self._here = start + found
                return
            start += max(1, len(piece) - 3)
            if not piece:
                break
        self._here = self.size


def _is_whole(page: bytes) -> bool:
    """Whether the checksum of a page is right."""
    if len(page) < HEADER_BYTES:
        return False
    check = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        check = (check << 8 & 0xFFFFFFFF) ^ _CRC[check >> 24 ^ byte]
    return check == int(struct.unpack_from("<I", page, 22)[0])


def _crc_of(byte: int) -> int:
    """The entry of a byte in the table of Ogg's checksum."""
    value = byte << 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


_CRC = [_crc_of(byte) for byte in range(256)]
