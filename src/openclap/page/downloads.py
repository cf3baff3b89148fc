"""Where players and links get what was shown: `GET sounds/TOKEN`, a span as WAV; `GET originals/TOKEN`, the file itself. Knows no tab.

What cannot be had is answered by a sentence in the language that the browser asks for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from openclap.errors import SoundError
from openclap.page.strings import Language, Told
from openclap.page.wording import sentence

if TYPE_CHECKING:
    from openclap.page.desk import Desk

__all__ = ["routes_of", "told"]

PIECE = 1 << 18  # bytes
PRIVATE = {"Cache-Control": "private, no-store"}
log = logging.getLogger("openclap.page")


def routes_of(desk: Desk) -> APIRouter:
    """The routes of a page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/sounds/{token}")
    def sound(token: str, request: Request) -> Response:
        try:
            return FileResponse(desk.shelf.wav(token), media_type="audio/wav", headers=PRIVATE)
        except (Told, SoundError, OSError) as error:
            return told(error, request)

    @router.get("/originals/{token}")
    def original(token: str, request: Request) -> Response:
        try:
            return _whole(desk.shelf.open(token), desk.shelf.of(token).name)
        except (Told, SoundError, OSError) as error:
            return told(error, request)

    return router


def _whole(file: BinaryIO, name: str) -> Response:
    """An open file as a download; its name on the disk may be another's by now, so it is not opened again."""
    size = file.seek(0, 2)
    headers = {
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(name, errors='replace')}",
        "Content-Length": str(size),
        **PRIVATE,
    }
    return StreamingResponse(
        _pieces(file, size),
        media_type="application/octet-stream",
        headers=headers,
        background=BackgroundTask(file.close),
    )


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """As many bytes as were announced, or an end before them: never more, if it is being written to."""
    file.seek(0)
    with file:
        while size and (piece := file.read(min(PIECE, size))):
            size -= len(piece)
            yield piece


def told(error: Exception, request: Request, status: int = 404) -> Response:
    """An error as one sentence that names no path, in the language that the browser asks for."""
    if not isinstance(error, Told):
        log.warning("%s", " ".join(str(error).split()))
    asked = request.headers.get("accept-language", "")
    language: Language = "zh" if asked.lower().startswith("zh") else "en"
    return PlainTextResponse(sentence(error, language), status, PRIVATE)
