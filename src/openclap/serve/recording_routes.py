"""The routes of recordings: uploaded once, drawn, played, asked about by their id; and what was found, as files."""

from __future__ import annotations

import base64
import os
from pathlib import PurePath
from typing import Any, TypeVar

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from openclap.describe.formats import EXPORTS
from openclap.errors import RequestRefused
from openclap.http.headers import Message
from openclap.results import Span, Tag
from openclap.serve.byte_ranges import disposition, file_content, ranged_response
from openclap.serve.engine import Engine
from openclap.serve.inputs import describe_fault, read_request
from openclap.serve.progress import LINES, Progress, answer_in_lines
from openclap.serve.recording_pictures import draw_peaks, draw_spectrogram
from openclap.serve.recording_schemas import (
    ExportSpansRequest,
    PartQuery,
    PictureQuery,
    RecordingFromLibrary,
    SpanQuery,
)
from openclap.serve.recordings import Recording, Recordings, Upload
from openclap.serve.responses import ErrorResponse, PeaksOfRecording, RecordingResponse, RecordingTrack
from openclap.serve.wav_content import wav_content

__all__ = ["add_recording_routes"]

Q = TypeVar("Q", bound=SpanQuery)

PIECE = 1 << 20  # bytes that are written at once
KINDS = {  # of an export: the format of `describe.formats`, and the media type
    "csv": (".csv", "text/csv"),
    "json": (".json", "application/json"),
    "srt": (".srt", "application/x-subrip"),
    "vtt": (".vtt", "text/vtt"),
    "audacity": (".txt", "text/plain"),
}
FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": what}
    for status, what in {
        400: "The request is wrong; the message says how",
        404: "There is no such recording, or no longer",
        413: "Too large, or too long",
        422: "It is no sound",
        429: "Busy: try again after Retry-After",
        503: "There is no room for another",
    }.items()
}


BYTES = {"type": "string", "format": "binary"}
UPLOAD: dict[str, Any] = {
    "parameters": [{"name": "name", "in": "query", "schema": {"type": "string"}, "description": "Of bare bytes"}],
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": BYTES},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}},
            "application/json": {"schema": RecordingFromLibrary.model_json_schema()},
        },
    },
}
AUDIO: dict[str, Any] = {
    "parameters": [
        {"name": "as", "in": "query", "schema": {"enum": ["wav"]}, "description": "Decoded"},
        {"name": "download", "in": "query", "schema": {"type": "boolean"}, "description": "To be saved"},
    ]
}


def add_recording_routes(router: APIRouter, engine: Engine, recordings: Recordings) -> None:
    """Add them to the routes of an engine."""
    api = _RecordingRoutes(engine, recordings)
    one = "/v1/recordings/{id}"
    span = ("start", "end")
    for path, method, does, answer, extra in (
        ("/v1/recordings", "POST", api.upload, RecordingResponse, UPLOAD),
        (one, "GET", api.tell, RecordingResponse, {}),
        (f"{one}/audio", "GET", api.send_audio, None, AUDIO),
        (f"{one}/part", "GET", api.send_part, None, _parameters(*span, "track")),
        (f"{one}/peaks", "GET", api.draw_peaks, PeaksOfRecording, _parameters(*span, "count")),
        (f"{one}/spectrogram", "GET", api.draw_spectrogram, None, _parameters(*span, "width", "height")),
        ("/v1/export", "POST", api.export, None, _export_body()),
    ):
        router.add_api_route(
            path,
            does,
            methods=[method],
            response_model=answer,
            responses=FAULTS,
            tags=["recordings"],
            openapi_extra=extra,
        )


def _export_body() -> dict[str, Any]:
    schema = ExportSpansRequest.model_json_schema()
    schema["properties"]["spans"]["items"] = schema.pop("$defs")["ExportSpan"]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _parameters(*names: str) -> dict[str, Any]:
    known = {**PictureQuery.model_json_schema()["properties"], **PartQuery.model_json_schema()["properties"]}
    return {"parameters": [{"name": name, "in": "query", "schema": known[name]} for name in names]}


