"""The routes that tell of the server itself: its models, its health, its counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest

from openclap.checkpoints.locate import is_available
from openclap.checkpoints.presets import PRESETS, Preset, find_preset
from openclap.confidence import has_own_curves
from openclap.errors import RequestRefused
from openclap.serve.engine import Engine
from openclap.serve.metrics import TYPE, Metrics
from openclap.serve.responses import ErrorResponse, ModelCard, ModelsResponse

__all__ = ["FAULTS", "add_model_routes", "add_service_routes"]

FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": what}
    for status, what in {
        400: "The request is wrong; the message says how",
        401: "A key is needed",
        404: "Another model than the loaded one",
        413: "Too large, or too long",
        422: "A sound cannot be used",
        429: "Busy: try again after Retry-After",
        504: "It took too long",
    }.items()
}


def add_model_routes(router: APIRouter, engine: Engine) -> None:
    """Add what tells of the loaded model, and of those on the disk."""
    cards = _model_cards(engine)

    @router.get("/v1/models", tags=["v1"])
    async def models() -> ModelsResponse:
        """The loaded model, and those that are on the server's disk."""
        return ModelsResponse(data=cards)

    @router.get("/v1/models/{name:path}", tags=["v1"], responses={404: FAULTS[404]})
    async def model(name: str) -> ModelCard:
        """One of them."""
        for card in cards:
            if card.id == name or (card.loaded and engine.goes_by(name)):
                return card
        raise RequestRefused(f"there is no model {name[:100]!a} here; see /v1/models", 404, "model_not_found")


def add_service_routes(router: APIRouter, metrics: Metrics, is_loading: Callable[[], bool] = lambda: False) -> None:
    """Add health, readiness and metrics; `is_loading`, the model is not there yet."""

    @router.get("/health", tags=["service"])
    async def health() -> dict[str, str]:
        """Whether the server runs."""
        return {"status": "ok"}

    @router.get(
        "/ready", tags=["service"], responses={503: {"description": "It is going down, or its model is being loaded"}}
    )
    async def ready(request: HttpRequest, response: Response) -> dict[str, str]:
        """Whether it takes requests."""
        draining = request.app.state.draining
        status = "draining" if draining else "loading" if is_loading() else "ready"
        if status != "ready":
            response.status_code = 503
        return {"status": status}

    @router.get("/metrics", tags=["service"], response_class=Response)
    async def show_metrics() -> Response:
        """What was counted, for Prometheus."""
        return Response(metrics.text(), media_type=TYPE)


def _model_cards(engine: Engine) -> list[ModelCard]:
    known = find_preset(engine.name)
    package = engine.clap.checkpoint.package
    facts = _facts(known)
    if package is not None:
        facts = {"licence": engine.clap.config.licence, "rate": engine.clap.front_end.sampling_rate}
    loaded = ModelCard(
        id=engine.name,
        owned_by=package or "openclap",
        loaded=True,
        embedding=engine.clap.config.embedding,
        calibrated=has_own_curves(engine.clap),
        **facts,
    )
    others = [
        ModelCard(
            id=preset.name, owned_by=(preset.repo or "openclap").partition("/")[0], loaded=False, **_facts(preset)
        )
        for preset in PRESETS
        if preset.name != engine.name and is_available(preset)
    ]
    return [loaded, *others]


def _facts(preset: Preset | None) -> dict[str, Any]:
    """What the table of models says of one; nothing of a model that is not in it."""
    names = ("licence", "what", "parameters", "rate", "languages", "trained_on", "esc50", "source")
    return {} if preset is None else {name: getattr(preset, name) or None for name in names}
