"""The page on a socket, by itself. Knows nothing of tabs or models."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from openclap.errors import UsageError
from openclap.hosts import is_loopback, is_own_name, is_own_site
from openclap.page.settings import PageSettings

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

    from openclap.http.headers import App

__all__ = ["run_page", "server_of"]

KEEP_ALIVE = 65  # seconds; longer than clients and proxies keep a connection, so that they are who closes it


def server_of(
    settings: PageSettings,
    listening: Callable[[str], None] = lambda url: None,
    *,
    host: str = "127.0.0.1",
    root_path: str = "",
    proxies: Sequence[str] = (),
    frames: Sequence[str] = (),
) -> uvicorn.Server:
    """A server of the page alone, for the address `host`; `listening` is told its address once it answers.

    Parameters
    ----------
    root_path
        The path that a proxy serves the page under, "/clap".
    proxies
        Addresses of proxies whose X-Forwarded-For, -Proto and -Prefix are believed.
    frames
        Sites that may frame the page; none may, by default.

    Raises
    ------
    UsageError
        No such path, or no such address.
    """
    import uvicorn
    from fastapi import FastAPI

    from openclap.http.connections import KERNEL_BACKLOG, Connections, Limits
    from openclap.http.headers import Answers
    from openclap.http.proxy import Proxied, Proxies
    from openclap.page.blocks import mount_page

    believed = Proxies(proxies)

    app = FastAPI(title="openclap", docs_url=None, redoc_url=None, openapi_url=None)
    mount_page(app, settings)
    if is_loopback(host):
        app.add_middleware(_OwnPages, bound=host)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started and sockets:
                sockets[0].listen(KERNEL_BACKLOG)
                host, port = sockets[0].getsockname()[:2]
                listening(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.leave()
            await super().shutdown(sockets=sockets)

    logging.getLogger("openclap.page").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what is no request is the business of who sent it
    around = Proxied(Answers(cast("App", app), frames=frames), proxies=believed, prefix=root_path)
    return Server(uvicorn.Config(
        cast("ASGIApp", around), **Connections(Limits(), believed).options(), log_level="error", access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=3, timeout_keep_alive=KEEP_ALIVE,
    ))  # fmt: skip


class _OwnPages:
    """ASGI middleware: what a browser has open elsewhere cannot use a page that is for this machine alone.

    One that is open to all needs none: a visitor of another site's page could do no more here than any visitor, who has nothing but
    what they bring.
    """

    def __init__(self, app: ASGIApp, *, bound: str) -> None:
        self._app, self._bound = app, bound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            host = headers.get(b"host", "")
            if not is_own_name(host, bound=self._bound) or not is_own_site(headers.get(b"origin"), host):
                if scope["type"] == "websocket":  # refused with 403
                    await send({"type": "websocket.close", "code": 1008})
                    return
                from starlette.responses import PlainTextResponse

                refusal = PlainTextResponse("this page answers to localhost, and to its own pages, alone", 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def run_page(
    settings: PageSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    listening: Callable[[str], None] = lambda url: None,
    root_path: str = "",
    proxies: Sequence[str] = (),
    frames: Sequence[str] = (),
) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    port
        0 is any free one.
    root_path, proxies, frames
        As `server_of`.

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
        server_of(settings, listening, host=host, root_path=root_path, proxies=proxies, frames=frames).run(
            sockets=[sock]
        )
