"""What a run starts from and what it leaves: adapters, pretrained towers, curves, and weights that are spread over processes."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from models_for_tests import small_config, text_config
from ranks_for_tests import run_program
from test_train import edit, place, stopped  # noqa: F401  (a fixture)

from openclap import CLAP
from openclap.config import TEXT
from openclap.errors import MissingExtra, TrainingError
from openclap.train import loop, train
from openclap.train.configuration import read_settings
from openclap.train.initial_model import InitialModel
from openclap.train.progress import Trackers, log_epoch
from openclap.train.run_state import STATE_FILE, save_state


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    return CLAP.from_pretrained(folder).model.state_dict()


@pytest.fixture
def first(place: Path) -> Path:  # noqa: F811
    """A model of two epochs to start from."""
    return Path(train(edit(place, epochs=2), progress=False).out)


def test_a_run_takes_model_and_tokenizer_of_what_it_starts_from(place: Path, first: Path) -> None:  # noqa: F811
    settings = yaml.safe_load((place / "run.yaml").read_text())
    kept = {k: v for k, v in settings.items() if k not in ("model", "tokenizer")}
    (place / "short.yaml").write_text(yaml.safe_dump({**kept, "init": "model", "epochs": 1}))
    again = train(place / "short.yaml", progress=False, out="again")
    old, new = CLAP.from_pretrained(first), CLAP.from_pretrained(again.out)
    assert new.config == old.config
    assert (Path(again.out) / "tokenizer.json").read_bytes() == (first / "tokenizer.json").read_bytes()
    (place / "none.yaml").write_text(yaml.safe_dump({**kept, "epochs": 1}))
    with pytest.raises(TrainingError, match="model is left out"):
        train(place / "none.yaml", progress=False, out="none")


def test_adapters_train_and_are_worked_into_the_weights(place: Path, first: Path) -> None:  # noqa: F811
    """The result has the names and shapes of any other model; what was frozen moves only where adapters are, by a low rank."""
    config = {"init": "model", "epochs": 3, "average": 0.5, "lora": {"rank": 2, "parts": ["audio.", "text_projection"]}}
    before, report = state_of(first), train(edit(place, **config), progress=False, out="adapted")
    after = state_of(Path(report.out))
    assert before.keys() == after.keys()
    assert not any("lora" in name for name in after)
    change = after["audio.hidden.weight"] - before["audio.hidden.weight"]
    assert 0 < torch.linalg.matrix_rank(change, rtol=1e-3) <= 2
    assert (
        torch.linalg.matrix_rank(after["audio_projection.0.weight"] - before["audio_projection.0.weight"], rtol=1e-3)
        > 2
    )
    still = [n for n in before if n.startswith("audio.") and "running" not in n and not n.startswith("audio.hidden")]
    assert still
    assert all(torch.equal(before[n], after[n]) for n in still if before[n].is_floating_point())


def test_dropout_of_adapters_is_at_work(place: Path, first: Path) -> None:  # noqa: F811
    """It lies in frozen layers, and once was put to rest with them."""
    from openclap.train.initial_model import enable_adapter_dropout, train_mode

    changes = {"init": "model", "lora": {"rank": 2, "dropout": 0.5}, "tokenizer": None}
    settings = read_settings(edit(place, **changes))
    start = InitialModel(settings, settings.config(), torch.device("cpu"))
    train_mode(start.model)
    enable_adapter_dropout(start.model)
    dropouts = [m for n, m in start.model.named_modules() if n.endswith("lora_dropout.default")]
    assert dropouts
    assert all(m.training for m in dropouts)


def test_a_model_that_is_there_is_not_overwritten(place: Path, first: Path) -> None:  # noqa: F811
    with pytest.raises(TrainingError, match="holds a finished model"):
        train(edit(place, init=None), progress=False)
    for name in ("training.json", "log.csv"):  # as one that was downloaded
        (first / name).unlink()
    with pytest.raises(TrainingError, match="holds a model of another making"):
        train(edit(place, init=None), progress=False)
    with pytest.raises(TrainingError, match="out and init are both"):
        train(edit(place, init="model"), progress=False, resume=False)


def test_a_restart_forgets_the_old_state(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Killed before its first state, it once went on with the one before."""
    edit(place, epochs=3, checkpoint_minutes=0.0)
    stopped(place, "run", monkeypatch)
    assert (place / "run" / STATE_FILE).exists()
    edit(place, epochs=3, checkpoint_minutes=9.0)
    with pytest.raises(KeyboardInterrupt):
        _interrupted(place, monkeypatch)
    assert not (place / "run" / STATE_FILE).exists()


