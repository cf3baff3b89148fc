"""Parts of long answers: what a player asks for with `Range`, and the heads of files that are downloaded.

Range: bytes=0-499 / 500- / -500      206 with Content-Range; 416 where it lies beyond the end
If-Range, If-None-Match               only if it is the same file still: its ETag is made of size and time
several ranges, or none that is one   the whole, as RFC 9110 allows
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from openclap.errors import RequestRefused
from openclap.http.error_responses import error_response

__all__ = ["Content", "disposition", "file_content", "ranged_response", "sound_type"]

PIECE = 1 << 18  # bytes that are sent at once
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
PLAIN = re.compile(r"[^A-Za-z0-9 ._()\[\]+=@~-]")  # what a name in quotes may not hold
UNKNOWN = "application/octet-stream"
MAGIC: tuple[tuple[int, bytes, str], ...] = (  # where, what, type: by content, as a name may lie
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (8, b"AIFF", "audio/aiff"),
    (8, b"AIFC", "audio/aiff"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "audio/webm"),
    (0, b"caff", "audio/x-caf"),
    (0, b".snd", "audio/basic"),
    (0, b"#!AMR", "audio/amr"),
)
HEAD = 12  # bytes that tell the type


@dataclass(frozen=True)
class Content:
    """Something long, of which any part may be asked for.

    Attributes
    ----------
    size
        Bytes of all of it.
    read
        From a first byte to one after the last → pieces of bytes.
    kind
        Its media type.
    tag
        What is another one when it has changed.
    close
        Called when it was sent.
    """

    size: int
    read: Callable[[int, int], Iterator[bytes]]
    kind: str
    tag: str
    close: Callable[[], None]


def file_content(file: BinaryIO, size: int, mtime_ns: int) -> Content:
    """An open file as a content; it is closed when it was sent."""

    def read(first: int, end: int) -> Iterator[bytes]:
        file.seek(first)
        left = end - first
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece

    file.seek(0)
    return Content(size, read, sound_type(file.read(HEAD)), f'"{size:x}-{mtime_ns:x}"', file.close)


def ranged_response(request: Request, content: Content, headers: Mapping[str, str]) -> Response:
    """Answer with what a request wants of a content."""
    head = {"Accept-Ranges": "bytes", "ETag": content.tag, "Cache-Control": "private, no-cache", **headers}
    done = BackgroundTask(content.close)
    if content.tag in _tags(request.headers.get("if-none-match", "")):
        return Response(None, 304, head, background=done)
    is_same = request.headers.get("if-range", content.tag) == content.tag
    wanted = RANGE.fullmatch(request.headers.get("range", "").strip()) if is_same else None
    status, first, end = 200, 0, content.size
    if wanted is not None and any(wanted.groups()):
        first, end = _span(*wanted.groups(), size=content.size)
        if first >= end:
            content.close()
            refusal = RequestRefused("the range lies beyond the end of the file", 416, "range_not_satisfiable")
            answer = error_response(refusal, request.scope)
            answer.headers["content-range"] = f"bytes */{content.size}"
            return answer
        status, head["Content-Range"] = 206, f"bytes {first}-{end - 1}/{content.size}"
    head["Content-Length"] = str(end - first)
    if request.method == "HEAD":
        return Response(None, status, head, content.kind, background=done)
    return _ContentResponse(content, first, end, status, head)


class _ContentResponse(StreamingResponse):
    """A part of a content, which is closed after it, also where a player hangs up before the first piece."""

    def __init__(self, content: Content, first: int, end: int, status: int, head: Mapping[str, str]) -> None:
        super().__init__(content.read(first, end), status, head, content.kind)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._content.close()


def _span(first: str, last: str, *, size: int) -> tuple[int, int]:
    """The bytes that a range names: from the first to one after the last; an empty span where there are none."""
    if not first:  # so many from the end
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    end = min(size, int(last) + 1) if last else size
    return int(first), end


def _tags(value: str) -> list[str]:
    return [one.strip().removeprefix("W/") for one in value.split(",")]


def sound_type(head: bytes) -> str:
    """The media type of a sound by its first bytes; what is not known is nothing that a browser would open."""
    for at, magic, kind in MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    is_mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return ("audio/aac" if head[1] & 0xF6 == 0xF0 else "audio/mpeg") if is_mpeg else UNKNOWN


def disposition(name: str, *, download: bool) -> str:
    """A Content-Disposition with a file's name, whatever signs are in it."""
    plain = PLAIN.sub("_", name).strip(" .") or "sound"
    coded = quote(name, safe="", errors="replace")
    return f"{'attachment' if download else 'inline'}; filename=\"{plain}\"; filename*=utf-8''{coded}"
