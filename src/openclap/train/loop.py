"""The training loop: batches → weights, with a checkpoint from which a stopped run goes on bit for bit.

settings ─ examples ─ mels ─ Batches ─┐
                                      ├─ loss ─ AdamW, warm-up + cosine ─ moving average ─ save_pretrained
CLAPConfig ─ CLAPModel ───────────────┘
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from openclap.checkpoints.load import Checkpoint, tokenizer_of
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.weights import Weights, of_arrays
from openclap.config import CLAPConfig
from openclap.errors import TrainingError
from openclap.models.clap import CLAPModel
from openclap.train.augment import spec_augment
from openclap.train.data import Batch, Batches, power_mels
from openclap.train.loss import contrastive_loss
from openclap.train.manifest import Example, read_examples
from openclap.train.settings import Settings, read_settings

__all__ = ["Report", "train"]

STATE_FILE = "training_state.pt"


@dataclass(frozen=True)
class Report:
    """What a run did: the last epoch's mean loss, all steps, seconds, and where the model is."""

    out: str
    epochs: int
    steps: int
    loss: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


def train(path: str | os.PathLike[str], *, resume: bool = True, progress: bool = True, **changes: Any) -> Report:
    """Train what a YAML file describes and write it as a checkpoint that `CLAP.from_pretrained` loads.

    Parameters
    ----------
    path
        The configuration; `changes` replace its top-level values.
    resume
        Go on where a stopped run of the same configuration left off; the result is that of an uninterrupted
        run. A folder that holds another configuration's state is refused.

    Raises
    ------
    TrainingError
        Before the first step, when data or configuration is wrong.
    """
    settings = read_settings(Path(path), **changes)
    examples = read_examples(settings)
    config = settings.config()
    run = _Run(settings, config, examples)
    if resume and (run.out / "training.json").exists() and not (run.out / STATE_FILE).exists():
        raise TrainingError(
            f"{run.out} holds a finished model; start anew with --restart, or choose another folder with out"
        )
    console = Console(stderr=True)
    run.resume(wanted=resume, console=console)
    mels = power_mels([e.path for e in examples], config.front_end, progress=progress)
    batches = Batches(examples, mels, settings, config)
    with _threads(settings.threads):
        loss = run.go(batches, progress=progress, console=console)
    run.save()
    return Report(str(run.out), settings.epochs, run.step, loss, run.seconds)


