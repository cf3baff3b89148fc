"""The headers of W64, AIFF, AU and CAF: where samples begin, how many are announced, and how a right one is made."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

__all__ = [
    "MAX_CHUNKS",
    "SIZE_MODULUS",
    "W64_RIFF",
    "Header",
    "chunks_follow",
    "is_chunk_name",
    "read_aiff",
    "read_au",
    "read_caf",
    "read_w64",
]

SIZE_MODULUS = 1 << 32  # sizes of 32 bits begin at 0 again here
MAX_CHUNKS = 4096  # read at most
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
W64_LIST = W64_RIFF[4:]
W64_CHUNK = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
UNCOMPRESSED_AIFF = (
    b"NONE",
    b"twos",
    b"sowt",
    b"raw ",
    b"in24",
    b"in32",
    b"fl32",
    b"FL32",
    b"fl64",
    b"FL64",
    b"ulaw",
    b"alaw",
    b"ULAW",
    b"ALAW",
)
KNOWN_CHUNKS = (
    b"LIST",
    b"fact",
    b"bext",
    b"cue ",
    b"plst",
    b"smpl",
    b"inst",
    b"JUNK",
    b"junk",
    b"PAD ",
    b"FLLR",
    b"Fake",
    b"iXML",
    b"axml",
    b"chna",
    b"cart",
    b"afsp",
    b"PEAK",
    b"DISP",
    b"acid",
    b"strc",
    b"levl",
    b"labl",
    b"note",
    b"id3 ",
    b"ID3 ",
    b"_PMX",
    b"umid",
    b"r64m",
    b"minf",
    b"elm1",
    b"regn",
    b"SyLp",
    b"slnt",
    b"wavl",
    b"LGWV",
    b"MARK",
    b"COMT",
    b"ANNO",
    b"NAME",
    b"AUTH",
    b"(c) ",
    b"APPL",
    b"MIDI",
    b"AESD",
    b"INST",
    b"CHAN",
    b"FVER",
)


@dataclass(frozen=True)
class Header:
    """A header: where samples begin, how many bytes of them it announces, and how a right one is made."""

    start: int
    announced: int
    frame: int  # bytes of one sample of all channels, or of one coded block
    make_head: Callable[[int], bytes]  # bytes of samples → a header that announces them
    follows: Callable[[BinaryIO, int, int], bool]  # (file, place, size): whether chunks fill the file from there on
    size_wraps: bool = False  # `announced` has lost what is above 32 bits
    format_tag: int = 0  # of WAV: how samples are coded


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes may be the name of a chunk."""
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name != b"    "


def chunks_follow(order: str) -> Callable[[BinaryIO, int, int], bool]:
    """A function that says whether RIFF or AIFF chunks fill the rest of a file from a place on; the last may be cut."""

    def follow(file: BinaryIO, here: int, size: int) -> bool:
        return any(_chunks_fill(file, place, size, order) for place in dict.fromkeys((here + here % 2, here)))

    return follow


def _chunks_fill(file: BinaryIO, here: int, size: int, order: str) -> bool:
    """Whether chunks fill a file from `here` on; a known name is taken as proof."""
    for _ in range(MAX_CHUNKS):
        if here >= size - 1:
            return True
        file.seek(here)
        head = file.read(8)
        if head[:4] in KNOWN_CHUNKS:
            return True
        if len(head) < 8 or not is_chunk_name(head[:4]):
            return False
        length = struct.unpack_from(order + "I", head, 4)[0]
        here += 8 + length + length % 2
        if here > size + 1:
            return False
    return False


# -- Sony Wave64 ----------------------------------------------------------------------------------------


def read_w64(head: bytes, size: int) -> Header | None:
    """The header of Sony Wave64, whose chunks have names of 16 bytes and sizes of 8 that include both."""
    here, frame = 40, 1
    while here + 24 <= len(head):
        name, length = head[here : here + 16], struct.unpack_from("<Q", head, here + 16)[0]
        if name == b"data" + W64_CHUNK:
            break
        if name == b"fmt " + W64_CHUNK and length >= 40:
            if here + 40 > len(head):
                return None
            frame = max(1, struct.unpack_from("<H", head, here + 24 + 12)[0])
        if length < 24:
            return None
        here += length + -length % 8
    else:
        return None
    start = here + 24

    def make_head(samples: int) -> bytes:
        made = bytearray(head[:start])
        struct.pack_into("<Q", made, 16, start + samples)
        struct.pack_into("<Q", made, here + 16, samples + 24)
        return bytes(made)

    return Header(start, max(0, length - 24), frame, make_head, _w64_follows)


