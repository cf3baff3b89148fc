"""The routes: each reads a request, asks the engine one thing, and shows the answer."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Response, WebSocket
from fastapi import Request as HttpRequest
from pydantic import BaseModel

from openclap.errors import RequestRefused
from openclap.http.error_responses import error_response
from openclap.options import DescribeOptions, SearchFilter, TimelineOptions
from openclap.plurals import count_noun
from openclap.results import Moment
from openclap.serve.engine import Engine, Source
from openclap.serve.inputs import is_data_uri, read_request, run_in_thread_if, source_of
from openclap.serve.library_routes import add_library_routes
from openclap.serve.metrics import Metrics
from openclap.serve.openapi import body_of
from openclap.serve.progress import HEARD, LINES, Progress, answer_in_lines
from openclap.serve.recording_routes import add_recording_routes
from openclap.serve.recordings import Recordings
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
    HearingRequest,
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


class _ComputeRoutes:
    """The routes that compute: each reads its request, asks the engine, and answers."""

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        self._engine, self._recordings = engine, recordings
        self._settings = engine.settings

    def body_of(self, schema: type[Request]) -> dict[str, Any]:
        """Describe the body of a route for OpenAPI."""
        config = self._engine.clap.config
        seconds, names = config.front_end.clip_seconds, self._engine.names
        return body_of(schema, self._settings, size=config.embedding, seconds=seconds, names=names)

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
            unknown = await self._engine.unknown_words(asked.labels)
            return _json_response(ClassifyResponse(labels=labels, unknown=unknown, **labels.note()))

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
            unknown = await self._engine.unknown_words(asked.texts)
            return _json_response(MatchResponse(matches=matches, unknown=unknown, **matches.note()))

        return await self._told(request, source, compute)

    async def search(self, request: HttpRequest) -> Response:
        """Find sounds in the server's library by words, by a sound, or by both, best first."""
        asked = await self._read(request, SearchRequest)
        source = self._query(asked.query or asked.like, asked.audio, asked.k)
        for name in ("without", "within", "tags", "collections", "formats"):
            self._check_many(name, getattr(asked, name) or ["-"])
            self._check_texts(name, getattr(asked, name) or [])
        where = asked.take(SearchFilter)
        found = await self._engine.search(
            asked.query, source, asked.k, where, without=asked.without, per=asked.per, by=asked.by, like=asked.like
        )
        return _json_response(
            SearchResponse(
                hits=[SearchHit(**{**hit.to_dict(), "unlikely": hit.unlikely or None}) for hit in found],
                nothing_likely=found.nothing_likely,
                left_out=found.left_out,
                unknown=found.unknown,
                by=found.by,
            )
        )

    async def moments(self, request: HttpRequest) -> Response:
        """Find where something is heard: in the recording that is given, or in the server's library."""
        asked = await self._read(request, MomentsRequest)
        if asked.queries:
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
                )
            )

        return await self._told(request, source, compute, heard=HEARD)

    async def _moments_of_each(self, request: HttpRequest, asked: MomentsRequest) -> Response:
        """Several questions about one recording, or about the library."""
        self._check_many("queries", asked.queries)
        self._check_texts("queries", asked.queries)
        queries = [*([] if asked.query is None else [asked.query]), *asked.queries]
        source = self._query(queries[0], asked.audio, asked.k, self._recording(asked))

        async def compute(progress: Progress | None) -> Response:
            if source is None:
                found = [await self._engine.moments(query, None, asked.k) for query in queries]
            else:
                found = await self._engine.moments_of_each(queries, source, asked.k, progress)
            each = list(zip(queries, found, strict=True))
            unknown = {one.word: one for _, some in each for one in some.unknown}
            given = source is not None
            return _json_response(
                MomentsResponse(
                    moments=[span for query, some in each for span in _spans(some, given=given, query=query)],
                    nothing_likely=all(some.nothing_likely for some in found),
                    left_out=max(some.left_out for some in found),
                    unknown=list(unknown.values()),
                )
            )

        return await self._told(request, source, compute, heard=HEARD)

    async def _told(
        self,
        request: HttpRequest,
        source: Source | None,
        compute: Callable[[Progress | None], Awaitable[Response]],
        **how: Any,
    ) -> Response:
        """What is computed; where lines are wanted, with how far it is until then."""
        if LINES not in request.headers.get("accept", ""):
            return await compute(None)
        progress = Progress(0.0 if source is None else source.length, **how)
        return answer_in_lines(request, progress, lambda: compute(progress))

    # -- checks --------------------------------------------------------------------------------------

    async def _read(self, request: HttpRequest, schema: type[S]) -> S:
        asked = await read_request(request, schema, self._settings)
        if asked.model is not None and not self._engine.goes_by(asked.model):
            raise RequestRefused(
                f"the model {asked.model[:100]!a} is not loaded; this server answers with {self._engine.name} "
                "(whoever runs it can make this name an alias)",
                404,
                "model_not_found",
            )
        return asked

    def _given(self, asked: HearingRequest) -> Source:
        """The sound that a request is about."""
        found = self._recording(asked)
        if found is None and asked.audio is None:
            raise RequestRefused("audio: field required, or the id of a recording", 400, "invalid_request")
        return source_of(asked.audio, "audio") if found is None else found  # type: ignore[arg-type]

    def _recording(self, asked: HearingRequest) -> Source | None:
        """The recording that a request names; it stays as long as the source does."""
        if asked.recording is None:
            return None
        found = self._recordings.get(asked.recording)
        most = self._settings.recording_seconds
        hold = lambda: self._recordings.hold(found)
        return Source(found.name, lambda: found.path, True, most, asked.track, found.seconds, hold)

    def _query(
        self, words: str | None, audio: str | bytes | None, k: int, recording: Source | None = None
    ) -> Source | None:
        if words is None and audio is None and recording is None:
            raise RequestRefused("there is nothing to look for; give query, audio, or both", 400, "invalid_request")
        if k > self._settings.results:
            raise RequestRefused(
                f"k is {k}; at most {count_noun(self._settings.results, 'result is', 'results are')} given",
                400,
                "invalid_request",
            )
        if words is not None:
            self._check_texts("query", [words])
        if recording is not None:
            return recording
        return None if audio is None else source_of(audio, "audio")

    def _check_many(self, name: str, items: Sequence[object]) -> None:
        if not 1 <= len(items) <= self._settings.items:
            raise RequestRefused(
                f"{name} holds {count_noun(len(items), 'item')}; 1 to {self._settings.items} are taken in one request",
                400,
                "invalid_request",
            )

    def _check_texts(self, name: str, texts: Sequence[Any]) -> None:
        most = self._settings.text_characters
        for text in texts:
            if not text.strip():
                raise RequestRefused(f"{name} holds an empty text; describe a sound in words", 400, "invalid_request")
            if len(text) > most:
                raise RequestRefused(
                    f"{name} holds a text of {len(text)} characters; at most {most} are taken", 400, "invalid_request"
                )


def _spans(found: Iterable[Moment], *, given: bool, query: str | None = None) -> list[Span]:
    """Moments as the answer has them; of a recording that was `given` in the request, without its path."""
    return [
        Span(
            query=query,
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
