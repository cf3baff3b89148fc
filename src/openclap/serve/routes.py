"""The routes: each reads a request, asks the engine one thing, and shows the answer."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Response, WebSocket
from fastapi import Request as HttpRequest
from pydantic import BaseModel

from openclap.detector import Detector
from openclap.errors import RequestRefused
from openclap.http.error_responses import error_response
from openclap.options import DescribeOptions, SearchFilter, TimelineOptions
from openclap.results import Moment
from openclap.serve.detector_routes import add_detector_routes
from openclap.serve.engine import Engine
from openclap.serve.inputs import is_data_uri, run_in_thread_if, source_of
from openclap.serve.library_routes import add_library_routes
from openclap.serve.metrics import Metrics
from openclap.serve.progress import HEARD, Progress
from openclap.serve.recording_routes import add_recording_routes
from openclap.serve.recordings import Recordings
from openclap.serve.request_reader import RequestReader
from openclap.serve.responses import (
    ClassifyResponse,
    DescribeResponse,
    Embedding,
    EmbeddingsResponse,
    ErrorResponse,
    MatchResponse,
    MomentsResponse,
    SearchHit,
    SearchResponse,
    Span,
    TimelineSpan,
    Usage,
)
from openclap.serve.schemas import (
    ClassifyRequest,
    DescribeRequest,
    EmbeddingsRequest,
    MatchRequest,
    MomentsRequest,
    Request,
    SearchRequest,
    WatchRequest,
)
from openclap.serve.service_routes import FAULTS, add_model_routes, add_service_routes
from openclap.serve.watch_sockets import WatchSockets

__all__ = ["make_router"]

S = TypeVar("S", bound=Request)
A_SOCKET = """\
Connect with a websocket, `ws://…/v1/watch`. The first message is the settings in JSON (the schema below); then
samples in binary messages, whole frames, as fast as you like: who is faster than the model is slowed. With `recording`
none are sent: that is heard as fast as the model can. The server answers in JSON:

