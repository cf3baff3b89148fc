"""Tags and headers at the beginning of an MP3, and whether it is shorter than its first frame announces.

The Xing, Info or VBRI header in the first frame announces the length. Without one FFmpeg estimates the length from the
bit rate of the first frame, and an estimate does not show whether a file was cut.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["is_truncated", "looks_like_mpeg", "tag_bytes", "tag_length"]

SEARCHED_BYTES = 1 << 16
SLACK_BYTES = 2 * 1441  # two of the largest frames of Layer III
SIDE_BYTES = {(3, 3): 17, (3, 0): 32, (2, 3): 9, (2, 0): 17}  # by version (3 = MPEG 1) and mode (3 = mono)


def looks_like_mpeg(head: bytes) -> bool:
    """Whether a file starts with an ID3 tag or eleven set bits: MP3, ADTS, or a text in UTF-16."""
    return head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def tag_bytes(file: BinaryIO) -> int:
    """How many bytes of ID3v2 tags a file begins with."""
    length = 0
    while True:
        file.seek(length)
        tag = _id3_length(file.read(10))
        if not tag:
            file.seek(0)
            return length
        length += tag


def tag_length(data: bytes) -> int:
    """How many bytes of a tag these bytes begin with (at least as many, for APE and ID3v1); 0 for no tag."""
    return _id3_length(data[:10]) or (len(data) if data.startswith((b"APETAGEX", b"TAG")) else 0)


def is_truncated(file: BinaryIO) -> bool | None:
    """Whether a file has fewer bytes than the header of its first frame announces; None where it announces no length.

    True where the header counts frames but no bytes, so that the decoded length decides.
    """
    size = file.seek(0, 2)
    start = tag_bytes(file)
    file.seek(start)
    data = file.read(SEARCHED_BYTES)
    file.seek(0)
    at = next((i for i in range(len(data) - 4) if _is_frame_header(data, i)), -1)
    if at < 0:
        return None
    present = size - start - at
    side = SIDE_BYTES[(3 if data[at + 1] >> 3 & 3 == 3 else 2, 3 if data[at + 3] >> 6 == 3 else 0)]
    for place in (at + 4 + side, at + 6 + side):  # a checksum may come first
        if data[place : place + 4] in (b"Xing", b"Info") and place + 16 <= len(data):
            flags = struct.unpack_from(">I", data, place + 4)[0]
            if not flags & 1:
                return None
            return not flags & 2 or present + SLACK_BYTES < struct.unpack_from(">I", data, place + 12)[0]
    if data[at + 36 : at + 40] == b"VBRI" and at + 50 <= len(data):
        return present + SLACK_BYTES < int(struct.unpack_from(">I", data, at + 46)[0])
    return None


def _id3_length(head: bytes) -> int:
    """How many bytes an ID3v2 tag has, by its first ten; 0 where they are none."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    a, b, c, d = head[6:10]
    return 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if head[5] & 0x10 else 0)


def _is_frame_header(data: bytes, at: int) -> bool:
    """Whether the header of a Layer III frame may begin at `at`."""
    return data[at] == 0xFF and data[at + 1] & 0xE6 == 0xE2 and data[at + 2] >> 4 not in (0, 15)
