"""Distillation from taggers: a student comes to name, by words, what a tagger hears in mixtures of sounds nobody described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import yaml
from models_for_tests import small_config
from typer.testing import CliRunner

from openclap import CLAP
from openclap.backends.graphs.engine import opset, ov
from openclap.cli.app import app
from openclap.errors import TrainingError
from openclap.train import learn_tags, loop
from openclap.train.configuration import read_settings
from openclap.train.settings import Settings
from openclap.train.tagging import tag_batches
from openclap.train.tagging.class_texts import read_class_texts
from openclap.train.tagging.loss import Heads, TagStep
from openclap.train.tagging.mixing import Mixer
from openclap.train.tagging.settings import MixSettings, TaggerSettings, Tags, TagSettings
from openclap.train.tagging.tag_batches import TeacherStatistics
from openclap.train.tagging.taggers import FileTagger, TaggerEnsemble, TaggerOutput
from openclap.train.tagging.task import Tagging

RATE = 16_000
CLASSES = ("dog", "cat", "siren")
TAGGER = """
import numpy as np
from openclap.train.tagging.taggers import TaggerOutput

class Shapes:
    classes, rate, fingerprint = ("dog", "cat", "siren"), 16000, "shapes"
    def answer(self, waves):
        power = np.abs(np.fft.rfft(waves)) ** 2 + 1e-9
        flat = np.exp(np.log(power).mean(1)) / power.mean(1)
        crest = np.abs(waves).max(1) / (np.sqrt((waves ** 2).mean(1)) + 1e-6)
        seen = np.stack([crest > 6, (crest <= 6) & (flat > 0.1), (crest <= 6) & (flat <= 0.1)], 1)
        return TaggerOutput(np.where(seen, 2.0, -4.0).astype(np.float32), np.stack([flat, crest / 10], 1).astype(np.float32))
