"""How much a visitor may give: sounds, labels, bytes. Knows nothing of gradio.

browser ─ BodyLimits: uploads while there is room, other requests up to 1 MiB ─ gradio ─ a tab ─ VisitorLimits
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from openclap.audio.decode_limits import limit
from openclap.page.strings import InputError, say
from openclap.store.disk import folder_bytes

__all__ = ["MIB", "BodyLimits", "VisitorLimits", "split_labels"]

MIB = 1 << 20
EVENT_BYTES = 1 << 20  # of what is no upload: words, numbers, names of uploads
UPLOAD = re.compile(r"/gradio_api/upload/?$")
BETWEEN = re.compile(r"[,，、;；\n]+")


@dataclass(frozen=True)
class VisitorLimits:
    """What one visitor may give at once.

    Attributes
    ----------
    file_bytes
        Of one upload.
    kept_bytes
        Of all uploads of all visitors that are not deleted yet, and of what is unpacked from one ZIP file.
    seconds
        Of one sound.
    sounds
        In which somebody searches.
    texts, characters
        Texts or labels at once, and how long each may be.
    results
        Of one search.
    queue
        Questions that wait for their turn; who comes later is told to try again.
    at_once
        Questions that are answered at once; the model hears a few clips of each in turn.
    """

    file_bytes: int = 50 * MIB
    kept_bytes: int = 2048 * MIB
    seconds: float = 600.0
    sounds: int = 200
    texts: int = 100
    characters: int = 500
    results: int = 50
    queue: int = 64
    at_once: int = 4

    @property
    def minutes(self) -> str:
        """`seconds` as it is said."""
        return f"{self.seconds / 60:g}"

    def sound(self, path: str | None) -> Any:
        """A sound that is decoded no longer than is allowed.

        Raises
        ------
        InputError
            There is none.
        """
        if not path:
            raise InputError("error.no_sound")
        return limit(Path(path), seconds=self.seconds)

    def check_texts(self, texts: Sequence[str]) -> list[str]:
        """Each text once.

        Raises
        ------
        InputError
            There are too many, or one is too long.
        """
        kept = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
        if len(kept) > self.texts:
            raise InputError("error.many", count=len(kept), most=self.texts)
        longest = max(map(len, kept), default=0)
        if longest > self.characters:
            raise InputError("error.words", count=longest, most=self.characters)
        return kept


def split_labels(written: str | None) -> list[str]:
    """Labels with commas of any width between: "dog, rain，bells、wind"."""
    return BETWEEN.split(written or "")


class BodyLimits:
    """ASGI middleware that ends requests that are too large: gradio takes events of any size, and any number of uploads.

    Parameters
    ----------
    folder
        Where uploads lie until gradio deletes them.
    most
        Bytes that may lie there.
    """

    def __init__(self, app: ASGIApp, *, folder: Path, most: int) -> None:
        self._app, self._folder, self._most = app, folder, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; too large a body is answered with 413."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        is_upload = UPLOAD.search(scope["path"]) is not None
        room = self._most - await run_in_threadpool(folder_bytes, self._folder) if is_upload else EVENT_BYTES
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > max(0, room):  # gradio would leave a part of it on the disk
            why = say("error.full" if is_upload else "error.input", "en")
            await PlainTextResponse(why, 413, {"connection": "close"})(scope, receive, send)
            return
        received = 0

        async def receive_within_room() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > room:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_within_room, send)
