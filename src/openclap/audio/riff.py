"""The header of WAV in all its kinds: RIFF, RIFX, RF64, BW64. Knows nothing of what is wrong with it."""

from __future__ import annotations

import struct

from openclap.audio.headers import CHUNKS, WRAP, Header, chunks_follow, is_name

__all__ = ["read_wav"]


def read_wav(head: bytes, size: int) -> Header | None:
    """The header at the beginning of a file of `size` bytes, of which `head` is read; None where it is none, or goes on."""
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
        if length % 2 and not is_name(head[after : after + 4]) and is_name(head[after - 1 : after + 3]):
            after -= 1  # written without the byte that makes it even
        if not is_name(name) or after + 8 > size:
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

    return Header(here + 8, announced, max(1, frame), right, chunks_follow(order), wraps=long is None, tag=tag)


def _chunk(name: bytes, content: bytes, order: str) -> bytes:
    return name + struct.pack(order + "I", len(content)) + content + bytes(len(content) % 2)
