"""What requests look like: one model each, which checks and documents the body of a route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import SkipJsonSchema

from openclap.clap import DEFAULT_TEMPLATE
from openclap.options import (
    OLD_FILTER_NAMES,
    DescribeOptions,
    Rules,
    SearchFilter,
    TimelineOptions,
    WatchOptions,
    option_fields,
)

__all__ = [
    "ClassifyRequest",
    "DescribeRequest",
    "EmbeddingsRequest",
    "HearingRequest",
    "LoadRequest",
    "MatchRequest",
    "MomentsRequest",
    "Request",
    "SearchRequest",
    "WatchRequest",
]

# 32 samples of a square wave: a real sound, short enough for an example
WAV = "data:audio/wav;base64,UklGRkQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YSAAAADAwMDAQEBAQMDAwMBAQEBAwMDAwEBAQEDAwMDAQEBAQA=="
# marks that `openapi` replaces by what the server's settings decide, or by what these types cannot say
TEXT, QUERY, SOUND, MODEL, FILE, GLOB, NAME = (
    {"format": f"openclap-{kind}"} for kind in ("text", "query", "sound", "model", "file", "glob", "name")
)
DETECTOR = {"format": "openclap-detector"}
SOME, MANY, RESULTS, SIZE, WINDOW_SECONDS = (
    {"format": f"openclap-{kind}"} for kind in ("some", "many", "results", "size", "window")
)
Text = Annotated[str, Field(json_schema_extra=TEXT)]
Words = Annotated[str, Field(json_schema_extra=QUERY)]
Uri = Annotated[
    str,
    Field(
        json_schema_extra=SOUND,
        description=(
            "A data URI (data:audio/wav;base64,…), any format; in multipart/form-data, a file. Never a URL or a path."
        ),
        examples=[WAV],
    ),
]
Sound = Uri | SkipJsonSchema[bytes]  # bytes are uploads
# the first fault of a list is enough: a body of 2 MB had a million of them, which took half a minute and 2.6 GB to tell
Texts = Annotated[list[Text], Field(fail_fast=True, json_schema_extra=SOME)]
MaybeTexts = Annotated[list[Text], Field(fail_fast=True, json_schema_extra=MANY)]
Files = Annotated[list[Annotated[str, Field(json_schema_extra=FILE)]], Field(fail_fast=True, json_schema_extra=MANY)]
DetectorName = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=DETECTOR)]
DetectorNames = Annotated[list[DetectorName], Field(fail_fast=True, json_schema_extra=MANY)]
ModelName = Annotated[
    Annotated[str, Field(json_schema_extra=MODEL)] | None,
    Field(description="The loaded model, as /v1/models names it, or 'default'; may be left out."),
]
Results = Annotated[int, Field(ge=1, json_schema_extra=RESULTS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
S = TypeVar("S", bound="Request")
T = TypeVar("T")
SINCE_1970 = ", in seconds since 1970"
LEAST_HOP = 0.05  # seconds, of a timeline: ten minutes of sound are 12,000 windows at most
LONGEST_HOP = 60.0  # seconds


class Request(BaseModel):
    """A request; what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid")
    sounds: ClassVar[tuple[str, ...]] = ("audio",)  # fields that may be uploads, the first one also called "file"
    several: ClassVar[tuple[str, ...]] = ()  # fields that may be repeated in a form
    renamed: ClassVar[dict[str, str]] = {}  # names that fields had before, and still go by

    model: ModelName = None

    def take(self, kind: type[T], **more: Any) -> T:
        """The options of one class that were asked for, and `more` of its fields."""
        names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
        given = {name: value for name, value in self if name in names}
        return kind(**{**given, **more})


def with_options(*kinds: type, **limits: Any) -> Callable[[type[S]], type[S]]:
    """Give a request a field for each option of some classes that it lacks; `limits`, by name, are this server's."""

    def extend(schema: type[S]) -> type[S]:
        found: dict[str, Any] = {}
        for kind in kinds:
            for name, (wanted, option) in option_fields(kind).items():
                if name in schema.model_fields:
                    continue
                about = {"ge": option.min, "le": option.max, "description": option.help + SINCE_1970 * option.time}
                finite = {"allow_inf_nan": False} if "float" in str(wanted) else {}
                limited: Any = Field(**{**about, **finite, **limits.get(name, {})})
                found[name] = Annotated[wanted, limited], getattr(kind, name)
        return create_model(schema.__name__, __base__=schema, __doc__=schema.__doc__, __module__=__name__, **found)

    return extend