def _interrupted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def stops(*args: Any) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._TrainingRun, "_step", stops)
        train(place / "run.yaml", progress=False, resume=False, out="run")


def test_adapters_go_on_bit_for_bit(place: Path, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    edit(place, init="model", epochs=3, checkpoint_minutes=0.0, lora={"rank": 2, "dropout": 0.3}, tokenizer=None)
    train(place / "run.yaml", progress=False, out="whole")
    stopped(place, "parted", monkeypatch)
    train(place / "run.yaml", progress=False, out="parted")
    whole, parted = state_of(place / "whole"), state_of(place / "parted")
    assert all(torch.equal(whole[key], parted[key]) for key in whole)


@pytest.mark.parametrize("kind", ["roberta", "bert", "clip", "sbert"])
def test_the_text_tower_starts_from_a_transformer(place: Path, tokenizer_file: Path, kind: str) -> None:  # noqa: F811
    from dataclasses import replace

    from transformers import PreTrainedModel

    from openclap.models.text import TextTransformer

    torch.manual_seed(3)
    config = text_config(kind)
    made = TEXT[kind].load("module")(config)
    assert isinstance(made, TextTransformer)
    tower = made.tower
    assert isinstance(tower, PreTrainedModel)
    tower.save_pretrained(place / "transformer")
    (place / "transformer" / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    model = replace(small_config(), text=config).to_dict()
    settings = read_settings(edit(place, model=_plain(model), init_text=str(place / "transformer"), tokenizer=None))
    start = InitialModel(settings, settings.config(), torch.device("cpu"))
    assert start.tokenizer_file == place / "transformer" / "tokenizer.json"
    assert isinstance(start.model.text, TextTransformer)
    got = start.model.text.tower.state_dict()
    assert all(torch.equal(got[k], v) for k, v in tower.state_dict().items())
    wrong = {**_plain(model), "text": {**_plain(model)["text"], "intermediate": 48}}
    with pytest.raises(TrainingError, match="do not fit the text tower"):
        train(edit(place, model=wrong), progress=False)
    with pytest.raises(TrainingError, match="nobody/nothing cannot be loaded"):
        train(edit(place, model=_plain(model), init_text="nobody/nothing"), progress=False)


def _plain(model: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in model.items() if not k.startswith("format")}


def test_curves_are_kept_and_go_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A point that a killed run had drawn beyond its last state is drawn anew, not twice."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # Files of curves are read in the order of their names, "<second>.<host>.<process>.<number>": within one second the
    # tenth of a process comes before its ninth. Two runs that begin a second apart have no such tie.
    seconds = count(1_700_000_000)
    monkeypatch.setattr(event_file_writer, "time", SimpleNamespace(time=lambda: float(next(seconds))))
    out = place / "curves"
    for step in (0, 3):
        trackers = Trackers(("tensorboard",), out, step, cpu=True)
        for number in range(step, 5):
            trackers.log({"loss": 10.0 * step + number}, number)
        trackers.close()
    curve = EventAccumulator(str(out / "tensorboard")).Reload().Scalars("loss")
    assert [(point.step, point.value) for point in curve] == [(0, 0), (1, 1), (2, 2), (3, 33), (4, 34)]
    train(edit(place, epochs=3, track_steps=2), progress=False)
    train(edit(place, epochs=3, track_steps=2), progress=False, resume=False)  # its curves, not those of both
    found = EventAccumulator(str(place / "model" / "tensorboard")).Reload()
    assert {"loss", "learning_rate", "logit_scale", "clips_per_second"} <= set(found.Tags()["scalars"])
    assert [point.step for point in found.Scalars("loss")] == [2, 4, 6]


def test_a_log_that_was_edited_or_cut_goes_on(tmp_path: Path) -> None:
    for epoch in (1, 2):
        log_epoch(tmp_path, epoch, 4 * epoch, 0.5, 14.0, 1.0)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    (tmp_path / "log.csv").write_bytes("\n".join([*lines, "", "my notes", "3,1"]).encode() + b"\xff")
    log_epoch(tmp_path, 3, 12, 0.5, 14.0, 1.0)
    assert (tmp_path / "log.csv").read_text().splitlines() == [*lines, "3,12,0.5000,14.00,1.0"]


def test_trackers_that_are_not_there(place: Path) -> None:  # noqa: F811
    with pytest.raises(TrainingError, match="trackers: 'paper' is none; choose from"):
        train(edit(place, trackers=["paper"]), progress=False)
    with pytest.raises(MissingExtra, match="wandb is not installed"):
        train(edit(place, trackers=["wandb"]), progress=False, out="other")
    assert train(edit(place, trackers=[], epochs=1), progress=False, out="none").steps == 2
    assert not (place / "none" / "tensorboard").exists()


STOPS = """
step, count = loop._TrainingRun._step, iter(range(100))
def stops(run, *args):
    if next(count) == 3:
        os._exit(7)
    return step(run, *args)
loop._TrainingRun._step = stops"""


def two_processes(place: Path, out: str, code: str = "") -> list[int]:  # noqa: F811
    """Train in two processes over gloo → their exit codes."""
    program = f"import os, sys; from openclap.train import loop, train; {code}\ntrain(sys.argv[1], progress=False, out={out!r})"
    return [rank.code for rank in run_program(program, str(place / "run.yaml"))]


def test_a_run_with_spread_weights_goes_on_bit_for_bit(place: Path) -> None:  # noqa: F811
    """Adapters, an average and the sigmoid's bias too; the gradients themselves are tested in test_gradients.py."""
    changes: dict[str, Any] = {"average": 0.8, "lora": {"rank": 2}, "loss": "sigmoid", "shard": True}
    edit(place, epochs=2, device="cpu", clip_gradient=0.5, checkpoint_minutes=0.0, **changes)
    assert two_processes(place, "whole") == [0, 0]
    assert two_processes(place, "parted", STOPS) == [7, 7]
    assert (place / "parted" / STATE_FILE).exists()
    assert two_processes(place, "parted") == [0, 0]
    whole, parted = state_of(place / "whole"), state_of(place / "parted")
    assert not any("lora" in name for name in whole)
    assert all(torch.equal(whole[k], parted[k]) for k in whole)


def test_float16_is_not_spread(place: Path) -> None:  # noqa: F811
    with pytest.raises(TrainingError, match="shard is True"):
        train(edit(place, shard=True, precision="float16"), progress=False)


def test_an_interrupt_while_the_state_is_written_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch, closing its half-written file, says that a position is unexpected: that is no full disk."""

    def interrupted(*_: Any) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("unexpected pos 89216 vs 89112")

    save_state(tmp_path, "run", {"step": 1})
    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, "run", {"step": 2})
    assert [file.name for file in tmp_path.iterdir()] == [STATE_FILE]


def test_a_state_of_another_format_is_refused(place: Path) -> None:  # noqa: F811
    (place / "model").mkdir()
    torch.save({"format": 0}, place / "model" / STATE_FILE)
    with pytest.raises(TrainingError, match="written by another version"):
        train(place / "run.yaml", progress=False)
