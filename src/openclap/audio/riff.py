"""The header of WAV in all its forms: RIFF, RIFX, RF64, BW64."""

from __future__ import annotations

import struct

from openclap.audio.headers import MAX_CHUNKS, SIZE_MODULUS, Header, chunks_follow, is_chunk_name

__all__ = ["read_wav"]


def read_wav(head: bytes, size: int) -> Header | None:
    """Read the header of a file of `size` bytes from its beginning; None where `head` is none, or too short."""
    order = ">" if head[:4] == b"RIFX" else "<"
    form = fact = b""
    long: int | None = None
    here = 12
    for _ in range(MAX_CHUNKS):
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
        if length % 2 and not is_chunk_name(head[after : after + 4]) and is_chunk_name(head[after - 1 : after + 3]):
            after -= 1  # the padding byte is missing
        if not is_chunk_name(name) or after + 8 > size:
            after = head.find(b"data", here + 1)  # its size was never written: go on at the samples
            if after < 0:
                return None
        here = after
    else:
        return None
    if len(form) < 16:
        return None
    tag, frame = struct.unpack_from(order + "H", form)[0], struct.unpack_from(order + "H", form, 12)[0]
    announced = long if long is not None and length == 0xFFFF_FFFF else length

    def make_head(samples: int) -> bytes:
        chunks = _chunk(b"fmt ", form, order) + (_chunk(b"fact", fact, order) if fact else b"")
        total = 4 + len(chunks) + 8 + samples
        if total < SIZE_MODULUS - 1 or order == ">":
            magic = b"RIFX" if order == ">" else b"RIFF"
            riff_size, data_size = (struct.pack(order + "I", min(n, SIZE_MODULUS - 1)) for n in (total, samples))
            return magic + riff_size + b"WAVE" + chunks + b"data" + data_size
        ds64 = struct.pack("<QQQI", total + 36, samples, samples // max(1, frame), 0)
        return b"RF64\xff\xff\xff\xffWAVE" + _chunk(b"ds64", ds64, "<") + chunks + b"data\xff\xff\xff\xff"

    return Header(
        here + 8, announced, max(1, frame), make_head, chunks_follow(order), size_wraps=long is None, format_tag=tag
    )


def _chunk(name: bytes, content: bytes, order: str) -> bytes:
    return name + struct.pack(order + "I", len(content)) + content + bytes(len(content) % 2)
