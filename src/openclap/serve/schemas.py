"""What requests look like: one model each, which checks and documents the body of a route."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from openclap.clap import DEFAULT_TEMPLATE
from openclap.options import DescribeOptions, Rules, TimelineOptions, WatchOptions
from openclap.store import SearchFilter

__all__ = [
    "ClassifyRequest",
    "DescribeRequest",
    "EmbeddingsRequest",
    "MatchRequest",
    "MomentsRequest",
    "Request",
    "SearchRequest",
    "WatchRequest",
]

# 32 samples of a square wave: a real sound, short enough for an example
WAV = "data:audio/wav;base64,UklGRkQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YSAAAADAwMDAQEBAQMDAwMBAQEBAwMDAwEBAQEDAwMDAQEBAQA=="
# marks that `openapi` replaces by what the server's settings decide, or by what these types cannot say
TEXT, QUERY, SOUND, MODEL, FILE, GLOB = (
    {"format": f"openclap-{kind}"} for kind in ("text", "query", "sound", "model", "file", "glob")
)
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
ModelName = Annotated[
    Annotated[str, Field(json_schema_extra=MODEL)] | None,
    Field(description="The loaded model, as /v1/models names it, or 'default'; may be left out."),
]
Results = Annotated[int, Field(ge=1, json_schema_extra=RESULTS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
LEAST_HOP = 0.05  # seconds, of a timeline: ten minutes of sound are 12,000 windows at most
LONGEST_HOP = 60.0  # seconds


class Request(BaseModel):
    """A request; what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid")
    sounds: ClassVar[tuple[str, ...]] = ("audio",)  # fields that may be uploads, the first one also called "file"
    several: ClassVar[tuple[str, ...]] = ()  # fields that may be repeated in a form

    model: ModelName = None


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


class ClassifyRequest(Request):
    """Which of the labels fits a sound best."""

    several = ("labels",)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"audio": WAV, "labels": ["dog bark", "rain", "siren"]}]}
    )

    audio: Sound
    labels: Annotated[Texts, Field(description="In a form: repeated, or one value with commas between.")]
    template: Annotated[
        str,
        Field(
            description="The prompt; {} is the label.",
            max_length=1000,
            json_schema_extra={"pattern": r"^[^{}]*\{\}[^{}]*$"},
        ),
    ] = DEFAULT_TEMPLATE


class DescribeRequest(Request):
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

    audio: Sound
    labels: Annotated[
        Texts | None,
        Field(description="What may be heard; left out, AudioSet's 527 labels. In a form as in classify."),
    ] = None
    threshold: Annotated[
        float | None, Field(ge=0, le=1, description="Least confidence of a tag; left out, the model's own.")
    ] = None
    top: Annotated[int, Field(ge=1, le=100, description="Tags at most.")] = DescribeOptions.top
    alike: Annotated[
        Number, Field(description="Cosine from which two labels are one family; above 1 keeps them all.")
    ] = DescribeOptions.alike
    captions: Annotated[MaybeTexts, Field(description="Sentences of which the nearest are told too.")] = []
    nearest: Annotated[int, Field(ge=1, le=100, description="How many of the captions.")] = DescribeOptions.nearest
    timeline: Annotated[bool, Field(description="Span by span: what is heard from when to when.")] = False
    window: Annotated[
        float,
        Field(
            ge=0.1,
            le=LONGEST_HOP,
            json_schema_extra=WINDOW_SECONDS,
            description="Seconds heard at once, of a timeline.",
        ),
    ] = TimelineOptions.window
    hop: Annotated[
        float, Field(ge=LEAST_HOP, le=LONGEST_HOP, description="Seconds between windows, of a timeline.")
    ] = TimelineOptions.hop
    change: Annotated[float, Field(ge=0, le=1000, description="What a new span costs: more, fewer spans.")] = (
        TimelineOptions.change
    )
    language: Annotated[
        Literal["en", "zh"],
        Field(description="Of the sentences, and of AudioSet's labels; labels of your own stay as they are."),
    ] = "en"

    def options(self) -> DescribeOptions:
        """How the sound is described."""
        return DescribeOptions(**{one.name: getattr(self, one.name) for one in fields(DescribeOptions)})

    def spans(self) -> TimelineOptions | None:
        """How the timeline is made; None where none is asked for."""
        return TimelineOptions(self.window, self.hop, self.change) if self.timeline else None


