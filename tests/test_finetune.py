"""Fine-tuning: a classifier that hears, loads, resumes bit for bit, and tells what is wrong before the first step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
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
from torch import nn
from typer.testing import CliRunner

from openclap import CLAP
from openclap.cli.app import app
from openclap.data import open_manifest
from openclap.errors import HeadMismatch, SoundWarning, TrainingError, UsageError
from openclap.eval.head import classify_with_head, load_head
from openclap.models.clap import CLAPModel
from openclap.train import finetune, loop, train
from openclap.train.batch import Batch, PairLabels
from openclap.train.configuration import settings_of
from openclap.train.distributed import Ranks, join_ranks, share_norms
from openclap.train.finetuning.eval_report import compare_methods
from openclap.train.finetuning.labels import LabelledSounds, read_labelled
from openclap.train.finetuning.settings import DEFAULTS, SupervisedSettings, Supervision
from openclap.train.finetuning.task import Supervised, _modules
from openclap.train.preflight import explain_out_of_memory
from openclap.train.run_state import STATE_FILE
from openclap.train.settings import Source
from openclap.train.task import RunContext

RATE = 16_000
KINDS = ("dog", "cat", "siren")
TAKES = 8


def sound(kinds: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """Clicks, a tone, a hiss, or some at once."""
    t = np.arange(RATE) / RATE
    noise = rng.standard_normal(len(t))
    parts = {
        "dog": noise * np.exp(-40 * (t % 0.2)),
        "cat": 3 * np.sin(2 * np.pi * rng.uniform(800, 1200) * t),
        "siren": noise,
    }
    return 0.05 * sum((parts[kind] for kind in kinds), np.zeros(len(t))) + 0.001 * noise


def write(place: Path, rows: Sequence[tuple[str, tuple[str, ...], str]], extra: str = "fold") -> None:
    """Sounds and their table: file, labels, fold (or another column)."""
    rng = np.random.default_rng(0)
    lines = [f"file,label,{extra}"]
    for name, kinds, other in rows:
        sf.write(place / name, sound(kinds, rng), RATE)
        lines.append(f"{name},{';'.join(kinds)},{other}")
    (place / "metadata.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def place(tmp_path: Path, tokenizer_file: Path) -> Path:
    """A small random model, and three kinds of sound, eight takes each in four folds."""
    small_clap(tokenizer_file).save_pretrained(tmp_path / "start")
    write(tmp_path, [(f"{take}-{kind}.wav", (kind,), str(take % 4 + 1)) for kind in KINDS for take in range(TAKES)])
    return tmp_path


def values(place: Path, **changes: Any) -> dict[str, Any]:
    augment = {"mix_share": 0.2, "noise_share": 0.2, "time_masks": 1, "time_mask_frames": 4}
    return {
        "out": str(place / "model"), "init": str(place / "start"), "sources": [{"folder": str(place)}], "epochs": 2,
        "batch_size": 6, "crop_seconds": 1.0, "threads": 1, "device": "cpu", "augment": augment, **changes,
    }  # fmt: skip


def run(place: Path, **changes: Any) -> Any:
    return finetune(values(place, **changes), progress=False)


# -- it hears ----------------------------------------------------------------------------------------


def test_a_classifier_of_held_out_takes(place: Path) -> None:
    """A head that starts at random above a random tower: what it knows in the end, both have learnt."""
    done = run(place, epochs=40, learning_rate=3e-3, supervised={"start": "random", "test_folds": ["4"], "draws": 50})
    assert done.verdict is not None
    metrics = done.verdict.metrics
    assert metrics["accuracy"].value >= 0.9
    assert metrics["accuracy of zero-shot"].value <= 0.67  # random weights
    assert metrics["gain over zero-shot"].value == pytest.approx(
        metrics["accuracy"].value - metrics["accuracy of zero-shot"].value
    )
    assert done.verdict.examples == 6
    assert done.verdict.settings["learnt from"] == 18
    assert {score.label for score in done.verdict.classes} == set(KINDS)
    assert json.loads((place / "model/finetune.json").read_text()) == json.loads(json.dumps(done.verdict.to_dict()))
    clap, head = CLAP.from_pretrained(place / "model"), load_head(place / "model/head.safetensors")
    files = sorted(place.glob("[37]-*.wav"))
    right = [classify_with_head(clap, f, head)[0].label == f.stem.split("-")[1] for f in files]
    assert np.mean(right) == pytest.approx(metrics["accuracy"].value)
    assert not (place / "model" / STATE_FILE).exists()
    before = CLAP.from_pretrained(place / "start")
    old, new = before.model.state_dict(), clap.model.state_dict()
    assert all(torch.equal(new[key], old[key]) for key in old if "running" in key or key.startswith("text"))
    assert np.allclose(clap.encode_text("dog"), before.encode_text("dog"), atol=1e-6)
    assert not np.allclose(clap.encode_audio(files[0]), before.encode_audio(files[0]), atol=1e-2)
    with pytest.raises(HeadMismatch):
        classify_with_head(before, files[0], head)


def test_a_head_begins_as_a_probe_or_as_prompts(place: Path) -> None:
    """With steps too small to change anything, the classifier is what it began as."""
    for start, method in (("probe", "linear probe"), ("zeroshot", "zero-shot")):
        done = run(
            place, epochs=1, learning_rate=1e-12, out=str(place / start), supervised={"start": start, "draws": 5}
        )
        metrics = done.verdict.metrics
        assert metrics["accuracy"] == metrics[f"accuracy of {method}"]
        assert metrics[f"gain over {method}"].value == 0


def test_several_labels_a_sound(place: Path) -> None:
    kinds = [("dog",), ("cat",), ("siren",), ("dog", "cat"), ("cat", "siren")]
    write(place, [(f"{take}-{i}.wav", some, "test" if take < 2 else "train") for i, some in enumerate(kinds) for take in range(6)], "split")  # fmt: skip
    before = run(place, epochs=1, learning_rate=1e-12, out=str(place / "before"), supervised={"start": "random"})
    done = run(place, epochs=40, learning_rate=5e-3, supervised={"start": "random", "draws": 20})
    assert done.verdict.settings["judged by"] == "the test split"
    assert done.verdict.examples == 10
    assert done.verdict.metrics["mAP"].value > max(0.85, before.verdict.metrics["mAP"].value + 0.1)
    head = load_head(place / "model/head.safetensors")
    assert head.multi_label
    found = classify_with_head(CLAP.from_pretrained(place / "model"), place / "0-3.wav", head)
    assert {guess.label for guess in found[:2]} == {"dog", "cat"}


def test_lora_an_mlp_and_a_model_from_scratch(place: Path, tokenizer_file: Path) -> None:
    run(place, lora={"rank": 2, "parts": ["audio."]}, precision="bfloat16", supervised={"head": "mlp", "draws": 0})
    assert len(load_head(place / "model/head.safetensors").layers) == 2
    model = {k: v for k, v in small_config(fusion=None).to_dict().items() if not k.startswith("format")}
    run(place, out=str(place / "new"), init=None, model=model, tokenizer=str(tokenizer_file), supervised={"draws": 0})
    head = load_head(place / "new/head.safetensors")
    assert classify_with_head(CLAP.from_pretrained(place / "new"), place / "0-dog.wav", head)


def test_all_sounds_may_be_learnt_from(place: Path) -> None:
    done = run(place, epochs=1, supervised={"test_share": 0})
    assert done.verdict.settings["learnt from"] == 24
    assert done.verdict.metrics == {}
    assert "nothing was held out" in done.verdict.notes[0]


# -- through the door --------------------------------------------------------------------------------


def test_the_verb_and_both_ways_to_classify(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "more.yaml").write_text("crop_seconds: 1.0\nlearning_rate: 1e-3\nsupervised: {draws: 5}\n")
    runner = CliRunner()
    options = ["--config", "more.yaml", "--test-fold", "4", "--epochs", "2", "--batch-size", "6", "--threads", "1"]
    done = runner.invoke(
        app, ["finetune", ".", "-o", "m", "--model", "start", *options, "--json"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["verdict"]["settings"]["judged by"] == "fold 4"
    assert told["verdict"]["settings"]["draws"] == 5
    assert told["steps"] == 6
    found = []
    for given in (["--head", "m"], ["--head", "m/head.safetensors", "--model", "m"]):
        told = runner.invoke(app, ["classify", "0-dog.wav", *given, "--json"], catch_exceptions=False)
        found.append(json.loads(told.stdout)["labels"])
    assert found[0] == found[1]
    assert {guess["label"] for guess in found[0]} == set(KINDS)
    monkeypatch.setenv("OPENCLAP_MODEL", "start")  # says nothing about a folder that has its own
    assert runner.invoke(app, ["classify", "0-dog.wav", "--head", "m", "--json"]).exit_code == 0
    with pytest.raises(HeadMismatch):
        runner.invoke(app, ["classify", "0-dog.wav", "--head", "m", "--model", "start"], catch_exceptions=False)
    with pytest.raises(TrainingError, match="finished model"):
        runner.invoke(app, ["finetune", ".", "-o", "m", "--model", "start", *options], catch_exceptions=False)
    with pytest.raises(UsageError, match="finetune FOLDER -o MODEL"):
        runner.invoke(app, ["finetune", "."], catch_exceptions=False)


def test_the_size_of_a_batch_fits_a_small_set(place: Path) -> None:
    given = values(place, epochs=1, supervised={"draws": 0, "test_folds": [4]})
    del given["batch_size"]
    assert finetune(given, progress=False).run.steps == 2  # 18 sounds, 9 at a time


# -- stopped, killed, full ---------------------------------------------------------------------------


def test_a_stopped_run_goes_on_bit_for_bit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {
        "epochs": 3,
        "checkpoint_minutes": 0.0,
        "learning_rate": 1e-3,
        "supervised": {"draws": 0},
    }
    run(place, out=str(place / "whole"), **options)
    step, count = loop._TrainingRun._step, iter(range(100))

    def stops(task: Any, *args: Any) -> float:
        if next(count) == 4:
            rates = [group["lr"] for group in task.optimiser.param_groups]
            assert rates[-1] == pytest.approx(10 * rates[0])  # of the head
            raise KeyboardInterrupt
        return step(task, *args)

    monkeypatch.setattr(loop._TrainingRun, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        run(place, out=str(place / "parted"), **options)
    monkeypatch.setattr(loop._TrainingRun, "_step", step)
    run(place, out=str(place / "parted"), **options)
    assert same(place)


def same(place: Path) -> bool:
    """Whether two runs have the same weights and the same head."""
    whole, parted = (CLAP.from_pretrained(place / name).model.state_dict() for name in ("whole", "parted"))
    heads = [load_head(place / name / "head.safetensors").layers for name in ("whole", "parted")]
    return all(torch.equal(whole[key], parted[key]) for key in whole) and all(
        np.array_equal(a, b) for one, other in zip(*heads, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_a_full_disk_leaves_nothing_half_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"checkpoint_minutes": 0.0, "supervised": {"draws": 0}}
    run(place, out=str(place / "whole"), **options)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "head" in path.name:
            write(path, b"half")
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*run it again"):
        run(place, out=str(place / "parted"), **options)
    assert not list((place / "parted").glob("*.part"))
    assert not (place / "parted/head.safetensors").exists()
    monkeypatch.setattr(Path, "write_bytes", write)
    run(place, out=str(place / "parted"), **options)
    assert same(place)


def test_a_restart_by_another_verb_leaves_no_head_of_the_old_model(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old head and its report once stayed beside the new model. Until that is there, the old one stays whole."""
    run(place, epochs=1, supervised={"draws": 0})
    model = place / "model"
    (model / "notes.txt").write_text("dear")
    (model / "takes").mkdir()
    (place / "anew.yaml").write_text(yaml.safe_dump(values(place, epochs=1)))
    with monkeypatch.context() as patch:
        patch.setattr(loop._TrainingRun, "_step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(place / "anew.yaml", progress=False, resume=False)
    old = load_head(model / "head.safetensors")
    assert classify_with_head(CLAP.from_pretrained(model), place / "0-dog.wav", old)
    train(place / "anew.yaml", progress=False, resume=False)
    assert CLAP.from_pretrained(model).fingerprint != old.fingerprint
    assert not {"head.safetensors", "finetune.json"} & {file.name for file in model.iterdir()}
    assert {"notes.txt", "takes", "training.json"} <= {file.name for file in model.iterdir()}
    mine = place / "mine"  # no model was here, so this head is nobody's but the user's
    mine.mkdir()
    (mine / "head.safetensors").write_text("dear")
    train(place / "anew.yaml", progress=False, out=str(mine))
    assert (mine / "head.safetensors").read_text() == "dear"


# -- gradients ---------------------------------------------------------------------------------------

CLIPS = 6
HEARD = torch.tensor([[0, -1], [1, -1], [2, 0], [0, -1], [1, 2], [2, -1]])
CONCEPTS = ("cat", "dog", "siren")


def gradients(fusion: str | None, ranks: Ranks, rows: slice, *, multi: bool, pieces: int | None, norms: str) -> Any:
    """Of a model in double precision without dropout, so that nothing but the way it is computed can differ."""
    config = small_config(fusion=fusion)
    torch.manual_seed(0)
    model = CLAPModel(config).double().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if norms == "frozen" and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
    if norms == "shared" and ranks.world > 1:
        share_norms(model)
    settings = SupervisedSettings("out", (Source("."),), pieces=pieces, batch_size=CLIPS, supervised=Supervision())
    task = Supervised(settings, LabelledSounds([], [], CONCEPTS, multi, "", ""))
    task._context = RunContext(config, model, ranks, torch.device("cpu"), lambda loss: loss, lambda: None)  # type: ignore[arg-type,return-value]
    rng = np.random.default_rng(1)
    task.extra_module.layers = _modules(
        ((rng.normal(size=(3, 24)).astype(np.float32), np.zeros(3, np.float32)),)
    ).double()
    task._truth = torch.eye(3, dtype=torch.bool)
    views = 4 if fusion is not None else 1
    mel = torch.from_numpy(rng.normal(-30, 10, (CLIPS, views, 51, config.front_end.mel_bins)))[rows]
    longer = (
        torch.tensor([True, False, True, True, True, False])[rows]
        if views == 4
        else torch.zeros(len(mel), dtype=torch.bool)
    )
    none = torch.zeros(0)
    loss = task.gradients(model, Batch(mel, longer, [], PairLabels(HEARD[rows], none, none, none, none)), 3)
    ranks.average([*model.parameters(), *task.extra_module.parameters()])
    named = [*model.named_parameters(), *task.extra_module.named_parameters()]
    return {name: p.grad.numpy() for name, p in named if p.grad is not None} | {"loss": np.array(loss)}


CASES: list[dict[str, Any]] = [
    {"fusion": fusion, "multi": multi, "pieces": pieces, "norms": norms}
    for fusion, multi in (("aff_2d", False), (None, True))
    for pieces, norms in ((None, "shared"), (2, "frozen"))
]


def _rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    with join_ranks(torch.device("cpu")) as ranks:
        for i, case in enumerate(CASES):
            found = gradients(ranks=ranks, rows=slice(3 * rank, 3 * rank + 3), **case)
            np.savez(Path(folder, f"{i}-{rank}.npz"), **found)
    dist.destroy_process_group()


def test_two_processes_and_pieces_give_the_gradient_of_the_whole(tmp_path: Path) -> None:
    assert [rank.code for rank in run_ranks(_rank, str(tmp_path))] == [0, 0]
    for i, case in enumerate(CASES):
        whole = gradients(ranks=Ranks(), rows=slice(None), **{**case, "pieces": None})
        assert max(float(np.abs(value).max()) for value in whole.values()) > 1e-2
        assert "0.weight" in " ".join(whole)
        for rank in range(2):
            part = np.load(tmp_path / f"{i}-{rank}.npz")
            assert set(part.files) == set(whole)
            for name, value in whole.items():
                assert np.allclose(part[name], value, rtol=0, atol=1e-6), (case, rank, name)


def test_what_two_sounds_at_once_are(place: Path) -> None:
    """Both labels where there may be several, half of each where there may be one."""
    for multi, expected in ((True, [[1, 0, 1], [1, 0, 0]]), (False, [[0.5, 0, 0.5], [1, 0, 0]])):
        task = Supervised(SupervisedSettings("out", ()), LabelledSounds([], [], CONCEPTS, multi, "", ""))
        task._truth = torch.eye(3, dtype=torch.bool)
        none = torch.zeros(0)
        batch = Batch(none, none, [], PairLabels(torch.tensor([[2, 0], [0, -1]]), none, none, none, none))
        assert task._targets(batch).tolist() == expected


# -- who is judged, and what is wrong ----------------------------------------------------------------


def labelled(
    place: Path, most_broken: float = 0.0, source: dict[str, Any] | None = None, **asked: Any
) -> LabelledSounds:
    sources = [{"folder": str(place), **(source or {})}]
    given = {**DEFAULTS, "out": "x", "sources": sources, "most_broken": most_broken, "supervised": asked}
    return read_labelled(settings_of(given, place, "settings", SupervisedSettings))


def keys(examples: Any) -> set[str]:
    return {e.item.key for e in examples}


def test_who_is_judged(place: Path) -> None:
    last = labelled(place)
    assert last.how == "fold 4, the last"
    assert keys(last.test) == {f"{take}-{kind}.wav" for take in (3, 7) for kind in KINDS}
    assert keys(labelled(place, test_folds=("1", "2")).test) == {f"{t}-{k}.wav" for t in (0, 1, 4, 5) for k in KINDS}
    assert keys(labelled(place, test_files=("5-*",)).test) == {f"5-{kind}.wav" for kind in KINDS}
    share = labelled(place, test_share=0.25)
    assert keys(share.test) == keys(labelled(place, test_share=0.25).test)
    assert [sum(kind in key for key in keys(share.test)) for kind in KINDS] == [2, 2, 2]
    assert not keys(share.test) & keys(share.train)
    assert keys(labelled(place, source={"repeat": 3}).train) == keys(last.train)
    assert len(labelled(place, source={"repeat": 3}).train) == 3 * len(last.train)
    rows = [(f"{t}-{k}.wav", (k,), ("train", "valid", "eval", "train")[t % 4]) for k in KINDS for t in range(TAKES)]
    write(place, rows, "split")
    by_split = labelled(place)
    assert keys(by_split.test) == {f"{t}-{k}.wav" for t in (2, 6) for k in KINDS}
    assert keys(by_split.train) == {f"{t}-{k}.wav" for t in (0, 3, 4, 7) for k in KINDS}
    named = labelled(place, source={"split": "valid"}, test_split="train")
    assert keys(named.train) == {f"{t}-{k}.wav" for t in (1, 5) for k in KINDS}
    assert len(named.test) == 12


def test_folds_of_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file,label,fold\na.wav,x,1\nb.wav,y,\n")
    (tmp_path / "b.jsonl").write_text('{"file": "a.wav", "fold": 2}\n{"file": "b.wav", "fold": 3.0}\n')
    assert [item.fold for item in open_manifest(tmp_path / "a.csv")] == ["1", None]
    assert [item.fold for item in open_manifest(tmp_path / "b.jsonl")] == ["2", "3"]


@pytest.mark.parametrize(
    ("table", "asked", "words"),
    [
        ("0-dog.wav,,\n", {}, "not one of 1 sound of .* has a label"),
        ("0-dog.wav,dog,1\n1-dog.wav,dog,2\n", {}, r"1 label \(dog\)"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n1-dog.wav,dog,1\n0-cat.wav,cat,1\n0-siren.wav,siren,2\n", {}, "'siren'"),
        ("0-dog.wav,dog,1\n1-dog.wav,dog;cat,2\n", {"multi_label": False}, "1 sound has several labels"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n", {"test_folds": ("7",)}, "fold 7 leaves no sound to judge.*folds: 1"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n", {"test_split": "test"}, "leaves no sound to judge"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n", {"test_folds": ("1",)}, "leaves no sound to learn from"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n", {"test_share": 1.5}, "supervised.test_share"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n", {"heads": "linear"}, "unknown heads"),
        ("0-dog.wav,dog,1\n1-cat.wav,cat,1\n", {"start": "luck"}, "one of probe, zeroshot, random"),
    ],
)
def test_what_is_wrong_with_labels(place: Path, table: str, asked: dict[str, Any], words: str) -> None:
    (place / "metadata.csv").write_text(f"file,label,fold\n{table}")
    with pytest.raises(TrainingError, match=words):
        labelled(place, **asked)


@pytest.mark.parametrize("count", [1, 60])
def test_sounds_without_label_are_left_out(place: Path, count: int) -> None:
    """One clip without a label stopped the run, and the message asked for a flag that there is not."""
    with (place / "metadata.csv").open("a") as file:
        file.write("".join(f"none{i}.wav,N/A,1\n" for i in range(count)))
    with pytest.warns(
        SoundWarning, match=rf"{count} sounds? without a label (is|are) left out: .*none0\.wav: no label"
    ) as told:
        data = labelled(place)
    assert len(data.train) == 18
    assert [failure.path.rpartition(":")[2] for failure in data.left_out] == [f"none{i}.wav" for i in range(count)]
    assert len(str(told[0].message)) < 5000
    (place / "metadata.csv").write_text("file,label\n,dog\n0-dog.wav,dog\n0-cat.wav,cat\n")
    with pytest.raises(
        TrainingError, match=r"1 of 3 entries of the sources cannot be used: .*raise most_broken in a configuration"
    ):
        labelled(place)


def test_a_report_counts_and_names_what_had_no_label(place: Path) -> None:
    with (place / "metadata.csv").open("a") as file:
        file.write("none.wav,,1\n")
    with pytest.warns(SoundWarning, match="without a label"):
        done = run(place, epochs=1, supervised={"draws": 0, "test_share": 0.0})
    assert [(f.path.rpartition(":")[2], f.error) for f in done.left_out] == [("none.wav", "no label")]
    assert done.to_dict()["left_out"][0]["error"] == "no label"
    assert done.verdict is not None
    assert done.verdict.settings["left out"] == 1
    assert done.verdict.notes[0].startswith("1 sound without a label was left out: ")
    assert done.verdict.failed == []


def test_a_label_with_one_sound_is_told_and_learnt(place: Path) -> None:
    sf.write(place / "rain.wav", sound(("siren",), np.random.default_rng(7)), RATE)
    with (place / "metadata.csv").open("a") as file:
        file.write("rain.wav,rain,1\n")
    with pytest.warns(SoundWarning, match="1 label has one sound to learn from.*: rain"):
        data = labelled(place, test_share=0.2)
    assert "rain" in data.labels
    assert "rain.wav" in keys(data.train)


@pytest.mark.parametrize(("name", "words"), [("3-dog.wav", "to judge cannot be read"), ("0-dog.wav", "1 of 18 sounds cannot be read")])  # fmt: skip
def test_broken_sounds_are_named(place: Path, name: str, words: str) -> None:
    (place / name).write_text("no sound")
    with pytest.raises(TrainingError, match=rf"{words}: .*{name}"):
        run(place, most_broken=0.0)
    with pytest.warns(SoundWarning, match=name) if name == "0-dog.wav" else nullcontext():
        done = run(place, most_broken=0.2, epochs=1, supervised={"draws": 0})
    assert [Path(failure.path).name for failure in done.verdict.failed] == ([] if name == "0-dog.wav" else [name])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"average": 0.9}, "average is 0.9"),
        ({"init": "no/such model"}, "init: "),
        ({"batch_size": 99}, "fewer than one batch of 99"),
        ({"freeze": ["audio", "text", "logit_scale"]}, "nothing to train"),
        ({"supervised": {"start": "zeroshot", "head": "mlp"}}, "the head is an mlp"),
        ({"supervised": ["linear"]}, "names and values are expected"),
        ({"init": "start", "out": "start"}, "out and init are both"),
        ({"out": "."}, "holds a model of another making"),
        ({"out": "0-dog.wav"}, "cannot be written to"),
        ({"out": "0-dog.wav/inside"}, "cannot be written to"),
        ({"crop_seconds": 1e-6}, "crop_seconds is 1e-06; the audio tower takes"),
        ({"tokenizer": "nowhere.json"}, "nowhere.json is not there"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"epochs": float("inf")}, "epochs is inf"),
        ({"seed": 2**64}, f"seed is {2**64}; .*below 2"),
        ({"augment": {"equaliser_db": -3}}, "equaliser_db.* must be 0 or more"),
        ({"sources": [{"folder": "nowhere"}]}, "nowhere"),
        ({"sources": [{"folder": ".", "split": "test"}]}, "no item is of the split 'test'"),
    ],
)
def test_what_is_wrong_is_told_before_the_first_step(place: Path, monkeypatch: pytest.MonkeyPatch, changes: Any, words: str) -> None:  # fmt: skip
    monkeypatch.chdir(place)
    (place / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=words):
        run(place, **changes)
    assert (place / "config.json").read_text() == "{}"


