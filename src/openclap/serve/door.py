"""Who may come in, how many, with how much, for how long; and what is counted and logged. Knows nothing of models or sounds.

    request ─ host, origin, key? ─ size? ─ room? ─ body, counted as it comes ─ route ─ answer ─ counted, logged
              403     403     401   413     429    413                        504

    socket ── host, origin, key? ─────── room? ─ route ─ messages ─ closed: counted, logged
              403     403     401        429

Nothing of a body is read before there is room for it. Bodies, queries and keys are never logged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from openclap.errors import RequestRefused
from openclap.hosts import is_loopback, is_own_name, is_own_site
from openclap.serve.metrics import Metrics
from openclap.serve.settings import Settings

__all__ = ["Door", "fault_of", "refuse_socket"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/ready")  # without a key
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
log = logging.getLogger("openclap.serve")


class Door:
    """ASGI middleware around the whole application.

    Attributes
    ----------
    accepted, answered : int
        Requests that were given work, and those of them whose answer was sent whole.
    in_work : int
        Those that are not done.
    sockets : int
        Websockets that are open.
    """

    def __init__(self, app: App, *, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._keys = [hashlib.sha256(key.encode()).digest() for key in settings.keys]
        self._bytes = 0  # of bodies in work
        self.in_work = 0
        self.accepted = self.answered = self.sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._settings.body_bytes)
        begun = time.perf_counter()
        try:
            await self._let_in(visit)
        except Exception as error:  # told to the log, never to the client
            log.error("request failed", exc_info=error, extra={"facts": {"route": visit.route}})
            await visit.refuse(
                RequestRefused("something went wrong inside the server; its log says what", 500, "internal_error")
            )
        finally:
            seconds = time.perf_counter() - begun
            status = visit.status or 499  # as nginx calls those who did not wait
            self._metrics.requests.labels(visit.route, str(status)).inc()
            self._metrics.seconds.labels(visit.route).observe(seconds)
            facts = {
                "method": str(scope["method"])[:16],
                "route": visit.route,
                "status": status,
                "ms": round(1000 * seconds, 2),
            }
            log.info("request", extra={"facts": facts | {"client": (scope.get("client") or ("?",))[0]}})

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One websocket, from the handshake to its end."""
        begun, code = time.perf_counter(), 1006  # as RFC 6455 calls an end without a close

        async def received() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", code)
            return message

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] in ("websocket.close", "websocket.http.response.start"):
                code = message.get("status", message.get("code", 1000))
            await send(message)

        refusal = self._refusal(scope) or self._no_socket()
        self.sockets += refusal is None
        self._metrics.sockets.set(self.sockets)
        try:
            if refusal is not None:
                await refuse_socket(scope, noted, refusal)
            else:
                await self._app(scope, received, noted)
        finally:
            self.sockets -= refusal is None
            self._metrics.sockets.set(self.sockets)
            route = str(getattr(scope.get("route"), "path", "other"))
            self._metrics.requests.labels(route, str(code)).inc()
            facts = {
                "method": "WEBSOCKET",
                "route": route,
                "status": code,
                "ms": round(1000 * (time.perf_counter() - begun), 2),
            }
            log.info("request", extra={"facts": facts | {"client": (scope.get("client") or ("?",))[0]}})

    def _no_socket(self) -> RequestRefused | None:
        if self.sockets < self._settings.sockets:
            return None
        return RequestRefused(
            f"the server has {self.sockets} websockets open, which is as many as it takes; try again later",
            429,
            "busy",
            retry_after=5,
        )

    async def _let_in(self, visit: _Visit) -> None:
        refusal = self._refusal(visit.scope)
        if refusal is not None:
            await visit.refuse(refusal)
        elif visit.scope["method"] == "POST" and visit.scope["path"].startswith("/v1/"):
            await self._work(visit)
        else:
            await self._app(visit.scope, visit.receive_as_it_is, visit.send)

    async def _work(self, visit: _Visit) -> None:
        """A request that computes: within the limits, or not at all."""
        try:
            announced = visit.announced()
            self._make_room(announced)
        except RequestRefused as refusal:
            await visit.refuse(refusal)
            return
        self.accepted += 1
        self.in_work += 1
        self._bytes += announced
        self._metrics.accepted.set(self.in_work)
        try:
            await asyncio.wait_for(self._app(visit.scope, visit.receive, visit.send), self._settings.request_seconds)
        except asyncio.TimeoutError:
            await visit.refuse(
                RequestRefused(
                    f"the answer took longer than {self._settings.request_seconds:g} s; send less at once, or try again later",
                    504,
                    "timeout",
                    retry_after=1,
                )
            )
        finally:
            self.answered += visit.done
            self.in_work -= 1
            self._bytes -= announced
            self._metrics.accepted.set(self.in_work)

    def _make_room(self, size: int) -> None:
        full = self.in_work >= self._settings.queue
        if full or (self.in_work and self._bytes + size > self._settings.memory_bytes):
            raise RequestRefused(
                f"the server has {self.in_work} requests in work, which is as many as it takes; try again in a second",
                429,
                "busy",
                retry_after=1,
            )

    # -- who ---------------------------------------------------------------------------------------------

    def _refusal(self, scope: Scope) -> RequestRefused | None:
        """Why this one may not come in."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, names, bound = headers.get(b"host", ""), self._settings.names, self._settings.host
        if (names or not self._keys) and not is_own_name(host, bound=bound, names=names):
            # a page of the web whose name was made to mean this machine
            only = "localhost" if is_loopback(bound) and not names else "its own address and names"
            return RequestRefused(
                f"this server answers to {only} alone; whoever runs it adds a name with --host-name", 403, "wrong_host"
            )
        if not is_own_site(headers.get(b"origin"), host, names=names):
            return RequestRefused("pages of other sites may not use this server", 403, "wrong_origin")
        if self._keys and scope["path"] not in OPEN and not self._knows(headers.get(b"authorization", "")):
            return RequestRefused("a key is needed: send  Authorization: Bearer KEY", 401, "invalid_api_key")
        return None

    def _knows(self, authorization: str) -> bool:
        """Whether a key is right: a bearer's, or the password of a browser. The time it takes tells nothing."""
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


