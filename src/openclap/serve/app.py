"""The application: engine, routes, door, and errors as answers. Knows nothing of sockets or signals."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI, Response
from fastapi import Request as HttpRequest
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from openclap.clap import CLAP
from openclap.errors import LibraryError, LibraryMismatch, ModelError, OpenClapError, RequestRefused, SoundError
from openclap.http.headers import Answers
from openclap.http.proxy import Proxied, Proxies
from openclap.serve.documentation import add_documentation
from openclap.serve.door import Door
from openclap.serve.engine import Engine
from openclap.serve.faults import fault_of
from openclap.serve.metrics import Metrics
from openclap.serve.routes import routes_of
from openclap.serve.settings import Settings
from openclap.serve.watching import Sockets

__all__ = ["create_app"]

ABOUT = "Find, name and compare sounds by words. Sounds are data URIs in JSON, or files in multipart/form-data."
STATUSES = {404: ("there is no such route; see /docs", "not_found"), 405: ("this route has no such method", "method_not_allowed")}  # fmt: skip
SOCKETS_LEFT = 1.0  # seconds for those that the server has not closed
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
log = logging.getLogger("openclap.serve")


def create_app(
    settings: Settings, *, page: Callable[[FastAPI], object] | None = None, clap: CLAP | None = None
) -> FastAPI:
    """Make the service; the model is loaded here, so that what is wrong with it is told before anything listens.

    Parameters
    ----------
    page
        Given the application when its routes are there, to mount a web page on it: `lambda app:
        gradio.mount_gradio_app(app, blocks, path="/")`. `app.state.engine` computes for it, `app.state.settings` says what is
        allowed. The door asks who comes to the page for a key as well (a browser asks for it as a password); limits of size
        and time are the page's own.
    clap
        A model that is loaded already; else `settings.model` is.

    Raises
    ------
    ModelError, LibraryError
        The model or the library cannot be used.
    """
    metrics = Metrics()
    engine = Engine(settings, clap=clap, seen=lambda lane, size: metrics.batch.labels(lane).observe(size))
    for lane in engine.lanes:
        metrics.watch(lane)

    sockets = Sockets(engine, metrics)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        yield
        await sockets.close(SOCKETS_LEFT)
        await run_in_threadpool(engine.close)

    app = FastAPI(
        title="openclap", version=version("openclap"), description=ABOUT, lifespan=living, docs_url=None, redoc_url=None
    )
    add_documentation(app)
    app.state.engine, app.state.settings, app.state.metrics, app.state.sockets = engine, settings, metrics, sockets
    routes = routes_of(engine, metrics, sockets)
    app.include_router(routes)
    app.add_exception_handler(OpenClapError, _told)
    app.add_exception_handler(HTTPException, _told_by_starlette)
    _add_other_methods(app, routes)
    if page is not None:
        app.add_api_route(
            "/v1/{rest:path}", _nowhere, methods=METHODS, include_in_schema=False
        )  # else the page answers
        page(app)
    app.add_middleware(_door_of(app), settings=settings, metrics=metrics)
    if settings.origins:  # before the door: a browser asks without a key whether it may ask
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],  # a client of OpenAI's has a dozen of its own
            expose_headers=["Retry-After"],
        )  # fmt: skip
    app.add_middleware(Answers, frames=settings.frames)
    app.add_middleware(Proxied, proxies=Proxies(settings.proxies), prefix=settings.root_path)
    return app


def _add_other_methods(app: FastAPI, router: APIRouter) -> None:
    """HEAD wherever there is GET, and a sentence for every other method of a route that is there: the page would take it."""
    allowed: dict[str, set[str]] = {}
    for route in [*app.router.routes, *router.routes]:
        if isinstance(route, APIRoute):
            allowed.setdefault(route.path, set()).update(route.methods or ())
            if "GET" in allowed[route.path]:
                app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)
                allowed[route.path].add("HEAD")
    assert app.openapi_url is not None
    allowed[app.openapi_url] = {"GET", "HEAD"}
    for path, methods in allowed.items():
        others = [method for method in METHODS if method not in methods]
        app.add_api_route(path, _no_method(methods), methods=others, include_in_schema=False)


def _no_method(allowed: set[str]) -> Callable[[], None]:
    def refuse() -> None:
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})

    return refuse


def _door_of(app: FastAPI) -> Callable[..., Door]:
    """Middleware is made by starlette when the first request comes; the one made is `app.state.door`."""

    def made(inner: object, **options: object) -> Door:
        door = Door(inner, **options)  # type: ignore[arg-type]
        app.state.door = door
        return door

    return made


def _nowhere() -> None:
    """A route of the API that is none."""
    raise HTTPException(404)


async def _told(request: HttpRequest, error: Exception) -> Response:
    """Errors of our own, as answers; what may name the server's disk goes to the log."""
    assert isinstance(error, OpenClapError)
    if isinstance(error, RequestRefused):
        refusal = error
    elif isinstance(error, SoundError):
        refusal = RequestRefused(str(error), error.http_status, _code(error))
    elif isinstance(error, LibraryMismatch) and error.maker is not None:
        log.error(str(error), extra={"facts": {"route": request.url.path}})
        refusal = RequestRefused(
            f"the server's library was made by another model ({Path(error.maker).name}); whoever runs it loads that one, or embeds the library anew with  openclap index --reembed",
            error.http_status,
            _code(error),
        )
    elif isinstance(error, LibraryError | ModelError) or error.http_status >= 500:
        log.error(str(error), extra={"facts": {"route": request.url.path}})
        what = "library" if isinstance(error, LibraryError) else "model"
        refusal = RequestRefused(
            f"the server's {what} cannot be used now; its log says why", error.http_status, _code(error)
        )
    else:
        refusal = RequestRefused(str(error), error.http_status, "invalid_request")
    status, headers, body = fault_of(refusal)
    return Response(body, status, headers)


async def _told_by_starlette(request: HttpRequest, error: Exception) -> Response:
    """No such route, another method, a broken form."""
    assert isinstance(error, HTTPException)
    message, code = STATUSES.get(error.status_code, (str(error.detail), "invalid_request"))
    status, headers, body = fault_of(RequestRefused(message, error.status_code, code))
    return Response(body, status, {**(error.headers or {}), **headers})


def _code(error: OpenClapError) -> str:
    """UnreadableSound → unreadable_sound."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in type(error).__name__).lstrip("_")
