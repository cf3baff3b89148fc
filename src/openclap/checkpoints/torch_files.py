"""Files that only torch can open, `.pt` and `.bin`; torch is imported when such a file is read."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclap.checkpoints.weights import Entry, as_float32
from openclap.errors import BadCheckpoint, MissingExtra, UnsafeCheckpoint
from openclap.regular_files import open_regular

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["entries_from_tensors", "load_tensors"]


def _import_torch(file: Path) -> Any:
    """Import torch; MissingExtra, with advice for this file, where it is not installed."""
    try:
        import torch
    except ImportError:
        raise MissingExtra(
            f"{file}: only torch reads {file.suffix or 'such'} files: install openclap's extra 'torch'"
            " (docs/install.md)  (or, where torch is installed, convert it once:"
            f" CLAP.from_pretrained({file.name!r}).save_pretrained(folder), and use that folder here)"
        ) from None
    return torch


def load_tensors(path: Path) -> Mapping[str, object]:
    """Read the tensors and plain values of a .pt or .bin file; nothing else in its pickle is executed.

    Raises
    ------
    UnsafeCheckpoint
        The pickle holds more than that.
    BadCheckpoint
        It is no torch file, or cut short.
    MissingExtra
        torch is not installed.
    """
    torch = _import_torch(path)
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    allowed = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Float64DType]
    broken = f"{path}: not a torch file, or cut short; download it again"
    try:
        with open_regular(path) as file:
            head = file.read(4)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror}); give a readable file") from error
    zipped = head == b"PK\x03\x04"  # torch's format since 2020, which can be mapped into memory
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")  # torch warns of pickle protocols before it refuses them
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if not zipped and head[:1] != b"\x80":  # no pickle at all
            raise BadCheckpoint(broken) from error
        raise UnsafeCheckpoint(
            f"{path}: its pickle asks for more than tensors and plain values and was not run; "
            "get the file from its publisher"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, AssertionError, OSError) as error:
        raise BadCheckpoint(broken) from error
    if not isinstance(state, Mapping):
        raise BadCheckpoint(f"{path}: a dictionary of weights is expected, not a {type(state).__name__}")
    return state


def entries_from_tensors(state: Mapping[str, object]) -> dict[str, Entry]:
    """Entries for the tensors of a state dict; other values are left out."""
    import torch

    return {name: _entry_of(value) for name, value in state.items() if isinstance(value, torch.Tensor)}


def _entry_of(tensor: Tensor) -> Entry:
    return Entry(tuple(tensor.shape), lambda: as_float32(_to_cpu(tensor).numpy()))


def _to_cpu(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, in a data type that numpy has."""
    tensor = tensor.detach().cpu()
    return tensor.float() if tensor.is_floating_point() else tensor