class _RecordingRoutes:
    """Each reads its request, asks the recordings one thing, and answers."""

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        self._engine, self._recordings = engine, recordings

    async def upload(self, request: HttpRequest) -> Response:
        """Upload a recording once, to ask about it by its id: a form's `file`, the bytes themselves with `?name=`, or the `path` of a sound of the library in JSON."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with self._recordings.begin() as upload:
            if kind == "multipart/form-data":
                name = await self._read_form(request, upload)
            elif kind == "application/json":
                name = await self._copy(request, upload)
            else:
                name = request.query_params.get("name", "")
                await _write_all(request, upload)
            found = await run_in_threadpool(upload.keep, name)
        return _facts(found)

    async def tell(self, id: str) -> Response:
        """What is known of a recording."""
        return _facts(self._recordings.get(id))

    async def send_audio(self, id: str, request: HttpRequest) -> Response:
        """The recording as it was uploaded, or any part of it; with `as=wav`, decoded; with `download=true`, to be saved."""
        found = self._recordings.get(id)
        form, download = request.query_params.get("as", ""), request.query_params.get("download", "")
        if form not in ("", "wav") or download not in ("", "true", "false"):
            raise RequestRefused("as may be wav, and download true or false", 400, "invalid_request")
        file = await run_in_threadpool(found.path.open, "rb")
        now = os.fstat(file.fileno())
        content, name = file_content(file, now.st_size, now.st_mtime_ns), found.name
        if form == "wav":
            content = wav_content(file, found.seconds, f'{content.tag[:-1]}-wav"', file.close)
            name = f"{PurePath(name).stem}.wav"
        return ranged_response(
            request, content, {"Content-Disposition": disposition(name, download=download == "true")}
        )

    async def draw_peaks(self, id: str, request: HttpRequest) -> Response:
        """The waveform from `start` to `end`: the loudest of each of `count` parts, 0 to 255, in base64.

        Where lines are asked for, how far it is.
        """
        found, asked = self._recordings.get(id), _read_query(request, PictureQuery)
        start, end = _span(found, asked)
        progress = Progress(found.seconds)

        async def compute() -> Response:
            peaks = await draw_peaks(self._recordings, found, start, end, asked.count, progress.tell_seconds)
            answer = PeaksOfRecording(peaks=base64.b64encode(peaks.tobytes()).decode())
            return Response(answer.model_dump_json(), media_type="application/json")

        if LINES in request.headers.get("accept", ""):
            return answer_in_lines(request, progress, compute)
        return await compute()

    async def draw_spectrogram(self, id: str, request: HttpRequest) -> Response:
        """The mel spectrogram from `start` to `end`, 50 Hz to 10 kHz, as a PNG of `width` times `height`.

        Where lines are asked for, how far it is; the `result` then holds the `png` in base64.
        """
        found, asked = self._recordings.get(id), _read_query(request, PictureQuery)
        start, end = _span(found, asked)
        size, progress = (asked.width, asked.height), Progress(found.seconds)

        async def draw() -> bytes:
            return await draw_spectrogram(self._recordings, found, start, end, *size, progress.tell_seconds)

        async def compute() -> Response:
            return JSONResponse({"png": base64.b64encode(await draw()).decode()})

        if LINES in request.headers.get("accept", ""):
            return answer_in_lines(request, progress, compute)
        return Response(await draw(), media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    async def send_part(self, id: str, request: HttpRequest) -> Response:
        """The recording from `start` to `end` as WAV of 24 bits, with its own rate and channels, to be saved."""
        found, asked = self._recordings.get(id), _read_query(request, PartQuery)
        start, end = _span(found, asked)
        most = self._engine.settings.recording_bytes
        file = await self._recordings.draw(
            found, lambda gone: found.open_part(start, end, asked.track, most, gone), drop=lambda file: file.close()
        )
        now = os.fstat(file.fileno())
        name = f"{PurePath(found.name).stem} {start:.2f}-{end:.2f}.wav"
        headers = {"Content-Disposition": disposition(name, download=True)}
        return ranged_response(request, file_content(file, now.st_size, now.st_mtime_ns), headers)

    async def export(self, request: HttpRequest) -> Response:
        """Spans with their labels as a file: CSV, subtitles, labels of Audacity, JSON."""
        asked = await read_request(request, ExportSpansRequest, self._engine.settings)
        ending, kind = KINDS[asked.format]
        spans = [
            Span(one.start, one.end, one.label, one.score, [Tag(one.label, one.score, 0.0)] if one.label else [])
            for one in asked.spans
        ]
        text = await run_in_threadpool(EXPORTS[ending], spans, asked.name)
        stem = PurePath(asked.name.replace("\\", "/")).stem or "sound"
        headers = {"Content-Disposition": disposition(f"{stem}{ending}", download=True)}
        return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)

    # -- inside ----------------------------------------------------------------------------------------

    async def _read_form(self, request: HttpRequest, upload: Upload) -> str:
        """The one file of a form; its size counts while it comes."""
        got, most = 0, self._engine.settings.recording_bytes + PIECE

        async def counted() -> Message:
            nonlocal got
            message = await request.receive()
            got += len(message.get("body", b""))
            if got > most:
                raise upload.too_large()
            return message

        form_request = HttpRequest(request.scope, counted)
        async with form_request.form(max_files=1, max_fields=4) as form:
            file = form.get("file") or form.get("audio")
            if not isinstance(file, UploadFile):
                raise RequestRefused("the form holds no file; send one as file=@sound.wav", 400, "invalid_request")
            while part := await file.read(PIECE):
                await run_in_threadpool(upload.write, part)
            return file.filename or ""

    async def _copy(self, request: HttpRequest, upload: Upload) -> str:
        """A sound of the library, as it was indexed."""
        asked = await read_request(request, RecordingFromLibrary, self._engine.settings)
        files: Any = getattr(self._engine, "files", None)
        if files is None:
            raise RequestRefused("this server has no library; whoever runs it can give it one", 503, "no_library")
        sound = await files.open(asked.path)

        def copy() -> None:
            with sound.handle as file:
                file.seek(0)
                while part := file.read(PIECE):
                    upload.write(part)

        await run_in_threadpool(copy)
        return asked.path


async def _write_all(request: HttpRequest, upload: Upload) -> None:
    """Write a body that is the recording itself, some at a time, so that the event loop never waits for the disk."""
    parts: list[bytes] = []
    async for part in request.stream():
        parts.append(part)
        if sum(map(len, parts)) >= PIECE:
            await run_in_threadpool(upload.write, b"".join(parts))
            parts.clear()
    await run_in_threadpool(upload.write, b"".join(parts))


def _read_query(request: HttpRequest, schema: type[Q]) -> Q:
    """Read and check the parameters of an address; an empty one counts as none."""
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise RequestRefused(describe_fault(error), 400, "invalid_request") from None


def _span(recording: Recording, asked: SpanQuery) -> tuple[float, float]:
    """The seconds that are asked for, within the recording."""
    end = recording.seconds if asked.end is None else min(asked.end, recording.seconds)
    if not asked.start < end:
        raise RequestRefused(
            f"start is {asked.start:g} and end {end:g}; give an earlier start: the recording is {recording.seconds:g} s long",
            400,
            "invalid_request",
        )
    return asked.start, end


def _facts(one: Recording) -> Response:
    tracks = [RecordingTrack(index=t.index, title=t.title, language=t.language) for t in one.tracks]
    answer = RecordingResponse(id=one.id, name=one.name, seconds=one.seconds, tracks=tracks, silent=one.silent)
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})
