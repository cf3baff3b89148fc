"""The page on a socket, by itself. Knows nothing of tabs or models."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from openclap.errors import UsageError
from openclap.page.settings import PageSettings

if TYPE_CHECKING:
    import uvicorn

__all__ = ["run_page", "server_of"]


def server_of(settings: PageSettings, listening: Callable[[str], None] = lambda url: None) -> uvicorn.Server:
    """A server of the page alone; `listening` is told its address once it answers."""
    import uvicorn
    from fastapi import FastAPI

    from openclap.page.blocks import mount_page

    app = FastAPI(title="openclap", docs_url=None, redoc_url=None, openapi_url=None)
    mount_page(app, settings)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started and sockets:
                host, port = sockets[0].getsockname()[:2]
                listening(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.leave()
            await super().shutdown(sockets=sockets)

    logging.getLogger("openclap.page").setLevel(logging.ERROR)
    return Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=3))  # fmt: skip


def run_page(
    settings: PageSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    port
        0 is any free one.

    Raises
    ------
    UsageError
        The address cannot be listened on.
    """
    try:
        sock = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{host}:{port} cannot be listened on ({reason}); choose another --port") from error
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again that it has answered
        server_of(settings, listening).run(sockets=[sock])
