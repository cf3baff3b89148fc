"""One way to length 1, with the bits that each of its callers had."""

from __future__ import annotations

import numpy as np
import pytest

from openclap.normalization import normalize_rows


@pytest.mark.parametrize("size", [1, 8, 511, 512])
@pytest.mark.parametrize("scale", [1.0, 1e-13, 0.0, 1e15])
def test_a_vector_and_rows_of_them(size: int, scale: float) -> None:
    """NumPy sums the squares of a vector and of a row in different orders: neither may become the other."""
    rows = (np.random.default_rng(size).standard_normal((5, size)) * scale).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.array_equal(normalize_rows(rows), rows / np.maximum(lengths, np.float32(1e-12)))
    for row in rows:
        assert np.array_equal(normalize_rows(row), row / np.float32(max(float(np.linalg.norm(row)), 1e-12)))


def test_is_computed_in_the_precision_it_comes_in() -> None:
    wide = np.array([3e30, 4e30])
    assert normalize_rows(wide).dtype == np.float32
    assert np.array_equal(normalize_rows(wide), np.array([0.6, 0.8], np.float32))


def test_zeros_and_nothing() -> None:
    assert not normalize_rows(np.zeros((2, 4), np.float32)).any()
    assert normalize_rows(np.zeros((0, 4), np.float32)).shape == (0, 4)
