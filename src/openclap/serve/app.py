"""The application of the service: engine, routes, limits, and errors as answers; a page beside them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from openclap.clap import CLAP
from openclap.http.app import new_app, protect
from openclap.http.headers import App, Receive, Scope, Send
from openclap.http.proxy import route_path
from openclap.serve.documentation import add_documentation
from openclap.serve.engine import Engine
from openclap.serve.error_answers import add_error_answers
from openclap.serve.limits import Limits
from openclap.serve.metrics import Metrics
from openclap.serve.recordings import Recordings
from openclap.serve.routes import make_router
from openclap.serve.settings import ServeSettings
from openclap.serve.watch_sockets import WatchSockets

__all__ = ["SOCKETS_END", "SOCKETS_LEFT", "add_heads", "create_app", "make_api"]

ABOUT = "Find, name and compare sounds by words. Sounds are data URIs in JSON, or files in multipart/form-data."
SOCKETS_END = 5.0  # seconds in which open websockets are told what was heard, when the server ends
SOCKETS_LEFT = 1.0  # seconds for those that the server has not closed
log = logging.getLogger("openclap.serve")


def create_app(
    settings: ServeSettings, *, page: Callable[[FastAPI], object] | None = None, clap: CLAP | None = None
) -> FastAPI:
    """Make the service; the model is loaded here, so that what is wrong with it is told before anything listens.

    Parameters
    ----------
    page
        Given an application for whatever is no route of the service, to mount a web page on it: `lambda app:
        gradio.mount_gradio_app(app, blocks, path="/")`. It has the `state` of the service: `app.state.engine` computes,
        `app.state.settings` says what is allowed. Visitors of the page need a key as well (a browser asks for it as a
        password); limits of size and time are the page's own.
    clap
        A model that is loaded already; else `settings.model` is.

    Raises
    ------
    ModelError, LibraryError
        The model or the library cannot be used.
    """
    metrics = Metrics()
    engine = Engine(settings, clap=clap, seen=lambda queue, size: metrics.batch.labels(queue).observe(size))
    recordings, pages = Recordings(settings), new_app(openapi_url=None)
    limits, sockets = Limits(settings, metrics), WatchSockets(engine, metrics, recordings)

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with pages.router.lifespan_context(pages):
            yield
        await sockets.close(SOCKETS_LEFT)
        await run_in_threadpool(engine.close)
        recordings.close()
        log.info("stopped", extra={"facts": {"accepted": limits.accepted, "answered": limits.answered}})

    app = make_api(engine, metrics, sockets, recordings, lifespan=run)
    pages.state = app.state
    app.state.engine, app.state.settings, app.state.limits, app.state.sockets = engine, settings, limits, sockets
    app.state.facts["model"] = engine.name
    app.state.leaving.append(lambda: sockets.close(SOCKETS_END))
    if page is not None:
        page(pages)
        app.router.default = _beside(app, pages)
    app.add_middleware(limits.around)
    protect(app, settings, metrics.count)
    return app


def make_api(
    engine: Engine, metrics: Metrics, sockets: WatchSockets, recordings: Recordings, **options: Any
) -> FastAPI:
    """The routes of one engine, with their documentation and their errors, and nothing around them."""
    for queue in engine.queues:
        metrics.watch(queue)
    app = new_app(description=ABOUT, redirect_slashes=False, **options)
    add_documentation(app)
    router = make_router(engine, metrics, sockets, recordings)
    add_heads(app, [*app.router.routes, *router.routes])
    app.include_router(router)
    add_error_answers(app)
    return app


def add_heads(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let HEAD be asked wherever GET may."""
    for route in routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


def _beside(app: FastAPI, pages: FastAPI) -> App:
    """Let the page answer what is no route of the API; unknown paths below /v1 stay 404."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = route_path(scope).startswith("/v1/")
        await (app.router.not_found if is_api else pages)(scope, receive, send)

    return answer
