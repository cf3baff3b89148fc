"""The service and its page: what browsers ask for is answered at once, the model is loaded beside it.

the page          the built front end, which talks to the API alone      from memory
/v1/page          which model answers; another one is loaded             at once
all else          the API (`app.make_api`) of the model that answers     waits for the first model
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from openclap.checkpoints.presets import find_preset
from openclap.clap import CLAP
from openclap.errors import RequestRefused
from openclap.http.app import new_app, protect
from openclap.http.error_responses import error_response
from openclap.http.headers import Receive, Scope, Send
from openclap.http.proxy import route_path
from openclap.serve.app import SOCKETS_END, add_heads, make_api
from openclap.serve.engine import Engine
from openclap.serve.error_answers import add_error_answers
from openclap.serve.inputs import read_request
from openclap.serve.limits import Limits
from openclap.serve.metrics import Metrics
from openclap.serve.models import LoadedModel, Models
from openclap.serve.recordings import Recordings
from openclap.serve.schemas import LoadRequest
from openclap.serve.service_routes import add_service_routes
from openclap.serve.settings import ServeSettings
from openclap.serve.static_files import StaticFiles
from openclap.serve.watch_sockets import WatchSockets

__all__ = ["create_site"]

API = ("/v1/", "/docs", "/redoc", "/openapi.json")
LANGUAGES = ["en", "zh"]
LOADING_SECONDS = 20.0  # that a request waits for another model
log = logging.getLogger("openclap.serve")


def create_site(settings: ServeSettings, static: Path, *, clap: CLAP | None = None, wait: bool = False) -> FastAPI:
    """Make the service with its page.

    Parameters
    ----------
    static
        The folder of the built front end.
    clap
        A model that is loaded already; else `settings.model` is.
    wait
        Load the model here, so that what is wrong with it is told before anything listens; else it is loaded once the
        server listens, and requests that need it wait.

    Raises
    ------
    ModelError, LibraryError
        With `wait`: the model or the library cannot be used.
    """
    return _Site(settings, static, clap, wait or clap is not None).app


class _Site:
    """The parts of one site."""

    def __init__(self, settings: ServeSettings, static: Path, clap: CLAP | None, wait: bool) -> None:
        self._settings, self._wait = settings, wait
        self._metrics = Metrics()
        self._limits, self._recordings = Limits(settings, self._metrics), Recordings(settings)
        self._static = StaticFiles(static, settings.frames)
        self._models = Models(self._load, settings.model, self._loaded)
        self.app = app = new_app(openapi_url=None, lifespan=self._live, redirect_slashes=False)
        self._first = self._load(settings.model, clap) if wait else None
        self._wait = False  # models that are loaded later need not have made the library
        app.state.models, app.state.settings, app.state.limits = self._models, settings, self._limits
        app.state.facts["model"] = self._first.engine.name if self._first is not None else _title(settings.model)
        app.state.leaving.append(self._leave)
        app.router.default = self._answer
        add_service_routes(app.router, self._metrics, lambda: self._models.now is None)
        app.add_api_route("/v1/page", self._tell_page, methods=["GET"], include_in_schema=False)
        app.add_api_route("/v1/page/model", self._load_model, methods=["POST"], include_in_schema=False)
        add_heads(app, list(app.router.routes))
        add_error_answers(app)
        app.add_middleware(self._limits.around)
        protect(app, settings, self._metrics.count)

    # -- from beginning to end -------------------------------------------------------------------------

    @asynccontextmanager
    async def _live(self, app: FastAPI) -> AsyncIterator[None]:
        if self._first is not None:
            self._models.take(self._first)
        else:
            self._models.load(self._settings.model)
        yield
        await self._models.close()
        self._recordings.close()
        log.info("stopped", extra={"facts": {"accepted": self._limits.accepted, "answered": self._limits.answered}})

    async def _leave(self) -> None:
        if self._models.now is not None:
            await self._models.now.sockets.close(SOCKETS_END)

    def _load(self, name: str, clap: CLAP | None = None) -> LoadedModel:
        settings, metrics = self._settings.model_copy(update={"model": name}), self._metrics
        engine = Engine(
            settings,
            clap=clap,
            seen=lambda queue, size: metrics.batch.labels(queue).observe(size),
            any_library=not self._wait,
        )
        sockets = WatchSockets(engine, metrics, self._recordings)
        api = make_api(engine, metrics, sockets, self._recordings)
        api.state = self.app.state
        return LoadedModel(engine, sockets, api)

    def _loaded(self, model: LoadedModel) -> None:
        self.app.state.engine = model.engine

    # -- requests ----------------------------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is no route of the site itself."""
        path, is_read = route_path(scope), scope.get("method") in ("GET", "HEAD")
        try:
            if is_read and path in self._static:
                await self._static(scope, receive, send, path)
            elif path.startswith(API):
                model = await self._models.current()
                async with model.at_work() as api:
                    await api(scope, receive, send)
            else:
                await self.app.router.not_found(scope, receive, send)
        except RequestRefused as refusal:
            await error_response(refusal, scope)(scope, receive, send)

    async def _tell_page(self) -> dict[str, Any]:
        """What the front end has to know of this server."""
        models, manage = self._models, self._settings.manage
        now = models.now
        name = _title(models.wanted) if models.is_loading or now is None else _title(now.engine.settings.model)
        state = "loading" if models.is_loading else "none" if now is None else "ready"
        return {
            "model": {
                "name": name,
                "state": state,
                **({"error": models.fault} if state == "none" or models.failed_lately else {}),
            },
            "models": [_title(one) for one in self._loadable()] if manage else [],
            "any_model": manage and self._settings.models is None,
            "languages": LANGUAGES,
            "examples": False,
            "manage": manage,
            "most_bytes": {
                "recording": self._settings.recording_bytes,
                "file": self._settings.upload_bytes,
                "body": self._settings.body_bytes,
            },
        }

    async def _load_model(self, request: Request) -> dict[str, Any]:
        """Load another model, which answers once it is there; until then the one before does.

        Who has waited for a while is told that it is being loaded, and asks `GET /v1/page` again.
        """
        asked = await read_request(request, LoadRequest, self._settings)
        if not self._settings.manage:
            raise RequestRefused("only the owner of this server may load another model", 403, "not_allowed")
        loading = self._models.load(self._allowed(asked.name.strip()))
        done, _ = await asyncio.wait([loading], timeout=min(LOADING_SECONDS, self._settings.request_seconds / 2))
        if done and self._models.fault:
            raise RequestRefused(self._models.fault, 400, "model_error")
        return await self._tell_page()

    def _loadable(self) -> list[str]:
        """The models that may be loaded, by the names that the server knows them by."""
        from openclap.checkpoints.locate import is_available
        from openclap.checkpoints.plugged_models import plugged_models
        from openclap.checkpoints.presets import PRESETS

        named = self._settings.models
        if named is None:
            of_packages = (model.name for model in plugged_models() if not model.note)
            named = (*(preset.name for preset in PRESETS if is_available(preset)), *of_packages)
        return list(dict.fromkeys((self._settings.model, *named)))

    def _allowed(self, name: str) -> str:
        """The model that is meant by a name, if it may be loaded.

        Raises
        ------
        RequestRefused
            It may not.
        """
        known = {_title(one): one for one in self._loadable()}
        if name in known:
            return known[name]
        roots = [root.expanduser().resolve() for root in self._settings.roots]
        is_file = _is_path(name)
        inside = is_file and any(Path(name).expanduser().resolve().is_relative_to(root) for root in roots)
        if not name or self._settings.models is not None or (is_file and not inside):
            raise RequestRefused(f"the model {name[:100]!a} may not be loaded here; GET /v1/page lists those that may", 403, "not_allowed")  # fmt: skip
        return name


def _title(model: str) -> str:
    """What a model is called: its name, or that of its file; where that lies is told to nobody."""
    return Path(model).name if _is_path(model) and find_preset(model) is None else model


def _is_path(model: str) -> bool:
    return model.startswith((".", "/", "~", "\\")) or model.count("/") > 1 or "\\" in model or Path(model).exists()
