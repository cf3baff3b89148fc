"""Whether the samples of WAV, W64, RF64, AIFF, AU and CAF end where their headers say. Knows nothing of decoding.

    RIFF size WAVE  fmt …  FLLR …  data size │ samples … │ LIST …
                                        └── right, where the file or another chunk follows it

A recorder writes the sizes when it is closed. One that was killed leaves 0, 36, or those of its last look at the clock;
over 4 GiB 32 bits hold only what is left of the size. Where a size is too small for the samples that follow, the file
is read behind a new head that says how many there are. A right file is left as it is, and so is one that is too short
for its size: it was cut.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from openclap.audio import headers, riff
from openclap.audio.file_slice import open_slice
from openclap.audio.headers import WRAP, Header

__all__ = ["STREAMED_BYTES", "ExaminedFile", "examine_header"]

STREAMED_BYTES = 0x7FFF_F000  # writers to a pipe announce this or more, not knowing the size
HEAD_BYTES = (1 << 13, 1 << 20)  # how far chunks before the samples are looked for, where the first is not enough
PADDING_BYTES = 1 << 16  # zeros to the end of a block of a disk
NO_SAMPLES = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN", b"<?xml", b"<x:xmp", b"\x89PNG", b"%PDF")
MPEG_IN_WAV = (0x50, 0x55)


@dataclass(frozen=True)
class ExaminedFile:
    """What was found: `file` to read instead, `sizes` that were wrong in words, and what only FFmpeg should read."""

    file: BinaryIO
    sizes: str | None = None  # a sentence's end, where a new head was needed
    cut: bool = False  # fewer bytes of samples than announced
    mpeg: bool = False  # MP3 in WAV: libsndfile guesses its length


def examine_header(file: BinaryIO) -> ExaminedFile:
    """Look at the sizes in the header of a seekable binary file; what is none of these formats is given back as it is."""
    size = file.seek(0, 2)
    found = None
    for length in HEAD_BYTES:
        file.seek(0)
        head = file.read(length)
        find = _reader_of(head)
        found = None if find is None else find(head, size)
        if find is None or found is not None or size <= length:
            break
    file.seek(0)
    if found is None:
        return ExaminedFile(
            file, cut=head[:4] == b"RIFF" and head[8:11] == b"AVI" and size < _riff_size(head) < STREAMED_BYTES
        )
    mpeg = found.tag in MPEG_IN_WAV
    there, announced = size - found.start, found.announced
    if announced >= there - 1 or (announced == 0 and there < max(2, found.frame)):
        return ExaminedFile(file, cut=there < announced < STREAMED_BYTES, mpeg=mpeg)
    real = _sample_bytes(file, size, found)
    file.seek(0)
    if real == announced:
        return ExaminedFile(file, mpeg=mpeg)
    real -= real % found.frame
    mended = open_slice(file, found.start, found.start + real, head=found.right(real))
    sizes = (
        f"its header announces {announced} bytes of samples and {real} are there; it was not closed properly, or is"
        " over 4 GiB"
    )
    return ExaminedFile(mended, sizes, mpeg=mpeg)


def _riff_size(head: bytes) -> int:
    return 8 + int(struct.unpack_from("<I", head, 4)[0])


def _reader_of(head: bytes) -> Callable[[bytes, int], Header | None] | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return riff.read_wav
    if head[:16] == headers.W64_RIFF:
        return headers.read_w64
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return headers.read_aiff
    return {b".snd": headers.read_au, b"caff": headers.read_caf}.get(head[:4])


def _sample_bytes(file: BinaryIO, size: int, found: Header) -> int:
    """Bytes of samples: as announced where chunks, a tag or padding follow them, else all to the end of the file."""
    there = size - found.start
    if found.wraps:
        for turns in range(there // WRAP, 0, -1):
            end = found.start + found.announced + turns * WRAP
            if end <= size and (end >= size - 1 or found.follows(file, end, size)):
                return found.announced + turns * WRAP
    end = found.start + found.announced
    if found.follows(file, end, size):
        return found.announced
    file.seek(end)
    rest = file.read(PADDING_BYTES)
    if found.announced and (rest.startswith(NO_SAMPLES) or _is_text(rest) or _is_padding(rest, size - end)):
        return found.announced
    return there


def _is_padding(rest: bytes, length: int) -> bool:
    return length < PADDING_BYTES and not rest.strip(b"\0")


def _is_text(rest: bytes) -> bool:
    return len(rest) > 7 and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in rest[:4096].rstrip(b"\0"))
