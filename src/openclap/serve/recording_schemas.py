"""What requests about recordings look like: which one, which part of it, and spans of it that should be a file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from openclap.serve.schemas import Number, Request

__all__ = ["ExportSpan", "ExportSpansRequest", "PartQuery", "PictureQuery", "RecordingFromLibrary", "SpanQuery"]


class RecordingFromLibrary(Request):
    """A sound of the library that is asked about as a recording."""

    sounds = ()

    path: Annotated[str, Field(description="As hits name it.", min_length=1, max_length=4096)]


class SpanQuery(BaseModel):
    """Which part of a recording is meant."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[Number, Field(ge=0)] = 0.0
    end: Annotated[Number, Field(gt=0)] | None = None


class PartQuery(SpanQuery):
    """Which part of a recording is saved, and of which of its tracks, counted from 1."""

    track: Annotated[int, Field(ge=1)] | None = None


class PictureQuery(SpanQuery):
    """Which part of a recording is drawn, and how large."""

    count: Annotated[int, Field(ge=1, le=10_000)] = 1000
    width: Annotated[int, Field(ge=1, le=4000)] = 1000
    height: Annotated[int, Field(ge=1, le=1000)] = 96


class ExportSpan(BaseModel):
    """From `start` to `end`, in seconds; a `label` that is null is left out of subtitles."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[Number, Field(ge=0)]
    end: Annotated[Number, Field(ge=0)]
    label: Annotated[str, Field(max_length=1000)] | None = None
    score: Annotated[Number, Field(ge=-1, le=1)] = 0.0


class ExportSpansRequest(Request):
    """Spans that should be a file."""

    sounds = ()

    spans: Annotated[list[ExportSpan], Field(fail_fast=True, max_length=100_000)]
    format: Literal["csv", "srt", "vtt", "audacity", "json"]
    name: Annotated[str, Field(description="What the recording is called.", max_length=200)] = "sound"