class HearingRequest(Request):
    """A request about one sound: it comes along, or is a recording that was uploaded before."""

    audio: Sound | None = None
    recording: Annotated[
        str | None,
        Field(description="Instead of audio: the id of a recording (POST /v1/recordings).", max_length=100),
    ] = None
    track: Annotated[
        Annotated[int, Field(ge=1)] | None, Field(description="Of a recording: which of its tracks is heard.")
    ] = None


class EmbeddingsRequest(Request):
    """As OpenAI's, for texts and sounds."""

    sounds = ("input",)
    several = ("input",)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"input": ["a dog barking", "heavy rain"]},
                {"input": [WAV], "modality": "audio", "encoding_format": "base64"},
            ]
        },
    )

    input: Annotated[
        Text | Annotated[list[Text | SkipJsonSchema[bytes]], Field(fail_fast=True, json_schema_extra=SOME)],
        Field(description="A text, a data URI of a sound, or a list of them; in multipart/form-data, files."),
    ]
    modality: Annotated[
        Literal["auto", "text", "audio"],
        Field(
            description=(
                "auto: data URIs of audio, video or application are sounds, anything else is text. text: all are. "
                "audio: all are sounds."
            )
        ),
    ] = "auto"
    encoding_format: Annotated[
        Literal["float", "base64"], Field(description="base64: little-endian float32, as the openai client asks for")
    ] = "float"
    dimensions: Annotated[
        Annotated[int, Field(json_schema_extra=SIZE)] | None,
        Field(description="Only the model's own number: its embeddings cannot be shortened."),
    ] = None
    user: Annotated[str | None, Field(description="Ignored.")] = None


class ClassifyRequest(HearingRequest):
    """Which of the labels fits a sound best."""

    several = ("labels",)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"audio": WAV, "labels": ["dog bark", "rain", "siren"]}]}
    )

    labels: Annotated[Texts, Field(description="In a form: repeated, or one value with commas between.")]
    template: Annotated[
        str,
        Field(
            description="The prompt; {} is the label.",
            max_length=1000,
            json_schema_extra={"pattern": r"^[^{}]*\{\}[^{}]*$"},
        ),
    ] = DEFAULT_TEMPLATE


@with_options(
    DescribeOptions,
    TimelineOptions,
    top={"le": 100},
    nearest={"le": 100},
    window={"ge": 0.1, "le": LONGEST_HOP, "json_schema_extra": WINDOW_SECONDS},
    hop={"ge": LEAST_HOP, "le": LONGEST_HOP},
    change={"le": 1000},
)
class DescribeRequest(HearingRequest):
    """What is heard in a sound, in words; with `timeline`, from when to when."""

    several = ("labels", "captions")
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"audio": WAV},
                {
                    "audio": WAV,
                    "labels": ["dog bark", "rain", "siren"],
                    "captions": ["a dog in the rain", "a quiet night"],
                },
                {"audio": WAV, "timeline": True, "language": "zh"},
            ]
        },
    )

    labels: Annotated[
        Texts | None,
        Field(description="What may be heard; left out, AudioSet's 527 labels. In a form as in classify."),
    ] = None
    captions: Annotated[MaybeTexts, Field(description="Sentences of which the nearest are told too.")] = []
    timeline: Annotated[bool, Field(description="Span by span: what is heard from when to when.")] = False


class MatchRequest(HearingRequest):
    """How well texts fit a sound."""

    several = ("texts",)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"audio": WAV, "texts": ["a dog barking", "heavy rain"]}]}
    )

    texts: Texts


