"""What every floor does with vectors. Knows nothing of what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["normalize_rows"]

LEAST = 1e-12  # a length


def normalize_rows(rows: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """A vector (E,), or each row of (N, E), at length 1; zeros stay zeros. Computed in the precision it comes in."""
    lengths = np.linalg.norm(rows) if rows.ndim == 1 else np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: npt.NDArray[np.float32] = (rows / np.maximum(lengths, LEAST)).astype(np.float32, copy=False)
    return scaled