class _Run:
    """Model, optimiser, average and position of one run."""

    def __init__(self, settings: Settings, config: CLAPConfig, examples: Sequence[Example]) -> None:
        self.settings = settings
        self._examples = [(example.path.name, example.captions, example.concept) for example in examples]
        self.out = settings.resolve(settings.out)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = CLAPModel(config)
        _initialise(self.model, settings)
        tokenizer = None if settings.tokenizer is None else settings.resolve(settings.tokenizer)
        self.checkpoint = Checkpoint(config, Weights({}), tokenizer, str(self.out))
        self.tokenizer = tokenizer_of(self.checkpoint)
        self.model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on CPU
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(
                not name.startswith(settings.freeze or ("\0",)) and name.startswith(settings.train_only or ("",))
            )
        self.optimiser = torch.optim.AdamW(
            _groups(self.model, settings), lr=settings.learning_rate, betas=settings.betas
        )
        self.average = None if settings.average is None else {k: v.clone() for k, v in self.model.state_dict().items()}
        self.epoch = self.position = self.step = 0
        self.seconds = 0.0
        self.losses: list[float] = []

    # -- going ---------------------------------------------------------------------------------------

    def go(self, batches: Batches, *, progress: bool, console: Console) -> float:
        """All remaining steps; returns the last epoch's mean loss."""
        total = batches.steps * self.settings.epochs
        began = saved = time.monotonic()
        before, last = self.seconds, math.nan
        with _bar(total, progress, console) as bar:
            for epoch in range(self.epoch, self.settings.epochs):
                for batch in batches.epoch(epoch, start=self.position):
                    self.losses.append(self._step(batch, epoch, total))
                    self.position += 1
                    self.step += 1
                    self.seconds = before + time.monotonic() - began
                    bar.update(
                        self.step,
                        float(np.mean(self.losses[-50:])),
                        self.step * self.settings.batch_size / self.seconds,
                    )
                    if time.monotonic() - saved > 60 * self.settings.checkpoint_minutes:
                        self._keep()
                        saved = time.monotonic()
                self.epoch, self.position = epoch + 1, 0
                last = float(np.mean(self.losses)) if self.losses else math.nan
                self.losses = []
                self._log(last)
        return last

    def _step(self, batch: Batch, epoch: int, total: int) -> float:
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(self.step, total, settings.warmup_share)
        rng = np.random.default_rng((settings.seed, epoch, self.position + 1, 1))
        torch.manual_seed(int(rng.integers(2**62)))  # dropout: the same after a resume
        _train(self.model)
        ids, mask = self.tokenizer(batch.texts)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bfloat16"):
            audio = self.model.encode_audio(batch.mel, batch.longer, augment=spec_augment(settings.augment, rng))
            text = self.model.encode_text(torch.from_numpy(ids), torch.from_numpy(mask))
        loss = contrastive_loss(audio.float(), text.float(), self.model.logit_scale, batch.positives, batch.ignored)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.step}; lower learning_rate or set clip_gradient"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if settings.clip_gradient:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_gradient)
        self.optimiser.step()
        self._average()
        return float(loss.detach())

    def _log(self, loss: float) -> None:
        """One line an epoch in log.csv."""
        self.out.mkdir(parents=True, exist_ok=True)
        file = self.out / "log.csv"
        if self.epoch == 1 or not file.exists():
            file.write_text("epoch,step,loss,logit_scale,seconds\n", encoding="utf-8")
        scale = float(self.model.logit_scale.detach().exp())
        with file.open("a", encoding="utf-8") as log:
            log.write(f"{self.epoch},{self.step},{loss:.4f},{scale:.2f},{self.seconds:.1f}\n")

    def _average(self) -> None:
        if self.average is None or self.settings.average is None:
            return
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - decay)
                else:
                    self.average[key].copy_(value)

    # -- keeping -------------------------------------------------------------------------------------

    def save(self) -> None:
        """The trained model (its moving average where one is kept), and no more training state."""
        if self.average is not None:
            self.model.load_state_dict(self.average)
        self.model.eval()
        weights = Weights(of_arrays(self.model.arrays()))
        save_pretrained(self.checkpoint.config, weights, self.checkpoint.tokenizer_file, self.out)
        (self.out / "training.json").write_text(json.dumps(self.settings.to_dict(), indent=1), encoding="utf-8")
        (self.out / STATE_FILE).unlink(missing_ok=True)

    def _keep(self) -> None:
        """The state of the run, written aside and renamed."""
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "run": self._identity(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "position": [self.epoch, self.position, self.step],
            "seconds": self.seconds,
            "losses": self.losses,
        }
        aside = self.out / f"{STATE_FILE}.part"
        torch.save(state, aside)
        os.replace(aside, self.out / STATE_FILE)

    def resume(self, *, wanted: bool, console: Console) -> None:
        """Take up the state that a stopped run of this configuration left."""
        file = self.out / STATE_FILE
        if not wanted or not file.exists():
            return
        try:
            state = torch.load(file, weights_only=True)
        except Exception as error:  # a cut pickle or zip raises a dozen kinds
            raise TrainingError(f"{file} is broken ({error}); start anew with --restart") from error
        if state["run"] != self._identity():
            raise TrainingError(
                f"{file} is the state of another configuration; remove it, or choose another folder with out"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = state["average"]
        self.epoch, self.position, self.step = state["position"]
        self.seconds, self.losses = state["seconds"], state["losses"]
        console.print(f"going on at epoch {self.epoch + 1}, step {self.step}")

    def _identity(self) -> str:
        facts = [self.settings.to_dict(), self._examples]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _initialise(model: CLAPModel, settings: Settings) -> None:
    """Start from the weights of `init`; what it does not hold keeps its random start."""
    if settings.init is None:
        return
    from safetensors.torch import load_file

    path = settings.resolve(settings.init)
    if not path.is_file():
        raise TrainingError(f"init: {path} is not there; give a .safetensors file with weights in openclap's names")
    weights = {k: v.float() for k, v in load_file(path).items()}
    own = model.state_dict()
    wrong = [k for k, v in weights.items() if k not in own or own[k].shape != v.shape]
    if wrong:
        raise TrainingError(
            f"init: {path} holds {len(wrong)} weights that do not fit the model, the first is {wrong[0]}"
        )
    model.load_state_dict(weights, strict=False)


def _train(module: nn.Module) -> bool:
    """Training mode for what trains: frozen batch norms keep their statistics, and nothing frozen is dropped out.

    Returns whether all of the module trains; a module without weights, like a dropout, does what the one around it does.
    """
    own = [p.requires_grad for p in module.parameters(recurse=False)]
    parts = [_train(child) for child in module.children() if any(True for _ in child.parameters())]
    whole = all(own) and all(parts)
    module.training = any(own) or (whole and bool(parts))
    for child in module.children():
        if not any(True for _ in child.parameters()):
            child.train(whole)
    return whole


def _groups(model: CLAPModel, settings: Settings) -> list[dict[str, Any]]:
    """Weight decay for matrices alone: not for biases, norms, the logit scale and tables of vectors."""
    parts: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parts[parameter.ndim > 1 and not name.startswith("text.table")].append(parameter)
    return [{"params": p, "weight_decay": settings.weight_decay if decays else 0.0} for decays, p in parts.items() if p]


def _schedule(step: int, total: int, warmup_share: float) -> float:
    """Linear warm-up, then cosine to zero."""
    warmup = max(1, round(total * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Bar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=total, loss=math.nan, rate=0.0)

    def update(self, step: int, loss: float, rate: float) -> None:
        self._progress.update(self._task, completed=step, loss=loss, rate=rate)


@contextmanager
def _bar(total: int, show: bool, console: Console) -> Iterator[_Bar]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[rate]:.0f} clips/s"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not show) as progress:
        yield _Bar(progress, total)
