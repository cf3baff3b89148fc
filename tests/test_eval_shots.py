"""A few-shot probe with more shots than there are examples says what it used."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from openclap.data.items import Item
from openclap.eval import probe as probing
from openclap.eval.datasets import Dataset
from openclap.eval.probe import probe
from openclap.eval.report import card_section
from openclap.results import Windows


class Vectors:
    """A model that hears vectors prepared beforehand: a file's name is the row's number."""

    name, fingerprint = "vectors", "0"
    backend = type("Backend", (), {"info": "by hand"})

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def encode_each(self, sounds: Any, **_: Any) -> Any:
        for sound in sounds:
            yield Windows(np.zeros(1), np.ones(1), self.rows[int(Path(sound).name)][None])


@pytest.mark.parametrize(("shots", "told"), [(3, None), (50, "50 shots: 2 labels have fewer examples to learn from, of which all were used: rare 4, usual 20")])  # fmt: skip
def test_shots(shots: int, told: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--shots 50` with 4 examples of a label called itself a score of 50 shots."""
    monkeypatch.setattr(probing, "STEPS", 20)
    labels = ["usual"] * 24 + ["rare"] * 6
    examples = [
        Item.at(Path(str(i)), labels=(x,), split="test" if i % 6 == 5 or i == 29 else "train")
        for i, x in enumerate(labels)
    ]
    examples[28] = Item.at(Path("28"), labels=("rare",), split="test")
    rows = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    data = Dataset("x", examples, ("rare", "usual"))
    report, _, _ = probe(cast("Any", Vectors(rows)), data, shots=shots, few_draws=2, draws=0)
    assert report.notes == ([] if told is None else [told])
    assert report.settings["shots of rarer labels"] == (None if told is None else ["rare: 4", "usual: 20"])
    assert told is None or told in card_section(report)
