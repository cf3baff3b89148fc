"""How many connections a server holds, whose they are, and how long each may take to say what it wants.

    made ─ head ──────── body ───────── answer ─ idle ─ head …
           head_seconds  body_rate, after        keep-alive of uvicorn
                         head_seconds
           └──── may be closed to make room ─────┘└── may ──┘

uvicorn has a time-out for idle connections alone, and its `limit_concurrency` answers a connection whose head is
whole: a thousand half-sent heads take every file that the process may open. Here the number of connections stays
below that, and a new one is let in for an old one that has not said what it wants: who sends whole requests always
gets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from openclap.http.headers import REFUSED, STRICT
from openclap.http.proxy import TrustedProxies, client_key
from openclap.http.settings import ServerSettings

__all__ = ["KERNEL_BACKLOG", "Connections"]

FILES = 128  # that the process opens beside its connections: libraries, models, uploads
BURST = 64  # connections accepted in one turn of the event loop, of which up to four are on their way at once
KERNEL_BACKLOG = 1024  # connections that the kernel keeps until they are accepted: for `listen`, after uvicorn has
# bytes read in one turn of the event loop; of asyncio's 256 KiB, 40 000 chunks of one byte took 0.8 s
AT_ONCE = 1 << 14
OF_SOCKET = 1 << 12  # as AT_ONCE: a frame, which may be of eight bytes, costs more than a chunk
# a body of more than `CHUNKS` chunks must have `CHUNK_BYTES` in each, on average: every chunk costs 20 µs
CHUNKS, CHUNK_BYTES = 1024, 64
HEAD_BYTES = 1 << 16  # of a request, its address and headers; more is answered 431
STALLED = 60.0  # seconds without a byte taken, after which whoever does not read an answer is cut off

TOO_LARGE = (
    f"the address and headers of the request are larger than {HEAD_BYTES >> 10} KiB; send less, or put it into the body"
)


class Connections:
    """All connections of a server.

    There are at most `settings.connections` at once, or as many as the limit of open files allows where that is less.
    Each has `settings.head_seconds` from the first byte of a request to the end of its head; so long may a body be slow
    in the beginning, and then it must bring `settings.body_rate` bytes a second on average.
    """

    def __init__(self, settings: ServerSettings) -> None:
        files = _open_files()
        self.burst = max(4, min(BURST, files // 32))
        self.most = max(8, min(settings.connections, files - FILES - 4 * self.burst))
        self.share = max(4, self.most // 2)  # of one address
        self.settings = settings
        self._proxies = TrustedProxies(settings.proxies)
        self._open: dict[asyncio.BaseTransport, tuple[str, _Http | _Socket]] = {}
        self._of: dict[str, int] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def options(self) -> dict[str, Any]:
        """The options for `uvicorn.Config`."""
        return {
            "http": partial(_Http, self),
            "ws": partial(_Socket, self),
            "backlog": self.burst,
            "h11_max_incomplete_event_size": HEAD_BYTES,
        }

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def admit(self, one: _Http) -> bool:
        """Count a new connection, for which another may be closed → False where there is no room."""
        whose = client_key(one.client)
        shared = whose in self._proxies  # by all who come through the proxy
        full = not shared and self._of.get(whose, 0) >= self.share
        if full and not self._close_oldest(c for w, c in self._open.values() if w == whose):
            return False
        if len(self._open) >= self.most and not self._close_oldest(c for _, c in self._open.values()):
            return False
        self._open[one.transport] = (whose, one)
        self._of[whose] = self._of.get(whose, 0) + 1
        if self._sweeping is None:
            self._sweep(one.loop)
        return True

    def replace(self, one: _Socket) -> None:
        """Note that a connection has become a websocket."""
        if one.transport in self._open:
            self._open[one.transport] = (self._open[one.transport][0], one)

    def remove(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection that has ended."""
        whose, _ = self._open.pop(transport, (None, None))
        if whose is not None:
            self._of[whose] -= 1
            if not self._of[whose]:
                del self._of[whose]

    def _close_oldest(self, among: Iterable[_Http | _Socket]) -> bool:
        """Close the connection that has waited longest without a whole request, heads before bodies."""
        waiting = [one for one in among if isinstance(one, _Http) and one.is_incomplete]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda one: (one.in_body, one.since))
        self.remove(oldest.transport)
        oldest.transport.abort()
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check all connections again and again, as long as there are any."""
        now = time.monotonic()
        for _, one in list(self._open.values()):
            if isinstance(one, _Http):
                one.check(now)
        pause = min(1.0, self.settings.head_seconds / 4)
        self._sweeping = loop.call_later(pause, self._sweep, loop) if self._open else None


class _Http(H11Protocol):
    """An HTTP connection of uvicorn that is checked now and then for progress."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._all = connections
        self.since = time.monotonic()  # when the head, or the body, began
        self.in_body = False
        self._head_begun = True  # a new connection is for a request
        self._got = 0  # bytes since then
        self._unread: tuple[int, float] | None = None  # bytes of the answer that wait, and since when
        self._chunks = self._chunk_bytes = 0  # of a body
        self._fault = (400, "")  # status and sentence for what is no request
        self._next_event = self.conn.next_event
        self.conn.next_event = self._next_event_checked  # type: ignore[method-assign]

    @property
    def is_incomplete(self) -> bool:
        """Whether no whole request has come, be it half a head, half a body, or nothing."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        with contextlib.suppress(AttributeError):  # another event loop than asyncio's
            transport.max_size = AT_ONCE  # type: ignore[attr-defined]
        if not self._all.admit(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._head_begun:  # idle until now
            self._head_begun, self.since = True, time.monotonic()
        self._got += len(data)
        super().data_received(data)
        self._note_body()

    def on_response_complete(self) -> None:
        came, _ = self.conn.trailing_data  # of a second request, with the first
        self.since, self.in_body, self._got, self._head_begun = time.monotonic(), False, len(came), bool(came)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        status, sentence = self._fault
        self._refuse(status, sentence or msg)

    def _next_event_checked(self) -> Any:
        """Read the next event of h11; refuse a body of too many tiny chunks."""
        in_head = self.conn.their_state is h11.IDLE
        try:
            event = self._next_event()
        except h11.RemoteProtocolError as error:
            if not in_head:
                raise
            too_large = error.error_status_hint == 431
            self._fault = (error.error_status_hint, TOO_LARGE if too_large else "")
            raise
        if isinstance(event, h11.Request):
            self._chunks = self._chunk_bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._chunk_bytes += len(event.data)
            if self._chunks > CHUNKS and self._chunk_bytes < CHUNK_BYTES * self._chunks:
                self._fault = (400, "the body comes in chunks of a few bytes; send larger ones, or its length")
                raise h11.RemoteProtocolError(self._fault[1])
        return event

    def check(self, now: float) -> None:
        """Close where a head takes too long, a body comes too slowly, or an answer is not read."""
        self._note_body()
        limits, waited = self._all.settings, now - self.since
        if self.conn.their_state is h11.IDLE and self._head_begun and waited > limits.head_seconds:
            if self._got:
                self._answer(408, "the head of the request took too long")
            else:
                self.transport.close()
        elif self.in_body and self.flow.read_paused:
            self.since, self._got = now, 0  # it is the server that is slow
        elif self.in_body and self._got < limits.body_rate * (waited - limits.head_seconds):
            self._refuse(408, "the body of the request came too slowly")
        self._check_unread(now)

    def _note_body(self) -> None:
        in_body = self.conn.their_state is h11.SEND_BODY
        if in_body and not self.in_body:
            self.since, self._got = time.monotonic(), 0
        self.in_body = in_body

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer what is wrong with a request, unless its answer has begun, and close the connection.

        The application that works on it learns that nobody waits.
        """
        self.in_body = False
        if self.cycle is not None and not self.cycle.response_complete:
            if not self.cycle.response_started:
                self.cycle.scope["state"][REFUSED] = status
            self.cycle.disconnected = True  # nothing more is sent
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer(status, sentence)
        else:
            self.transport.abort()

    def _check_unread(self, now: float) -> None:
        waiting = self.transport.get_write_buffer_size()
        if not self.flow.write_paused or self._unread is None or waiting != self._unread[0]:
            self._unread = (waiting, now) if waiting else None
        elif now - self._unread[1] > STALLED:
            self.transport.abort()

    def _answer(self, status: int, sentence: str) -> None:
        """Answer something that is no HTTP request, and close the connection."""
        body = sentence.encode("ascii")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        headers += [(b"connection", b"close"), *STRICT]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Socket(WebSocketsSansIOProtocol):
    """A websocket of uvicorn that is counted, and that refuses a handshake with our headers."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._all = connections
        self.close_timeout = min(self.close_timeout, connections.settings.head_seconds)
        send = self.conn.send_response

        def with_headers(response: Any) -> None:
            if response.status_code != 101:
                for name, value in STRICT:
                    if name.decode() not in response.headers:
                        response.headers[name.decode()] = value.decode()
            send(response)

        self.conn.send_response = with_headers  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        with contextlib.suppress(AttributeError):
            transport.max_size = OF_SOCKET  # type: ignore[attr-defined]
        self._all.replace(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self.transport)
        super().connection_lost(exc)


def _open_files() -> int:
    """How many files this process may have open."""
    if sys.platform == "win32":  # sockets are no files there
        return 1 << 16
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else soft
