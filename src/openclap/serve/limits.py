"""How many requests and websockets are in work, with how much, for how long.

    request ─ size? ─ room? ─ body, counted as it comes ─ room? ─ route ─ answer
              413     429     413, 408                    429             504

    socket ── room? ─ route ─ messages ─ closed
              429   (told to a GET as well: browsers show nobody why a handshake was refused)

So do requests that only read the library, but for the sound itself, which is heard for as long as somebody listens.
An answer of unknown length, as of an archive, may take longer once it has begun.

A request takes a place when it is whole: who sends a head and never a body holds up nobody. An eighth of the places,
and of the memory, is for clients that have none. What is asked is given up when its asker has gone (499).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.datastructures import Headers

from openclap.errors import RequestRefused
from openclap.http.error_responses import error_response
from openclap.http.headers import App, Message, Receive, Scope, Send
from openclap.http.proxy import client_key, route_path
from openclap.plurals import count_noun
from openclap.serve.buffered_request import BufferedRequest, StreamedRequest, let_body_end
from openclap.serve.metrics import Metrics
from openclap.serve.settings import ServeSettings

__all__ = ["Limits", "Shares"]

UPLOADS = ("/v1/library/index",)  # forms whose files are written to the disk as they come
LIBRARY, AUDIO = "/v1/library", "/v1/library/audio"
WATCH = "/v1/watch"
RECORDINGS, PLAYED = "/v1/recordings", "/audio"  # an upload goes to the disk as it comes; what is played is never whole
MOST_UPLOADS = 8  # recordings at once
RESERVED = 8  # of so many places one is for a client that has none


class Shares:
    """A number of places, or of bytes, of which an eighth is reserved for clients that have none.

    Attributes
    ----------
    taken : int
        By all clients together.
    """

    def __init__(self, most: int) -> None:
        self._most, self.taken = most, 0
        self._by: Counter[str] = Counter()

    def has_room(self, client: str, size: int = 1, own: int = 0) -> bool:
        """Whether a client may take `size` more; `own` is what the growing request has already."""
        reserved = self._most // RESERVED if self._by[client] > own else 0
        return self.taken + size <= self._most - reserved

    def take(self, client: str, size: int = 1) -> None:
        """Count `size` more for a client."""
        self.taken += size
        self._by[client] += size

    def give_back(self, client: str, size: int = 1) -> None:
        """Count `size` less for a client."""
        self.taken -= size
        self._by[client] -= size
        if not self._by[client]:
            del self._by[client]


class Limits:
    """ASGI middleware around the routes: `app.add_middleware(limits.around)`.

    Attributes
    ----------
    accepted, answered : int
        Requests that were given work, and those of them whose answer was sent whole.
    requests, sockets, memory : Shares
        Requests in work, open websockets, and bytes of bodies from when they come until they are answered.
    """

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self._settings = settings
        self.requests, self.sockets, self.memory = map(
            Shares, (settings.queue, settings.sockets, settings.memory_bytes)
        )
        self.uploads = Shares(MOST_UPLOADS)
        self.accepted = self.answered = 0
        metrics.in_work.set_function(lambda: self.requests.taken)
        metrics.sockets.set_function(lambda: self.sockets.taken)

    def around(self, app: App) -> Limits:
        """Wrap an application; these limits can wrap only one."""
        self._app = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or websocket within the limits."""
        client = client_key(scope.get("client"))
        if scope["type"] == "http" and scope["method"] == "POST":
            receive, send = let_body_end(scope, receive, send)
        if scope["type"] == "websocket":
            await self._pass_socket(scope, receive, send, client)
        elif scope["type"] == "http" and route_path(scope) == WATCH and not self.sockets.has_room(client):
            await self._refuse_socket(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and route_path(scope) == RECORDINGS:
            await self._pass_upload(scope, receive, send, client)
        elif scope["type"] == "http" and _computes(scope):
            await self._pass_request(scope, receive, send, client)
        else:
            await self._app(scope, receive, send)

    async def _pass_socket(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        if not self.sockets.has_room(client):
            await self._refuse_socket(scope, receive, send)
            return
        self.sockets.take(client)
        try:
            await self._app(scope, receive, send)
        finally:
            self.sockets.give_back(client)

    async def _refuse_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refuse_as_busy(self.sockets.taken, "websocket", "open", "later", 5)
        await error_response(refusal, scope)(scope, receive, send)

    async def _pass_upload(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        """Let an upload through, whose route counts its bytes; how slowly they may come, `http.connections` says."""
        if not self.uploads.has_room(client):
            refusal = _refuse_as_busy(self.uploads.taken, "upload", "on its way", "in a while", 5)
            await error_response(refusal, scope)(scope, receive, send)
            return
        self.accepted += 1
        self.uploads.take(client)
        try:
            await self._app(scope, receive, send)
            self.answered += 1
        finally:
            self.uploads.give_back(client)

    async def _pass_request(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        """Answer a request that computes, or refuse it with 413, 429 or 504."""
        seconds, begun = self._settings.request_seconds, time.monotonic()
        is_upload = route_path(scope) in UPLOADS and _is_form(scope)
        request: BufferedRequest = (
            StreamedRequest(receive, self._settings.upload_bytes)
            if is_upload
            else BufferedRequest(receive, self._settings.body_bytes)
        )
        try:
            request.check_announced(scope)
            self._check_places(client)
            if not await _first_of(seconds, self._read(request, client)):
                raise RequestRefused(
                    f"the body took longer than {seconds:g} s to come; send less at once", 408, "timeout"
                )
            if not request.gone:
                self._check_places(client)
                left = None if is_upload else begun + seconds - time.monotonic()  # who sends slowly is hung up on
                await self._work(request, scope, send, client, left)
        except RequestRefused as refusal:
            await error_response(refusal, scope)(scope, receive, send)
        finally:
            self.memory.give_back(client, request.held)

    async def _read(self, request: BufferedRequest, client: str) -> None:
        """Read the whole body; the bytes that arrive are counted, not those that the head announces."""
        async for size in request.read():
            before = request.held - size
            has_room = self.memory.taken == before or self.memory.has_room(client, size, own=before)  # or it is alone
            self.memory.take(client, size)
            if not has_room:
                raise self._busy()

    async def _work(
        self, request: BufferedRequest, scope: Scope, send: Send, client: str, seconds: float | None
    ) -> None:
        """Let the application answer a request, until the time is up or the client has gone."""
        self.accepted += 1
        self.requests.take(client)
        has_begun = is_stream = False

        async def send_counted(message: Message) -> None:
            nonlocal has_begun, is_stream
            has_begun = True
            if message["type"] == "http.response.start":
                is_stream = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self.answered += 1
                place.close()  # before it is sent: who has the answer may ask again at once
            await send(message)

        with ExitStack() as place:
            place.callback(self.requests.give_back, client)
            answering = self._app(scope, request.receive, send_counted)
            doing = (answering, request.wait_for_disconnect())
            if not await _first_of(seconds, *doing, goes_on=lambda: is_stream) and not has_begun:
                limit = f"{self._settings.request_seconds:g} s"
                sentence = f"the answer took longer than {limit}; send less at once, or try again later"
                refusal = RequestRefused(sentence, 504, "timeout", retry_after=1)
                await error_response(refusal, scope)(scope, request.receive, send_counted)

    def _check_places(self, client: str) -> None:
        """Refuse a request where no place is left for its client."""
        if not self.requests.has_room(client):
            raise self._busy()

    def _busy(self) -> RequestRefused:
        return _refuse_as_busy(self.requests.taken, "request", "in work", "in a second", 1)


def _refuse_as_busy(count: int, what: str, where: str, when: str, seconds: int) -> RequestRefused:
    sentence = f"the server has {count_noun(count, what)} {where}, which is as many as it takes; try again {when}"
    return RequestRefused(sentence, 429, "busy", retry_after=seconds)


def _computes(scope: Scope) -> bool:
    """Whether a request takes a place: those that compute, and those that read the library."""
    path = route_path(scope)
    below = path.startswith((LIBRARY, RECORDINGS))
    reads = scope["method"] == "GET" and below and path != AUDIO and not path.endswith(PLAYED)
    return reads or (scope["method"] == "POST" and path.startswith("/v1/"))


def _is_form(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").lower().startswith("multipart/form-data")


async def _first_of(
    seconds: float | None, *doing: Awaitable[None], goes_on: Callable[[], bool] = lambda: False
) -> bool:
    """Wait for the first of several tasks → whether one was done in time; the others are cancelled and awaited.

    Time does not count where, at its end, it `goes_on`.
    """
    tasks = [asyncio.ensure_future(one) for one in doing]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done and goes_on():
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
