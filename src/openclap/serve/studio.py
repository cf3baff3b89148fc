"""The part of the page that takes seconds to import (gradio): it is made when it is first asked for, below /studio/.

    /studio/… ─ is it made? ─ no: a thread imports and mounts it; this request waits, others do not
                            └ yes ─ its application, as if it lay at the root

It is shown in a frame of the page, so this server may frame it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI

from openclap.errors import RequestRefused
from openclap.http.app import new_app
from openclap.http.headers import Message, Receive, Scope, Send, page_csp
from openclap.http.loading import in_a_thread

__all__ = ["PATH", "Studio"]

PATH = "/studio"
log = logging.getLogger("openclap.serve")


class Studio:
    """An ASGI application that is made when it is first needed.

    Parameters
    ----------
    mount
        Hangs the page on an application; called in a thread.
    state
        The `state` of the server's application, which the page's shares.
    frames
        Sites that may frame it, beside this one.
    """

    def __init__(self, mount: Callable[[FastAPI], Any], state: Any, frames: Sequence[str] = ()) -> None:
        self._mount, self._state = mount, state
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[FastAPI] | None = None
        self._closing = asyncio.Event()
        own = [(b"content-security-policy", page_csp(("'self'", *frames)))]
        self._headers = own if frames else [*own, (b"x-frame-options", b"SAMEORIGIN")]

    def start(self) -> None:
        """Begin to make it, unless it is made already or could not be."""
        if self._task is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._live(self._ready))

    async def close(self) -> None:
        """End it, where it was made."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below `PATH`."""
        self.start()
        assert self._ready is not None
        pages = await asyncio.shield(self._ready)

        async def send_framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        inner = {**scope, "root_path": scope.get("root_path", "") + PATH}
        await pages(inner, receive, send_framed)

    async def _live(self, ready: asyncio.Future[FastAPI]) -> None:
        """Make it and keep it until the server ends; begun and ended by one task, as its parts want."""
        pages = new_app(openapi_url=None)
        pages.state = self._state
        making = asyncio.ensure_future(in_a_thread(lambda: self._mount(pages)))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait([making, closing], return_when=asyncio.FIRST_COMPLETED)
            if not making.done():
                making.cancel()
                ready.set_exception(RequestRefused("the server is going down", 503, "going_down"))
                ready.exception()  # it is told to whoever asks, which may be nobody
                return
            making.result()
            async with pages.router.lifespan_context(pages):
                ready.set_result(pages)
                await self._closing.wait()
        except Exception:
            log.exception("the studio could not be made")
            if not ready.done():
                refusal = RequestRefused("this part of the page cannot be shown; the server's log says why", 503, "no_studio")  # fmt: skip
                ready.set_exception(refusal)
                ready.exception()  # it is told to whoever asks, which may be nobody
