"""Distillation: a student comes to say what its teacher says, from sounds that nobody described; the teacher is asked once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import torch.distributed as dist
import yaml
from models_for_tests import small_clap, small_config
from ranks_for_tests import run_program, run_ranks
from test_gradients import batch_of, model_of, tokenize
from test_train import SOUNDS
from test_train import sound as kind_of_sound
from typer.testing import CliRunner

from openclap import CLAP, CLAPConfig
from openclap.cli.app import app
from openclap.errors import SoundWarning, TrainingError
from openclap.train import distill, loop, train
from openclap.train.configuration import read_settings
from openclap.train.distillation import agreement
from openclap.train.distillation.distill_batches import DistillBatch
from openclap.train.distillation.loss import DistillStep
from openclap.train.distillation.settings import Distill, DistillSettings
from openclap.train.distillation.task import Distillation
from openclap.train.distributed import Ranks, join_ranks
from openclap.train.settings import Augment

RATE = 16_000
AUDIO = {
    "kind": "pann", "widths": [8, 8, 12], "convs": 1, "kernel": 3, "pools": [[2, 2]] * 3, "output": 12,
    "dropout": 0.0, "head_dropout": 0.0, "output_dropout": 0.0,
}  # fmt: skip
TEXTS = ("the sound of dog", "the sound of cat", "the sound of siren", "a cat")


def sound(number: int, seconds: float = 0.0) -> np.ndarray:
    """One of three kinds, 1 to 4 s."""
    rng = np.random.default_rng(number)
    wave = np.tile(kind_of_sound(SOUNDS[number % 3], rng), 2)
    return wave[: int(RATE * (seconds or rng.uniform(1.0, 4.0)))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    """A teacher that tells three kinds of sound apart, and other takes of them without a word about them."""
    place = tmp_path_factory.mktemp("distill")
    (place / "described").mkdir()
    (place / "sounds" / "below").mkdir(parents=True)
    lines = ["file,caption"]
    for number in range(12):
        sf.write(place / "described" / f"{number}.wav", sound(100 + number, 2.0), RATE)
        lines.append(f"{number}.wav,the sound of {SOUNDS[(100 + number) % 3]}")
    (place / "described" / "metadata.csv").write_text("\n".join(lines) + "\n")
    model = {k: v for k, v in small_config(fusion=None).to_dict().items() if not k.startswith("format")}
    lesson = {
        "out": "teacher", "model": model, "tokenizer": str(tokenizer_file), "sources": [{"folder": "described"}], "seed": 1,
        "epochs": 40, "batch_size": 6, "crop_seconds": 1.0, "learning_rate": 0.01, "average": 0.8, "threads": 1, "trackers": [],
    }  # fmt: skip
    (place / "teacher.yaml").write_text(yaml.safe_dump(lesson))
    train(place / "teacher.yaml", progress=False)
    for number in range(24):
        sf.write(place / "sounds" / ("below" if number % 2 else "") / f"{number:02}.wav", sound(number), RATE)
    (place / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    settings: dict[str, Any] = {
        "out": "student", "teacher": "teacher", "model": {"name": "student", "audio": AUDIO}, "sources": [{"folder": "sounds"}],
        "epochs": 60, "batch_size": 8, "crop_seconds": 1.0, "learning_rate": 0.02, "threads": 1, "trackers": [],
        "augment": {"stretch": 0.05, "equaliser_db": 0.5}, "distill": {"held_out": 0.25},
    }  # fmt: skip
    (place / "run.yaml").write_text(yaml.safe_dump(settings))
    return place


@pytest.fixture(autouse=True)
def _no_long_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SECONDS", 0.0)


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def edit(place: Path, **changes: Any) -> Path:
    data = yaml.safe_load((place / "run.yaml").read_text())
    for name, value in changes.items():
        data[name] = {**data.get(name, {}), **value} if isinstance(value, dict) else value
    (place / "run.yaml").write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
    return place / "run.yaml"


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return CLAP.from_pretrained(folder).model.state_dict()


def test_a_student_comes_to_say_what_its_teacher_says(place: Path) -> None:
    before = distill(edit(place, epochs=1, learning_rate=1e-9), progress=False, out="before").agreement
    after = distill(edit(place, epochs=60, learning_rate=0.02), progress=False).agreement
    assert before is not None and after is not None  # noqa: PT018
    assert before.cosine is not None and after.cosine is not None  # noqa: PT018
    assert after.constant is not None
    assert before.cosine < 0.3
    assert after.cosine > 0.97
    assert 1 - after.cosine < (1 - after.constant) / 3
    assert after.recordings == 6
    assert after.student.audio_weights < after.teacher.audio_weights
    assert json.loads((place / "student" / "distill.json").read_text()) == after.to_dict()
    student, teacher = CLAP.from_pretrained(place / "student"), CLAP.from_pretrained(place / "teacher")
    takes = [(sound(200 + number, 2.0), RATE) for number in range(9)]
    named, right = ([clap.classify(t, SOUNDS, template="{}")[0].label for t in takes] for clap in (student, teacher))
    assert np.mean([one == other for one, other in zip(named, right, strict=True)]) > 0.8
    assert np.array_equal(student.encode_text(TEXTS), teacher.encode_text(TEXTS))
    assert student.logit_scale == teacher.logit_scale
    assert student.front_end == teacher.front_end


def test_held_out_recordings_are_not_trained_on(place: Path) -> None:
    task = Distillation(read_settings(place / "run.yaml", DistillSettings))
    trained = {example.key for example in task.examples()}
    assert len(trained) == 18
    assert not trained & {example.key for example in task._held}
    moved = place / "elsewhere"
    shutil.copytree(place / "sounds", moved)
    again = Distillation(read_settings(edit(place, sources=[{"folder": "elsewhere"}]), DistillSettings))
    again.examples()
    assert [e.item.key for e in again._held] == [e.item.key for e in task._held]


def test_the_teacher_is_asked_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a run that follows one that was killed while the teacher listened."""
    from openclap.train.distillation import teacher

    heard: list[int] = []
    each = CLAP.encode_each

    def counted(clap: CLAP, sounds: Any, **options: Any) -> Any:
        heard.append(len(sounds))
        if len(heard) == 3:
            raise KeyboardInterrupt
        return each(clap, sounds, **options)

    monkeypatch.setattr(CLAP, "encode_each", counted)
    monkeypatch.setattr(teacher, "PART", 4)
    edit(place, epochs=1, distill={"cache": "heard"})
    with pytest.raises(KeyboardInterrupt):
        distill(place / "run.yaml", progress=False)
    assert heard == [4, 4, 4]
    heard[:] = [0] * 3
    distill(place / "run.yaml", progress=False, out="first")
    asked = heard[3:]
    assert asked[:4] == [4] * 4
    assert sum(asked) == 16 + 6  # what was not kept; what is held out, by the student
    before = len(heard)
    sf.write(place / "sounds" / "00.wav", sound(99), RATE)  # another sound under a known name
    distill(place / "run.yaml", progress=False, out="second")
    assert sum(heard[before:]) == 1 + 6


