"""What the routes of teaching and of detectors take and give: one model each, which checks and documents it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from openclap.serve.responses import LeftOut, SearchHit, Silent, Unknown
from openclap.serve.schemas import WAV, DetectorNames, HearingRequest, Number, Request, Uri

__all__ = [
    "DetectRequest",
    "DetectResponse",
    "Detected",
    "DetectorFacts",
    "DetectorsResponse",
    "Example",
    "KeepRequest",
    "KeptResponse",
    "RefitRequest",
    "RenameRequest",
    "Skipped",
    "TeachRequest",
    "TeachResponse",
]

MOST_EXAMPLES = 2000  # of a request
DraftId = Annotated[str, Field(min_length=1, max_length=100, description="`id` of what POST /v1/teach has answered.")]
Name = Annotated[
    str,
    Field(min_length=1, max_length=200, description="100 characters at most; no slash, and no dot at its beginning."),
]
Over = Annotated[bool, Field(description="Take the place of a detector of this name.")]


class Example(BaseModel):
    """A sound of the library, or a recording that was uploaded (`POST /v1/recordings`); or a part of either."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(min_length=1, max_length=4096, description="As hits name it.")] | None = None
    recording: Annotated[str, Field(max_length=100, description="The id of a recording.")] | None = None
    track: Annotated[int, Field(ge=1)] | None = None
    start: Annotated[Number, Field(ge=0, description="In seconds.")] | None = None
    end: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def check(self) -> Example:
        """Refuse one that names no sound, or two, or a part that ends before it begins."""
        if (self.path is None) == (self.recording is None):
            raise ValueError("give the path of a sound of the library, or the id of a recording")
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError("end must lie behind start")
        return self


Examples = Annotated[
    list[Example | Uri | SkipJsonSchema[bytes]],
    Field(
        max_length=MOST_EXAMPLES,
        fail_fast=True,
        description="Sounds of the library, recordings, parts of either, data URIs; in a form, files.",
    ),
]


class TeachRequest(Request):
    """A sound by examples of it, and of what it is not."""

    sounds = ("yes", "no")
    several: ClassVar[tuple[str, ...]] = ("yes", "no")
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "our doorbell", "yes": [WAV], "text": "a doorbell"}]},
    )

    name: Name
    text: Annotated[
        str | None,
        Field(max_length=1000, description='Words that it begins from; left out, its name; "", none.'),
    ] = None
    yes: Annotated[Examples, Field(default_factory=list)]
    no: Annotated[Examples, Field(default_factory=list)]
    k: Annotated[int, Field(ge=0, le=1000, description="How many of the library are ranked by it.")] = 12
    suggestions: Annotated[int, Field(ge=0, le=100, description="How many are named that should be marked next.")] = 5


class RefitRequest(Request):
    """Nothing has to be said."""

    sounds = ()

    k: Annotated[int, Field(ge=0, le=1000)] = 0
    suggestions: Annotated[int, Field(ge=0, le=100)] = 0


class KeepRequest(Request):
    """A draft that should be kept; a file of a detector is sent as a form's `file` instead."""

    sounds = ()

    draft: DraftId
    name: Name
    over: Over = False


class RenameRequest(Request):
    """Another name."""

    sounds = ()

    name: Name
    over: Over = False


class DetectRequest(HearingRequest):
    """Which detectors hear their sound in a sound."""

    several = ("detectors",)

    detectors: Annotated[DetectorNames, Field(min_length=1)]


class Skipped(BaseModel):
    """An example that could not be used: which of the `yes` or `no` it was, what it is called, and why."""

    of: Annotated[str, Field(description="yes or no")]
    index: int
    name: str
    error: str


class DetectorFacts(BaseModel):
    """A detector.

    `examples`: how many it was taught by: `yes`, `no`, and `drawn`, which nobody has marked. `report`: how well it did on
    examples left out ([teaching](teach.md)). `kept`: how many examples are kept, by which it can be taught anew for
    another model. `fits`: the loaded model can use it. `own`: you may rename and forget it.
    """

    name: str
    text: str | None
    threshold: float
    model: str
    examples: dict[str, int]
    report: dict[str, Any]
    fits: bool
    own: bool
    kept: int


class Failed(BaseModel):
    """A file that is no detector, or is broken."""

    name: str
    error: str


class DetectorsResponse(BaseModel):
    """The detectors that may be asked for here; `writable`: you may keep what you teach."""

    detectors: list[DetectorFacts]
    failed: list[Failed]
    writable: bool


class TeachResponse(BaseModel):
    """A draft: by its `id` it can be asked for as any detector, downloaded, and kept.

    `hits`: the library, ranked by it; `next`: what should be marked next, the most useful one first; `skipped`: examples
    that could not be used. `before`: the report of the detector that was taught anew.
    """

    id: str
    detector: DetectorFacts
    hits: list[SearchHit]
    next: list[SearchHit]
    left_out: LeftOut = 0
    skipped: list[Skipped] = []
    unknown: Unknown = []
    before: dict[str, Any] | None = None


class KeptResponse(BaseModel):
    """The detector that is kept; `lost`: how many of its examples could not be."""

    detector: DetectorFacts
    lost: int = 0


class Detected(BaseModel):
    """The probability of the window that fits best, and whether it reaches the threshold."""

    detector: str
    probability: float
    heard: bool


class DetectResponse(BaseModel):
    """The detectors in the order given."""

    detectors: list[Detected]
    silent: Silent = None
