"""The routes of the library: its files are listed, counted, drawn, played, tagged and taken along."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, TypeVar

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from openclap.errors import RequestRefused
from openclap.library.listing import ListedFile
from openclap.serve.byte_ranges import disposition, file_content, ranged_response
from openclap.serve.engine import Engine
from openclap.serve.inputs import describe_fault, read_request
from openclap.serve.library_export import export_csv, export_playlist, export_zip
from openclap.serve.library_files import LibraryFiles, OpenSound
from openclap.serve.library_schemas import (
    AudioQuery,
    Count,
    ExportQuery,
    ExportRequest,
    FacetsQuery,
    FacetsResponse,
    FilesQuery,
    FilesResponse,
    FoldersQuery,
    FoldersResponse,
    IndexRequest,
    JourneyRequest,
    LibraryResponse,
    MapCluster,
    MapPoint,
    MapResponse,
    PeaksQuery,
    PeaksResponse,
    Sound,
    TagsRequest,
    TagsResponse,
    parameters_of,
    schema_of,
)
from openclap.serve.responses import ErrorResponse, JourneyResponse, JourneyStep
from openclap.serve.schemas import Request
from openclap.serve.wav_content import wav_content

__all__ = ["add_library_routes"]

S = TypeVar("S", bound=Request)
FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": what}
    for status, what in {
        400: "The request is wrong; the message says how",
        403: "It may not be had, or not be changed, here",
        404: "The library holds no such sound",
        429: "Busy: try again after Retry-After",
        503: "There is no library",
    }.items()
}
SOUND = {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}
LINES = "application/x-ndjson"
MOST_UPLOADS = 1000  # files of a request
PART: dict[int | str, dict[str, Any]] = {
    206: {"description": "A part of it, as Range asked"},
    416: {"description": "There is no such part"},
}


UPLOADS = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            "required": ["files"],
        }
    }
}


def add_library_routes(router: APIRouter, engine: Engine) -> None:
    """Add the routes of the library of one engine."""
    api = _LibraryRoutes(engine)
    for path, query, answer, does in (
        ("", None, LibraryResponse, api.library),
        ("/files", FilesQuery, FilesResponse, api.list_files),
        ("/facets", FacetsQuery, FacetsResponse, api.count_facets),
        ("/peaks", PeaksQuery, PeaksResponse, api.draw_peaks),
        ("/map", FacetsQuery, MapResponse, api.draw_map),
        ("/folders", FoldersQuery, FoldersResponse, api.list_folders),
    ):
        extra = {} if query is None else {"parameters": parameters_of(query)}
        router.add_api_route(
            f"/v1/library{path}", does, methods=["GET"], response_model=answer, responses=FAULTS, tags=["library"], openapi_extra=extra
        )  # fmt: skip
    router.add_api_route(
        "/v1/library/audio",
        api.send_audio,
        methods=["GET"],
        response_class=Response,
        responses={**FAULTS, 200: {"description": "The file", **SOUND}, **PART},
        tags=["library"],
        openapi_extra={"parameters": parameters_of(AudioQuery)},
    )
    router.add_api_route(
        "/v1/library/export", api.send_export, methods=["GET"], response_class=Response, responses=FAULTS, tags=["library"],
        openapi_extra={"parameters": parameters_of(ExportQuery)},
    )  # fmt: skip
    for path, schema, model, change in (
        ("/v1/journey", JourneyRequest, JourneyResponse, api.journey),
        ("/v1/library/tags", TagsRequest, TagsResponse, api.change_tags),
        ("/v1/library/export", ExportRequest, None, api.export),
        ("/v1/library/index", IndexRequest, None, api.index),
    ):
        content: dict[str, Any] = {"application/json": {"schema": schema_of(schema)}}
        body = {"required": True, "content": content if schema is not IndexRequest else {**content, **UPLOADS}}
        router.add_api_route(
            path, change, methods=["POST"], response_model=model, responses=FAULTS, tags=["library"], openapi_extra={"requestBody": body}
        )  # fmt: skip


class _LibraryRoutes:
    """Each reads its request, asks the library one thing, and answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings = engine.settings

    @property
    def _files(self) -> LibraryFiles:
        if self._engine.files is None:
            raise RequestRefused("this server has no library; whoever runs it can give it one", 503, "no_library")
        return self._engine.files

    async def library(self) -> Response:
        """What the library holds, and whether you may change it."""
        facts, manage = await self._files.facts(), self._settings.manage
        roots = self._files.served.titles if manage and self._files.roots else []
        return _json(
            LibraryResponse(
                files=facts.files,
                windows=facts.windows,
                seconds=facts.seconds,
                model=facts.model,
                writable=manage,
                roots=roots,
            )
        )

    async def list_files(self, request: HttpRequest) -> Response:
        """The files of the library, page by page, filtered and sorted."""
        asked = read_query(request, FilesQuery)
        if asked.path:
            found = await self._files.named(asked.path)
            total = len(found)
        else:
            total, found = await self._files.page(
                asked.where, asked.sort, descending=asked.order == "desc", offset=asked.offset, limit=asked.limit
            )
        return _json(FilesResponse(total=total, files=await self._sounds(found)))

    async def count_facets(self, request: HttpRequest) -> Response:
        """How many files there are in each folder, of each format, with each tag, in each collection."""
        found = await self._files.facets(read_query(request, FacetsQuery).where)
        return _json(FacetsResponse(**{name: _counts(counts) for name, counts in vars(found).items()}))

    async def draw_peaks(self, request: HttpRequest) -> Response:
        """The waveforms of some files."""
        found = await self._files.peaks(read_query(request, PeaksQuery).path)
        return _json(PeaksResponse(peaks={name: base64.b64encode(one).decode() for name, one in found.items()}))

    async def draw_map(self, request: HttpRequest) -> Response:
        """Where files lie on a plane on which near ones sound alike, and what their groups are called."""
        points, clusters = await self._files.map(read_query(request, FacetsQuery).where, self._engine.maps)
        return _json(
            MapResponse(
                points=[MapPoint(path=name, x=one.x, y=one.y, cluster=one.cluster) for name, one in points],
                clusters=[MapCluster(**vars(one)) for one in clusters],
            )
        )

    async def send_audio(self, request: HttpRequest) -> Response:
        """A file of the library itself, or any part of it, or decoded as WAV."""
        asked = read_query(request, AudioQuery)
        sound = await self._files.open(asked.path)
        return await self._files.read(lambda: _send(request, sound, asked))

    async def change_tags(self, request: HttpRequest) -> Response:
        """Put tags on files, and take others off; put files into collections, and take them out of others."""
        asked = await read_request(request, TagsRequest, self._settings)
        changed = await self._files.tag(
            asked.paths, asked.add, asked.remove, collect=asked.collect, uncollect=asked.uncollect
        )
        return _json(TagsResponse(changed=changed))

    async def export(self, request: HttpRequest) -> Response:
        """Some files as one: a ZIP of them, a playlist, or a table."""
        asked = await read_request(request, ExportRequest, self._settings)
        return await self._export(asked.paths, asked.format)

    async def send_export(self, request: HttpRequest) -> Response:
        """The same by an address alone, for a few files."""
        asked = read_query(request, ExportQuery)
        return await self._export(asked.path, asked.format)

    async def _export(self, names: Sequence[str], form: str) -> Response:
        headers = {"Content-Disposition": disposition(f"openclap.{form}", download=True)}
        if form == "zip":
            files = await self._files.find(names)
            return StreamingResponse(export_zip(self._files, _some(files)), 200, headers, "application/zip")
        listed = _some(await self._files.named(names))
        if form == "m3u8":
            text = export_playlist(listed, absolute=self._settings.manage)
            return Response(text, 200, headers, "audio/x-mpegurl; charset=utf-8")
        return Response(export_csv(listed), 200, headers, "text/csv; charset=utf-8")

    async def journey(self, request: HttpRequest) -> Response:
        """Recordings of the library that lead from one sound to another by equal steps."""
        asked = await read_request(request, JourneyRequest, self._settings)
        self._files  # noqa: B018 -- refuses where there is no library
        found = await self._engine.journey(asked.start, asked.end, asked.n)
        steps = [JourneyStep(**{**step.to_dict(), "unlikely": step.unlikely or None}) for step in found]
        unknown, understood = found.unknown, found.understood
        answer = JourneyResponse(steps=steps, left_out=found.left_out, unknown=unknown, understood=understood)
        return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")

    async def list_folders(self, request: HttpRequest) -> Response:
        """The folders of this machine that may be indexed, for the owner."""
        asked = read_query(request, FoldersQuery)
        self._files.require_manager()
        indexing = self._engine.indexing
        return _json(FoldersResponse(folders=await self._files.read(lambda: indexing.folders(asked.inside))))

    async def index(self, request: HttpRequest) -> Response:
        """Index a folder, or uploads, for the owner: a line a step, `{"done", "total"}`, the last one is the report.

        Closing the request stops it; what is finished stays in the library.
        """
        self._files.require_manager()
        indexing = self._engine.indexing
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            asked = await read_request(request, IndexRequest, self._settings)
            lines = await self._files.read(lambda: indexing.index_folder(asked.folder))
            return StreamingResponse(lines, media_type=LINES)
        try:
            async with request.form(max_files=MOST_UPLOADS, max_fields=0) as form:
                given = [
                    (one.filename or "sound", one.file) for one in form.getlist("files") if not isinstance(one, str)
                ]
                lines = await self._files.read(lambda: indexing.index_uploads(given))
        except ClientDisconnect:
            return Response(status_code=499)
        return StreamingResponse(lines, media_type=LINES)

    async def _sounds(self, files: Sequence[ListedFile]) -> list[Sound]:
        reasons = await self._files.why_not_played(files)
        return [
            Sound(
                path=file.path,
                name=file.name,
                folder=file.folder,
                seconds=file.seconds,
                format=file.format,
                tags=list(file.tags),
                collections=list(file.collections),
                modified=file.modified,
                playable=why is None,
                why=why,
            )
            for file, why in zip(files, reasons, strict=True)
        ]


