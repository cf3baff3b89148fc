"""Who may come in, how many, with how much, for how long; and what is counted and logged. Knows nothing of models or sounds.

    request ─ host, origin, key? ─ size? ─ room? ─ body, counted as it comes ─ room? ─ route ─ answer ─ counted, logged
              403     403     401   413     429    413, 408                     429             504

    socket ── host, origin, key? ─────── room? ─ route ─ messages ─ closed: counted, logged
              403     403     401        429

A request takes a place when it is whole: who sends a head and never a body holds up nobody. Some places are for clients that have none. What is
asked is given up when its asker has gone (499). Bodies, queries and keys are never logged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from openclap.counting import counted
from openclap.errors import RequestRefused
from openclap.hosts import is_loopback, is_own_name, is_own_site
from openclap.http.headers import REFUSED, App, Message, Receive, Scope, Send
from openclap.http.proxy import address_of, route_path
from openclap.serve.faults import refuse_socket
from openclap.serve.metrics import Metrics
from openclap.serve.settings import Settings
from openclap.serve.visit import Visit

__all__ = ["Door"]

GONE = 499  # as nginx calls those who did not wait
RESERVED = 8  # of so many places one is for a client that has none
OPEN = ("/health", "/ready")  # without a key
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
        self._bytes = 0  # of bodies, from when they come until they are answered
        self._bytes_of: Counter[str] = Counter()
        self._theirs: Counter[str] = Counter()  # requests in work by client
        self._sockets_of: Counter[str] = Counter()
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
        visit = Visit(scope, receive, send, self._settings.body_bytes)
        begun = time.perf_counter()
        try:
            await self._let_in(visit)
        except Exception as error:  # told to the log, never to the client
            if not visit.gone:
                log.error("request failed", exc_info=error, extra={"facts": {"route": visit.route}})
                await visit.refuse(
                    RequestRefused("something went wrong inside the server; its log says what", 500, "internal_error")
                )
        finally:
            seconds = time.perf_counter() - begun
            status = scope.get("state", {}).get(REFUSED) or visit.status or GONE
            self._metrics.requests.labels(visit.route, str(status)).inc()
            self._metrics.seconds.labels(visit.route).observe(seconds)
            _log_request(scope, visit.route, status, seconds)

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

        whose = address_of(scope.get("client"))
        refusal = self._refusal(scope) or self._no_socket(whose)
        if refusal is not None:
            await refuse_socket(scope, noted, refusal)
            self._note_socket(scope, code, begun)
            return
        self.sockets += 1
        self._sockets_of[whose] += 1
        self._metrics.sockets.set(self.sockets)
        try:
            await self._app(scope, received, noted)
        finally:
            self.sockets -= 1
            _give_up(self._sockets_of, whose)
            self._metrics.sockets.set(self.sockets)
            self._note_socket(scope, code, begun)

    def _note_socket(self, scope: Scope, code: int, begun: float) -> None:
        route = str(getattr(scope.get("route"), "path", "other"))
        self._metrics.requests.labels(route, str(code)).inc()
        _log_request({**scope, "method": "WEBSOCKET"}, route, code, time.perf_counter() - begun)

    def _no_socket(self, whose: str) -> RequestRefused | None:
        most = self._settings.sockets
        if self.sockets < most - (most // RESERVED if self._sockets_of[whose] else 0):
            return None
        return RequestRefused(
            f"the server has {counted(self.sockets, 'websocket')} open, which is as many as it takes; try again later",
            429,
            "busy",
            retry_after=5,
        )

    async def _let_in(self, visit: Visit) -> None:
        refusal = self._refusal(visit.scope)
        if refusal is not None:
            await visit.refuse(refusal)
        elif visit.scope["method"] == "POST" and route_path(visit.scope).startswith("/v1/"):
            await self._asked(visit)
        else:
            await self._app(visit.scope, visit.receive_as_it_is, visit.send)

    async def _asked(self, visit: Visit) -> None:
        """A request that computes: within the limits, or not at all."""
        seconds, until = self._settings.request_seconds, time.monotonic() + self._settings.request_seconds
        try:
            visit.check_announced()
            self._check_places(visit.whose)
            if not await _within(seconds, self._read(visit)):
                raise RequestRefused(
                    f"the body took longer than {seconds:g} s to come; send less at once", 408, "timeout"
                )
            if not visit.gone:
                self._check_places(visit.whose)
                await self._work(visit, until - time.monotonic())
        except RequestRefused as refusal:
            await visit.refuse(refusal)
        finally:
            self._bytes -= visit.held
            _give_up(self._bytes_of, visit.whose, visit.held)

    async def _read(self, visit: Visit) -> None:
        """The body, whole; it counts as it comes, not as it is announced."""
        memory = self._settings.memory_bytes
        async for size in visit.read():
            alone = self._bytes == visit.held - size
            reserved = memory // RESERVED if self._bytes_of[visit.whose] > visit.held - size else 0
            self._bytes += size
            self._bytes_of[visit.whose] += size
            if not alone and self._bytes > memory - reserved:
                raise self._busy()

    async def _work(self, visit: Visit, seconds: float) -> None:
        """Have a whole request answered, for so long, and as long as somebody waits for it."""
        self.accepted += 1
        self.in_work += 1
        self._theirs[visit.whose] += 1
        self._metrics.accepted.set(self.in_work)
        visit.finishing = leave = _once(partial(self._leave, visit.whose))
        try:
            if not await _first_of(seconds, self._app(visit.scope, visit.receive, visit.send), visit.leaves()):
                most = f"{self._settings.request_seconds:g} s"
                sentence = f"the answer took longer than {most}; send less at once, or try again later"
                await visit.refuse(RequestRefused(sentence, 504, "timeout", retry_after=1))
        finally:
            self.answered += visit.done
            leave()

    def _leave(self, whose: str) -> None:
        self.in_work -= 1
        _give_up(self._theirs, whose)
        self._metrics.accepted.set(self.in_work)

    def _check_places(self, whose: str) -> None:
        """Refuse where no place is left, or none but those for clients that have none."""
        most = self._settings.queue
        if self.in_work >= most - (most // RESERVED if self._theirs[whose] else 0):
            raise self._busy()

    def _busy(self) -> RequestRefused:
        return RequestRefused(
            f"the server has {counted(self.in_work, 'request')} in work, which is as many as it takes; try again in a second",
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
        if not is_own_site(headers.get(b"origin"), host, names=names, sites=self._settings.origins):
            return RequestRefused("pages of other sites may not use this server", 403, "wrong_origin")
        if self._keys and route_path(scope) not in OPEN and not self._knows(headers.get(b"authorization", "")):
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


def _once(call: Callable[[], None]) -> Callable[[], None]:
    """A call that does nothing from the second time on."""
    waiting = [call]
    return lambda: waiting.pop()() if waiting else None


async def _within(seconds: float, doing: Coroutine[Any, Any, None]) -> bool:
    """Whether something was done in time."""
    try:
        await asyncio.wait_for(doing, seconds)
    except asyncio.TimeoutError:
        return False
    return True


async def _first_of(seconds: float, *doing: Awaitable[None]) -> bool:
    """Whether one of several things was done in time; the others are given up, and have ended then."""
    tasks = [asyncio.ensure_future(one) for one in doing]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _give_up(places: Counter[str], whose: str, count: int = 1) -> None:
    places[whose] -= count
    if not places[whose]:
        del places[whose]


def _log_request(scope: Scope, route: str, status: int, seconds: float) -> None:
    facts = {"method": str(scope["method"])[:16], "route": route, "status": status, "ms": round(1000 * seconds, 2)}
    facts["client"] = (scope.get("client") or ("?",))[0]
    log.log(logging.DEBUG if status == GONE else logging.INFO, "request", extra={"facts": facts})