- `{"type": "ready", "model", "window", "hop", "warmup", "latency", "alerts", "unknown"}`: it listens; `latency`, how many
seconds of sound an event takes to be decided; `alerts`, the names of what is listened for; `unknown`, words that the
model was never taught;
- `{"type": "window", "start", "end", "confidences"}`: with `windows`, of each window, in the order of `alerts`;
- `{"type": "event", …}`: as `openclap watch --json` prints it;
- `{"type": "note", "note"}`: something happened on the way, windows were skipped;
- `{"type": "report", …}`: what was heard, after you have sent `{"type": "end"}`; then it closes with 1000;
- `{"type": "error", "error"}`: one sentence; then it closes with 1003, 1007 or 1008 (something is wrong), 1001 (the
server is going down) or 1011.
"""
LARGE = 16  # embeddings; a larger answer is written in a thread


def make_router(engine: Engine, metrics: Metrics, sockets: WatchSockets, recordings: Recordings) -> APIRouter:
    """Make the routes of one engine."""
    router = APIRouter()
    _add_compute_routes(router, _ComputeRoutes(engine, recordings))
    add_recording_routes(router, engine, recordings)
    add_detector_routes(router, engine, recordings)
    _add_watch_route(router, sockets)
    add_library_routes(router, engine)
    add_model_routes(router, engine)
    add_service_routes(router, metrics)
    return router


def _add_compute_routes(router: APIRouter, api: _ComputeRoutes) -> None:
    for path, schema, answer, does in (
        ("/v1/embeddings", EmbeddingsRequest, EmbeddingsResponse, api.embeddings),
        ("/v1/classify", ClassifyRequest, ClassifyResponse, api.classify),
        ("/v1/describe", DescribeRequest, DescribeResponse, api.describe),
        ("/v1/match", MatchRequest, MatchResponse, api.match),
        ("/v1/search", SearchRequest, SearchResponse, api.search),
        ("/v1/moments", MomentsRequest, MomentsResponse, api.moments),
    ):
        router.add_api_route(
            path,
            does,
            methods=["POST"],
            response_model=answer,
            responses=FAULTS,
            tags=["v1"],
            summary=(schema.__doc__ or "").rstrip("."),
            openapi_extra={"requestBody": api.body_of(schema)},
        )


def _add_watch_route(router: APIRouter, sockets: WatchSockets) -> None:
    @router.websocket("/v1/watch")
    async def watch(socket: WebSocket) -> None:
        await sockets.serve(socket)

    @router.get(
        "/v1/watch",
        tags=["v1"],
        status_code=426,
        summary="Events of what you send (a websocket)",
        description=A_SOCKET,
        response_class=Response,
        responses={426: {"model": ErrorResponse, "description": "It is a websocket"}, 429: FAULTS[429]},
        openapi_extra={"x-websocket-settings": WatchRequest.model_json_schema()},
    )
    async def no_socket(request: HttpRequest) -> Response:
        refusal = RequestRefused("this is a websocket: connect to it with ws:// (how: /docs)", 426, "upgrade_required")
        response = error_response(refusal, request.scope)
        response.headers["upgrade"] = "websocket"
        return response


class _ComputeRoutes(RequestReader):
    """The routes that compute: each reads its request, asks the engine, and answers."""

    async def embeddings(self, request: HttpRequest) -> Response:
        """Embed texts and sounds: unit vectors, in the order of the input; their dot products are cosines."""
        asked = await self._read(request, EmbeddingsRequest)
        size = self._engine.clap.config.embedding
        if asked.dimensions not in (None, size):
            raise RequestRefused(
                f"dimensions is {asked.dimensions}; this model's embeddings have {size} numbers and cannot be"
                " shortened: leave it out",
                400,
                "invalid_request",
            )
        items = asked.input if isinstance(asked.input, list) else [asked.input]
        self._check_many("input", items)
        heard = [
            isinstance(item, bytes) or asked.modality == "audio" or (asked.modality == "auto" and is_data_uri(item))
            for item in items
        ]
        if asked.modality == "text" and any(heard):
            raise RequestRefused("a file was uploaded as modality text; leave modality out", 400, "invalid_request")
        sources = [source_of(item, f"input[{i}]") for i, item in enumerate(items) if heard[i]]
        texts = [item for item, is_sound in zip(items, heard, strict=True) if not is_sound]
        self._check_texts("input", texts)
        rows, tokens = np.zeros((len(items), size), np.float32), 0
        if texts:
            rows[~np.array(heard)], tokens = await self._engine.embed_texts(texts)  # type: ignore[arg-type]
        if sources:
            rows[np.array(heard)] = await self._engine.embed_sounds(sources)
        return await run_in_thread_if(
            len(rows) > LARGE,
            lambda: _json_response(_embeddings(rows, tokens, asked.encoding_format, self._engine.name)),
        )

    async def classify(self, request: HttpRequest) -> Response:
        """Name a sound: the labels, best first, by zero-shot classification."""
        asked = await self._read(request, ClassifyRequest)
        self._check_many("labels", asked.labels)
        self._check_texts("labels", asked.labels)
        source = self._given(asked)

        async def compute(progress: Progress | None) -> Response:
            labels = await self._engine.classify(source, asked.labels, asked.template, progress)
            unknown, understood = await self._engine.words_of(asked.labels)
            return _json_response(
                ClassifyResponse(labels=labels, unknown=unknown, understood=understood, **labels.note())
            )

        return await self._told(request, source, compute)

    async def describe(self, request: HttpRequest) -> Response:
        """Say what is heard in a sound: tags with a confidence, a sentence, the nearest captions, and a timeline."""
        asked = await self._read(request, DescribeRequest)
        for name, texts in (("labels", asked.labels), ("captions", asked.captions)):
            self._check_many(name, texts or ["-"])
            self._check_texts(name, texts or [])
        spans = asked.take(TimelineOptions) if asked.timeline else None
        source, options = self._given(asked), asked.take(DescribeOptions)

        async def compute(progress: Progress | None) -> Response:
            found = await self._engine.describe(source, options, spans, progress)
            answer = DescribeResponse(**found.description.to_dict())
            if found.spans is not None:
                answer.spans = [TimelineSpan(**span.to_dict(), sentence=sentence) for span, sentence in found.spans]
            left_out = {"spans"} if answer.spans is None else None  # but a span's label may be null
            return Response(answer.model_dump_json(exclude=left_out), media_type="application/json")

        return await self._told(request, source, compute, passes=1 if spans is None else 2)

    async def match(self, request: HttpRequest) -> Response:
        """Compare a sound with texts: cosines from -1 to 1, in the order given."""
        asked = await self._read(request, MatchRequest)
        self._check_many("texts", asked.texts)
        self._check_texts("texts", asked.texts)
        source = self._given(asked)

        async def compute(progress: Progress | None) -> Response:
            matches = await self._engine.match(source, asked.texts, progress)
            unknown, understood = await self._engine.words_of(asked.texts)
            return _json_response(
                MatchResponse(matches=matches, unknown=unknown, understood=understood, **matches.note())
            )

        return await self._told(request, source, compute)

    async def search(self, request: HttpRequest) -> Response:
        """Find sounds in the server's library by words, by a sound, or by both, best first."""
        asked = await self._read(request, SearchRequest)
        source = self._query(asked.query or asked.like or asked.detector, asked.audio, asked.k)
        for name in ("without", "within", "tags", "collections", "formats"):
            self._check_many(name, getattr(asked, name) or ["-"])
            self._check_texts(name, getattr(asked, name) or [])
        where = asked.take(SearchFilter)
        found = await self._engine.search(
            asked.query,
            source,
            asked.k,
            where,
            without=asked.without,
            per=asked.per,
            by=asked.by,
            like=asked.like,
            detector=asked.detector,
        )
        return _json_response(
            SearchResponse(
                hits=[SearchHit(**{**hit.to_dict(), "unlikely": hit.unlikely or None}) for hit in found],
                nothing_likely=found.nothing_likely,
                left_out=found.left_out,
                unknown=found.unknown,
                understood=found.understood,
                by=found.by,
            )
        )

    async def moments(self, request: HttpRequest) -> Response:
        """Find where something is heard: in the recording that is given, or in the server's library."""
        asked = await self._read(request, MomentsRequest)
        if asked.queries or asked.detectors:
            return await self._moments_of_each(request, asked)
        source = self._query(asked.query, asked.audio, asked.k, self._recording(asked))

        async def compute(progress: Progress | None) -> Response:
            found = await self._engine.moments(asked.query, source, asked.k, progress)
            moments = _spans(found, given=asked.query is not None and source is not None)
            return _json_response(
                MomentsResponse(
                    moments=moments,
                    nothing_likely=found.nothing_likely,
                    left_out=found.left_out,
                    unknown=found.unknown,
                    understood=found.understood,
                )
            )

        return await self._told(request, source, compute, heard=HEARD)

    async def _moments_of_each(self, request: HttpRequest, asked: MomentsRequest) -> Response:
        """Several questions about one recording, or about the library; some may be detectors."""
        words = [*([] if asked.query is None else [asked.query]), *asked.queries]
        for name in ("queries", "detectors"):
            self._check_many(name, getattr(asked, name) or ["-"])
        self._check_texts("queries", asked.queries)
        taught = await self._engine.find_detectors(asked.detectors)
        names = [*words, *asked.detectors]
        queries: list[str | Detector] = [*words, *taught]
        source = self._query(names[0], asked.audio, asked.k, self._recording(asked))

        async def compute(progress: Progress | None) -> Response:
            if source is None:
                found = [await self._engine.moments(query, None, asked.k) for query in queries]
            else:
                found = await self._engine.moments_of_each(queries, source, asked.k, progress)
            by = ["query"] * len(words) + ["detector"] * len(taught)
            each = list(zip(by, names, found, strict=True))
            unknown = {one.word: one for some in found for one in some.unknown}
            understood = dict.fromkeys(one for some in found for one in some.understood)
            given = source is not None
            return _json_response(
                MomentsResponse(
                    moments=[span for kind, name, some in each for span in _spans(some, given=given, **{kind: name})],
                    nothing_likely=all(some.nothing_likely for some in found),
                    left_out=max(some.left_out for some in found),
                    unknown=list(unknown.values()),
                    understood=list(understood),
                )
            )

        return await self._told(request, source, compute, heard=HEARD)


def _spans(
    found: Iterable[Moment], *, given: bool, query: str | None = None, detector: str | None = None
) -> list[Span]:
    """Moments as the answer has them; of a recording that was `given` in the request, without its path."""
    return [
        Span(
            query=query,
            detector=detector,
            path=None if given else m.path,
            start=m.start,
            end=m.end,
            score=m.score,
            confidence=m.confidence,
            unlikely=m.unlikely or None,
        )
        for m in found
    ]


def _embeddings(rows: npt.NDArray[np.float32], tokens: int, encoding: str, model: str) -> EmbeddingsResponse:
    def encode(row: npt.NDArray[np.float32]) -> list[float] | str:
        return base64.b64encode(row.astype("<f4").tobytes()).decode() if encoding == "base64" else row.tolist()

    data = [Embedding(index=i, embedding=encode(row)) for i, row in enumerate(rows)]
    return EmbeddingsResponse(data=data, model=model, usage=Usage(prompt_tokens=tokens, total_tokens=tokens))


def _json_response(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")
