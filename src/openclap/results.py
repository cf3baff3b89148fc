"""What the public calls return: frozen dataclasses, each with one `to_dict` that is its JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

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
    "Span",
    "Tag",
    "Verification",
    "Windows",
]


class _Result:
    """`to_dict` for every dataclass below."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


def _without_false(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Without a value that most results do not have."""
    if not values[name]:
        del values[name]
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Spans of one recording with their embeddings.

    Attributes
    ----------
    start, end : float64 (W,)
        Seconds from the start of the recording.
    embedding : float32 (W, E)
        Unit rows.
    """

    start: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]
    embedding: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists."""
        return {"start": self.start.tolist(), "end": self.end.tolist(), "embedding": self.embedding.tolist()}


@dataclass(frozen=True)
class BackendInfo(_Result):
    """What computes a model; as text, the sentence that people are shown: `torch on CUDA: a GPU is here, bfloat16`.

    Attributes
    ----------
    engine
        "openvino" or "torch".
    device
        "cpu", "cuda" or "cuda:N".
    dtype
        What the towers compute in: "float32", "bfloat16", "float16"; "int8", the audio tower, and the text tower in
        float32.
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
class Match(_Result):
    """How well one text fits a sound: `score` is the cosine, in [-1, 1]."""

    text: str
    score: float


@dataclass(frozen=True)
class Label(_Result):
    """One label of a zero-shot classification.

    `similarity` is the cosine in [-1, 1]; `score` is the softmax over the given labels of
    exp(logit_scale) * cosine, in [0, 1].
    """

    label: str
    score: float
    similarity: float


@dataclass(frozen=True)
class Hit(_Result):
    """A window of a library that fits a query: seconds in the recording, and the cosine.

    `confidence`, in [0, 1], tells how likely it is that the window holds what was asked for. `missing`: the file cannot
    be reached now; it is in the JSON where it is true. `unlikely`: it most likely does not hold it, as its confidence
    lies below what the model's curve for words, or that for sounds, says; not in the JSON.
    """

    path: str
    start: float
    end: float
    score: float
    confidence: float | None = None
    missing: bool = False
    unlikely: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, `missing` only where the file is."""
        return _without_false({name: value for name, value in asdict(self).items() if name != "unlikely"}, "missing")


@dataclass(frozen=True)
class Moment(_Result):
    """A span of a recording merged from overlapping windows that fit a query, and its best cosine.

    `confidence`, of the best window, and `missing` are as of a `Hit`; no confidence where none was asked for.
    """

    path: str
    start: float
    end: float
    score: float
    confidence: float | None = None
    missing: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, `missing` only where the file is."""
        return _without_false(asdict(self), "missing")


R = TypeVar("R", bound=Hit | Moment)


class Ranked(list[R]):
    """Hits or moments, best first.

    Attributes
    ----------
    left_out
        How many better ones are not among them since their files cannot be reached now.
    calibrated
        False: the confidences were fitted for another model; their order holds, how large they are is a guess.
    """

    def __init__(self, found: Iterable[R] = (), left_out: int = 0, *, calibrated: bool = True) -> None:
        super().__init__(found)
        self.left_out = left_out
        self.calibrated = calibrated


@dataclass(frozen=True)
class Tag(_Result):
    """A label that is heard: `confidence`, in [0, 1], that it is, the cosine, and the labels it stands for as well."""

    label: str
    confidence: float
    similarity: float
    alike: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Description(_Result):
    """What is heard in a sound: tags, best first, the sentence they make, and the captions nearest to it (cosines)."""

    tags: list[Tag]
    sentence: str
    captions: list[Match] = field(default_factory=list)


@dataclass(frozen=True)
class Span(_Result):
    """A stretch of a recording, in seconds, and what is heard from its start to its end.

    `label` is None where nothing of the vocabulary is; `score`, in [0, 1], is the label's confidence; `tags` is
    everything else that is heard there, the label first.
    """

    start: float
    end: float
    label: str | None
    score: float
    tags: list[Tag] = field(default_factory=list)


@dataclass(frozen=True)
class Failure(_Result):
    """A file that could not be used, and why."""

    path: str
    error: str


@dataclass(frozen=True)
class MissingFolder(_Result):
    """A folder from which so many files are missing that a disk may be, and how many they are."""

    path: str
    files: int


@dataclass(frozen=True)
class AddReport(_Result):
    """What adding files to a library did, in files.

    `kept_missing` are those that are missing from the disk and stay, since so many of their folder are that a disk may
    not be mounted; `missing_folders` says from where, and is in the JSON where there are some.
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
class Verification(_Result):
    """How a library compares with itself (`damaged`, in words) and with the disk (paths that are `missing`, or `changed`)."""

    damaged: list[str]
    missing: list[str]
    changed: list[str]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.damaged or self.missing or self.changed)


@dataclass(frozen=True)
class Copy(_Result):
    """A file of a group: it begins `offset` seconds after the group's first; `similarity` (1 for equal files) in [-1, 1]."""

    path: str
    offset: float
    similarity: float


@dataclass(frozen=True)
class Group(_Result):
    """Files that hold the same recording."""

    files: list[Copy]


@dataclass(frozen=True)
class Duplicates(_Result):
    """Groups of near-identical recordings, and the files that could not be compared."""

    groups: list[Group]
    failed: list[Failure]
