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
import warnings
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

from openclap.checkpoints.load import Checkpoint, load_checkpoint, tokenizer_of
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.weights import Weights, of_arrays
from openclap.config import CLAPConfig
from openclap.errors import ModelWarning, OpenClapError, TrainingError
from openclap.models.clap import CLAPModel
from openclap.train.data import Batch, Batches, Mels
from openclap.train.manifest import Example, read_examples
from openclap.train.memory import keep_freed_memory
from openclap.train.ranks import Ranks, joined, share_norms
from openclap.train.settings import Settings, read_settings
from openclap.train.step import Step, half_of, optimiser_of

__all__ = ["Report", "train"]

STATE_FILE = "training_state.pt"
SIGMOID_BIAS = -10.0  # SigLIP's: nearly all pairs are wrong


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
    device = _device(settings)
    with joined(device) as ranks:
        return _train_as(ranks, device, settings, examples, resume=resume, progress=progress and ranks.first)


def _train_as(
    ranks: Ranks, device: torch.device, settings: Settings, examples: list[Example], *, resume: bool, progress: bool
) -> Report:
    if settings.batch_size % ranks.world:
        raise TrainingError(
            f"batch_size is {settings.batch_size}; it must be a multiple of the {ranks.world} processes"
        )
    config = settings.config()
    if device.type == "cpu":
        keep_freed_memory()
    run = _Run(settings, config, examples, ranks, device)
    if resume and (run.out / "training.json").exists() and not (run.out / STATE_FILE).exists():
        raise TrainingError(
            f"{run.out} holds a finished model; start anew with --restart, or choose another folder with out"
        )
    console = Console(stderr=True, quiet=not ranks.first)
    run.resume(wanted=resume, console=console)
    if len(set(ranks.all_of((run.epoch, run.position, run.step)))) > 1:
        raise TrainingError(f"only some processes see {run.out / STATE_FILE}; put out on a disk that all of them share")
    mels = Mels(examples, config.front_end, most_broken=settings.most_broken, memory=int(settings.memory_gb * 2**30))
    trouble: str | None = None
    try:
        mels.decode(progress=progress)
    except TrainingError as error:
        trouble = str(error)
    told = [
        found for found in ranks.all_of(trouble) if found is not None
    ]  # all stop, or none: who waits alone waits long
    if told:
        raise TrainingError(told[0])
    broken = set().union(*ranks.all_of(set(mels.broken)))
    batches = Batches([e for e in examples if e.key not in broken], mels, settings, config, ranks)
    if not batches.steps:
        raise TrainingError(
            f"{len(batches.examples)} sounds that can be read are fewer than one batch of {settings.batch_size}; add sounds or lower batch_size"
        )
    with _threads(settings.threads):
        loss = run.go(batches, progress=progress, console=console)
    if ranks.first:
        run.save()
    ranks.wait()
    return Report(str(run.out), settings.epochs, run.step, loss, run.seconds)


