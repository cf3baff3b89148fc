"""Checkpoints in less space: text towers as rows of int8 with a scale each, or all weights in float16.

    NAME.weight float32 (R, C)  ⇄  NAME.weight int8 (R, C), NAME.scale float32 (R,): largest of a row / 127

`Encoder.packed` says which weights. The vectors of texts keep a cosine of 0.9999 (word vectors) or
0.999 (transformers).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from openclap.checkpoints.weights import Array, Entry
from openclap.config import TEXT
from openclap.errors import BadCheckpoint

__all__ = ["is_packed", "pack", "to_float16", "unpack"]

WEIGHT, SCALE = ".weight", ".scale"
LEVELS = 127
MIN_SCALE = 1e-12  # of a row of zeros


def pack(state: Mapping[str, Array], kind: str) -> dict[str, Array]:
    """All weights, with those of a text tower of this kind in int8."""
    packed: dict[str, Array] = {}
    for name, array in state.items():
        packed[name] = array
        if name.startswith(TEXT[kind].packed) and name.endswith(WEIGHT) and array.ndim == 2:
            scale = np.maximum(np.abs(array).max(1) / LEVELS, MIN_SCALE).astype(np.float32)
            packed[name] = (array / scale[:, None]).round().astype(np.int8)
            packed[_scale_of(name)] = scale
    return packed


def to_float16(state: Mapping[str, Array]) -> dict[str, Array]:
    """Matrices and convolutions in float16 where they fit (cosine of the vectors >= 0.99999), the rest unchanged."""
    return {
        name: _halve(array) if array.dtype == np.float32 and array.ndim > 1 else array for name, array in state.items()
    }


def _halve(array: Array) -> Array:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array


def is_packed(entries: Mapping[str, Entry]) -> bool:
    """Whether any of these weights is in int8."""
    return any(name.endswith(WEIGHT) and _scale_of(name) in entries for name in entries)


def unpack(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Undo `pack`: the names and shapes of before, read as float32."""
    scales = {_scale_of(name): name for name in entries if name.endswith(WEIGHT) and _scale_of(name) in entries}
    unpacked = {name: entry for name, entry in entries.items() if name not in scales}
    for scale, name in scales.items():
        if entries[scale].shape != entries[name].shape[:1]:
            raise BadCheckpoint(
                f"{scale} has the shape {entries[scale].shape}, {name} {entries[name].shape}; one scale a row is"
                " expected: copy or download the file again"
            )
    return unpacked | {name: _dequantise(entries[name], entries[scale]) for scale, name in scales.items()}


def _scale_of(name: str) -> str:
    return name.removesuffix(WEIGHT) + SCALE


def _dequantise(table: Entry, scales: Entry) -> Entry:
    """An entry of int8 rows with a scale each, read as float32."""
    assert table.rows is not None
    read_all, read_rows, scale = table.read, table.rows, scales.read()

    def read() -> Array:
        floats = read_all().astype(np.float32)
        floats *= scale[:, None]  # in place: a second array would take twice as long
        return floats

    return Entry(table.shape, read, lambda index: read_rows(index).astype(np.float32) * scale[index][..., None])
