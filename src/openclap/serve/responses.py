"""What answers look like: one model each, which documents and serialises the answer of a route."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from openclap.results import Label, Match, Tag, UnderstoodText, UnknownWord

__all__ = [
    "ClassifyResponse",
    "DescribeResponse",
    "Embedding",
    "EmbeddingsResponse",
    "ErrorDetails",
    "ErrorResponse",
    "JourneyResponse",
    "JourneyStep",
    "MatchResponse",
    "ModelCard",
    "ModelsResponse",
    "MomentsResponse",
    "PeaksOfRecording",
    "RecordingResponse",
    "RecordingTrack",
    "SearchHit",
    "SearchResponse",
    "Span",
    "TimelineSpan",
    "Usage",
]


class Embedding(BaseModel):
    """One vector: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens of the texts; a sound has none."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    """Unit vectors, in the order of the input."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


Unknown = Annotated[
    list[UnknownWord],
    Field(
        description="Words that the model was never taught, the first few; `nearest` are known ones spelt like them."
    ),
]


Understood = Annotated[
    list[UnderstoodText],
    Field(description="Texts in another language than English, and the English that the model got for them."),
]


Silent = Annotated[bool | None, Field(description="True where nothing is heard in the sound; otherwise missing.")]


class ClassifyResponse(BaseModel):
    """Labels, best first: `similarity` is the cosine, `score` its softmax over the labels; 0 in silence."""

    labels: list[Label]
    unknown: Unknown = []
    understood: Understood = []
    silent: Silent = None


class TimelineSpan(BaseModel):
    """From `start` to `end`, in seconds: the label, its confidence `score`, all that is heard there, and a sentence.

    `label` is null where nothing of the vocabulary is heard.
    """

    start: float
    end: float
    label: str | None
    score: float
    tags: list[Tag]
    sentence: str


class DescribeResponse(BaseModel):
    """Tags, best first: `confidence` in [0, 1], cosine `similarity`, other names in `alike`; `spans` of a timeline."""

    tags: list[Tag]
    sentence: str
    captions: list[Match]
    spans: list[TimelineSpan] | None = None


class MatchResponse(BaseModel):
    """Texts in the order given; `score` is the cosine."""

    matches: list[Match]
    unknown: Unknown = []
    understood: Understood = []
    silent: Silent = None


class SearchHit(BaseModel):
    """A name below the library's folder, seconds, cosine `score`, and `confidence` that it is what was asked for.

    With words, and unless by sound alone, `relevance` in [0, 1] is that of sound and names together, by which hits are
    ordered, and `named` are the words that the file is called by. `silent`: nothing is heard in it.
    """

    model_config = ConfigDict(from_attributes=True)

    path: str
    start: float
    end: float
    score: float
    confidence: float | None = None
    relevance: float | None = None
    named: list[str] | None = None
    silent: bool | None = None
    unlikely: Annotated[bool | None, Field(description="True where it is probably not what was asked for.")] = None


class JourneyStep(BaseModel):
    """A recording on the way: its `position` from 0 to 1, and the cosine `similarity` with the one before it."""

    path: str
    start: float
    end: float
    score: float
    position: float
    similarity: float | None = None
    unlikely: Annotated[
        bool | None, Field(description="True where it is probably not what the words of this end describe.")
    ] = None


LeftOut = Annotated[
    int, Field(ge=0, description="Better ones that are not among them, since their files cannot be reached now.")
]


NothingLikely = Annotated[
    bool, Field(description="None of them, if there are any, is likely to be what was asked for: tell that first.")
]


class SearchResponse(BaseModel):
    """Hits, best first; `by` what they are ordered: by sound, where no word of the query can be part of a name."""

    hits: list[SearchHit]
    nothing_likely: NothingLikely
    left_out: LeftOut = 0
    unknown: Unknown = []
    understood: Understood = []
    by: Literal["both", "sound", "names"]


class JourneyResponse(BaseModel):
    """Recordings from one end to the other, each further on the way than the one before."""

    steps: list[JourneyStep]
    left_out: LeftOut = 0
    unknown: Unknown = []
    understood: Understood = []


class Span(BaseModel):
    """A moment with its `confidence`, as of a hit; `path` is missing where the recording was given with the request.

    `query` says which of several `queries` it answers, `detector` which detector heard it.
    """

    query: str | None = None
    detector: str | None = None
    path: str | None = None
    start: float
    end: float
    score: float
    confidence: float | None = None
    unlikely: Annotated[bool | None, Field(description="True where it is probably not what was asked for.")] = None


class MomentsResponse(BaseModel):
    """Moments, best first, those of several `queries` one query after the other; `left_out` counts recordings of the library."""

    moments: list[Span]
    nothing_likely: NothingLikely
    left_out: LeftOut = 0
    unknown: Unknown = []
    understood: Understood = []


class RecordingTrack(BaseModel):
    """A track of sound, counted from 1; empty texts where the file says nothing."""

    index: int
    title: str
    language: str


class RecordingResponse(BaseModel):
    """A recording that may be asked about by its `id`; `silent`: nothing is heard in it."""

    id: str
    name: str
    seconds: float
    tracks: list[RecordingTrack]
    silent: bool


class PeaksOfRecording(BaseModel):
    """The loudest of each part, a byte each, 255 is full scale; in base64."""

    peaks: str


class ModelCard(BaseModel):
    """A model; requests are answered by the `loaded` one alone.

    `calibrated`: whether confidences were fitted for it; with any other their order holds, how large they are is a
    guess. What `openclap models` tells of a model with a name is here, too: `parameters` in millions, `rate` in Hz at
    which it hears, `esc50` as published in `source`.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str
    loaded: bool
    embedding: int | None = None
    licence: str | None = None
    calibrated: bool | None = None
    what: str | None = None
    parameters: float | None = None
    rate: int | None = None
    languages: str | None = None
    trained_on: str | None = None
    esc50: float | None = None
    source: str | None = None


class ModelsResponse(BaseModel):
    """The loaded model, and those that are on the server's disk."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ErrorDetails(BaseModel):
    """What was wrong, in one sentence, and a code for programs."""

    message: str
    type: str
    code: str
    param: str | None = None


class ErrorResponse(BaseModel):
    """An error, in OpenAI's shape."""

    error: ErrorDetails
