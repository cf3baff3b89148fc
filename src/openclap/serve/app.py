"""The application of the service: engine, routes, limits, and errors as answers; a page beside them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from openclap.clap import CLAP
from openclap.errors import LibraryError, LibraryMismatch, ModelError, OpenClapError, RequestRefused, SoundError
from openclap.http.app import new_app, protect
from openclap.http.error_responses import HINTS, error_response
from openclap.http.headers import App, Receive, Scope, Send
from openclap.http.proxy import route_path
from openclap.serve.documentation import add_documentation
from openclap.serve.engine import Engine
from openclap.serve.limits import Limits
from openclap.serve.metrics import Metrics
from openclap.serve.routes import make_router
from openclap.serve.settings import ServeSettings
from openclap.serve.watch_sockets import WatchSockets

__all__ = ["create_app"]

ABOUT = "Find, name and compare sounds by words. Sounds are data URIs in JSON, or files in multipart/form-data."
STATUSES = {
    404: ("there is no such route; see /docs", "not_found"),
    405: ("this route has no such method", "method_not_allowed"),
}
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
    for queue in engine.queues:
        metrics.watch(queue)
    limits, sockets = Limits(settings, metrics), WatchSockets(engine, metrics)
    pages = new_app(openapi_url=None)

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with pages.router.lifespan_context(pages):
            yield
        await sockets.close(SOCKETS_LEFT)
        await run_in_threadpool(engine.close)
        log.info("stopped", extra={"facts": {"accepted": limits.accepted, "answered": limits.answered}})

    app = new_app(description=ABOUT, lifespan=run, redirect_slashes=False)
    pages.state = app.state
    app.state.engine, app.state.settings, app.state.limits, app.state.sockets = engine, settings, limits, sockets
    app.state.facts["model"] = engine.name
    app.state.leaving.append(lambda: sockets.close(SOCKETS_END))
    add_documentation(app)
    router = make_router(engine, metrics, sockets)
    for route in [*app.router.routes, *router.routes]:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)
    app.include_router(router)
    app.add_exception_handler(OpenClapError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    if page is not None:
        page(pages)
        app.router.default = _beside(app, pages)
    app.add_middleware(limits.around)
    protect(app, settings, metrics.count)
    return app


def _beside(app: FastAPI, pages: FastAPI) -> App:
    """Let the page answer what is no route of the API; unknown paths below /v1 stay 404."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = route_path(scope).startswith("/v1/")
        await (app.router.not_found if is_api else pages)(scope, receive, send)

    return answer


async def _answer_error(request: HttpRequest, error: Exception) -> Response:
    """Answer an error of openclap; details that may name files of the server go to the log only."""
    assert isinstance(error, OpenClapError)
    sentence, code = error.say(HINTS), "invalid_request"
    if isinstance(error, RequestRefused):
        return error_response(error, request.scope)
    if isinstance(error, SoundError):
        code = _code_of(error)
    elif isinstance(error, LibraryError | ModelError) or error.http_status >= 500:
        log.error(str(error), extra={"facts": {"route": request.url.path}})
        code = _code_of(error)
        what = "library" if isinstance(error, LibraryError) else "model"
        maker = error.maker if isinstance(error, LibraryMismatch) else None
        fault = f"was made by another model ({Path(maker).name})" if maker else "cannot be used now; its log says why"
        sentence = f"the server's {what} {fault}"
        if error.hints:
            sentence += f"; whoever runs it can {', or '.join(hint.say(HINTS) for hint in error.hints)}"
    return error_response(RequestRefused(sentence, error.http_status, code), request.scope)


async def _answer_http_error(request: HttpRequest, error: Exception) -> Response:
    """Answer an error of the framework: an unknown route, another method, a broken form."""
    assert isinstance(error, HTTPException)
    sentence, code = STATUSES.get(error.status_code, (str(error.detail), "invalid_request"))
    response = error_response(RequestRefused(sentence, error.status_code, code), request.scope)
    if error.headers and "Allow" in error.headers:
        allowed = set(error.headers["Allow"].split(", "))
        response.headers["Allow"] = ", ".join(
            sorted(allowed | ({"GET", "HEAD"} if allowed & {"GET", "HEAD"} else set()))
        )
    return response


def _code_of(error: OpenClapError) -> str:
    """Make an error code of a class name: UnreadableSound → unreadable_sound."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in type(error).__name__).lstrip("_")
