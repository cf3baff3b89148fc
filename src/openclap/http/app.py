"""An application that the server can run, and what every request passes before it comes to a route.

request ─ ProxyHeaders ─ SecurityHeaders ─ RequestLog ─ CORS ─ Gate ─ the application
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from openclap.http.gate import Gate
from openclap.http.headers import SecurityHeaders
from openclap.http.proxy import ProxyHeaders, TrustedProxies
from openclap.http.request_log import RequestLog
from openclap.http.settings import ServerSettings

__all__ = ["new_app", "protect"]


def new_app(**options: Any) -> FastAPI:
    """An application without documentation, whose `state` has what `openclap.http.server` asks for.

    Attributes of `state`
    ---------------------
    draining : bool
        Set by the server when a signal has come: nothing new should be begun.
    leaving : list of callables
        Called, and awaited, before the server waits for its open connections.
    facts : dict
        Logged with the address once requests are taken.
    """
    app = FastAPI(title="openclap", version=version("openclap"), docs_url=None, redoc_url=None, **options)
    app.state.draining, app.state.leaving, app.state.facts = False, [], {}
    return app


def protect(
    app: FastAPI,
    settings: ServerSettings,
    count: Callable[[str, int, float | None], None] = lambda route, status, seconds: None,
) -> None:
    """Add the middleware that every server needs around what the application has; `count` as in `RequestLog`."""
    app.add_middleware(Gate, settings=settings)
    if settings.origins:  # before the gate: a browser asks without a key whether it may ask
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],  # a client of OpenAI's has a dozen of its own
            expose_headers=["Retry-After"],
        )
    app.add_middleware(RequestLog, count=count)
    app.add_middleware(SecurityHeaders, frames=settings.frames)
    app.add_middleware(ProxyHeaders, proxies=TrustedProxies(settings.proxies), prefix=settings.root_path)
