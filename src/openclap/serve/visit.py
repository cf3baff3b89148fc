"""One request and its answer: what of the body has come, and whether anybody still waits. Knows nothing of keys, places or models."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable

from openclap.errors import RequestRefused
from openclap.http.headers import Message, Receive, Scope, Send
from openclap.http.proxy import address_of, route_path
from openclap.serve.faults import fault_of

__all__ = ["Visit"]


class Visit:
    """One request and its answer, as far as they have come.

    Parameters
    ----------
    most
        Bytes that its body may have.

    Attributes
    ----------
    whose : str
        The client that it counts for.
    held : int
        Bytes of the body that were read.
    gone : bool
        Nobody waits for the answer.
    done : bool
        The answer was sent whole.
    finishing : callable
        Called before the last part of the answer is sent: who has it may ask again at once.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        self.scope = scope
        self.whose = address_of(scope.get("client"))
        self.status: int | None = None
        self._receive = receive
        self._send = send
        self._most = most
        self._body: deque[bytes] | None = deque()  # None: all of it was handed on
        self.held = 0
        self.gone = self.done = False
        self.finishing: Callable[[], None] = lambda: None
        self._whole = not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])

    @property
    def route(self) -> str:
        """The pattern of the route, of which there are a few, not the path, of which there may be many."""
        return str(getattr(self.scope.get("route"), "path", "other"))

    def check_announced(self) -> None:
        """Look at what is announced of the body.

        Raises
        ------
        RequestRefused
            It is too large, or packed.
        """
        headers = dict(self.scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise RequestRefused(
                "the body is packed; send it without a content encoding", 415, "unsupported_content_type"
            )
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._most:
            raise self._too_large()

    def _too_large(self) -> RequestRefused:
        return RequestRefused(
            f"the body is larger than the {_amount(self._most)} that are taken; send less at once",
            413,
            "body_too_large",
        )

    async def receive_as_it_is(self) -> Message:
        """The next part of the body."""
        message = await self._receive()
        self._whole = self._whole or not message.get("more_body", False)
        self.gone = self.gone or (message["type"] == "http.disconnect" and not self.done)
        return message

    async def read(self) -> AsyncIterator[int]:
        """Read the body to its end, or until the client has gone, and tell the size of every part."""
        more = True
        while more:
            message = await self.receive_as_it_is()
            part = message.get("body", b"")
            if self.held + len(part) > self._most:
                raise self._too_large()
            self.held += len(part)
            if part and self._body is not None:
                self._body.append(part)
                yield len(part)
            more = message.get("more_body", False)

    async def receive(self) -> Message:
        """The next part of the body that was read, and after its end that the client has gone."""
        if self._body is not None:
            part = self._body.popleft() if self._body else b""
            more = bool(self._body)
            if not more:
                self._body = None
            return {"type": "http.request", "body": part, "more_body": more}
        return await self.receive_as_it_is()

    async def leaves(self) -> None:
        """Wait until the client has gone."""
        while not self.gone and not self.done:
            await self.receive_as_it_is()

    async def send(self, message: Message) -> None:
        """The next part of the answer. Where the body was not read to its end, the connection is closed: it lies in the way."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._whole:
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.done = True
            self.finishing()
        await self._send(message)

    async def refuse(self, refusal: RequestRefused) -> None:
        """An error for an answer, where none has begun."""
        if self.status is not None:
            return
        status, headers, body = fault_of(refusal)
        if status == 401:
            way = "Bearer" if route_path(self.scope).startswith("/v1/") else 'Basic realm="openclap", charset="UTF-8"'
            headers["www-authenticate"] = way
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


def _amount(size: int) -> str:
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size} bytes"