def test_a_stopped_run_goes_on_bit_for_bit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(place, epochs=3, checkpoint_minutes=0.0, average=0.8, augment={"noise_share": 0.5, "time_masks": 1})
    distill(place / "run.yaml", progress=False, out="whole")
    step, count = loop._TrainingRun._step, iter(range(100))

    def stops(run: Any, *args: Any) -> float:
        if next(count) == 3:
            raise KeyboardInterrupt
        return step(run, *args)

    monkeypatch.setattr(loop._TrainingRun, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        distill(place / "run.yaml", progress=False, out="parted")
    monkeypatch.setattr(loop._TrainingRun, "_step", step)
    assert distill(place / "run.yaml", progress=False, out="parted").steps == 6
    whole, parted = weights_of(place / "whole"), weights_of(place / "parted")
    assert all(torch.equal(whole[key], parted[key]) for key in whole)


def test_a_text_tower_of_another_shape_learns_texts(place: Path, tokenizer_file: Path) -> None:
    text = {"kind": "words", "vocabulary": 64, "width": 8}
    report = distill(
        edit(
            place, model={"text": text}, tokenizer=str(tokenizer_file), epochs=40,
            distill={"texts": ["texts.txt"]}, templates=["{}", "this is {}"],
        ),
        progress=False,
    )  # fmt: skip
    assert report.agreement is not None
    assert report.agreement.texts == len(TEXTS)
    student, teacher = CLAP.from_pretrained(place / "student"), CLAP.from_pretrained(place / "teacher")
    assert student.config.text.width == 8
    cosines = student.similarity(student.encode_text(TEXTS), teacher.encode_text(TEXTS))
    assert cosines[:3, :3].argmax(1).tolist() == [0, 1, 2]
    assert cosines.diagonal().mean() > 0.9


def test_another_width_learns_by_relations_alone(place: Path, tokenizer_file: Path) -> None:
    edit(place, model={"embedding": 12}, tokenizer=str(tokenizer_file), distill={"texts": ["texts.txt"]}, epochs=30)
    with pytest.raises(TrainingError, match=r"embedding has 12 numbers, the teacher's 24.*relations alone"):
        distill(place / "run.yaml", progress=False)
    relations = {"audio": 0.0, "text": 0.0, "relations": 1.0, "contrast": 0.0}
    report = distill(edit(place, distill=relations), progress=False)
    log = [float(line.split(",")[2]) for line in (place / "student" / "log.csv").read_text().splitlines()[1:]]
    assert log[-1] < log[0] / 2
    assert report.agreement is not None
    assert report.agreement.cosine is None
    assert report.agreement.same_text is not None


@pytest.mark.parametrize("changes", [{"pieces": 2}, {"precision": "bfloat16"}, {"freeze_norms": True}, {"workers": 2}])
def test_other_ways_to_compute(place: Path, changes: dict[str, Any]) -> None:
    parts = {"relations": 0.1, "contrast": 0.1, "texts": ["texts.txt"]}
    distill(edit(place, epochs=12, distill=parts, **changes), progress=False)
    log = [float(line.split(",")[2]) for line in (place / "student" / "log.csv").read_text().splitlines()[1:]]
    assert log[-1] < log[0]


def test_pieces_give_the_gradient_of_the_whole(place: Path) -> None:
    edit(place, epochs=1, freeze_norms=True, distill={"relations": 0.1, "contrast": 0.1, "texts": ["texts.txt"]})
    distill(place / "run.yaml", progress=False, out="whole")
    distill(place / "run.yaml", progress=False, out="pieces", pieces=3)
    whole, pieces = weights_of(place / "whole"), weights_of(place / "pieces")
    assert all(torch.allclose(whole[key], pieces[key], atol=1e-4) for key in whole)


def test_a_fused_student_is_taught_the_whole(place: Path, tokenizer_file: Path) -> None:
    small_clap(tokenizer_file, seed=1).save_pretrained(place / "fused")
    edit(place, teacher="fused", longer_share=1.0, longer_from=1.5, epochs=2)
    distill(place / "run.yaml", progress=False)
    (folder,) = (place / "student" / "teacher").iterdir()
    heard = [k for f in (folder / "wholes").glob("*.json") for k in json.loads(f.read_text())["rows"]]
    assert 6 < len(heard) <= 24  # those of more than one window
    assert CLAP.from_pretrained(place / "student").config.fusion == "aff_2d"
    task = Distillation(read_settings(place / "run.yaml", DistillSettings))
    key = next(e.key for e in task.examples() if any(e.item.key in k for k in heard))
    task.teacher.embed_sounds(task.examples(), Ranks(), whole=True, progress=False)
    item = {e.key: e.item for e in task.examples()}[key]
    assert np.allclose(task.teacher.embedding_of(key).whole, task.teacher.clap.encode_audio(item.read())[0], atol=1e-5)


def test_a_broken_sound_is_named_and_left_out(place: Path) -> None:
    (place / "sounds" / "04.wav").write_text("no sound")
    with pytest.raises(TrainingError, match=r"cannot be read: .*04\.wav"):
        distill(edit(place, epochs=1), progress=False)
    with pytest.warns(SoundWarning, match=r"left out: .*04\.wav"):
        distill(edit(place, most_broken=0.1), progress=False)


def test_two_processes_teach_one_student(place: Path) -> None:
    edit(place, epochs=2, device="cpu", augment={"stretch": 0.0, "equaliser_db": 0.0}, distill={"contrast": 0.1})
    code = "import sys; from openclap.train import distill; distill(sys.argv[1], progress=False)"
    assert [rank.code for rank in run_program(code, str(place / "run.yaml"))] == [0, 0]
    assert len((place / "student" / "log.csv").read_text().splitlines()) == 3
    assert json.loads((place / "student" / "distill.json").read_text())["recordings"] == 6


def lesson_gradients(ranks: Ranks, rows: slice, pieces: int | None = None) -> dict[str, np.ndarray]:
    """Of some rows of one batch, averaged over ranks, by all parts of the loss."""
    model = model_of("pann", "aff_2d")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            module.eval()
    batch = batch_of(model.config, rows if ranks.world > 1 else None)
    rng = np.random.default_rng(7)
    heard, said = (
        torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(8, 24))).float(), dim=1) for _ in range(2)
    )
    lesson = DistillBatch(
        **vars(batch), teacher_audio=heard[rows][: len(batch.mel)], teacher_text=said[[int(t) for t in batch.texts]]
    )
    parts = Distill(audio=1.0, text=0.5, relations=0.3, contrast=0.2)
    loss = DistillStep(tokenize, Augment(), ranks, None, pieces, parts=parts).gradients(model, lesson, 5)
    ranks.average(model.parameters())
    found = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    return {**found, "loss": np.array(loss)}