class _Visit:
    """One request and its answer, as far as they have come."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        self.scope = scope
        self.status: int | None = None
        self._receive = receive
        self._send = send
        self._most = most
        self._got = 0
        self._whole = not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        self.done = False

    @property
    def route(self) -> str:
        """The pattern of the route, of which there are a few, not the path, of which there may be many."""
        return str(getattr(self.scope.get("route"), "path", "other"))

    def announced(self) -> int:
        """Bytes of the body as announced, else as many as it may have.

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
        length = headers.get(b"content-length")
        if length is None:
            return self._most if b"transfer-encoding" in headers else 0
        size = int(length) if length.isdigit() else 0
        if size > self._most:
            raise self._too_large()
        return size

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
        return message

    async def receive(self) -> Message:
        """The next part of the body, which must not grow too large."""
        message = await self.receive_as_it_is()
        self._got += len(message.get("body", b""))
        if self._got > self._most:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer. Where the body was not read to its end, the connection is closed: it lies in the way."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._whole:
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.done = True
        await self._send(message)

    async def refuse(self, refusal: RequestRefused) -> None:
        """An error for an answer, where none has begun."""
        if self.status is not None:
            return
        status, headers, body = fault_of(refusal)
        if status == 401:
            way = "Bearer" if self.scope["path"].startswith("/v1/") else 'Basic realm="openclap", charset="UTF-8"'
            headers["www-authenticate"] = way
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


def fault_of(refusal: RequestRefused) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error, in OpenAI's shape."""
    status = refusal.http_status
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    fault = {"message": " ".join(str(refusal).split()), "type": kind, "code": refusal.code, "param": None}
    body = json.dumps({"error": fault}, ensure_ascii=True).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(math.ceil(refusal.retry_after))
    return status, headers, body


async def refuse_socket(scope: Scope, send: Send, refusal: RequestRefused) -> None:
    """An error in place of a handshake; a server that can only close says 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    status, headers, body = fault_of(refusal)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
    await send({"type": "websocket.http.response.body", "body": body})


def _amount(size: int) -> str:
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size} bytes"