@with_options(SearchFilter, path={"max_length": 1000, "json_schema_extra": GLOB})
class SearchRequest(Request):
    """What in the server's library fits words, a sound, or both."""

    several = ("without", "within", "tags", "collections", "formats")
    renamed: ClassVar[dict[str, str]] = {**OLD_FILTER_NAMES, "format": "formats"}
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "rain + wind -thunder", "k": 5},
                {"audio": WAV, "k": 5, "path": "*.flac", "min_seconds": 2},
            ]
        },
    )

    query: Annotated[
        Words | None,
        Field(description='"rain + wind -thunder" wants both and not the third; "door" in quotes must be in a name.'),
    ] = None
    audio: Sound | None = None
    k: Results = 10
    without: Annotated[MaybeTexts, Field(description="What should not be heard.")] = []
    like: Annotated[
        Annotated[str, Field(json_schema_extra=NAME)] | None,
        Field(description="A file of the library, named as in hits: more like this. It is no hit itself."),
    ] = None
    detector: Annotated[
        DetectorName | None,
        Field(description="What was taught: a detector (GET /v1/detectors), or a draft; with words, for both."),
    ] = None
    formats: Annotated[
        MaybeTexts,
        Field(description="Ending of the name, as wav; may be repeated, then one of them. Also called format."),
    ] = []
    per: Annotated[Literal["file", "window"], Field(description="One hit a file, or every window by itself.")] = "file"
    by: Annotated[
        Literal["sound", "names", "both"],
        Field(description="By the cosine alone, by what files are called alone, or by the relevance of both."),
    ] = "both"
    within: Annotated[
        Files | None, Field(description="Files and folders, named as in hits, that the results must lie in.")
    ] = None
    tags: Annotated[MaybeTexts, Field(description="Tags that the file must have, all of them.")] = []
    collections: Annotated[MaybeTexts, Field(description="Collections that it must be in, all of them.")] = []


class MomentsRequest(HearingRequest):
    """Where something is heard: in a sound that is given, or in the server's library."""

    several = ("queries", "detectors")
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "a dog barking", "k": 3},
                {"query": "a siren", "audio": WAV},
                {"queries": ["rain", "a siren"], "audio": WAV},
            ]
        },
    )

    query: Annotated[Words | None, Field(description="Words.")] = None
    queries: Annotated[
        MaybeTexts,
        Field(description="Several questions at once, in words: each moment says which it answers."),
    ] = []
    detectors: Annotated[
        DetectorNames, Field(description="What was taught, beside words or alone: each moment says which heard it.")
    ] = []
    audio: Annotated[
        Sound | None,
        Field(description="With words: the recording to look in. Without: a sound to look for in the library."),
    ] = None
    k: Results = 5


class LoadRequest(Request):
    """The model that should answer from now on."""

    sounds = ()

    name: Annotated[str, Field(description="As GET /v1/page names it.", min_length=1, max_length=1000)]


@with_options(Rules, WatchOptions, longest={"le": 300})
class WatchRequest(Request):
    """The first message of a websocket: what to listen for, and what the samples after it are."""

    sounds = ()
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"alerts": ["glass breaking", "a baby crying"], "rate": 16000, "when": "both"}]
        },
    )

    alerts: Annotated[MaybeTexts, Field(description="What should be heard, in words.")] = []
    detectors: Annotated[
        MaybeTexts,
        Field(description="What was taught should be heard: names of detectors, as GET /v1/detectors has them."),
    ] = []
    rate: Annotated[Number, Field(description="Of the samples, Hz; needed, but for a recording.")] | None = None
    recording: (
        Annotated[
            str,
            Field(description="Instead of samples: the id of a recording that was uploaded before.", max_length=100),
        ]
        | None
    ) = None
    windows: Annotated[
        bool, Field(description="Tell every window, too: from when to when, and the confidence of each alert.")
    ] = False
    format: Annotated[str, Field(description="Of the samples: s16le, f32le, …", max_length=20)] = "s16le"
    channels: Annotated[int, Field(description="Interleaved; their mean is heard.")] = 1
    live: Annotated[
        bool, Field(description="The samples come from a microphone: where the model is too slow, windows are skipped.")
    ] = False
    name: Annotated[str, Field(description="What events call the source.", max_length=200)] = "<socket>"
