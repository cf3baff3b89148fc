"""A run that begins from a landed tower: it is taken as it is, its heads are fitted anew, and a saved state wins."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "runs" / "mini"))

import centre
import gather
import hear
import start
import torch
from models_for_tests import PANN_SMALL, small_config

from openclap import CLAP
from openclap.checkpoints.load import load_checkpoint

BATCH = 8


class Teacher:
    """Answers by a fixed random map of each 0.32 s of a wave's loudness."""

    def __init__(self, weights: Path) -> None:
        rng = np.random.default_rng(0)
        self._map = rng.standard_normal((1, hear.FEATURES)).astype(np.float32)
        self.hidden = (np.eye(hear.FEATURES, dtype=np.float32), np.zeros(hear.FEATURES, np.float32))
        self.classes = (
            rng.standard_normal((hear.CLASSES, hear.FEATURES)).astype(np.float32) / 20,
            np.zeros(527, np.float32),
        )

    def frames(self, waves: np.ndarray) -> np.ndarray:
        parts = np.array_split(waves**2, hear.TEACHER_FRAMES, axis=1)
        return np.stack([np.sqrt(part.mean(1)) for part in parts], 1)[..., None] @ self._map

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        embedding = embedding * np.clip(embedding + 3, 0, 6) / 6
        return embedding @ self.classes[0].T


@pytest.fixture
def landed(tokenizer_file: Path, tmp_path: Path) -> Path:
    """A model of another padding, which a run may begin from."""
    audio = replace(PANN_SMALL, pools=((2, 4),) * 3, dropout=0.1)
    config = replace(small_config(fusion=None), audio=audio, front_end=replace(hear.FRONT, padding="repeat"))
    CLAP.from_config(config, tokenizer=tokenizer_file).save_pretrained(tmp_path / "landed")
    return tmp_path / "landed"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = [
        gather.Made(f"{i}", rng.standard_normal(gather.RATE * 2, np.float32) * np.float32(0.1), "hiss", "hiss")
        for i in range(3)
    ]
    (tmp_path / "sounds").mkdir()
    gather.write(tmp_path / "sounds", "effects", made)
    return tmp_path / "sounds"


def run(tmp_path: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> hear.Run:
    monkeypatch.setattr(hear, "QuickMN04", Teacher)
    monkeypatch.setattr(hear, "BATCH", BATCH)
    folders = [str(tmp_path / "run"), "--sounds", str(sounds), "--teachers", str(tmp_path)]
    return hear.Run(hear.parser().parse_args([*folders, "--fill", "64", "--ring-size", "64", "--new", "0", *more]))


def test_a_run_goes_on_from_a_landed_tower(
    landed: Path, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run(tmp_path, sounds, monkeypatch, "--start", str(landed), "--rate", "1e-4")
    given = load_checkpoint(landed)
    tower = made.student.tower.state_dict()
    assert all(
        np.array_equal(tower[n.removeprefix("audio.")], given.weights[n])
        for n in given.weights
        if n.startswith("audio.")
    )
    assert made.config.dropout == 0
    mean = made.average.module.state_dict()
    assert all(torch.equal(mean[name], values) for name, values in made.student.state_dict().items())
    random = hear.Student(made.config)
    random.tower.load_state_dict(tower)
    assert loss(made, made.student) < 0.5 * loss(made, random), "its heads are fitted"

    made.train(0, decay=2)
    at = {name: values.clone() for name, values in made.student.state_dict().items()}
    drift = (
        (
            made.average.module.state_dict()["tower.hidden.weight"]
            - torch.from_numpy(given.weights["audio.hidden.weight"])
        )
        .abs()
        .max()
    )
    assert 0 < drift < 1e-5, "the mean forgets no landed weight in two steps"
    again = run(tmp_path, sounds, monkeypatch, "--start", str(landed))
    assert again.step == 2
    assert all(torch.equal(again.student.state_dict()[name], values) for name, values in at.items())


def loss(made: hear.Run, student: hear.Student) -> float:
    mel = torch.from_numpy(made.ring.mel[:]).float()[:, None] * (80 / 255) - 80
    answer, aligned = torch.from_numpy(made.ring.answer[:].astype("f4")), torch.ones(len(mel))
    with torch.inference_mode():
        whole, parts = student.eval()(mel)
        return float(torch.stack(list(made.lessons.loss(student, whole, parts, answer, aligned).values())).sum())


def test_a_tower_that_hears_otherwise_is_refused(tokenizer_file: Path, tmp_path: Path) -> None:
    CLAP.from_config(small_config(), tokenizer=tokenizer_file).save_pretrained(tmp_path)
    with pytest.raises(SystemExit, match="no PANN that hears the student's mel"):
        start.landed_tower(str(tmp_path), hear.FRONT)


def test_least_squares_find_a_map() -> None:
    rng = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*shape, generator=rng) for shape in ((200, 5), (3, 5), (3,)))
    found, at = start.least_squares(x, x @ weight.T + bias)
    torch.testing.assert_close(found, weight, atol=0.01, rtol=0)
    torch.testing.assert_close(at, bias, atol=0.01, rtol=0)


def test_what_all_have_in_common_is_subtracted(tokenizer_file: Path) -> None:
    """Means are zero afterwards, and a softmax over names is as sharp as before."""
    from openclap.models.clap import CLAPModel

    torch.manual_seed(0)
    model = CLAPModel(small_config(fusion=None))
    sounds, texts = torch.randn(40, 24) + 3, torch.randn(30, 24) - 2
    names = ("audio_projection.2.bias", "text_projection.2.bias")
    before_it = [model.state_dict()[name].clone() for name in names]

    def sharp(a: torch.Tensor, b: torch.Tensor) -> float:
        near = torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
        return float((model.logit_scale.exp() * near).detach().std(1).mean())

    before = sharp(sounds, texts)
    centre.centred(model, sounds, texts)
    moved = [model.state_dict()[name] - was for name, was in zip(names, before_it, strict=True)]
    torch.testing.assert_close(moved[0], -sounds.mean(0))
    torch.testing.assert_close(moved[1], -texts.mean(0))
    assert sharp(sounds + moved[0], texts + moved[1]) == pytest.approx(before, rel=1e-4)
