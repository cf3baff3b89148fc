"""What routes that hear something share: the request, the sound that it is about, its limits, an answer line by line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request as HttpRequest
from fastapi import Response

from openclap.errors import RequestRefused
from openclap.plurals import count_noun
from openclap.serve.engine import Engine, Source
from openclap.serve.inputs import read_request, source_of
from openclap.serve.openapi import body_of
from openclap.serve.progress import LINES, Progress, answer_in_lines
from openclap.serve.recordings import Recordings
from openclap.serve.schemas import HearingRequest, Request

__all__ = ["RequestReader"]

S = TypeVar("S", bound=Request)


class RequestReader:
    """Reads requests for one engine."""

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        self._engine, self._recordings = engine, recordings
        self._settings = engine.settings

    def body_of(self, schema: type[Request]) -> dict[str, Any]:
        """Describe the body of a route for OpenAPI."""
        config = self._engine.clap.config
        seconds, names = config.front_end.clip_seconds, self._engine.names
        return body_of(schema, self._settings, size=config.embedding, seconds=seconds, names=names)

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
