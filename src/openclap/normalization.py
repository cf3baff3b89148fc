"""Vectors → vectors of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["normalize_rows"]

MIN_LENGTH = 1e-12


def normalize_rows(rows: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Scale a vector (E,), or each row of (N, E), to length 1 in its own precision; zeros stay zeros."""
    lengths = np.linalg.norm(rows) if rows.ndim == 1 else np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.maximum(lengths, MIN_LENGTH)).astype(np.float32, copy=False)
