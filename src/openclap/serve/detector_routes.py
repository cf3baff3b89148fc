"""The routes of teaching: a draft by examples, the detectors that are kept, and what they hear in a sound."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from openclap.errors import RequestRefused
from openclap.http.headers import Message
from openclap.serve.byte_ranges import disposition
from openclap.serve.detector_schemas import (
    Detected,
    DetectorFacts,
    DetectorsResponse,
    DetectRequest,
    DetectResponse,
    Failed,
    KeepRequest,
    KeptResponse,
    RefitRequest,
    RenameRequest,
    TeachRequest,
    TeachResponse,
)
from openclap.serve.detectors import LARGEST, KnownDetector
from openclap.serve.engine import Engine
from openclap.serve.progress import Progress
from openclap.serve.recordings import Recordings
from openclap.serve.request_reader import RequestReader
from openclap.serve.responses import ErrorResponse, SearchHit
from openclap.serve.schemas import Request
from openclap.serve.teaching import Lesson, Teaching

__all__ = ["add_detector_routes"]

FORM_BYTES = 1 << 16  # of a form, beside the file in it
FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": what}
    for status, what in {
        400: "The request is wrong; the message says how",
        403: "It may not be kept, changed or taken along here",
        404: "There is no such detector or draft",
        409: "It was taught on another model, cannot be used, or its name is taken",
        413: "Too large",
        422: "It is no sound, or no detector",
        429: "Busy: try again after Retry-After",
    }.items()
}
FILE = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "name": {"type": "string"},
                "over": {"type": "boolean"},
            },
            "required": ["file"],
        }
    }
}


def add_detector_routes(router: APIRouter, engine: Engine, recordings: Recordings) -> None:
    """Add them to the routes of an engine."""
    api = _DetectorRoutes(engine, recordings)
    all_, one = "/v1/detectors", "/v1/detectors/{name}"
    for path, schema, answer, does in (
        ("/v1/teach", TeachRequest, TeachResponse, api.teach),
        ("/v1/detect", DetectRequest, DetectResponse, api.detect),
        (all_, KeepRequest, KeptResponse, api.keep),
        (f"{one}/refit", RefitRequest, TeachResponse, api.refit),
        (f"{one}/rename", RenameRequest, KeptResponse, api.rename),
        (f"{one}/forget", None, DetectorsResponse, api.forget),
    ):
        router.add_api_route(
            path, does, methods=["POST"], response_model=answer, responses=FAULTS, tags=["teaching"], openapi_extra=_body(api, schema)
        )  # fmt: skip
    for path, model, tell in ((all_, DetectorsResponse, api.list_all), (one, DetectorFacts, api.tell)):
        router.add_api_route(path, tell, methods=["GET"], response_model=model, responses=FAULTS, tags=["teaching"])
    router.add_api_route(
        f"{one}/file",
        api.send_file,
        methods=["GET"],
        response_class=Response,
        responses={**FAULTS, 200: {"description": "The file", "content": {"application/octet-stream": {}}}},
        tags=["teaching"],
        openapi_extra={"parameters": [{"name": "as", "in": "query", "schema": {"type": "string"}, "description": "Another name"}]},
    )  # fmt: skip


def _body(api: _DetectorRoutes, schema: type[Request] | None) -> dict[str, Any]:
    if schema is None:
        return {}
    body = api.body_of(schema)
    if schema is KeepRequest:
        body["content"] |= FILE
    return {"requestBody": {**body, "required": schema is not RefitRequest}}


class _DetectorRoutes(RequestReader):
    """Each reads its request, asks one thing, and answers."""

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        super().__init__(engine, recordings)
        self._teaching = Teaching(engine, recordings)

    async def teach(self, request: HttpRequest) -> Response:
        """Teach a sound by examples: a draft, how well it does on examples left out, and what should be marked next."""
        asked = await self._read(request, TeachRequest)
        self._check_texts("name", [asked.name])
        self._check_texts("text", [asked.text] if asked.text else [])
        if asked.k > self._settings.results:
            raise RequestRefused(f"k is {asked.k}; at most {self._settings.results} are ranked", 400, "invalid_request")
        given = [*((True, one) for one in asked.yes), *((False, one) for one in asked.no)]

        async def compute(progress: Progress | None) -> Response:
            lesson = await self._teaching.teach(
                asked.name.strip(), asked.text, given, k=asked.k, suggestions=asked.suggestions, progress=progress
            )
            return await self._answer(lesson)

        return await self._told(request, None, compute, heard=0.0)

    async def refit(self, name: str, request: HttpRequest) -> Response:
        """Teach one of the owner's anew for the loaded model, by the examples that were kept: a draft."""
        has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        asked = await self._read(request, RefitRequest) if has_body else RefitRequest()

        async def compute(progress: Progress | None) -> Response:
            return await self._answer(
                await self._teaching.refit(name, k=asked.k, suggestions=asked.suggestions, progress=progress)
            )

        return await self._told(request, None, compute, heard=0.0)

    async def detect(self, request: HttpRequest) -> Response:
        """Ask detectors whether they hear their sound in a sound."""
        asked = await self._read(request, DetectRequest)
        self._check_many("detectors", asked.detectors)
        source, detectors = self._given(asked), await self._engine.find_detectors(asked.detectors)

        async def compute(progress: Progress | None) -> Response:
            found, silent = await self._engine.detect(source, detectors, progress)
            each = [
                Detected(detector=name, probability=one.probability, heard=one.heard)
                for name, one in zip(asked.detectors, found, strict=True)
            ]
            return _json(DetectResponse(detectors=each, silent=silent or None))

        return await self._told(request, source, compute)

    async def list_all(self) -> Response:
        """The detectors that may be asked for here."""
        found, failed = await self._engine.in_thread(self._engine.detectors.listed)
        return _json(
            DetectorsResponse(
                detectors=[_facts(one) for one in found],
                failed=[Failed(name=one.path, error=one.error) for one in failed],
                writable=self._settings.manage,
            )
        )

    async def tell(self, name: str) -> Response:
        """One of them, or a draft."""
        known = await self._engine.in_thread(lambda: self._engine.detectors.known(name))
        return _json(_facts(known))

    async def send_file(self, name: str, request: HttpRequest) -> Response:
        """The file of a draft, or of one of the owner's; with `as`, under another name."""
        called = request.query_params.get("as") or None
        title, content = await self._engine.in_thread(lambda: self._engine.detectors.file(name, called))
        headers = {
            "Content-Disposition": disposition(f"{title}.safetensors", download=True),
            "Cache-Control": "no-store",
        }
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def keep(self, request: HttpRequest) -> Response:
        """Keep a draft among the owner's detectors, or the file of a detector."""
        detectors = self._engine.detectors
        detectors.require_manager()
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            content, name, over = await _read_file(request)
            known = await self._engine.in_thread(lambda: detectors.add_file(content, name, over=over))
            return _json(KeptResponse(detector=_facts(known)))
        asked = await self._read(request, KeepRequest)
        known, lost = await self._engine.in_thread(lambda: detectors.keep(asked.draft, asked.name, over=asked.over))
        return _json(KeptResponse(detector=_facts(known), lost=len(lost)))

    async def rename(self, name: str, request: HttpRequest) -> Response:
        """Give one of the owner's another name."""
        detectors = self._engine.detectors
        detectors.require_manager()
        asked = await self._read(request, RenameRequest)
        known = await self._engine.in_thread(lambda: detectors.rename(name, asked.name, over=asked.over))
        return _json(KeptResponse(detector=_facts(known)))

    async def forget(self, name: str) -> Response:
        """Forget one of the owner's, and the examples that were kept of it."""
        await self._engine.in_thread(lambda: self._engine.detectors.remove(name))
        return await self.list_all()

    async def _answer(self, lesson: Lesson) -> Response:
        detectors = self._engine.detectors
        known = await self._engine.in_thread(lambda: detectors.known(lesson.id))
        facts = _facts(known)
        facts.name = lesson.detector.name
        return _json(
            TeachResponse(
                id=lesson.id,
                detector=facts,
                hits=[SearchHit(**{**hit.to_dict(), "unlikely": hit.unlikely or None}) for hit in lesson.hits],
                next=[SearchHit(**{**hit.to_dict(), "unlikely": hit.unlikely or None}) for hit in lesson.next],
                left_out=lesson.hits.left_out,
                skipped=lesson.skipped,
                unknown=await self._engine.unknown_words([lesson.detector.text]) if lesson.detector.text else [],
                before=None if lesson.before is None else dict(lesson.before.report),
            )
        )