def _w64_follows(file: BinaryIO, here: int, size: int) -> bool:
    here += -here % 8
    for _ in range(MAX_CHUNKS):
        if here >= size - 7:
            return True
        file.seek(here)
        head = file.read(24)
        if len(head) < 24 or not (head[4:16] in (W64_CHUNK, W64_LIST) or is_chunk_name(head[:4])):
            return False
        length = struct.unpack_from("<Q", head, 16)[0]
        if length < 24:
            return False
        here += length + -length % 8
        if here > size + 8:
            return False
    return False


# -- AIFF, AU, CAF --------------------------------------------------------------------------------------


def read_aiff(head: bytes, size: int) -> Header | None:
    """The header of AIFF, or of AIFC without compression; None where samples come before their description."""
    here, common = 12, -1
    while here + 16 <= len(head):
        name, length = head[here : here + 4], struct.unpack_from(">I", head, here + 4)[0]
        if name == b"SSND":
            break
        if name == b"COMM" and length >= 18:
            common = here
        here += 8 + length + length % 2
    else:
        return None
    if common < 0 or (head[8:12] == b"AIFC" and head[common + 26 : common + 30] not in UNCOMPRESSED_AIFF):
        return None
    channels, bits = struct.unpack_from(">H", head, common + 8)[0], struct.unpack_from(">H", head, common + 14)[0]
    frame = max(1, channels * -(-bits // 8))
    offset = struct.unpack_from(">I", head, here + 8)[0]
    start = here + 16 + offset
    if start > len(head):
        return None

    def make_head(samples: int) -> bytes:
        made = bytearray(head[:start])
        struct.pack_into(">I", made, 4, min(start + samples - 8, SIZE_MODULUS - 1))
        struct.pack_into(">I", made, here + 4, min(samples + offset + 8, SIZE_MODULUS - 1))
        struct.pack_into(">I", made, common + 10, min(samples // frame, SIZE_MODULUS - 1))
        return bytes(made)

    return Header(start, max(0, length - 8 - offset), frame, make_head, chunks_follow(">"), size_wraps=True)


def read_au(head: bytes, size: int) -> Header | None:
    """The header of AU (.snd), whose samples go to the end of the file."""
    if len(head) < 24:
        return None
    start, length, coding, _, channels = struct.unpack_from(">5I", head, 4)
    frame = channels * {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(coding, 0)
    if not 24 <= start <= len(head) or not frame:
        return None

    def make_head(samples: int) -> bytes:
        return head[:8] + struct.pack(">I", min(samples, SIZE_MODULUS - 1)) + head[12:start]

    return Header(start, length, frame, make_head, lambda *_: False, size_wraps=True)


def read_caf(head: bytes, size: int) -> Header | None:
    """The header of Apple's CAF without compression."""
    here, plain, frame = 8, False, 1
    while here + 12 <= len(head):
        name, length = head[here : here + 4], struct.unpack_from(">q", head, here + 4)[0]
        if name == b"data":
            break
        if name == b"desc" and length >= 32:
            if here + 32 > len(head):
                return None
            plain = head[here + 20 : here + 24] in (b"lpcm", b"ulaw", b"alaw")
            frame = max(1, struct.unpack_from(">I", head, here + 28)[0])
        if length < 0:
            return None
        here += 12 + length
    else:
        return None
    if not plain or length < 0:  # -1 stands for "to the end of the file"
        return None
    start = here + 16  # after the number of edits

    def make_head(samples: int) -> bytes:
        return head[: here + 4] + struct.pack(">q", samples + 4) + head[here + 12 : start]

    return Header(start, max(0, length - 4), frame, make_head, _caf_follows)


def _caf_follows(file: BinaryIO, here: int, size: int) -> bool:
    for _ in range(MAX_CHUNKS):
        if here >= size:
            return True
        file.seek(here)
        head = file.read(12)
        if len(head) < 12 or not is_chunk_name(head[:4]):
            return False
        length = struct.unpack_from(">q", head, 4)[0]
        if not 0 <= length <= size - here:
            return False
        here += 12 + length
    return False
