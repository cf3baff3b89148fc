"""Headers that every answer has: who may frame it, where it may load from, what it is. Knows nothing of routes.

    Content-Security-Policy   nothing but this server; who may frame it. An answer's own, where it has one, stays
    X-Content-Type-Options    what is sent as a sound is no page
    Referrer-Policy           nobody is told what was looked at
    X-Frame-Options           for browsers that do not know frame-ancestors

Also here because it is of every request: a method that no route may have is refused (TRACE shows headers to scripts), and who hangs up
in the middle of a request is no error of the server.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

__all__ = ["REFUSED", "STRICT", "Answers", "page_policy"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSED = "openclap.refused"  # in the state of a request: the status that the connection sent in its stead
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
COMMON = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
DENY = (b"x-frame-options", b"DENY")
CSP = b"content-security-policy"
NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
STRICT = ((CSP, NOTHING), *COMMON, DENY)  # of what is no page
# gradio has scripts and styles within the page, makes functions of strings, plays and draws what it made itself, and works in workers
PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; media-src 'self' data: blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {}"
)
log = logging.getLogger("openclap.http")


def page_policy(frames: Sequence[str] = ()) -> bytes:
    """The policy of a page that is framed by nobody, or by these sites alone."""
    return PAGE.format(" ".join(frames) or "'none'").encode("latin-1")


class Answers:
    """ASGI middleware around a whole application.

    Parameters
    ----------
    frames
        Sites that may frame the page, as "https://example.org"; nobody may, by default.
    """

    def __init__(self, app: App, *, frames: Sequence[str] = ()) -> None:
        self._app = app
        self._frames = bool(frames)
        self._page = page_policy(frames)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or handshake."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        gone = False

        async def received() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        async def sent(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message = {**message, "headers": self._completed(list(message.get("headers", [])))}
            await send(message)

        if scope["type"] == "http" and scope["method"] not in METHODS:
            await _no_method(sent)
            return
        try:
            await self._app(scope, received, sent)
        except Exception as error:
            if not gone:
                raise
            log.debug("the client left in the middle of %s", scope.get("method"), exc_info=error)

    def _completed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in headers}
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        policy = NOTHING if kind.startswith(b"application/json") else self._page
        framed = self._frames and policy is self._page
        wanted = ((CSP, policy), *COMMON, *(() if framed else (DENY,)))
        return headers + [one for one in wanted if one[0] not in names]


async def _no_method(send: Send) -> None:
    body = b"there is no such method here"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    headers += [(b"allow", ", ".join(METHODS).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 405, "headers": headers})
    await send({"type": "http.response.body", "body": body})