"""


def sound(number: int, seconds: float = 0.6) -> np.ndarray:
    """Clicks, a hiss or a whistle."""
    rng = np.random.default_rng(number)
    size = int(seconds * RATE)
    if number % 3 == 0:
        wave = np.zeros(size)
        wave[:: int(rng.integers(1500, 2500))] = 1.0
    elif number % 3 == 1:
        wave = rng.standard_normal(size)
    else:
        wave = np.sin(2 * np.pi * rng.uniform(800, 2000) * np.arange(size) / RATE)
    return np.asarray(0.3 * wave / np.abs(wave).max(), np.float32)


@pytest.fixture
def place(tmp_path: Path, tokenizer_file: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    for number in range(18):
        sf.write(tmp_path / "sounds" / f"{number:02}.wav", sound(number), RATE)
    (tmp_path / "shapes.py").write_text(TAGGER)
    model = {k: v for k, v in small_config(fusion=None).to_dict().items() if not k.startswith("format")}
    settings: dict[str, Any] = {
        "out": "student", "model": model, "tokenizer": str(tokenizer_file), "sources": [{"folder": "sounds"}],
        "taggers": [{"python": "shapes.py:Shapes"}], "play": {"speed": 0.02, "shares": [0.7, 0.3]}, "tags": {"held_out": 0.33},
        "epochs": 40, "batch_size": 6, "crop_seconds": 0.5, "learning_rate": 0.02, "threads": 1, "trackers": [],
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


@pytest.fixture(autouse=True)
def _short_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_batches, "STATISTICS_VIEWS", 24)


def edit(place: Path, **changes: Any) -> Path:
    data = yaml.safe_load((place / "run.yaml").read_text())
    data.update(changes)
    (place / "run.yaml").write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
    return place / "run.yaml"


def test_a_student_names_what_the_tagger_hears(place: Path) -> None:
    report = learn_tags(place / "run.yaml", progress=False)
    assert report.understood is not None
    assert report.understood.recordings == 6
    assert report.understood.same == 1.0
    assert json.loads((place / "student" / "tags.json").read_text())["same"] == 1.0
    clap = CLAP.from_pretrained(place / "student")
    for number, name in enumerate(CLASSES):
        assert clap.classify((sound(90 + number), RATE), list(CLASSES), template="{}")[0].label == name


def test_the_verb_tells_how_much_is_understood(place: Path) -> None:
    edit(place, epochs=1)
    result = CliRunner().invoke(app, ["distill", str(place / "run.yaml")])
    assert result.exit_code == 0, result.output
    assert "of 3 classes the taggers' first one for" in " ".join(result.output.split())


def test_a_resumed_run_equals_an_uninterrupted_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teachers are asked anew; their answers, and what is usual of them, are the same."""
    edit(place, epochs=3, checkpoint_minutes=0.0)
    learn_tags(place / "run.yaml", progress=False, out="whole")
    step, steps = loop._TrainingRun._step, []

    def stopped(self: Any, *given: Any) -> float:
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(loop._TrainingRun, "_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            learn_tags(place / "run.yaml", progress=False, out="parts")
    learn_tags(place / "run.yaml", progress=False, out="parts")
    whole, parts = (CLAP.from_pretrained(place / name).model.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_loss_is_zero_for_one_that_says_the_same() -> None:
    """Heads that give the teacher's numbers exactly, and no text: nothing is left to learn."""

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit_scale = torch.nn.Parameter(torch.tensor(1.0))
            self.audio = lambda mel, longer, augment: mel

    heads = Heads(3, 3, 3)
    with torch.no_grad():
        for layer in (heads.classes, heads.embedding):
            assert layer is not None
            layer.weight.copy_(torch.eye(3))
            layer.bias.zero_()
    logits = torch.tensor([[0.3, -2.0, 1.0], [-1.0, 0.5, 0.0]])

    class One:
        mel, longer, embedding = logits, torch.zeros(2, dtype=torch.bool), logits

    One.logits = logits  # type: ignore[attr-defined]
    statistics = TeacherStatistics(torch.zeros(3), torch.ones(3), torch.zeros(3), torch.ones(3))
    step = TagStep(lambda _: None, heads, statistics, Tags(text=0.0))  # type: ignore[arg-type,return-value]
    assert float(step.loss(Tower(), One()).detach()) == pytest.approx(0.0, abs=1e-6)  # type: ignore[arg-type]
    One.mel = logits + 1
    assert float(step.loss(Tower(), One()).detach()) > 0.5  # type: ignore[arg-type]


def test_taggers_together_average_what_both_know() -> None:
    class Fixed:
        def __init__(self, classes: tuple[str, ...], logits: list[float], rate: int) -> None:
            self.classes, self.rate, self.fingerprint, self._logits = classes, rate, classes[0], logits
            self.heard: list[int] = []

        def answer(self, waves: np.ndarray) -> TaggerOutput:
            self.heard.append(waves.shape[1])
            embedding = np.full((len(waves), 2), self.rate, np.float32)
            return TaggerOutput(np.tile(np.array(self._logits, np.float32), (len(waves), 1)), embedding)

    one, two = Fixed(("dog", "rain"), [1.0, 2.0], 16_000), Fixed(("rain", "bell"), [4.0, -1.0], 8_000)
    said = TaggerEnsemble([one, two], 16_000).answer(np.zeros((2, 1600), np.float32))
    assert said.logits.tolist() == [[1.0, 3.0, -1.0]] * 2
    assert said.embedding is not None
    assert said.embedding.shape == (2, 4)
    assert one.heard == [1600]
    assert two.heard == [800]


def test_a_file_that_openvino_reads_is_a_tagger(tmp_path: Path) -> None:
    """It takes windows of half a second; a second is three of them, half overlapping, and their mean counts."""
    wave = opset.parameter([-1, 8000], np.float32, "wave")
    loud = opset.reduce_mean(opset.abs(wave), opset.constant(np.array([1])), True)
    ov.save_model(
        ov.Model([opset.concat([loud, loud * opset.constant(np.float32(0.5))], 1)], [wave], "loud"),
        str(tmp_path / "loud.xml"),
        False,
    )
    (tmp_path / "classes.csv").write_text("name\nloud\nhalf as loud\n")
    asked = TaggerSettings(file="loud.xml", classes="classes.csv", window_seconds=0.5)
    tagger = FileTagger(tmp_path / "loud.xml", tmp_path / "classes.csv", asked, 1)
    waves = np.concatenate([np.zeros((2, 8000)), np.full((2, 8000), 0.6)], 1).astype(np.float32)
    probability = 1 / (1 + np.exp(-tagger.answer(waves).logits))
    assert probability == pytest.approx(np.tile([0.3, 0.15], (2, 1)), abs=1e-5)
    assert tagger.answer(waves[:, :100]).logits.shape == (2, 2)  # shorter ones are padded


def test_texts_mean_classes(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text(
        "text,class,weight\na hound in the rain,dog,3\na hound in the rain,rain,1\nwoof,dog,\n"
    )
    words = read_class_texts([tmp_path / "words.csv"], ("dog", "rain"), ("{}",))
    assert words.texts == ["a hound in the rain", "woof"]
    assert words.weights.tolist() == [[0.75, 0.25], [1.0, 0.0]]
    assert read_class_texts([], ("Dog",), ("{}", "the sound of {}")).texts == ["dog", "the sound of dog"]


def test_playing_is_decided_by_its_generator() -> None:
    how = MixSettings(filter_share=1.0, noise_share=1.0, reverse_share=0.5)
    player = Mixer(how, 1600, RATE)
    sounds = [lambda count, rng: sound(1)[:count], lambda count, rng: sound(2)[: min(count, 500)]]
    one, same, other = (player.mix(sounds, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert one.shape == (1600,)
    assert np.abs(one).max() == pytest.approx(1.0)
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)
    silent = Mixer(MixSettings(), 1600, RATE).mix(
        [lambda count, rng: np.zeros(10, np.float32)], np.random.default_rng(0)
    )
    assert np.abs(silent).max() == 0
    assert {player.count(np.random.default_rng(i)) for i in range(60)} == {1, 2, 3}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"taggers": []}, "taggers is left out"),
        ({"taggers": [{"file": "a.onnx", "python": "b.py:c"}]}, "either a file that OpenVINO reads, or python"),
        ({"taggers": [{"file": "a.onnx"}]}, "needs classes"),
        ({"taggers": [{"python": "nowhere.py:make"}]}, "give FILE.py:NAME"),
        ({"taggers": [{"python": "shapes.py:np"}]}, "must give an object with classes, rate"),
        ({"taggers": "shapes.py"}, "taggers is 'shapes.py'; it must be a list of mappings"),
        ({"play": {"shares": []}}, "play.shares is"),
        ({"tags": {"classes": -1.0}}, "tags.classes is -1.0"),
        ({"tags": {"words": ["lost.csv"]}}, "lost.csv: No such file or directory"),
        ({"pieces": 2}, "pieces must be left out"),
        ({"tokenizer": None}, "the run has no tokenizer"),
    ],
)
def test_what_cannot_be_learnt_by_is_told(place: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        learn_tags(edit(place, **changes), progress=False)


def test_a_class_that_no_tagger_knows_is_told(place: Path) -> None:
    (place / "words.csv").write_text("text,class\nmoo,cow\n")
    with pytest.raises(TrainingError, match=r"words.csv: line 2: no tagger knows the class 'cow'"):
        Tagging(read_settings(edit(place, tags={"words": ["words.csv"]}), TagSettings))


def test_other_verbs_do_not_know_taggers(place: Path) -> None:
    with pytest.raises(TrainingError, match="taggers is for distill"):
        read_settings(place / "run.yaml", Settings)
