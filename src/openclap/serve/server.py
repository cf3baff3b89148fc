"""The application on a socket: uvicorn, signals, logs. Knows nothing of routes or models.

SIGTERM or Ctrl-C: no new request is taken, those that were accepted are answered, websockets are told what was heard, then it ends with 0. A second Ctrl-C ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from openclap.errors import SoundWarning, UsageError
from openclap.http.connections import KERNEL_BACKLOG, Connections, Limits
from openclap.http.proxy import Proxies
from openclap.serve.app import create_app
from openclap.serve.settings import Settings

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

__all__ = ["serve"]

GRACE = 5  # seconds beyond the longest request
KEEP_ALIVE = 65  # seconds; longer than clients and proxies keep a connection, so that they are who closes it
# of mallopt(3), bytes. Lower ones (1 MiB, and glibc's 128 KiB for the second) cost a fifth of the service: each sound's memory comes from the kernel and goes back
M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 16 << 20
M_TRIM_THRESHOLD, LARGE_REST = -1, 64 << 20
M_ARENA_MAX, ARENAS = -8, 1  # what a thread frees, all others may take, and malloc_trim(3) gives back
IDLE_TICKS = 10  # of a tenth of a second, after which memory is given back
log = logging.getLogger("openclap.serve")


def serve(
    settings: Settings,
    *,
    page: Callable[[FastAPI], object] | None = None,
    listening: Callable[[str], None] = lambda url: None,
    quiet: bool = False,
) -> None:
    """Serve until a signal comes.

    Parameters
    ----------
    page
        As in `create_app`.
    listening
        Told the address once requests are taken.
    quiet
        Log what goes wrong alone.

    Raises
    ------
    ModelError, LibraryError
        The model or the library cannot be used.
    UsageError
        The address cannot be listened on.
    """
    log_as_json(logging.WARNING if quiet else logging.INFO)
    _keep_no_large_blocks()
    sock = _bound(settings)  # before a model is loaded for nothing
    try:
        app = create_app(settings, page=page)
    except BaseException:
        sock.close()
        raise
    connections = Connections(
        Limits(settings.connections, settings.head_seconds, settings.body_rate), Proxies(settings.proxies)
    )
    config = uvicorn.Config(
        app, **connections.options(), host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False, lifespan="on", timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.request_seconds) + GRACE, proxy_headers=False,
        # samples do not pack; a pong may wait behind minutes of sound that a slow model has not heard, so silence is judged by the session
        ws_max_size=settings.message_bytes, ws_per_message_deflate=False, ws_ping_timeout=None,
    )  # fmt: skip
    server = _Server(config, app, listening)
    asyncio.run(server.serve(sockets=[sock]))
    door = getattr(app.state, "door", None)
    facts = {"accepted": door.accepted, "answered": door.answered} if door is not None else {}
    log.info("stopped", extra={"facts": facts})


class _Server(uvicorn.Server):
    """uvicorn, that tells where it listens, and for which SIGTERM is no failure."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._app = app
        self._listening = listening
        self._seen = self._idle = 0  # requests at the last tick, ticks since then

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and sockets:
            sockets[0].listen(KERNEL_BACKLOG)
            host, port = sockets[0].getsockname()[:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            log.info("listening", extra={"facts": {"url": url, "model": self._app.state.engine.name}})
            self._listening(url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.state.sockets.close(GRACE)
        for connection in list(self.server_state.connections):
            writable: asyncio.Event | None = getattr(connection, "writable", None)
            if writable is not None and not writable.is_set():  # a websocket that does not read would be waited for
                connection.transport.abort()
        getattr(self._app.state, "leave", lambda: None)()  # a page that is looked at would keep its connections
        await super().shutdown(sockets=sockets)

    async def on_tick(self, counter: int) -> bool:
        """Once a while nobody asks anything, give back the memory of what was."""
        door = getattr(self._app.state, "door", None)
        if door is not None and (door.accepted != self._seen or door.in_work):
            self._seen, self._idle = door.accepted, 0
        elif self._seen:
            self._idle += 1
            if self._idle == IDLE_TICKS:
                await asyncio.to_thread(_give_memory_back)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self._app.state.engine.draining = True
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _bound(settings: Settings) -> socket.socket:
    import socket

    sock: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)  # asyncio sends small packets at once only where it sees TCP
        if sys.platform != "win32":  # there it would let two servers listen at one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except (OSError, OverflowError) as error:
        if sock is not None:
            sock.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be listened on ({reason}); choose another --port or --host"
        ) from error
    sock.set_inheritable(True)
    return sock


def _keep_no_large_blocks() -> None:
    """Have glibc return what is large when it is freed: else each thread's heap keeps the largest that it ever had."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE_REST)
        libc.mallopt(M_ARENA_MAX, ARENAS)


def _give_memory_back() -> None:
    """Have glibc return what was freed: it keeps the memory of a busy minute for ever (140 MB after a few bodies of 20 MB)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


# -- logs ---------------------------------------------------------------------------------------------


class _Json(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and message, what was added as `facts`, and the traceback of what went wrong."""
        milliseconds = f"{record.created % 1:.3f}"[1:]
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + milliseconds + "Z"
        line = {"time": when, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_as_json(level: int = logging.INFO) -> None:
    """Logs and warnings of this process as JSON lines on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what is no request is the business of who sent it
    logging.captureWarnings(True)
    # libsndfile asks broken files for impossible places, and its binding prints what comes of it
    sys.unraisablehook = lambda ignored: log.debug("ignored %r in %r", ignored.exc_value, ignored.object)
    # "always", and not once each: Python would remember every damaged sound for ever
    warnings.filterwarnings("always", category=SoundWarning)
