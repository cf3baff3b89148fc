"""Files that only torch can open, `.pt` and `.bin`; torch is imported when such a file is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclap.checkpoints.weights import Entry, as_float32
from openclap.errors import MissingExtra

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["entries_from_tensors", "import_torch"]


def import_torch(file: Path) -> Any:
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
