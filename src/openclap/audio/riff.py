"""Where the samples of WAV, W64, RF64, AIFF, AU and CAF end, whatever their headers say. Knows nothing of decoding.

    RIFF size WAVE  fmt …  FLLR …  data size │ samples … │ LIST …
                                        └── right, where the file or another chunk follows it

A recorder writes the sizes when it is closed. One that was killed leaves 0, 36, or those of its last look at the clock; over
4 GiB 32 bits hold only what is left of the size. Where a size is too small for the samples that follow, the file is read behind
a new head that says how many there are. A right file is left as it is, and so is one that is too short for its size: it was cut.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from openclap.audio.parts import part_of

__all__ = ["Container", "examined"]

STREAMED_BYTES = 0x7FFF_F000  # writers to a pipe announce this or more, not knowing the size
WRAP = 1 << 32
HEAD_BYTES = (1 << 13, 1 << 20)  # how far chunks before the samples are looked for, where the first is not enough
CHUNKS = 4096  # that are looked at
PADDING_BYTES = 1 << 16  # zeros to the end of a block of a disk
W64_RIFF, W64_LIST = (
    b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    b"\x2f\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
)
W64_CHUNK = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
PLAIN_AIFF = (
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
NO_SAMPLES = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN", b"<?xml", b"<x:xmp", b"\x89PNG", b"%PDF")
MPEG_IN_WAV = (0x50, 0x55)


@dataclass(frozen=True)
class Container:
    """What was found: `file` to read instead, `sizes` that were wrong in words, and what only FFmpeg should read."""

    file: BinaryIO
    sizes: str | None = None  # a sentence's end, where a new head was needed
    cut: bool = False  # fewer bytes of samples than announced
    mpeg: bool = False  # MP3 in WAV: libsndfile guesses its length


@dataclass(frozen=True)
class _Found:
    """A header: where samples begin, how many bytes of them it announces, and what makes a right one."""

    start: int
    announced: int
    frame: int  # bytes that belong together
    right: Callable[[int], bytes]  # bytes of samples → head
    follows: Callable[[BinaryIO, int, int], bool]  # file, place, size: whether chunks go from there to the end
    wraps: bool = False
    tag: int = 0


def examined(file: BinaryIO) -> Container:
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
        return Container(
            file, cut=head[:4] == b"RIFF" and head[8:11] == b"AVI" and size < _riff_size(head) < STREAMED_BYTES
        )
    mpeg = found.tag in MPEG_IN_WAV
    there, announced = size - found.start, found.announced
    if announced >= there - 1 or (announced == 0 and there < max(2, found.frame)):
        return Container(file, cut=there < announced < STREAMED_BYTES, mpeg=mpeg)
    real = _real_bytes(file, size, found)
    file.seek(0)
    if real == announced:
        return Container(file, mpeg=mpeg)
    real -= real % found.frame
    mended = part_of(file, found.start, found.start + real, head=found.right(real))
    sizes = f"its header announces {announced} bytes of samples and {real} are there; it was not closed properly, or is over 4 GiB"
    return Container(mended, sizes, mpeg=mpeg)


def _riff_size(head: bytes) -> int:
    return 8 + int(struct.unpack_from("<I", head, 4)[0])


def _reader_of(head: bytes) -> Callable[[bytes, int], _Found | None] | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav
    if head[:16] == W64_RIFF:
        return _w64
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff
    return {b".snd": _au, b"caff": _caf}.get(head[:4])


def _real_bytes(file: BinaryIO, size: int, found: _Found) -> int:
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


# -- RIFF, RIFX, RF64, BW64 -----------------------------------------------------------------------------


def _wav(head: bytes, size: int) -> _Found | None:
    order = ">" if head[:4] == b"RIFX" else "<"
    form = fact = b""
    long: int | None = None
    here = 12
    for _ in range(CHUNKS):
        if here + 8 > len(head):
            return None
        name, length = head[here : here + 4], struct.unpack_from(order + "I", head, here + 4)[0]
        if name == b"data":
            break
        content = head[here + 8 : here + 8 + length]
        if name == b"fmt ":
            form = content
        elif name == b"fact":
            fact = content
        elif name == b"ds64" and len(content) >= 16:
            long = struct.unpack_from("<Q", content, 8)[0]
        after = here + 8 + length + length % 2
        if length % 2 and not _is_name(head[after : after + 4]) and _is_name(head[after - 1 : after + 3]):
            after -= 1  # written without the byte that makes it even
        if not _is_name(name) or after + 8 > size:
            after = head.find(b"data", here + 1)  # a size that was never written: go on at the samples
            if after < 0:
                return None
        here = after
    else:
        return None
    if len(form) < 16:
        return None
    tag, frame = struct.unpack_from(order + "H", form)[0], struct.unpack_from(order + "H", form, 12)[0]
    announced = long if long is not None and length == 0xFFFF_FFFF else length

    def right(samples: int) -> bytes:
        chunks = _chunk(b"fmt ", form, order) + (_chunk(b"fact", fact, order) if fact else b"")
        total = 4 + len(chunks) + 8 + samples
        if total < WRAP - 1 or order == ">":
            magic = b"RIFX" if order == ">" else b"RIFF"
            most = min(total, WRAP - 1), min(samples, WRAP - 1)
            return (
                magic
                + struct.pack(order + "I", most[0])
                + b"WAVE"
                + chunks
                + b"data"
                + struct.pack(order + "I", most[1])
            )
        ds64 = struct.pack("<QQQI", total + 36, samples, samples // max(1, frame), 0)
        return b"RF64\xff\xff\xff\xffWAVE" + _chunk(b"ds64", ds64, "<") + chunks + b"data\xff\xff\xff\xff"

    return _Found(here + 8, announced, max(1, frame), right, _chunks_follow(order), wraps=long is None, tag=tag)


def _chunk(name: bytes, content: bytes, order: str) -> bytes:
    return name + struct.pack(order + "I", len(content)) + content + bytes(len(content) % 2)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name != b"    "


def _chunks_follow(order: str) -> Callable[[BinaryIO, int, int], bool]:
    """Whether chunks of RIFF or AIFF lie from a place to the end; the first may be cut, or stand without an even place."""

    def follow(file: BinaryIO, here: int, size: int) -> bool:
        return any(_walk(file, place, size, order) for place in dict.fromkeys((here + here % 2, here)))

    return follow


def _walk(file: BinaryIO, here: int, size: int, order: str) -> bool:
    for _ in range(CHUNKS):
        if here >= size - 1:
            return True
        file.seek(here)
        head = file.read(8)
        if head[:4] in _NAMES:
            return True
        if len(head) < 8 or not _is_name(head[:4]):
            return False
        length = struct.unpack_from(order + "I", head, 4)[0]
        here += 8 + length + length % 2
        if here > size + 1:
            return False
    return False


_NAMES = frozenset(
    name.encode().ljust(4)
    for name in [
        "LIST",
        "fact",
        "bext",
        "cue",
        "plst",
        "smpl",
        "inst",
        "JUNK",
        "junk",
        "PAD",
        "FLLR",
        "Fake",
        "iXML",
        "axml",
        "chna",
        "cart",
        "afsp",
        "PEAK",
        "DISP",
        "acid",
        "strc",
        "levl",
        "labl",
        "note",
        "id3",
        "ID3",
        "_PMX",
        "umid",
        "r64m",
        "minf",
        "elm1",
        "regn",
        "SyLp",
        "slnt",
        "wavl",
        "LGWV",
        "MARK",
        "COMT",
        "ANNO",
        "NAME",
        "AUTH",
        "(c)",
        "APPL",
        "MIDI",
        "AESD",
        "INST",
        "CHAN",
        "FVER",
    ]
)


# -- Sony Wave64 ----------------------------------------------------------------------------------------


def _w64(head: bytes, size: int) -> _Found | None:
    here, frame = 40, 1
    while here + 24 <= len(head):
        name, length = head[here : here + 16], struct.unpack_from("<Q", head, here + 16)[0]
        if name == b"data" + W64_CHUNK:
            break
        if name == b"fmt " + W64_CHUNK and length >= 40:
            frame = max(1, struct.unpack_from("<H", head, here + 24 + 12)[0])
        if length < 24:
            return None
        here += length + -length % 8
    else:
        return None
    start = here + 24

    def right(samples: int) -> bytes:
        made = bytearray(head[:start])
        struct.pack_into("<Q", made, 16, start + samples)
        struct.pack_into("<Q", made, here + 16, samples + 24)
        return bytes(made)

    return _Found(start, max(0, length - 24), frame, right, _w64_follows)


def _w64_follows(file: BinaryIO, here: int, size: int) -> bool:
    here += -here % 8
    for _ in range(CHUNKS):
        if here >= size - 7:
            return True
        file.seek(here)
        head = file.read(24)
        if len(head) < 24 or not (head[4:16] in (W64_CHUNK, W64_LIST) or _is_name(head[:4])):
            return False
        length = struct.unpack_from("<Q", head, 16)[0]
        if length < 24:
            return False
        here += length + -length % 8
        if here > size + 8:
            return False
    return False


# -- AIFF, AU, CAF --------------------------------------------------------------------------------------


def _aiff(head: bytes, size: int) -> _Found | None:
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
    if common < 0 or (head[8:12] == b"AIFC" and head[common + 26 : common + 30] not in PLAIN_AIFF):
        return None
    channels, bits = struct.unpack_from(">H", head, common + 8)[0], struct.unpack_from(">H", head, common + 14)[0]
    frame = max(1, channels * -(-bits // 8))
    offset = struct.unpack_from(">I", head, here + 8)[0]
    start = here + 16 + offset
    if start > len(head):
        return None

    def right(samples: int) -> bytes:
        made = bytearray(head[:start])
        struct.pack_into(">I", made, 4, min(start + samples - 8, WRAP - 1))
        struct.pack_into(">I", made, here + 4, min(samples + offset + 8, WRAP - 1))
        struct.pack_into(">I", made, common + 10, min(samples // frame, WRAP - 1))
        return bytes(made)

    return _Found(start, max(0, length - 8 - offset), frame, right, _chunks_follow(">"), wraps=True)


def _au(head: bytes, size: int) -> _Found | None:
    if len(head) < 24:
        return None
    start, length, coding, _, channels = struct.unpack_from(">5I", head, 4)
    frame = channels * {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(coding, 0)
    if not 24 <= start <= len(head) or not frame:
        return None

    def right(samples: int) -> bytes:
        return head[:8] + struct.pack(">I", min(samples, WRAP - 1)) + head[12:start]

    return _Found(start, length, frame, right, lambda *_: False, wraps=True)


def _caf(head: bytes, size: int) -> _Found | None:
    here, plain, frame = 8, False, 1
    while here + 12 <= len(head):
        name, length = head[here : here + 4], struct.unpack_from(">q", head, here + 4)[0]
        if name == b"data":
            break
        if name == b"desc" and length >= 32:
            plain = head[here + 20 : here + 24] in (b"lpcm", b"ulaw", b"alaw")
            frame = max(1, struct.unpack_from(">I", head, here + 28)[0])
        if length < 0:
            return None
        here += 12 + length
    else:
        return None
    if not plain or length < 0:  # -1: to the end of the file
        return None
    start = here + 16  # behind the number of edits

    def right(samples: int) -> bytes:
        return head[: here + 4] + struct.pack(">q", samples + 4) + head[here + 12 : start]

    return _Found(start, max(0, length - 4), frame, right, _caf_follows)


def _caf_follows(file: BinaryIO, here: int, size: int) -> bool:
    for _ in range(CHUNKS):
        if here >= size:
            return True
        file.seek(here)
        head = file.read(12)
        if len(head) < 12 or not _is_name(head[:4]):
            return False
        length = struct.unpack_from(">q", head, 4)[0]
        if not 0 <= length <= size - here:
            return False
        here += 12 + length
    return False
