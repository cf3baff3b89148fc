"""What may stand in a library, checked where it is read: what a broken or a prepared one holds is told, never believed.

Knows nothing of tables: each store turns `BrokenValue` into a sentence that names the library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openclap.store.records import File, Vectors

__all__ = [
    "LONGEST",
    "UNIT",
    "BrokenValue",
    "validate_file",
    "validate_identity",
    "validate_path",
    "validate_scores",
    "validate_span",
    "validate_vectors",
    "validate_width",
]

LONGEST = 1e15  # seconds: far beyond any recording, far below what no number of seconds can be told from
UNIT = 1e-3  # from the length 1 that a vector may be


class BrokenValue(ValueError):
    """A value that no library can hold; says which, and what it is.

    `file`: where it was read, if not in the library's own file.
    """

    def __init__(self, said: str, file: Path | None = None) -> None:
        super().__init__(said)
        self.file = file


def validate_file(
    path: Any, size: Any, mtime_ns: Any, content: Any, seconds: Any, tags: Sequence[Any], reading: Any
) -> File:
    """A file of a library, of values that may be anything."""
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
    """The path of a file."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise BrokenValue(f"the path of a file is {_show_value(path)}")
    return path


def validate_span(path: str, start: Any, end: Any) -> tuple[float, float]:
    """Where a window begins and ends, seconds."""
    if not _is_seconds(start) or not _is_seconds(end) or end < start:
        raise BrokenValue(f"a window of {path} goes from {_show_value(start)} to {_show_value(end)} s")
    return float(start), float(end)


def validate_identity(text: Any) -> dict[str, Any]:
    """What a library remembers of its maker, from JSON; empty where it has none yet."""
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
    """Vectors (n, E) of a file, at length 1."""
    with np.errstate(all="ignore"):
        if (
            vectors.ndim != 2
            or vectors.shape[1] != width
            or not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT).all()
        ):
            raise BrokenValue(f"the vectors of {path} are none")
    return vectors


def validate_width(query: Vectors, width: int) -> None:
    """That a query (E,) can be compared with vectors of so many numbers."""
    if query.shape != (width,):
        raise BrokenValue(f"its vectors have {width} numbers, those of the model that made it {query.shape[-1]}")


def validate_scores(scores: Vectors) -> Vectors:
    """Cosines, which vectors that hold no numbers would not give."""
    if not np.isfinite(scores).all():
        raise BrokenValue("some of its vectors hold what is no number")
    return scores


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return (_is_int(value) or isinstance(value, float)) and math.isfinite(value) and 0 <= value <= LONGEST


def _show_value(value: Any) -> str:
    """A value as far as a line has room for it."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
