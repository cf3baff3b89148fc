"""Who may use a server: the Host header, the Origin header and the key decide.

request, or handshake ─ Host ─ Origin ─ key ─ the application
403    403      401
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from starlette.datastructures import Headers

from openclap.errors import RequestRefused
from openclap.http.error_responses import error_response
from openclap.http.headers import App, Receive, Scope, Send
from openclap.http.hosts import is_loopback, is_own_name, is_own_site
from openclap.http.proxy import route_path
from openclap.http.settings import ServerSettings

__all__ = ["Gate"]

OPEN = ("/health", "/ready")  # without a key


class Gate:
    """ASGI middleware that refuses requests of those who may not use the server.

    Starlette's `TrustedHostMiddleware` takes names alone: it knows no addresses of any number, which a server behind
    NAT is reached by, and answers in plain text.
    """

    def __init__(self, app: App, *, settings: ServerSettings) -> None:
        self._app, self._settings = app, settings
        self._keys = [hashlib.sha256(key.encode()).digest() for key in settings.keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request or handshake on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        await (self._app if refusal is None else error_response(refusal, scope))(scope, receive, send)

    def _refusal(self, scope: Scope) -> RequestRefused | None:
        headers = Headers(scope=scope)
        host, names, bound = headers.get("host", ""), self._settings.names, self._settings.host
        named = bool(names or not self._keys)
        if named and not is_own_name(host, bound=bound, names=names):
            # a page of the web whose name was made to mean this machine
            only = "localhost" if is_loopback(bound) and not names else "its own address and names"
            return RequestRefused(
                f"this server answers to {only} alone; whoever runs it adds its other names", 403, "wrong_host"
            )
        if not is_own_site(headers.get("origin"), host, names=names, sites=self._settings.origins):
            return RequestRefused("pages of other sites may not use this server", 403, "wrong_origin")
        if self._keys and route_path(scope) not in OPEN and not self._is_key(headers.get("authorization", "")):
            return RequestRefused("a key is needed: send  Authorization: Bearer KEY", 401, "invalid_api_key")
        return None

    def _is_key(self, authorization: str) -> bool:
        """Whether a key is right, as a bearer's or a browser's password; compared in constant time."""
        kind, _, given = authorization.partition(" ")
        given = given.strip()
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, ValueError):
                given = ""
        elif kind.lower() != "bearer":
            given = ""
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        return sum(hmac.compare_digest(digest, key) for key in self._keys) > 0