class _Run:
    """Model, optimiser, average and position of one run."""

    def __init__(
        self, settings: Settings, config: CLAPConfig, examples: Sequence[Example], ranks: Ranks, device: torch.device
    ) -> None:
        self.settings, self.ranks = settings, ranks
        self._examples = [(example.item.key, example.captions, example.concept) for example in examples]
        self._files = [
            _digest(settings.resolve(path))
            for path in (*settings.phrases, settings.families, settings.tokenizer)
            if path
        ]
        self.out = settings.resolve(settings.out)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = CLAPModel(config)
        _initialise(self.model, settings)
        self.model.to(device)
        tokenizer = None if settings.tokenizer is None else settings.resolve(settings.tokenizer)
        self.checkpoint = Checkpoint(config, Weights({}), tokenizer, str(self.out))
        self.tokenizer = tokenizer_of(self.checkpoint)
        self.model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on CPU
        _check_prefixes(self.model, settings)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(
                not name.startswith(settings.freeze or ("\0",)) and name.startswith(settings.train_only or ("",))
            )
        self.bias = nn.Parameter(torch.tensor(SIGMOID_BIAS, device=device)) if settings.loss == "sigmoid" else None
        groups = _groups(self.model, settings)
        groups += [{"params": [self.bias], "weight_decay": 0.0}] if self.bias is not None else []
        self.optimiser = optimiser_of(groups, settings.learning_rate, settings.betas)
        if ranks.world > 1 and settings.pieces is None:  # pieces of two ranks need not have the same layers
            share_norms(self.model)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self.how = Step(
            self._tokens,
            settings.augment,
            ranks,
            half_of(settings.precision),
            settings.pieces,
            self.bias,
            self.scaler.scale,
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
        rng = np.random.default_rng((settings.seed, epoch, self.position + 1, 1 + self.ranks.rank))
        _train(self.model)
        if settings.freeze_norms:
            _rest_norms(self.model)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.how.gradients(self.model, batch, int(rng.integers(2**62)))
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} at step {self.step}; lower learning_rate or set clip_gradient")
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.ranks.average(parameters)
        self.scaler.unscale_(self.optimiser)
        if settings.clip_gradient:
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip_gradient)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._average()
        return loss

    def _tokens(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        ids, mask = self.tokenizer(texts)
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def _log(self, loss: float) -> None:
        """One line an epoch in log.csv."""
        if not self.ranks.first:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        file = self.out / "log.csv"
        before = file.read_text(encoding="utf-8").splitlines() if file.exists() and self.epoch > 1 else []
        kept = [
            line for line in before[1:] if int(line.partition(",")[0]) < self.epoch
        ]  # of epochs that were not kept: again
        if self.epoch == 1 or len(kept) != len(before) - 1:
            file.write_text("\n".join(["epoch,step,loss,logit_scale,seconds", *kept]) + "\n", encoding="utf-8")
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
        """The state of the run, written aside and renamed: by the first of the ranks, which are all the same."""
        if not self.ranks.first:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "run": self._identity(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "bias": None if self.bias is None else self.bias.detach(),
            "scaler": self.scaler.state_dict(),
            "position": [self.epoch, self.position, self.step],
            "seconds": self.seconds,
            "losses": self.losses,
        }
        aside = self.out / f"{STATE_FILE}.part"
        try:
            with aside.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # a full disk; torch wraps what the disk says
            aside.unlink(missing_ok=True)
            raise TrainingError(
                f"{aside} cannot be written ({error}); make room and run it again: it goes on from the last state that was kept"
            ) from error
        os.replace(aside, self.out / STATE_FILE)

    def resume(self, *, wanted: bool, console: Console) -> None:
        """Take up the state that a stopped run of this configuration left."""
        file = self.out / STATE_FILE
        if not wanted or not file.exists():
            return
        try:
            state = torch.load(file, weights_only=True, map_location=self.model.logit_scale.device)
        except Exception as error:  # a cut pickle or zip raises a dozen kinds
            raise TrainingError(f"{file} is broken ({error}); start anew with --restart") from error
        if state["run"] != self._identity():
            raise TrainingError(
                f"{file} is the state of another configuration; remove it, or choose another folder with out"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = state["average"]
        self.scaler.load_state_dict(state["scaler"])
        if self.bias is not None:
            self.bias.data.copy_(state["bias"])
        self.epoch, self.position, self.step = state["position"]
        self.seconds, self.losses = state["seconds"], state["losses"]
        console.print(f"going on at epoch {self.epoch + 1}, step {self.step}")

    def _identity(self) -> str:
        facts = [self.settings.to_dict(), self._examples, self.ranks.world, self._files]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    """Of what is in a file that decides a run."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _check_prefixes(model: CLAPModel, settings: Settings) -> None:
    names = [name for name, _ in model.named_parameters()]
    for setting in ("freeze", "train_only"):
        for prefix in getattr(settings, setting):
            if not any(name.startswith(prefix) for name in names):
                first = sorted({name.partition(".")[0] for name in names})
                raise TrainingError(f"{setting}: no weight begins with {prefix!r}; they begin with {', '.join(first)}")
    if all(
        name.startswith(settings.freeze or ("\0",)) or not name.startswith(settings.train_only or ("",))
        for name in names
    ):
        raise TrainingError("freeze and train_only leave nothing to train; leave something out")


def _device(settings: Settings) -> torch.device:
    """Where this process trains: with several on one machine, each on a GPU of its own."""
    cuda = torch.cuda.is_available()
    name = ("cuda" if cuda else "cpu") if settings.device == "auto" else settings.device
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"device is {settings.device!r}; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and not cuda):
        raise TrainingError(f"device is {settings.device!r}, which is not on this machine; choose auto or cpu")
    if settings.precision == "float16" and device.type == "cpu":
        raise TrainingError("precision is float16, which needs a GPU; choose bfloat16 or float32")
    return device


def _rest_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()


def _initialise(model: CLAPModel, settings: Settings) -> None:
    """Start from the weights of `init`; what it does not hold keeps its random start.

    `init` is a .safetensors file in openclap's names, which must fit, or any model that `CLAP.from_pretrained` takes, whose
    towers and projections are used as far as they fit.
    """
    if settings.init is None:
        return
    path = settings.resolve(settings.init)
    if path.suffix == ".safetensors" and not (path.parent / "config.json").exists():
        if not path.is_file():
            raise TrainingError(f"init: {path} is not there; give a .safetensors file with weights in openclap's names")
        from safetensors.torch import load_file

        try:
            weights = {k: v.float() for k, v in load_file(path).items()}
        except Exception as error:  # a cut or foreign file
            raise TrainingError(f"init: {path} cannot be read ({error}); give a .safetensors file") from error
    else:
        weights = _weights_of(path if path.exists() else settings.init)
    own = model.state_dict()
    wrong = [k for k, v in weights.items() if k not in own or own[k].shape != v.shape]
    towers = {k.partition(".")[0] for k in wrong}
    if path.suffix == ".safetensors" and wrong:
        raise TrainingError(
            f"init: {path} holds {len(wrong)} weights that do not fit the model, the first is {wrong[0]}"
        )
    fitting = {k: v for k, v in weights.items() if k.partition(".")[0] not in towers}
    if not fitting:
        raise TrainingError(f"init: nothing of {settings.init} fits the model; give the same towers in both")
    if towers:
        warnings.warn(
            f"init: of {settings.init} {', '.join(sorted(towers))} do not fit and start at random",
            ModelWarning,
            stacklevel=2,
        )
    model.load_state_dict(fitting, strict=False)


def _weights_of(name: str | Path) -> dict[str, torch.Tensor]:
    try:
        checkpoint = load_checkpoint(name)
    except OpenClapError as error:
        raise TrainingError(f"init: {error}") from error
    weights = checkpoint.weights
    return {key: torch.from_numpy(np.array(weights[key])).float() for key in weights}


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