def test_the_verb_tells_what_is_wrong_with_supervised_in_a_file(place: Path) -> None:
    (place / "wrong.yaml").write_text("supervised: yes\n")
    for also in ([], ["--head", "mlp"]):
        with pytest.raises(TrainingError, match="names and values are expected, not True"):
            CliRunner().invoke(
                app,
                ["finetune", str(place), "-o", str(place / "m"), "--config", str(place / "wrong.yaml"), *also],
                catch_exceptions=False,
            )


def test_too_little_memory_is_one_sentence() -> None:
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("you can't allocate memory: 2 TB")):
        with pytest.raises(TrainingError, match="set pieces"), explain_out_of_memory():
            raise error
    with pytest.raises(RuntimeError, match="another"), explain_out_of_memory():
        raise RuntimeError("another")


def test_labels_that_are_no_words_have_no_zero_shot(place: Path) -> None:
    table = (place / "metadata.csv").read_text()
    for i, kind in enumerate(KINDS):
        table = table.replace(f",{kind},", f",{i},")
    (place / "metadata.csv").write_text(table)
    done = run(place, epochs=1, supervised={"draws": 0})
    assert list(done.verdict.metrics) == ["accuracy", "accuracy of linear probe", "gain over linear probe"]
    with pytest.raises(TrainingError, match="labels are no words"):
        run(place, out=str(place / "other"), supervised={"start": "zeroshot"})


