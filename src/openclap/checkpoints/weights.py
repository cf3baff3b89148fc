"""The arrays of a checkpoint by name, read from the mapped file when they are used.

A file of 615 MB takes only the memory of the parts that are used: a text query never reads the audio tower, and for one
word only its row of the table is read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.errors import BadCheckpoint
from openclap.regular_files import require_regular

__all__ = [
    "Array",
    "Entry",
    "Weights",
    "as_float32",
    "concatenate",
    "count_parameters",
    "entries_from_arrays",
    "read_safetensors",
    "split_part",
]

Array: TypeAlias = npt.NDArray[Any]
Rows: TypeAlias = Callable[[npt.NDArray[np.integer[Any]]], npt.NDArray[np.float32]]

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


@dataclass(frozen=True)
class Entry:
    """An array that is not read yet.

    `rows` reads some rows alone, where that is cheaper. `once` reads the array without the map, which then takes no
    more memory.
    """

    shape: tuple[int, ...]
    read: Callable[[], Array]
    rows: Rows | None = None
    once: Callable[[], Array] | None = None

    def read_once(self) -> Array:
        """The array for a single use, after which nothing of it stays in memory."""
        return self.read() if self.once is None else self.once()


class Weights(Mapping[str, Array]):
    """Names → arrays, floating ones as float32. Nothing is cached: using an array twice reads it twice."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)

    def __getitem__(self, name: str) -> Array:
        return self.entries[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, without reading it."""
        return self.entries[name].shape

    def read_once(self, name: str) -> Array:
        """An array for a single use: to read all weights so takes the memory of the largest one."""
        return self.entries[name].read_once()

    def rows(self, name: str, index: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """Rows of a table (V, D) at `index` (…) → float32 (…, D)."""
        entry = self.entries[name]
        if entry.rows is not None:
            return entry.rows(index)
        return entry.read()[index]


def as_float32(array: Array) -> Array:
    """An array of floats as float32; any other array unchanged."""
    return array.astype(np.float32) if array.dtype.kind == "f" and array.dtype != np.float32 else array


def entries_from_arrays(arrays: Mapping[str, Array]) -> dict[str, Entry]:
    """Entries for arrays in memory."""
    return {name: _entry_of(array, bfloat16=False) for name, array in arrays.items()}


def read_safetensors(path: Path) -> dict[str, Entry]:
    """Entries for a .safetensors file, which stays mapped as long as one of its arrays exists.

    The map is copy-on-write: changes of an array never reach the file. The file must not be overwritten in place
    meanwhile, but may be replaced by a rename.

    Raises
    ------
    BadCheckpoint
        It is no safetensors file, or cut short.
    """
    from safetensors import SafetensorError, safe_open

    try:
        require_regular(path)
        with safe_open(path, framework="numpy"):  # the library checks every offset and shape of the header
            pass
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length))
        raw = np.memmap(path, np.uint8, mode="c")
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise BadCheckpoint(
            f"{path}: no safetensors file, or cut short ({error}); copy or download it again"
        ) from error
    header.pop("__metadata__", None)
    unknown = sorted({str(described["dtype"]) for described in header.values()} - set(DTYPES))
    if unknown:
        raise BadCheckpoint(f"{path}: weights of type {', '.join(unknown)}; save them as float32, float16 or bfloat16")
    entries = {}
    for name, described in header.items():
        begin, end = (8 + length + offset for offset in described["data_offsets"])
        array = np.asarray(raw[begin:end]).view(DTYPES[described["dtype"]]).reshape(described["shape"])
        mapped = _entry_of(array, bfloat16=described["dtype"] == "BF16")
        entries[name] = replace(mapped, once=partial(_read_unmapped, path, begin, array, described["dtype"] == "BF16"))
    return entries


def _read_unmapped(path: Path, offset: int, like: Array, bfloat16: bool) -> Array:
    array = np.fromfile(path, like.dtype, like.size, offset=offset).reshape(like.shape)
    return _from_bfloat16(array) if bfloat16 else as_float32(array)


def _entry_of(array: Array, *, bfloat16: bool) -> Entry:
    convert = _from_bfloat16 if bfloat16 else as_float32
    return Entry(array.shape, lambda: convert(_align(array)), lambda index: convert(array[index]))


def _from_bfloat16(array: Array) -> Array:
    """The bits of bfloat16 (as uint16) → float32, of which they are the upper half."""
    return (array.astype(np.uint32) << 16).view(np.float32)


def _align(array: Array) -> Array:
    return array if array.flags.aligned else array.copy()


def concatenate(entries: list[Entry]) -> Entry:
    """Several arrays joined along the first axis."""
    shape = (sum(entry.shape[0] for entry in entries), *entries[0].shape[1:])
    return Entry(
        shape,
        lambda: np.concatenate([entry.read() for entry in entries]),
        once=lambda: np.concatenate([entry.read_once() for entry in entries]),
    )


def split_part(entry: Entry, index: int, parts: int) -> Entry:
    """Part `index` of an array that is split into `parts` equal ones along the first axis."""
    size = entry.shape[0] // parts
    part = slice(index * size, (index + 1) * size)
    return Entry((size, *entry.shape[1:]), lambda: entry.read()[part], once=lambda: entry.read_once()[part])


def count_parameters(weights: Weights, parts: tuple[str, ...] = ("",)) -> int:
    """How many numbers the parts of a model have whose names begin so, without counters and running statistics."""
    running = ("running_mean", "running_var", "num_batches_tracked")
    names = (name for name in weights if name.startswith(parts) and not name.endswith(running))
    return sum(math.prod(weights.shape(name)) for name in names)
