"""A detector of a few examples is not surer than they can make it."""

from __future__ import annotations

import numpy as np
import pytest

from openclap import CLAP, Detector
from openclap.synth import synthesise
from openclap.teach import fit

WEIGHT = np.array([40.0, 0.0], np.float32)
ROWS = np.array([[1, 0], [0.8, 0.6], [0.1, 0.99], [0, 1], [-1, 0]], np.float32)


def probability(yes: int, bias: float = 0.0) -> np.ndarray:
    counts = {"yes": yes, "no": yes, "drawn": 0} if yes else {}
    return Detector("x", None, WEIGHT, bias, "m", "f", examples=counts).probability(ROWS)


@pytest.mark.parametrize(("yes", "most"), [(1, 2 / 3), (3, 4 / 5), (10, 11 / 12), (98, 0.99)])
def test_so_many_examples_tell_so_much(yes: int, most: float) -> None:
    """One yes and one no said 99 %."""
    found = probability(yes)
    assert found[0] == pytest.approx(most, abs=1e-3)
    assert found.max() <= most + 1e-6
    assert (np.diff(found) <= 0).all()
    assert found[3] == 0.5
    assert found[4] == probability(0)[4] < 1e-6  # what it does not hear is as it was
    assert probability(0)[0] > 0.9999  # of a detector of which nobody knows how it was taught


def test_one_example_each(tmp_path: object) -> None:
    clap = CLAP.from_pretrained("mini")
    sounds = [
        (synthesise(kind, np.random.default_rng(i), rate=32_000, seconds=3.0)[0], 32_000)
        for kind in ("siren", "rain")
        for i in range(2)
    ]
    rows = clap.encode_audio(sounds, long="windows")
    for text in ("a siren", ""):
        taught = fit(clap, "siren", rows[:1], rows[2:3], text=text)
        likely = taught.probability(rows)
        assert 0.5 < likely[:2].min() <= likely[:2].max() <= 2 / 3
        assert likely[2:].max() < 0.2
