"""Bodies of requests as OpenAPI describes them: the schemas with the limits of this server.

A schema marks what is decided here by its format: `openclap-text` gets the longest text that is taken,
`openclap-some` how many of a list, and so on (`schemas`). Formats that stay say what no schema can: that a sound is
one, that a word is in the lexicon.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from openclap.serve.schemas import EmbeddingsRequest, HearingRequest, MomentsRequest, Request, SearchRequest
from openclap.serve.settings import ServeSettings

__all__ = ["body_of"]

Schema = dict[str, Any]

URI = (
    "^[dD][aA][tT][aA]:(audio|video|application)/[A-Za-z0-9_.+-]+(;[A-Za-z0-9_.+-]+=[^;,]*)*;base64,"
    "[A-Za-z0-9+/]+={0,2}$"
)
FILE = r"^(?!/)(?!(.*/)?\.\.(/|$))(?=[^\x00]*\S)[^\x00]*$"
ONE_OF_THEM = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("query", "audio")]


ONE_SOUND = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("audio", "recording")]


def body_of(
    schema: type[Request], settings: ServeSettings, *, size: int, seconds: float, names: Sequence[str]
) -> Schema:
    """The `requestBody` of a route: JSON, and a form whose sounds are files.

    Parameters
    ----------
    size
        Numbers of an embedding.
    seconds
        That the model hears at once.
    names
        What a request may call the model; "*" among them, anything.
    """
    described = schema.model_json_schema()
    examples = {f"example {i}": {"value": one} for i, one in enumerate(described.pop("examples", []), 1)}
    described = _fill_marks(_without_references(described), _marks_of(settings, size, seconds, names))
    file = {"type": "string", "format": "binary"}
    fields = {
        **described["properties"],
        **{name: {"type": "array", "items": file} if name in schema.several else file for name in schema.sounds},
    }
    form = {**described, "properties": fields}
    if schema is SearchRequest:
        more = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("like", "detector")]
        described["anyOf"] = [*ONE_OF_THEM, *more]
    if schema is MomentsRequest:
        lists = [{"required": [name], "properties": {name: {"minItems": 1}}} for name in ("queries", "detectors")]
        described["anyOf"] = [*ONE_OF_THEM, *lists]
    if issubclass(schema, HearingRequest) and schema is not MomentsRequest:
        described["anyOf"] = ONE_SOUND
    if schema is EmbeddingsRequest:
        described = _split_by_modality(described, settings.items)
    return {
        "required": True,
        "content": {
            "application/json": {"schema": described, "examples": examples},
            "multipart/form-data": {"schema": form},
        },
    }


def _marks_of(settings: ServeSettings, size: int, seconds: float, names: Sequence[str]) -> dict[str, Schema]:
    """The schema that replaces a mark of `schemas`."""
    text = {"minLength": 1, "maxLength": settings.text_characters, "pattern": r"\S"}
    return {
        "openclap-text": {**text, "format": "openclap-text"},
        "openclap-query": {**text, "format": "openclap-query"},
        "openclap-file": {**text, "format": "openclap-file", "pattern": FILE},
        "openclap-name": {**text, "format": "openclap-name", "pattern": FILE},
        "openclap-glob": {"pattern": r"^[^/\x00][^\x00]*$"},
        "openclap-sound": {"format": "openclap-sound", "pattern": URI, "maxLength": settings.body_bytes},
        "openclap-model": {} if "*" in names else {"enum": list(names)},
        "openclap-some": {"minItems": 1, "maxItems": settings.items},
        "openclap-many": {"maxItems": settings.items},
        "openclap-results": {"maximum": settings.results},
        "openclap-window": {"maximum": seconds},
        "openclap-size": {"enum": [size]},
    }


def _fill_marks(schema: Any, limits: dict[str, Schema]) -> Any:
    if isinstance(schema, list):
        return [_fill_marks(one, limits) for one in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {name: _fill_marks(value, limits) for name, value in schema.items()}
    found = limits.get(rest["format"]) if isinstance(rest.get("format"), str) else None
    if found is None:
        return rest
    del rest["format"]
    return rest | copy.deepcopy(found)


def _without_references(schema: Schema) -> Schema:
    """A schema whose definitions stand where they are used: those of a body are not found from the whole document."""
    parts = schema.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return filled(parts[value["$ref"].rpartition("/")[2]])
        return {name: filled(one) for name, one in value.items()}

    return dict(filled(schema))


def _split_by_modality(schema: Schema, most: int) -> Schema:
    """Make one schema for each `modality`, as what `input` may hold depends on it."""
    fields = schema["properties"]
    text = next(one for one in fields["input"]["anyOf"] if one["type"] == "string")
    plain = {**text, "not": {"pattern": "^[dD][aA][tT][aA]:"}}
    sound = {"type": "string", "format": "openclap-sound", "pattern": URI}
    some = {"type": "array", "minItems": 1, "maxItems": most}

    def variant(modality: str, one: Schema) -> Schema:
        kind = {**fields["modality"], "enum": [modality]}
        given = {**fields["input"], "anyOf": [one, {**some, "items": one}]}
        if modality != "auto":
            kind.pop("default", None)
        required = ["input"] if modality == "auto" else ["input", "modality"]
        return {**schema, "required": required, "properties": {**fields, "input": given, "modality": kind}}

    variants = [variant("auto", {"anyOf": [plain, sound]}), variant("text", text), variant("audio", sound)]
    return {"title": schema["title"], "description": schema.get("description", ""), "anyOf": variants}
