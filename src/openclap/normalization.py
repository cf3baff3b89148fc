"""Vectors → vectors of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Vectors", "normalize_rows"]

Vectors = npt.NDArray[np.float32]  # rows (N, E), mostly of length 1, or one of them (E,)

MIN_LENGTH = 1e-12


def normalize_rows(rows: npt.NDArray[np.floating[Any]]) -> Vectors:
    """Scale a vector (E,), or each row of (N, E), to length 1 in its own precision; zeros stay zeros."""
    lengths = np.linalg.norm(rows) if rows.ndim == 1 else np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.maximum(lengths, MIN_LENGTH)).astype(np.float32, copy=False)
