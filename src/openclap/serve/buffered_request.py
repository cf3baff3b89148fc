"""The body of a request, read before the application is asked or handed on, and whether its client still waits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator

from starlette.datastructures import Headers

from openclap.errors import RequestRefused
from openclap.http.headers import Message, Receive, Scope, Send

__all__ = ["BufferedRequest", "StreamedRequest", "let_body_end"]

# of a refused body: how long the rest is read, how long each part is waited for, and how large the body may be
DRAIN_SECONDS, DRAIN_PAUSE, DRAIN_BYTES = 5.0, 0.5, 1 << 30


class BufferedRequest:
    """A request whose body is read into memory.

    Parameters
    ----------
    most
        Bytes that its body may have.

    Attributes
    ----------
    held : int
        Bytes of the body that were read.
    gone : bool
        The client has hung up, or has its answer.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._body: deque[bytes] | None = deque()  # None: all of it was handed on
        self.held, self.gone = 0, False

    def check_announced(self, scope: Scope) -> None:
        """Check the size of the body that the head announces.

        Raises
        ------
        RequestRefused
            It is too large, or packed.
        """
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestRefused(
                "the body is packed; send it without a content encoding", 415, "unsupported_content_type"
            )
        length = headers.get("content-length", "")
        self._check_size(int(length) if length.isdecimal() else 0)

    def _check_size(self, size: int) -> None:
        if size > self._most:
            most = f"{self._most / (1 << 20):g} MiB" if self._most >= 1 << 20 else f"{self._most} bytes"
            raise RequestRefused(
                f"the body is larger than the {most} that are taken; send less at once", 413, "body_too_large"
            )

    async def read(self) -> AsyncIterator[int]:
        """Read the body to its end, or until the client has gone; yields the size of every part."""
        more = True
        while more:
            message = await self._next()
            part, more = message.get("body", b""), message.get("more_body", False)
            self._check_size(self.held + len(part))
            self.held += len(part)
            if part and self._body is not None:
                self._body.append(part)
                yield len(part)

    async def receive(self) -> Message:
        """Give the application the next part of the body, and after its end the client's disconnect."""
        if self._body is None:
            return await self._next()
        part = self._body.popleft() if self._body else b""
        more = bool(self._body)
        if not more:
            self._body = None
        return {"type": "http.request", "body": part, "more_body": more}

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone."""
        while not self.gone:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self.gone = self.gone or message["type"] == "http.disconnect"
        return message


class StreamedRequest(BufferedRequest):
    """A request whose body is handed on as it comes, for uploads that are written to the disk."""

    def __init__(self, receive: Receive, most: int) -> None:
        super().__init__(receive, most)
        self._size, self._ended = 0, asyncio.Event()

    async def read(self) -> AsyncIterator[int]:
        """Read nothing: there is nothing to wait for before the application is asked."""
        return
        yield 0

    async def receive(self) -> Message:
        """Give the application the next part of the body.

        Raises
        ------
        RequestRefused
            It is larger than it may be.
        """
        message = await self._next()
        self._size += len(message.get("body", b""))
        self._check_size(self._size)
        if not message.get("more_body", False):
            self._ended.set()
        return message

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone, after its body or in it."""
        await self._ended.wait()
        await super().wait_for_disconnect()


def let_body_end(scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Before a refusal is sent, read and drop for a while what still comes of the body.

    A browser does not read an answer while it sends: it would find the connection closed, and tell its user that the
    server cannot be reached. A body of unknown or enormous length is not waited for, nor one that waits to be asked for.
    """
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    ended = not length.isdecimal() or not 0 < int(length) <= DRAIN_BYTES or "expect" in headers

    async def receive_noted() -> Message:
        nonlocal ended
        message = await receive()
        ended = ended or message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def send_later(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            until = time.monotonic() + DRAIN_SECONDS
            while not ended and time.monotonic() < until:
                try:
                    await asyncio.wait_for(receive_noted(), DRAIN_PAUSE)
                except asyncio.TimeoutError:  # not the built-in one before Python 3.11
                    break
        await send(message)

    return receive_noted, send_later
