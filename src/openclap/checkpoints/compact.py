"""Checkpoints in less space: text towers as rows of int8 with one scale each, anything in float16.

Knows nothing of files.

    NAME.weight float32 (R, C)  ⇄  NAME.weight int8 (R, C), NAME.scale float32 (R,): the largest of a row / 127

Which weights: `PACKED`, by the kind of text tower. Vectors of texts keep a cosine of 0.9999 (a table of words) or 0.999
(a transformer).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from openclap.checkpoints.weights import Array, Entry
from openclap.errors import BadCheckpoint

__all__ = ["PACKED", "is_packed", "pack", "to_float16", "unpack"]

WEIGHT, SCALE = ".weight", ".scale"
LEVELS = 127
LEAST = 1e-12  # a row of zeros has a scale too
# what the names begin with; of those, every weight of two dimensions
PACKED = {
    "roberta": "text.tower.",
    "bert": "text.tower.",
    "clip": "text.tower.",
    "sbert": "text.tower.",
    "words": "text.table.",
}


def pack(state: Mapping[str, Array], kind: str) -> dict[str, Array]:
    """All weights, those of a text tower of this kind in int8."""
    packed: dict[str, Array] = {}
    for name, array in state.items():
        packed[name] = array
        if name.startswith(PACKED[kind]) and name.endswith(WEIGHT) and array.ndim == 2:
            scale = np.maximum(np.abs(array).max(1) / LEVELS, LEAST).astype(np.float32)
            packed[name] = (array / scale[:, None]).round().astype(np.int8)
            packed[_scale_of(name)] = scale
    return packed


def to_float16(state: Mapping[str, Array]) -> dict[str, Array]:
    """Matrices and convolutions in float16 where they fit (cosine of the vectors >= 0.99999), all else as it is."""
    return {
        name: _half(array) if array.dtype == np.float32 and array.ndim > 1 else array for name, array in state.items()
    }


def _half(array: Array) -> Array:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array


def is_packed(entries: Mapping[str, Entry]) -> bool:
    """Whether any of these is in int8."""
    return any(name.endswith(WEIGHT) and _scale_of(name) in entries for name in entries)


def unpack(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The same names and shapes as before `pack`, read as float32."""
    scales = {_scale_of(name): name for name in entries if name.endswith(WEIGHT) and _scale_of(name) in entries}
    found = {name: entry for name, entry in entries.items() if name not in scales}
    for scale, name in scales.items():
        if entries[scale].shape != entries[name].shape[:1]:
            raise BadCheckpoint(
                f"{scale} has the shape {entries[scale].shape}, {name} {entries[name].shape}; one scale a row is"
                " expected: copy or download the file again"
            )
    return found | {name: _dequantise(entries[name], entries[scale]) for scale, name in scales.items()}


def _scale_of(name: str) -> str:
    return name.removesuffix(WEIGHT) + SCALE


def _dequantise(table: Entry, scales: Entry) -> Entry:
    """Rows of int8 with a scale each, as float32."""
    assert table.rows is not None
    whole, some, scale = table.read, table.rows, scales.read()

    def read() -> Array:
        wide = whole().astype(np.float32)
        wide *= scale[:, None]  # in place: a second array would take as long again
        return wide

    return Entry(table.shape, read, lambda index: some(index).astype(np.float32) * scale[index][..., None])
