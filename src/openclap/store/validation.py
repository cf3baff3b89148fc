"""Values that were read from a library → the same values, checked: a damaged or manipulated library is not trusted.

Each store turns a `BrokenValue` into an error that names the library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openclap.file_facts import FACTS
from openclap.store.records import File, FileText, Vectors

__all__ = [
    "HIGHEST_DB",
    "LOWEST_DB",
    "MAX_SECONDS",
    "UNIT_TOLERANCE",
    "BrokenValue",
    "validate_file",
    "validate_identity",
    "validate_level",
    "validate_path",
    "validate_scores",
    "validate_span",
    "validate_text",
    "validate_vectors",
    "validate_width",
]

MAX_SECONDS = 1e15  # far beyond any recording, far below the largest float
LOWEST_DB, HIGHEST_DB = -200.0, 400.0  # far beyond any level of a window: samples may be far beyond full scale
UNIT_TOLERANCE = 1e-3  # how far the length of a vector may be from 1


class BrokenValue(ValueError):
    """A value that no library can hold; the message says which, and `file` where, if not in the library's own file."""

    def __init__(self, message: str, file: Path | None = None) -> None:
        super().__init__(message)
        self.file = file


def validate_file(
    path: Any, size: Any, mtime_ns: Any, content: Any, seconds: Any, tags: Sequence[Any], reading: Any
) -> File:
    """A file of a library, of values that may be anything; `content` is the hash of its content."""
    validate_path(path)
    for name, value, least in (("size", size, 0), ("time", mtime_ns, None), ("revision", reading, 0)):
        if not _is_int(value) or (least is not None and value < least):
            raise BrokenValue(f"the {name} of {path} is {_show_value(value)}")
    if not isinstance(content, str):
        raise BrokenValue(f"the content hash of {path} is {_show_value(content)}")
    if not _is_seconds(seconds):
        raise BrokenValue(f"the length of {path} is {_show_value(seconds)}")
    if not all(isinstance(tag, str) for tag in tags):
        raise BrokenValue(f"the tags of {path} are {_show_value(list(tags))}")
    return File(path, size, mtime_ns, content, float(seconds), tuple(tags), reading)


def validate_path(path: Any) -> str:
    """The path of a file: a text that is not empty."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise BrokenValue(f"the path of a file is {_show_value(path)}")
    return path


def validate_span(path: str, start: Any, end: Any) -> tuple[float, float]:
    """Where a window of a file begins and ends, in seconds."""
    if not _is_seconds(start) or not _is_seconds(end) or end < start:
        raise BrokenValue(f"a window of {path} goes from {_show_value(start)} to {_show_value(end)} s")
    return float(start), float(end)


def validate_level(path: str, level: Any) -> float:
    """The level of a window of a file, in dB; NaN where it is unknown."""
    if level is None:
        return math.nan
    if not isinstance(level, float) or not LOWEST_DB <= level <= HIGHEST_DB:
        raise BrokenValue(f"a window of {path} has the level {_show_value(level)}")
    return level


def validate_text(name: Any, folders: Any, tags: Any, facts: Any) -> FileText:
    """The words of a file, and its facts from JSON, a list of names and values."""
    try:
        pairs = tuple((fact, value) for fact, value in json.loads(facts))
    except (TypeError, ValueError, RecursionError):
        raise BrokenValue(f"the facts of a file are {_show_value(facts)}") from None
    if not all(isinstance(value, str) for value in (name, folders, tags, *(value for _, value in pairs))):
        raise BrokenValue("the words of a file are no text")
    return FileText(name, folders, tags, tuple(pair for pair in pairs if pair[0] in FACTS))


def validate_identity(text: Any) -> dict[str, Any]:
    """What a library remembers of the model that made it, from JSON; empty where nothing is noted."""
    if text in ("", None):
        return {}
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise BrokenValue(f"what made it is no JSON: {_show_value(text)}") from None
    if not isinstance(found, dict):
        raise BrokenValue(f"what made it is {_show_value(found)}")
    if not found:
        return {}
    kinds = {"model": str, "fingerprint": str, "embedding": int, "front_end": dict}
    for name, kind in kinds.items():
        value = found.get(name)
        if (value is None and name == "front_end") or (isinstance(value, kind) and not isinstance(value, bool)):
            continue
        raise BrokenValue(f"{name} of what made it is {_show_value(value)}")
    if found["embedding"] < 1:
        raise BrokenValue(f"embedding of what made it is {found['embedding']}")
    return found


def validate_vectors(path: str, vectors: Vectors, width: int) -> Vectors:
    """Vectors (n, E) of a file, of length 1 and of `width` numbers."""
    with np.errstate(all="ignore"):
        if (
            vectors.ndim != 2
            or vectors.shape[1] != width
            or not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE).all()
        ):
            raise BrokenValue(f"the vectors of {path} are none")
    return vectors


def validate_width(query: Vectors, width: int) -> None:
    """Refuse a query that cannot be compared with vectors of `width` numbers."""
    if query.shape != (width,):
        raise BrokenValue(f"its vectors have {width} numbers, those of the model that made it {query.shape[-1]}")


def validate_scores(scores: Vectors) -> Vectors:
    """Cosines; they are not finite where a vector is not."""
    if not np.isfinite(scores).all():
        raise BrokenValue("some of its vectors hold what is no number")
    return scores


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return (_is_int(value) or isinstance(value, float)) and math.isfinite(value) and 0 <= value <= MAX_SECONDS


def _show_value(value: Any) -> str:
    """A value in a message, cut to 60 characters."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
