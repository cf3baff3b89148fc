"""What a browser may send to the page: files that it uploaded, by their place, and bodies that end. Knows no tab.

gradio looks for files in whatever it is sent, in texts as well: it copies them to its own folder, or fetches what is a
URL. Where it is mounted on an application, it does not ask whether they were ever uploaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from openclap.http.proxy import route_path
from openclap.page.strings import say
from openclap.store.disk import folder_bytes

__all__ = ["Bounded", "Guarded", "places_in"]

EVENT_BYTES = 1 << 20  # of what is no upload: words, numbers, names of uploads
API = "/v1/"  # has limits of its own, where it is served beside the page


class Guarded(gr.Blocks):  # type: ignore[misc]
    """Blocks whose handlers are given no file but those that somebody uploaded here."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        """As gradio's, where every file lies in the folder of uploads.

        Raises
        ------
        gr.Error
            A path is outside of it, or a URL.
        """
        refuse_others(inputs)
        return await super().preprocess_data(block_fn, inputs, *rest, **options)


def refuse_others(inputs: Sequence[Any]) -> None:
    """Refuse what names a file that was not uploaded."""
    folder = os.path.realpath(get_upload_folder())
    for place in places_in(inputs):
        if not isinstance(place, str) or "\0" in place or not Path(os.path.realpath(place)).is_relative_to(folder):
            raise gr.Error(say("error.input", "en"), duration=12, print_exception=False)


def places_in(what: Any) -> Iterator[Any]:
    """Every "path" of every dict, however deep; None, of an empty component, is none."""
    waiting = [what]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("path") is not None:
                yield one["path"]
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one


class Bounded:
    """ASGI middleware: bodies for the page end somewhere, and so does the room that uploads take before they are forgotten.

    Parameters
    ----------
    uploads
        The path that files are uploaded to.
    most
        Bytes of one upload, and of all that lie there.
    closing
        Set, whoever waits for news is taken for gone: gradio asks again and again.
    """

    def __init__(self, app: ASGIApp, *, uploads: str, most: int, closing: threading.Event) -> None:
        self._app = app
        self._uploads = uploads
        self._most = most
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; too large a body is answered with 413."""
        if scope["type"] != "http" or route_path(scope).startswith(API):
            await self._app(scope, receive, send)
            return
        uploads = route_path(scope) == self._uploads and scope["method"] == "POST"
        room = self._most - await run_in_threadpool(folder_bytes, get_upload_folder()) if uploads else EVENT_BYTES
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        got, begun = 0, False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal got
            if self._closing.is_set():
                return {"type": "http.disconnect"}
            message = await receive()
            got += len(message.get("body", b""))
            if got > room:
                raise HTTPException(413, "too large")
            return message

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            if announced.isdigit() and int(announced) > max(0, room):
                raise HTTPException(413, "too large")
            await self._app(scope, counted, noted)
        except HTTPException as error:
            if begun or error.status_code != 413:
                raise
            sentence = say("error.full", "en") if uploads else say("error.input", "en")
            await PlainTextResponse(sentence, 413, {"connection": "close"})(scope, receive, send)
        except RuntimeError as error:
            if not begun or not isinstance(error.__cause__, HTTPException):
                raise
            # a tab of before the server was started anew, or a stranger's: gradio has told it in the stream, and raises
            await send({"type": "http.response.body", "body": b""})
