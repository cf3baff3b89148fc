"""Bodies of requests → checked models, and what they call a sound → where its bytes come from.

    application/json      {"audio": "data:audio/wav;base64,…"}
    multipart/form-data   audio=@dog.wav (or file=@dog.wav)

A string is never opened as a path. Parsing is bounded by the size of the body alone, and done in a thread where that
is large.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request as HttpRequest
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from openclap.errors import RequestRefused
from openclap.serve.schemas import EmbeddingsRequest, Request
from openclap.serve.settings import ServeSettings
from openclap.serve.sources import Source

__all__ = ["decode_data_uri", "describe_fault", "is_data_uri", "read_request", "source_of"]

S = TypeVar("S", bound=Request)
T = TypeVar("T")

AT_ONCE = 1 << 16  # bytes that are parsed without a thread
PIECE = 1 << 20  # characters of base64 decoded at once: the interpreter can do something else between two
FIELD_BYTES = 1 << 20  # of a form's field that is no file
PARAMETERS = (  # Firefox writes a space: audio/ogg; codecs=opus
    r"(; ?[\w.+-]+=(\"[^\"]*\"|[^;,\"]*))*(?P<base64>; ?base64)?,"
)
SOUND_URI = re.compile(r"data:(audio|video|application)/[\w.+-]+" + PARAMETERS, re.IGNORECASE)
ANY_URI = re.compile(
    r"data:([\w.+-]+/[\w.+-]+)?" + PARAMETERS, re.IGNORECASE
)  # of any type, or of none, where only a sound can be meant
TOKENS = (
    "input holds token ids, which another model's tokenizer made; send texts: langchain's OpenAIEmbeddings needs "
    "check_embedding_ctx_length=False, "
    "other clients a setting that leaves texts whole"
)
COMMAS = re.compile("[,，、\n]")


async def read_request(request: HttpRequest, schema: type[S], settings: ServeSettings) -> S:
    """Read and check a body.

    Raises
    ------
    RequestRefused
        400 for what does not fit the schema, 413 for too much, 415 for another content type.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            limits = {"max_files": settings.items, "max_fields": 4 * settings.items + 32}
            async with request.form(**limits, max_part_size=FIELD_BYTES) as form:
                fields = await _read_form(form, schema)
            return schema.model_validate(_check_fields(fields, schema))
        if kind != "application/json":
            raise RequestRefused(
                f"the content type is {kind[:100]!a}; send application/json or multipart/form-data",
                415,
                "unsupported_content_type",
            )
        body = await request.body()
        return await run_in_thread_if(len(body) > AT_ONCE, lambda: _parse_json(body, schema))
    except ValidationError as error:
        raise RequestRefused(describe_fault(error), 400, "invalid_request") from None


def _parse_json(body: bytes, schema: type[S]) -> S:
    """Parse JSON into a checked model; unknown fields are refused first, by name, as there may be a million of them."""
    try:
        found = from_json(body)
    except ValueError as error:
        raise RequestRefused(f"the body is no JSON that can be read: {error}", 400, "invalid_request") from None
    if not isinstance(found, dict):
        raise RequestRefused(f"the body is {_kind_of(found)}; send an object, as {{…}}", 400, "invalid_request")
    if schema is EmbeddingsRequest and _holds_token_ids(found.get("input")):
        raise RequestRefused(TOKENS, 400, "token_ids")
    return schema.model_validate(_check_fields(found, schema))


def _check_fields(fields: dict[str, Any], schema: type[Request]) -> dict[str, Any]:
    """Return the fields of a body, or refuse those that the schema does not know."""
    fields = {schema.renamed.get(name, name): value for name, value in fields.items()}
    unknown = next((name for name in fields if name not in schema.model_fields), None)
    if unknown is not None:
        place = f"{unknown[:100]!a}".strip("'\"")
        raise RequestRefused(
            f"{place}: there is no such field; there are {', '.join(schema.model_fields)}", 400, "invalid_request"
        )
    return fields


