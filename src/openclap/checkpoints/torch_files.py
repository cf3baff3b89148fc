"""What only torch can open: `.pt` and `.bin` files.

It is imported here, where such a file is read, and nowhere earlier.
"""

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
    """Import torch, or MissingExtra with what to do about this file."""
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
    """Entries of the tensors of a state dict; other values are left out."""
    import torch

    return {name: _of(value) for name, value in state.items() if isinstance(value, torch.Tensor)}


def _of(tensor: Tensor) -> Entry:
    return Entry(tuple(tensor.shape), lambda: as_float32(_plain(tensor).numpy()))


def _plain(tensor: Tensor) -> Tensor:
    """On the CPU, in a type that numpy has."""
    tensor = tensor.detach().cpu()
    return tensor.float() if tensor.is_floating_point() else tensor
