"""Log and count every request, without its content; answer 500 where something went wrong.

Bodies, queries and keys are never logged. A client that hangs up in the middle of a request is no error of the server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from openclap.errors import RequestRefused
from openclap.http.error_responses import error_response
from openclap.http.headers import REFUSED, App, Message, Receive, Scope, Send

__all__ = ["RequestLog"]

GONE = 499  # as nginx calls clients that did not wait
UNCLOSED = 1006  # as RFC 6455 calls the end of a websocket without a close
ENDS = ("websocket.close", "websocket.disconnect", "websocket.http.response.start")
log = logging.getLogger("openclap.serve")


class RequestLog:
    """ASGI middleware that logs and counts every request, and answers unexpected errors with 500.

    Parameters
    ----------
    count
        Told the pattern of the route, the status (of a websocket, the code of its close), and the seconds of a
        request; of a websocket, None.
    """

    def __init__(self, app: App, *, count: Callable[[str, int, float | None], None]) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Log one request, or one websocket from its handshake to its end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun, exchange = time.perf_counter(), _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # told to the log, never to the client
            level = logging.DEBUG if exchange.gone else logging.ERROR
            log.log(level, "request failed", exc_info=error, extra={"facts": {"route": _route_of(scope)}})
            if not exchange.gone and not exchange.has_begun:
                sentence = "something went wrong inside the server; its log says what"
                await error_response(RequestRefused(sentence, 500, "internal_error"), scope)(
                    scope, receive, exchange.send
                )
        finally:
            is_socket, seconds = scope["type"] == "websocket", time.perf_counter() - begun
            status = scope.get("state", {}).get(REFUSED) or exchange.status or (UNCLOSED if is_socket else GONE)
            self._count(_route_of(scope), status, None if is_socket else seconds)
            facts = {
                "method": scope.get("method", "WEBSOCKET")[:16],
                "route": _route_of(scope),
                "status": status,
                "ms": round(1000 * seconds, 2),
                "client": (scope.get("client") or ("?",))[0],
            }
            log.log(logging.DEBUG if status == GONE else logging.INFO, "request", extra={"facts": facts})


class _Exchange:
    """The state of one request and its answer; `gone` where the client has left."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._body_is_whole = not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        self._is_answered = self.has_begun = self.gone = False
        self.status: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_is_whole = self._body_is_whole or not message.get("more_body", False)
        self.gone = self.gone or (message["type"] == "http.disconnect" and not self._is_answered)
        self._note_end(message)
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; where the body was not read to its end, the connection is closed after it."""
        self.has_begun = True
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._body_is_whole:
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        self._is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        self._note_end(message)
        await self._send(message)

    def _note_end(self, message: Message) -> None:
        if message["type"] in ENDS:
            self.status = message.get("status", message.get("code", 1000))


def _route_of(scope: Scope) -> str:
    """The pattern of the route for the metrics, as there are few patterns but any number of paths."""
    return str(getattr(scope.get("route"), "path", "other"))
