"""Recordings on a plane: groups stay together, and places are the same every time."""

from __future__ import annotations

import numpy as np

from openclap.library.sound_map import make_map
from openclap.normalization import normalize_rows


def test_groups_lie_together_and_apart() -> None:
    rng = np.random.default_rng(0)
    middles = normalize_rows(rng.standard_normal((3, 64)).astype(np.float32))
    kind = np.arange(300) % 3
    rows = normalize_rows(middles[kind] + 0.05 * rng.standard_normal((300, 64)).astype(np.float32))
    found = make_map(rows)
    places, groups = found.places(rows), found.groups(rows)
    assert places.min() >= 0
    assert places.max() <= 1
    np.testing.assert_array_equal(places, make_map(rows).places(rows))
    for group in np.unique(groups):
        assert len(set(kind[groups == group].tolist())) == 1
    means = np.stack([places[kind == one].mean(0) for one in range(3)])
    within = max(float(places[kind == one].std()) for one in range(3))
    apart = min(float(np.linalg.norm(means[a] - means[b])) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert apart > within / 2


def test_few_and_equal_ones() -> None:
    row = normalize_rows(np.ones((1, 8), np.float32))
    for rows in (row, np.repeat(row, 20, axis=0)):
        places = make_map(rows).places(rows)
        assert np.isfinite(places).all()
        assert ((places >= 0) & (places <= 1)).all()
