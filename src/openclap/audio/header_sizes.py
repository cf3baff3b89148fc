"""Whether the samples of a WAV, W64, RF64, AIFF, AU or CAF end where its header says, and a repaired head if not.

    RIFF size WAVE  fmt …  FLLR …  data size │ samples … │ LIST …
                                        └── right, where the file or another chunk follows it

A recorder writes the sizes when it closes the file. One that was killed leaves 0, 36, or an earlier size; above 4 GiB
a size of 32 bits overflows. Where a size is too small for the samples that follow, the file is read behind a new head
with the right size. A file whose size is right is left as it is, and so is one that is shorter than its size: it was
cut.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from openclap.audio import headers, riff
from openclap.audio.file_slice import open_slice
from openclap.audio.headers import SIZE_MODULUS, Header

__all__ = ["STREAMED_BYTES", "ExaminedFile", "examine_header"]

STREAMED_BYTES = 0x7FFF_F000  # writers to a pipe announce this or more, not knowing the size
READ_BYTES = (1 << 13, 1 << 20)  # read to find the samples; the second where the first is not enough
MAX_PADDING_BYTES = 1 << 16  # zeros up to the end of a disk block
TRAILING_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN", b"<?xml", b"<x:xmp", b"\x89PNG", b"%PDF")
MP3_FORMAT_TAGS = (0x50, 0x55)


@dataclass(frozen=True)
class ExaminedFile:
    """What `examine_header` found, and the `file` to read instead of the one it was given."""

    file: BinaryIO
    wrong_sizes: str | None = None  # where a new head was needed: a message about the old one
    truncated: bool = False  # there are fewer bytes of samples than announced
    holds_mp3: bool = False  # MP3 in WAV, whose length libsndfile guesses: for FFmpeg


def examine_header(file: BinaryIO) -> ExaminedFile:
    """Check the sizes in the header of a seekable binary file; a file of another format is returned as it is."""
    size = file.seek(0, 2)
    header = None
    for length in READ_BYTES:
        file.seek(0)
        head = file.read(length)
        read_header = _choose_reader(head)
        header = None if read_header is None else read_header(head, size)
        if read_header is None or header is not None or size <= length:
            break
    file.seek(0)
    if header is None:
        return ExaminedFile(
            file, truncated=head[:4] == b"RIFF" and head[8:11] == b"AVI" and size < _riff_size(head) < STREAMED_BYTES
        )
    holds_mp3 = header.format_tag in MP3_FORMAT_TAGS
    present, announced = size - header.start, header.announced
    if announced >= present - 1 or (announced == 0 and present < max(2, header.frame)):
        return ExaminedFile(file, truncated=present < announced < STREAMED_BYTES, holds_mp3=holds_mp3)
    actual = _sample_bytes(file, size, header)
    file.seek(0)
    if actual == announced:
        return ExaminedFile(file, holds_mp3=holds_mp3)
    actual -= actual % header.frame
    repaired = open_slice(file, header.start, header.start + actual, head=header.make_head(actual))
    wrong_sizes = (
        f"its header announces {announced} bytes of samples and {actual} are there; it was not closed properly, or is"
        " over 4 GiB"
    )
    return ExaminedFile(repaired, wrong_sizes, holds_mp3=holds_mp3)


def _riff_size(head: bytes) -> int:
    return 8 + int(struct.unpack_from("<I", head, 4)[0])


def _choose_reader(head: bytes) -> Callable[[bytes, int], Header | None] | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return riff.read_wav
    if head[:16] == headers.W64_RIFF:
        return headers.read_w64
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return headers.read_aiff
    return {b".snd": headers.read_au, b"caff": headers.read_caf}.get(head[:4])


def _sample_bytes(file: BinaryIO, size: int, header: Header) -> int:
    """Bytes of samples: as announced where chunks, a tag or padding follow them, else all up to the end of the file."""
    present = size - header.start
    if header.size_wraps:
        for turns in range(present // SIZE_MODULUS, 0, -1):
            end = header.start + header.announced + turns * SIZE_MODULUS
            if end <= size and (end >= size - 1 or header.follows(file, end, size)):
                return header.announced + turns * SIZE_MODULUS
    end = header.start + header.announced
    if header.follows(file, end, size):
        return header.announced
    file.seek(end)
    rest = file.read(MAX_PADDING_BYTES)
    if header.announced and (rest.startswith(TRAILING_TAGS) or _is_text(rest) or _is_padding(rest, size - end)):
        return header.announced
    return present


def _is_padding(rest: bytes, length: int) -> bool:
    return length < MAX_PADDING_BYTES and not rest.strip(b"\0")


def _is_text(rest: bytes) -> bool:
    return len(rest) > 7 and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in rest[:4096].rstrip(b"\0"))
