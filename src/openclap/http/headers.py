"""Security headers that every answer has: who may frame it, where it may load from, its type.

    Content-Security-Policy   nothing but this server; who may frame it. An answer's own, where it has one, stays
    X-Content-Type-Options    what is sent as a sound is no page
    Referrer-Policy           nobody is told what was looked at
    X-Frame-Options           for browsers that do not know frame-ancestors

A method that no route may have is refused here as well: TRACE shows scripts the headers that they may not see.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

from starlette.responses import PlainTextResponse

__all__ = ["REFUSED", "STRICT", "SecurityHeaders"]

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
# gradio has scripts and styles within the page, makes functions of strings, plays and draws what it made itself, and
# works in workers
PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; media-src 'self' data: blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {}"
)


def _page_csp(frames: Sequence[str] = ()) -> bytes:
    """Make the policy of a page that nobody, or only these sites, may frame."""
    return PAGE.format(" ".join(frames) or "'none'").encode("latin-1")


class SecurityHeaders:
    """ASGI middleware that completes the headers of every answer.

    Parameters
    ----------
    frames
        Sites that may frame the page, as "https://example.org"; by default none.
    """

    def __init__(self, app: App, *, frames: Sequence[str] = ()) -> None:
        self._app = app
        self._frames = bool(frames)
        self._page = _page_csp(frames)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or handshake, with complete headers."""

        async def send_completed(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message = {**message, "headers": self._complete(list(message.get("headers", [])))}
            await send(message)

        if scope["type"] == "http" and scope["method"] not in METHODS:
            headers = {"allow": ", ".join(METHODS), "connection": "close"}
            await PlainTextResponse("there is no such method here", 405, headers)(scope, receive, send_completed)
            return
        await self._app(scope, receive, send_completed)

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower(): value for name, value in headers}
        is_json = names.get(b"content-type", b"").startswith(b"application/json")
        policy = NOTHING if is_json else self._page
        framed = self._frames and not is_json
        wanted = ((CSP, policy), *COMMON, *(() if framed else (DENY,)))
        return headers + [one for one in wanted if one[0] not in names]
