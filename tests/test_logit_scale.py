"""The logit scale: at most 100, and free to fall from there, however a run is made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_for_tests import small_clap
from test_train import edit, place, stopped  # noqa: F401

from openclap import CLAP
from openclap.clap.similarity import rank_labels
from openclap.config import MAX_LOGIT_SCALE
from openclap.train import step, train
from openclap.train.run_state import STATE_FILE

ABOVE = 100.5


def begun_at(place: Path, tokenizer_file: Path, scale: float) -> dict[str, Any]:  # noqa: F811
    """Settings of a run that starts from random weights with this scale, of which the scale alone trains."""
    clap = small_clap(tokenizer_file, seed=3)
    clap.model.logit_scale.data.fill_(math.log(scale))
    clap.save_pretrained(place / "first")
    return {"init": "first", "model": {}, "tokenizer": None, "train_only": ["logit_scale"], "out": "next", "epochs": 6}


@pytest.mark.parametrize(
    "changes",
    [{}, {"loss": "sigmoid"}, {"pieces": 2, "average": 0.9}, {"lora": {"rank": 2}}],
    ids=["infonce", "sigmoid", "pieces", "lora"],
)
def test_it_falls_from_above_its_maximum(place: Path, tokenizer_file: Path, changes: dict[str, Any]) -> None:  # noqa: F811
    """A clamp in the loss has no gradient beyond it: a scale of 100.5 stayed at 100.5, whatever it wanted."""
    settings = begun_at(place, tokenizer_file, ABOVE)
    train(edit(place, **{**settings, "learning_rate": 0.1, "average": None, **changes}), progress=False)
    assert CLAP.from_pretrained(place / "next").logit_scale < 80


def test_it_grows_to_its_maximum_and_no_further(
    place: Path,  # noqa: F811
    tokenizer_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is saved, and what `classify` multiplies with, is what the loss was computed with."""
    seen: list[float] = []

    def wants_more(audio: torch.Tensor, text: torch.Tensor, logit_scale: torch.Tensor, *_: Any) -> torch.Tensor:
        seen.append(float(logit_scale.detach().exp()))
        return -logit_scale.exp() + 0 * audio.sum()

    monkeypatch.setattr(step, "contrastive_loss", wants_more)
    settings = begun_at(place, tokenizer_file, 99.0)
    train(edit(place, **settings, learning_rate=0.1, average=None), progress=False)
    saved = CLAP.from_pretrained(place / "next")
    raw = float(np.exp(saved.checkpoint.weights["logit_scale"]))
    assert seen[-1] == pytest.approx(100, abs=1e-4)
    assert max(*seen, raw) < 100.0001
    assert 99.9 < saved.logit_scale <= MAX_LOGIT_SCALE


def test_state_of_an_older_version(place: Path, tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """There the parameter itself could lie beyond, and its moving average with it."""
    settings = begun_at(place, tokenizer_file, 50.0)
    edit(place, **settings, learning_rate=1e-6, average=0.999999, checkpoint_minutes=0.0)
    stopped(place, "next", monkeypatch)
    state = torch.load(place / "next" / STATE_FILE, weights_only=True)
    for part in ("model", "average"):
        state[part]["logit_scale"].fill_(math.log(ABOVE))
    torch.save(state, place / "next" / STATE_FILE)
    train(place / "run.yaml", progress=False)
    raw = float(np.exp(CLAP.from_pretrained(place / "next").checkpoint.weights["logit_scale"]))
    assert 99.9 < raw <= 100.0001


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_classify_is_bounded_alike(backend: str, tmp_path: Path, tokenizer_file: Path) -> None:
    """A checkpoint of another making may hold more."""
    clap = small_clap(tokenizer_file)
    clap.model.logit_scale.data.fill_(math.log(150))
    assert clap.logit_scale == MAX_LOGIT_SCALE
    clap.save_pretrained(tmp_path)
    loaded = CLAP.from_pretrained(tmp_path, backend=backend)
    assert loaded.logit_scale == MAX_LOGIT_SCALE
    wave = (np.random.default_rng(0).standard_normal(16_000).astype(np.float32), 16_000)
    labels = loaded.classify(wave, ["dog bark", "rain"])
    cosines = np.array([label.similarity for label in labels], np.float32)
    expected = rank_labels([label.label for label in labels], cosines, MAX_LOGIT_SCALE)
    assert [label.score for label in labels] == pytest.approx([label.score for label in expected], rel=1e-4)