def read_query(request: HttpRequest, schema: type[S]) -> S:
    """Read and check the parameters of an address; an empty one counts as none.

    Raises
    ------
    RequestRefused
        400 for what does not fit the schema.
    """
    found: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        field = schema.renamed.get(name, name)
        if field not in schema.model_fields or field == "model":
            known = ", ".join(one for one in schema.model_fields if one != "model")
            raise RequestRefused(f"there is no parameter {name[:100]!a}; there are {known}", 400, "invalid_request")
        if not value:
            continue
        if field in schema.several:
            found.setdefault(field, []).append(value)
        elif field in found:
            raise RequestRefused(f"{name} is given twice; give it once", 400, "invalid_request")
        else:
            found[field] = value
    try:
        return schema.model_validate(found)
    except ValidationError as error:
        raise RequestRefused(describe_fault(error), 400, "invalid_request") from None


def _send(request: HttpRequest, sound: OpenSound, asked: AudioQuery) -> Response:
    """The answer with an open sound, which it closes."""
    now = os.fstat(sound.handle.fileno())
    name = PurePath(sound.name).name
    content = file_content(sound.handle, now.st_size, now.st_mtime_ns)
    if asked.form == "wav":
        tag = f'{content.tag[:-1]}-wav"'
        content = wav_content(sound.handle, sound.file.seconds, tag, sound.handle.close)
        name = f"{PurePath(name).stem}.wav"
    return ranged_response(request, content, {"Content-Disposition": disposition(name, download=asked.download)})


def _some(files: Any) -> Any:
    if not files:
        raise RequestRefused("the library holds none of these files", 404, "sound_not_found")
    return files


def _counts(counts: Sequence[tuple[str, int]]) -> list[Count]:
    return [Count(value=value, count=count) for value, count in counts]


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")
