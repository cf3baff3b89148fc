"""The server of both the service and the page: uvicorn on a socket, signals, logs.

SIGTERM or Ctrl-C: no new request is taken, those that were accepted are answered, websockets are told what was heard,
then it ends with 0. A second Ctrl-C ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from openclap.errors import SoundWarning, UsageError
from openclap.http.connections import KERNEL_BACKLOG, Connections
from openclap.http.settings import ServerSettings
from openclap.malloc import RETURN_FREED, set_malloc, trim_memory

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["Server", "run_server"]

GRACE = 5  # seconds beyond the longest request
KEEP_ALIVE = 65  # seconds; longer than clients and proxies keep a connection, so that they are who closes it
IDLE_TICKS = 10  # of a tenth of a second, after which memory is given back
log = logging.getLogger("openclap.serve")


def run_server(
    make_app: Callable[[], FastAPI],
    settings: ServerSettings,
    *,
    listening: Callable[[str], None] = lambda url: None,
    quiet: bool = False,
) -> None:
    """Serve an application until a signal comes.

    Parameters
    ----------
    make_app
        Makes the application (`openclap.http.app.new_app`) once the address is known to be free.
    listening
        Told the address once requests are taken.
    quiet
        Log only what goes wrong.

    Raises
    ------
    UsageError
        The address cannot be listened on.
    """
    _log_as_json(logging.WARNING if quiet else logging.INFO)
    set_malloc(RETURN_FREED)
    with contextlib.closing(_bind(settings)) as sock:
        asyncio.run(Server(make_app(), settings, listening).serve(sockets=[sock]))


class Server(uvicorn.Server):
    """uvicorn with the limits of `openclap.http.connections`; it says where it listens, and SIGTERM is no failure."""

    def __init__(
        self, app: FastAPI, settings: ServerSettings, listening: Callable[[str], None] = lambda url: None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                **Connections(settings).options(),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=int(settings.request_seconds) + GRACE,
                proxy_headers=False,
                # no compression, as samples do not shrink; no time-out of pongs, which may wait behind minutes of sound
                # that a slow model has not heard: the session itself ends what is idle
                ws_max_size=settings.message_bytes,
                ws_per_message_deflate=False,
                ws_ping_timeout=None,
            )
        )
        self._state, self._listening = app.state, listening
        self._seen, self._idle = (0, 0), 0  # requests, and those in work, at the last tick; ticks since then

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections, and say where."""
        await super().startup(sockets=sockets)
        if self.started and sockets:
            sockets[0].listen(KERNEL_BACKLOG)
            host, port = sockets[0].getsockname()[:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            log.info("listening", extra={"facts": {"url": url, **self._state.facts}})
            self._listening(url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests that were accepted, and end."""
        for leave in self._state.leaving:
            waiting = leave()
            if inspect.isawaitable(waiting):
                await waiting
        for connection in list(self.server_state.connections):
            writable: asyncio.Event | None = getattr(connection, "writable", None)
            if writable is not None and not writable.is_set():  # a websocket that does not read would be waited for
                connection.transport.abort()
        await super().shutdown(sockets=sockets)

    async def on_tick(self, counter: int) -> bool:
        """After a while without requests, give freed memory back to the system."""
        now = (self.server_state.total_requests, len(self.server_state.tasks))
        self._idle = self._idle + 1 if now == self._seen else 0
        self._seen = now
        if self._idle == IDLE_TICKS:
            await asyncio.to_thread(trim_memory)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals as uvicorn does, but do not raise a handled one again."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread may
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self._state.draining = True
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _bind(settings: ServerSettings) -> socket.socket:
    """Make a socket that is bound to the address and does not listen yet."""
    sock: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)  # asyncio sends small packets at once only where it sees TCP
        if sys.platform != "win32":  # there it would let two servers listen at one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror or error}); "
            "choose another port or host"
        ) from error
    return sock


# -- logs ---------------------------------------------------------------------------------------------


class _Json(logging.Formatter):
    """Formats a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Format time, level, message, `facts` and a traceback."""
        milliseconds = f"{record.created % 1:.3f}"[1:]
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + milliseconds + "Z"
        line = {"time": when, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _log_as_json(level: int) -> None:
    """Write logs and warnings of this process as JSON lines to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # no log of broken requests
    logging.captureWarnings(True)
    # libsndfile asks broken files for impossible places, and its binding prints what comes of it
    sys.unraisablehook = lambda ignored: log.debug("ignored %r in %r", ignored.exc_value, ignored.object)
    # "always", and not once each: Python would remember every damaged sound for ever
    warnings.filterwarnings("always", category=SoundWarning)