def _kind_of(value: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _holds_token_ids(value: object) -> bool:
    """Whether the input is token ids: a list of numbers, or a list of such lists."""
    first = value[0] if isinstance(value, list) and value else None
    first = first[0] if isinstance(first, list) and first else first
    return isinstance(first, int) and not isinstance(first, bool)


async def run_in_thread_if(large: bool, call: Callable[[], T]) -> T:
    """Call a function in a thread if it may take long, else here."""
    return await run_in_threadpool(call) if large else call()


async def _read_form(form: FormData, schema: type[Request]) -> dict[str, Any]:
    """Read a form into the dict that the schema checks; files become bytes."""
    found: dict[str, Any] = {}
    for name, value in form.multi_items():
        name = schema.sounds[0] if name == "file" else name  # noqa: PLW2901
        if isinstance(value, UploadFile):
            if name not in schema.sounds:
                raise RequestRefused(
                    f"{name[:100]!a} is a file; only {schema.sounds[0]} may be one", 400, "invalid_request"
                )
            content: str | bytes = await value.read()
        else:
            content = value
        if name in schema.several:
            found.setdefault(name, []).append(content)
        elif name in found:
            raise RequestRefused(f"{name[:100]!a} is given twice; give it once", 400, "invalid_request")
        else:
            found[name] = content
    labels = found.get("labels")
    if labels is not None and len(labels) == 1:
        found["labels"] = [label.strip() for label in COMMAS.split(labels[0]) if label.strip()]
    return found


def describe_fault(error: ValidationError) -> str:
    """Say in one sentence what is wrong with a body."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    place = ".".join(str(part) for part in faults[0]["loc"] if part not in ("str", "bytes", "list[union[str,bytes]]"))
    more = len({fault["loc"][:1] for fault in faults}) - 1
    kind, message = faults[0]["type"], faults[0]["msg"]
    if kind == "json_invalid":
        return f"the body is no JSON that can be read: {message.removeprefix('Invalid JSON: ')}"
    if kind == "extra_forbidden":
        message = "there is no such field"
    where = f"{place[:100]!a}".strip("'\"") if place else "the body"
    return f"{where}: {message[:1].lower()}{message[1:]}" + (f" (and {more} more)" if more > 0 else "")


def is_data_uri(text: str) -> bool:
    """Whether a text is a sound in a data URI."""
    return SOUND_URI.match(text[:300]) is not None


def source_of(value: str | bytes, name: str) -> Source:
    """Where the bytes of a sound come from: an upload or a data URI.

    Raises
    ------
    RequestRefused
        For any other string: no path is opened, no URL fetched.
    """
    if isinstance(value, bytes):
        return Source(name, lambda: value)
    if ANY_URI.match(value[:300]):
        return Source(name, lambda: decode_data_uri(value, name))
    if value[:8].lower().startswith(("http://", "https://")):
        raise RequestRefused(
            f"{name} is a URL, and this server fetches none; give a data URI or upload the file", 403, "url_not_allowed"
        )
    raise RequestRefused(
        f"{name} is no sound; give a data URI as data:audio/wav;base64,… or upload a file as multipart/form-data "
        "(a path is never opened)",
        400,
        "invalid_audio",
    )


def decode_data_uri(uri: str, name: str) -> bytes:
    """Decode a data URI in base64 into its bytes.

    Raises
    ------
    RequestRefused
        Not in base64, or wrong base64.
    """
    head = ANY_URI.match(uri[:300])
    if head is None or head["base64"] is None:
        raise RequestRefused(
            f"{name} is a data URI that is not in base64; give data:audio/wav;base64,…", 400, "invalid_audio"
        )
    start, pieces = head.end(), []
    try:
        for at in range(start, len(uri), PIECE):
            piece = uri[at : at + PIECE]
            if "=" in piece and at + PIECE < len(uri):
                raise binascii.Error("padding in the middle")
            pieces.append(base64.b64decode(piece, validate=True))
    except ValueError as error:  # binascii.Error, or what is no ASCII
        raise RequestRefused(
            f"{name} holds wrong base64 ({str(error).rstrip('.')[:100]}); encode it anew, in the alphabet that has +"
            " and /, without line breaks",
            400,
            "invalid_audio",
        ) from None
    return b"".join(pieces)