async def _read_file(request: HttpRequest) -> tuple[bytes, str | None, bool]:
    """The one file of a form, and what it should be called; its size counts while it comes."""
    got = 0

    async def counted() -> Message:
        nonlocal got
        message = await request.receive()
        got += len(message.get("body", b""))
        if got > LARGEST + FORM_BYTES:
            raise RequestRefused("the file is larger than 1 MiB; a detector has some thousand bytes", 413, "body_too_large")  # fmt: skip
        return message

    async with HttpRequest(request.scope, counted).form(max_files=1, max_fields=4) as form:
        file, name, over = form.get("file"), form.get("name"), form.get("over", "false")
        if not isinstance(file, UploadFile):
            raise RequestRefused("the form holds no file; send one as file=@drip.safetensors", 400, "invalid_request")
        if over not in ("true", "false"):
            raise RequestRefused("over may be true or false", 400, "invalid_request")
        return await file.read(), name if isinstance(name, str) and name else None, over == "true"


def _facts(known: KnownDetector) -> DetectorFacts:
    one = known.detector
    return DetectorFacts(
        name=known.name,
        text=one.text,
        threshold=one.threshold,
        model=known.maker,
        examples=dict(one.examples),
        report=dict(one.report),
        fits=known.fits,
        own=known.own,
        kept=known.kept,
    )


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")
