"""The results of public calls: frozen dataclasses, each with a `to_dict` that gives its JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from openclap.silence import is_heard, track_vector

__all__ = [
    "AddReport",
    "BackendInfo",
    "Copy",
    "Description",
    "Duplicates",
    "Failure",
    "Group",
    "Hit",
    "Label",
    "Match",
    "MissingFolder",
    "Moment",
    "Ranked",
    "Result",
    "Scores",
    "Span",
    "Step",
    "Tag",
    "UnderstoodText",
    "UnknownWord",
    "Verification",
    "Windows",
]


class Result:
    """The base of dataclasses that are given as JSON: their `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        return asdict(self)  # type: ignore[call-overload]


def _without_false(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Remove values that most results do not have, where they are empty or False."""
    return {name: value for name, value in values.items() if value or name not in names}


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of one recording with their embeddings.

    Attributes
    ----------
    start, end : float64 (W,)
        Seconds from the start of the recording.
    embedding : float32 (W, E)
        Unit rows.
    level : float32 (W,)
        How loud each window is, in dB of full scale from -120: its loudest 50 ms, or its peak less 13 dB; below -65
        nothing is heard. NaN where nobody measured it. Not in the JSON.
    """

    start: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]
    embedding: npt.NDArray[np.float32]
    level: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if len(self.level) != len(self.start):
            object.__setattr__(self, "level", np.full(len(self.start), np.nan, np.float32))

    def __len__(self) -> int:
        return len(self.start)

    @property
    def heard(self) -> npt.NDArray[np.bool_]:
        """Which windows something is heard in (W,); those of unknown level count."""
        return is_heard(self.level)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is heard in any of them."""
        return not self.heard.any()

    def audible(self) -> Windows:
        """The windows in which something is heard."""
        heard = self.heard
        return Windows(self.start[heard], self.end[heard], self.embedding[heard], self.level[heard])

    @property
    def track(self) -> npt.NDArray[np.float32]:
        """The vector (E,) of the whole recording: the mean of its windows without silent ones, at length 1."""
        return track_vector(self.embedding, self.level)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists."""
        return {"start": self.start.tolist(), "end": self.end.tolist(), "embedding": self.embedding.tolist()}


@dataclass(frozen=True)
class BackendInfo(Result):
    """What computes a model; `str` gives the text for people: `torch on CUDA: a GPU is here, bfloat16`.

    Attributes
    ----------
    engine
        "openvino" or "torch".
    device
        "cpu", "cuda" or "cuda:N".
    dtype
        The data type of the towers: "float32", "bfloat16", "float16"; "int8" is for the audio tower alone, with the
        text tower in float32.
    why
        Why this engine and device.
    """

    engine: str
    device: str
    dtype: str
    why: str

    def __str__(self) -> str:
        notes = {"float32": "", "int8": ", audio in int8"}
        return f"{self.engine} on {self.device.upper()}: {self.why}{notes.get(self.dtype, f', {self.dtype}')}"


@dataclass(frozen=True)
class Match(Result):
    """How well one text fits a sound: `score` is the cosine, in [-1, 1]."""

    text: str
    score: float


@dataclass(frozen=True)
class Label(Result):
    """One label of a zero-shot classification.

    `similarity` is the cosine in [-1, 1]; `score` is the softmax over the given labels of
    exp(logit_scale) * cosine, in [0, 1], and 0 for every label where nothing is heard in the sound.
    """

    label: str
    score: float
    similarity: float


S = TypeVar("S")


class Scores(list[S]):
    """Matches or labels of one sound; with `silent`, nothing is heard in it, so that none of them means anything."""

    def __init__(self, found: Iterable[S] = (), *, silent: bool = False) -> None:
        super().__init__(found)
        self.silent = silent

    def best(self, count: int | None) -> Scores[S]:
        """The first so many, or all."""
        return Scores(self[:count], silent=self.silent)

    def note(self) -> dict[str, bool]:
        """What the JSON of the sound holds beside them: `silent`, where it is true."""
        return {"silent": True} if self.silent else {}


SURE = 0.7  # confidence or relevance from which a hit is called sure


@dataclass(frozen=True)
class Hit(Result):
    """A window of a library that fits a query: its seconds in the recording, and the cosine as `score`.

    Where whole recordings are compared (a sound is the query, or is liked), the times are still those of the window that
    is nearest to it, and `score` may be the cosine of the recording as a whole.

    Attributes
    ----------
    confidence
        How likely it is, in [0, 1], that the window holds what the query asks for.
    missing
        The file cannot be reached now; in the JSON where it is true.
    unlikely
        Relevance, or confidence where there is none, lies below the model's threshold; in the JSON where it is true.
    relevance
        How well the file fits by its sound and its names together, in [0, 1]; None, and not in the JSON, where sound
        alone was asked.
    named
        The words of the query that the file is called by; in the JSON beside `relevance`.
    silent
        Nothing is heard in the file, which is found by its name alone: confidence and relevance are 0; in the JSON where
        it is true.
    """

    path: str
    start: float
    end: float
    score: float
    confidence: float | None = None
    missing: bool = False
    unlikely: bool = False
    relevance: float | None = None
    named: tuple[str, ...] = ()
    silent: bool = False

    @property
    def verdict(self) -> Literal["sure", "maybe", "unlikely"]:
        """What is shown first, in a word: `unlikely`, "sure" from 0.7 on, else "maybe"; not in the JSON."""
        shown = self.relevance if self.relevance is not None else self.confidence
        return "unlikely" if self.unlikely else "sure" if shown is not None and shown >= SURE else "maybe"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, each where the class says it is in the JSON."""
        values = asdict(self)
        if self.relevance is None:
            del values["relevance"], values["named"]
        return _without_false(values, "missing", "silent", "unlikely")


@dataclass(frozen=True)
class Moment(Result):
    """A span of a recording merged from overlapping windows that fit a query, and its best cosine.

    `confidence`, that of the best window, `missing` and `unlikely` are as in `Hit`. The confidence is None where none
    was asked for.
    """

    path: str
    start: float
    end: float
    score: float
    confidence: float | None = None
    missing: bool = False
    unlikely: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, `missing` and `unlikely` only where they are true."""
        return _without_false(asdict(self), "missing", "unlikely")


@dataclass(frozen=True)
class Step(Hit):
    """A recording on the way from one to another: all of it, so `start` is 0 and `end` its length.

    Attributes
    ----------
    score
        The cosine with the point of the way that it stands for.
    position
        Where on the way it lies: 0 at the beginning, 1 at the end.
    similarity
        The cosine with the recording before it; None, and not in the JSON, for the first one.
    unlikely
        An end of the way was asked for in words, and this is not what they describe; in the JSON where it is true.
    """

    position: float = 0.0
    similarity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, each where the class says it is in the JSON."""
        names = ("path", "start", "end", "score", "position", "similarity", "missing", "unlikely")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None and value is not False}


R = TypeVar("R", bound=Hit | Moment)


@dataclass(frozen=True)
class UnknownWord(Result):
    """A word that a model's text tower was never taught, and the known words that are spelt most like it."""

    word: str
    nearest: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.word} ({' or '.join(self.nearest)}?)" if self.nearest else self.word


@dataclass(frozen=True)
class UnderstoodText(Result):
    """A text in another language, and the English that the text tower got for it."""

    text: str
    english: str

    def __str__(self) -> str:
        return f"{self.text}: {self.english}"


class Ranked(list[R]):
    """Hits or moments, best first.

    Attributes
    ----------
    left_out
        How many better ones are missing because their files cannot be reached now.
    calibrated
        False: the confidences were fitted for another model, so their order is right and their size is a guess.
    unknown
        Words of the query that the model was never taught.
    understood
        Texts of the query that were put into English, and their English.
    by
        What the order goes by: "sound", "names" or "both"; "sound" where no word of the query can be part of a name.
    """

    def __init__(
        self,
        found: Iterable[R] = (),
        left_out: int = 0,
        *,
        calibrated: bool = True,
        unknown: Iterable[UnknownWord] = (),
        understood: Iterable[UnderstoodText] = (),
        by: Literal["both", "sound", "names"] = "sound",
    ) -> None:
        super().__init__(found)
        self.left_out = left_out
        self.calibrated = calibrated
        self.unknown = list(unknown)
        self.understood = list(understood)
        self.by = by

    @property
    def nothing_likely(self) -> bool:
        """Whether nothing that was found is likely to be what was asked for; also where nothing was found."""
        return all(one.unlikely for one in self)


@dataclass(frozen=True)
class Tag(Result):
    """A label that is heard, with its confidence in [0, 1], its cosine, and other labels of the same meaning."""

    label: str
    confidence: float
    similarity: float
    alike: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Description(Result):
    """A sound in words: tags, best first, a sentence made of them, and the nearest captions with their cosines."""

    tags: list[Tag]
    sentence: str
    captions: list[Match] = field(default_factory=list)


@dataclass(frozen=True)
class Span(Result):
    """A span of a recording, in seconds, and what is heard in it.

    `label` is None where nothing of the vocabulary is heard; `score`, in [0, 1], is the label's confidence; `tags` are
    all labels that are heard there, `label` first.
    """

    start: float
    end: float
    label: str | None
    score: float
    tags: list[Tag] = field(default_factory=list)


@dataclass(frozen=True)
class Failure(Result):
    """A file that could not be used, and why."""

    path: str
    error: str


@dataclass(frozen=True)
class MissingFolder(Result):
    """A folder from which so many files are missing that its disk may not be mounted, and their number."""

    path: str
    files: int


@dataclass(frozen=True)
class AddReport(Result):
    """How many files were added to a library, changed or removed.

    `kept_missing` counts files that are missing from the disk and stay in the library, because so many of their folder
    are missing that a disk may not be mounted. `missing_folders` names these folders; it is in the JSON where there are
    some.
    """

    added: int = 0
    unchanged: int = 0
    updated: int = 0
    removed: int = 0
    kept_missing: int = 0
    failed: list[Failure] = field(default_factory=list)
    missing_folders: list[MissingFolder] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return _without_false(asdict(self), "missing_folders")


@dataclass(frozen=True)
class Verification(Result):
    """Faults of a library: what is `damaged`, in words, and paths whose files are `missing` or have `changed`."""

    damaged: list[str]
    missing: list[str]
    changed: list[str]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.damaged or self.missing or self.changed)


@dataclass(frozen=True)
class Copy(Result):
    """A file of a group: it begins `offset` seconds after the first one; `similarity` in [-1, 1], 1 for equal files."""

    path: str
    offset: float
    similarity: float


@dataclass(frozen=True)
class Group(Result):
    """Files that hold the same recording."""

    files: list[Copy]


@dataclass(frozen=True)
class Duplicates(Result):
    """Groups of near-identical recordings, and the files that could not be compared."""

    groups: list[Group]
    failed: list[Failure]