class MatchRequest(Request):
    """How well texts fit a sound."""

    several = ("texts",)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"audio": WAV, "texts": ["a dog barking", "heavy rain"]}]}
    )

    audio: Sound
    texts: Texts


class SearchRequest(Request):
    """What in the server's library fits words, a sound, or both."""

    several = ("without", "within", "tags")
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "rain + wind -thunder", "k": 5},
                {"audio": WAV, "k": 5, "glob": "*.flac", "shortest": 2},
            ]
        },
    )

    query: Annotated[Words | None, Field(description='"rain + wind -thunder" wants both and not the third.')] = None
    audio: Sound | None = None
    k: Results = 10
    without: Annotated[MaybeTexts, Field(description="What should not be heard.")] = []
    per: Annotated[Literal["file", "window"], Field(description="One hit a file, or every window by itself.")] = "file"
    within: Annotated[
        Files | None, Field(description="Files and folders, named as in hits, that the results must lie in.")
    ] = None
    glob: Annotated[
        Annotated[str, Field(max_length=1000, json_schema_extra=GLOB)] | None,
        Field(description="A pattern for the name: *.wav, */rain/*"),
    ] = None
    shortest: Annotated[Number | None, Field(description="Length of the file, seconds.")] = None
    longest: Annotated[Number | None, Field(description="Length of the file, seconds.")] = None
    after: Annotated[Number | None, Field(description="Changed since, seconds since 1970.")] = None
    before: Annotated[Number | None, Field(description="Changed before, seconds since 1970.")] = None
    tags: Annotated[MaybeTexts, Field(description="Tags that the file must have, all of them.")] = []

    def filter(self) -> SearchFilter:
        """Which files may be found; paths and the pattern are below the library's folder."""
        within = None if self.within is None else tuple(self.within)
        return SearchFilter(
            within=within,
            path=self.glob,
            min_seconds=self.shortest,
            max_seconds=self.longest,
            after=self.after,
            before=self.before,
            tags=tuple(self.tags),
        )


class MomentsRequest(Request):
    """Where something is heard: in a sound that is given, or in the server's library."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "a dog barking", "k": 3}, {"query": "a siren", "audio": WAV}]},
    )

    query: Annotated[Words | None, Field(description="Words.")] = None
    audio: Annotated[
        Sound | None,
        Field(description="With words: the recording to look in. Without: a sound to look for in the library."),
    ] = None
    k: Results = 5


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
        Field(description="What was taught should be heard: names of the detectors that the server was given."),
    ] = []
    unusual: Annotated[bool, Field(description="Tell of anything unusual, without words, too.")] = False
    rate: Annotated[Number, Field(description="Of the samples, Hz.")]
    format: Annotated[str, Field(description="Of the samples: s16le, f32le, …", max_length=20)] = "s16le"
    channels: Annotated[int, Field(description="Interleaved; their mean is heard.")] = 1
    live: Annotated[
        bool, Field(description="The samples come from a microphone: where the model is too slow, windows are skipped.")
    ] = False
    name: Annotated[str, Field(description="What events call the source.", max_length=200)] = "<socket>"
    on: Annotated[Number, Field(description="An event begins at this confidence")] = Rules.on
    off: Annotated[Number, Field(description="and ends below this one.")] = Rules.off
    least: Annotated[Number, Field(description="Seconds that it must be heard for.")] = Rules.least
    cooldown: Annotated[Number, Field(description="Seconds before the same alert is told again.")] = Rules.cooldown
    longest: Annotated[Number, Field(description="Seconds after which what goes on is told.", le=300)] = Rules.longest
    window: Annotated[Number, Field(description="Seconds heard at once.")] = WatchOptions.window
    hop: Annotated[Number, Field(description="Seconds between two windows.")] = WatchOptions.hop
    warmup: Annotated[Number, Field(description="Seconds that are only learnt from.")] = WatchOptions.warmup
    when: Annotated[
        Literal["ended", "began", "both"],
        Field(description="Tell an event when it ended (all is known), began (at once), or both."),
    ] = "ended"

    def options(self) -> WatchOptions:
        """How the samples are watched.

        Raises
        ------
        UsageError
            Rules that contradict each other, or a number out of its range.
        """
        rules = Rules(self.on, self.off, self.least, self.cooldown, self.longest)
        return WatchOptions(rules, self.window, self.hop, self.warmup, self.unusual, self.when)