def test_gains_by_hand(place: Path) -> None:
    """Half of four are right before, three after: the gain is a quarter, and each draw gains on the same sounds."""
    from openclap.data.items import Item
    from openclap.eval.embedding import EmbeddedItems

    examples = [Item.at(Path(str(i)), labels=("cat" if i % 2 else "dog",)) for i in range(4)]
    data = LabelledSounds([], [], ("cat", "dog"), False, "", "")
    before = np.array([[0, 1], [0, 1], [0, 1], [0, 1]], np.float32)
    after = np.array([[0, 1], [1, 0], [0, 1], [0, 1]], np.float32)
    used = EmbeddedItems(examples, np.zeros((4, 2), np.float32), [])
    found = compare_methods(used, {"": after, "probe": before}, data, draws=200, seed=0)
    assert [found[name].value for name in ("accuracy", "accuracy of probe", "gain over probe")] == [0.75, 0.5, 0.25]
    assert found["gain over probe"].low is not None
    assert found["gain over probe"].low >= 0


TRAINER = """
import json, sys
from openclap.train import finetune
done = finetune(json.loads(sys.argv[1]), progress=False)
print(json.dumps(done.to_dict()))
"""


def test_two_processes_make_one_classifier(place: Path) -> None:
    """The head of the first is that of both: on other machines a probe may differ in the last digit."""
    given = json.dumps(values(place, epochs=1, supervised={"draws": 0}))
    told = [json.loads(rank.out) for rank in run_program(TRAINER, given)]
    assert told[0]["verdict"]["examples"] == 6
    assert told[1]["verdict"] is None
    assert told[0]["loss"] == told[1]["loss"]
    clap, head = CLAP.from_pretrained(place / "model"), load_head(place / "model/head.safetensors")
    assert classify_with_head(clap, place / "0-dog.wav", head)


def test_what_stops_one_process_stops_both(place: Path) -> None:
    """Who waits alone waits long: the other would have waited twelve hours."""
    given = json.dumps(values(place, epochs=1, supervised={"draws": 0}))
    fails = """
import os
from openclap.errors import TrainingError
from openclap.train.finetuning import task
def gone(*_):
    raise TrainingError("the start is not on this machine")
if os.environ["RANK"] == "1":
    task.starting_model = gone
"""
    ended = run_program(fails + TRAINER, given)
    assert all("the start is not on this machine" in rank.err for rank in ended)
    assert [rank.code for rank in ended] == [1, 1]