def _rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    with join_ranks(torch.device("cpu")) as ranks:
        found = lesson_gradients(ranks, slice(0, 3) if rank == 0 else slice(3, 6))
        np.savez(Path(folder, f"{rank}.npz"), **found)  # type: ignore[arg-type]
    dist.destroy_process_group()


def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    assert [rank.code for rank in run_ranks(_rank, str(tmp_path))] == [0, 0]
    whole = lesson_gradients(Ranks(), slice(0, 6))
    pieces = lesson_gradients(Ranks(), slice(0, 6), pieces=4)
    assert "logit_scale" not in whole
    assert {name.partition(".")[0] for name in whole} > {"audio", "text", "audio_projection", "text_projection"}
    for found in (pieces, *(np.load(tmp_path / f"{rank}.npz") for rank in range(2))):
        for name, value in whole.items():
            assert np.allclose(found[name], value, rtol=0, atol=1e-5), name


def test_described_sounds_give_texts(place: Path) -> None:
    lines = [f"{p.relative_to(place / 'sounds')},a cat" for p in sorted((place / "sounds").rglob("*.wav"))]
    (place / "sounds" / "metadata.csv").write_text("\n".join(["file,caption", *lines]) + "\n")
    report = distill(edit(place, epochs=1, distill={"texts": ["texts.txt"]}), progress=False)
    assert report.agreement is not None
    assert report.agreement.texts == len(TEXTS)  # "a cat" is among them


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher": None}, "teacher is left out"),
        ({"teacher": "no/such model"}, "teacher: "),
        ({"distill": {"audio": -1.0}}, "distill.audio is -1.0"),
        ({"distill": {"audio": 0.0, "text": 0.0}}, "weight 0"),
        ({"distill": {"held_out": 1.0}}, "held_out is 1.0"),
        ({"distill": {"hop_seconds": 0.0}}, "hop_seconds is 0.0"),
        ({"distill": {"surprise": 1}}, "unknown surprise"),
        ({"distill": {"relations": 1.0}}, "no text to learn from"),
        ({"distill": {"texts": ["nowhere.txt"]}}, "nowhere.txt"),
        ({"crop_seconds": 11.0}, "crop_seconds is 11"),
        ({"augment": {"mix_share": 0.5}}, "mix_share must be 0"),
        ({"augment": {"under_share": 0.5}}, "under_share must be 0"),
        ({"loss": "sigmoid"}, "loss: not for"),
        ({"lora": {"rank": 2}}, "lora has parts of the text tower"),
        ({"model": {"text": {"kind": "words", "vocabulary": 64, "width": 8}}, "distill": {"copy_text": True}}, "not of the teacher's shape"),
        ({"freeze": ["audio"]}, "leave nothing to learn"),
        ({"sources": [{"folder": "teacher"}]}, "metadata.csv"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_before_the_first_step(place: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        distill(edit(place, **changes), progress=False)


def test_plain_training_knows_no_teacher(place: Path) -> None:
    with pytest.raises(TrainingError, match="teacher is for distill"):
        train(place / "run.yaml", progress=False)


def test_the_verb(place: Path) -> None:
    edit(place, epochs=1)
    found = CliRunner().invoke(app, ["distill", str(place / "run.yaml"), "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout.splitlines()[-1])["agreement"]["recordings"] == 6


def test_the_recipes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the document, and the one for laion/clap-htsat-fused: teachers that are not here are not asked."""
    root = Path(__file__).parent.parent
    (tmp_path / "run.yaml").write_text(
        (root / "docs" / "distillation.md").read_text().split("```")[1].removeprefix("yaml")
    )
    monkeypatch.setenv("OPENCLAP_DATA", str(tmp_path))
    for file in (tmp_path / "run.yaml", root / "runs" / "distill.yaml"):
        settings = read_settings(file, DistillSettings)
        given = {k: v for k, v in CLAPConfig(fusion="aff_2d").to_dict().items() if k != "audio"}
        filled = CLAPConfig.from_dict({**given, **settings.model})
        assert filled.embedding == 512
        assert settings.teacher == "laion/clap-htsat-fused"
