"""The training loop: batches → weights, with a checkpoint from which a stopped run goes on bit for bit.

task ─ examples ─ mels ─ batches ─┐
                                  ├─ gradients ─ AdamW, warm-up + cosine ─ moving average ─ save_pretrained
start ─ CLAPModel ────────────────┘

A task, such as that of contrastive.py, decides what is learnt; captions and losses are not named here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

from openclap.atomic_write import write_json
from openclap.checkpoints.load import Checkpoint, load_tokenizer
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.config import CLAPConfig
from openclap.errors import OpenClapError, TrainingError
from openclap.malloc import KEEP_FREED, set_malloc
from openclap.plurals import count_noun
from openclap.train.batch import Batch
from openclap.train.batches import Batches
from openclap.train.distributed import Ranks, join_ranks, quiet_other_ranks, same_outcome, share_norms
from openclap.train.examples import Example
from openclap.train.initial_model import (
    InitialModel,
    enable_adapter_dropout,
    keep_norm_statistics,
    train_mode,
    training_device,
)
from openclap.train.mel_cache import MelCache
from openclap.train.optimizer import MovingAverage, make_optimiser, parameter_groups, schedule, set_learning_rates
from openclap.train.preflight import check_crop, check_folder, delete_results, explain_out_of_memory, lock_folder
from openclap.train.progress import Trackers, log_epoch, progress_bar
from openclap.train.run_state import STATE_FILE, digest, load_state, run_digest, save_state
from openclap.train.sharding import clip_gradients, gather_whole, is_sharded, shard, shard_like
from openclap.train.skipped import warn_of_skipped
from openclap.train.task import Report, RunContext, Task

__all__ = ["run"]


def run(task: Task, *, resume: bool = True, progress: bool = True) -> Report:
    """Train a task as its settings say, and write a checkpoint that `CLAP.from_pretrained` loads.

    Parameters
    ----------
    resume
        Go on where a stopped run of the same configuration left off; the result equals that of an uninterrupted run,
        bit for bit. A folder with the state of another configuration is refused.

    Raises
    ------
    TrainingError
        Before the first step, when data or configuration is wrong.
    """
    with same_outcome():
        examples = task.examples()
    device = training_device(task.settings)
    with join_ranks(device) as ranks:
        return _check_and_run(ranks, device, task, examples, resume=resume, progress=progress and ranks.first)


def _check_and_run(
    ranks: Ranks, device: torch.device, task: Task, examples: list[Example], *, resume: bool, progress: bool
) -> Report:
    settings = task.settings
    with ranks.same_outcome():
        if settings.batch_size % ranks.world:
            raise TrainingError(
                f"batch_size is {settings.batch_size}; it must be a multiple of the {ranks.world} processes"
            )
        config = settings.config()
        check_crop(settings, config)
    if device.type == "cpu":
        set_malloc(KEEP_FREED)
    ranks.all_ranks(lambda: check_folder(settings, resume=resume) if ranks.first else None)
    with ExitStack() as held:
        ranks.all_ranks(lambda: held.enter_context(lock_folder(settings)) if ranks.first else None)
        ranks.all_ranks(
            lambda: check_folder(settings, resume=resume) if ranks.first else None
        )  # another run may have finished before the lock was ours
        return _run_locked(ranks, device, task, config, examples, resume=resume, progress=progress)


def _run_locked(
    ranks: Ranks,
    device: torch.device,
    task: Task,
    config: CLAPConfig,
    examples: list[Example],
    *,
    resume: bool,
    progress: bool,
) -> Report:
    settings = task.settings
    with quiet_other_ranks(ranks.rank):  # errors stay visible: a file may be missing on one machine alone
        run = _TrainingRun(task, config, examples, ranks, device)
    console = Console(stderr=True, quiet=not ranks.first)
    run.resume(wanted=resume, console=console)
    if len(set(ranks.all_of((run.epoch, run.position, run.step)))) > 1:
        raise TrainingError(f"only some processes see {run.out / STATE_FILE}; put out on a disk that all of them share")
    mels = MelCache(
        examples, config.front_end, most_broken=settings.most_broken, memory=int(settings.memory_gb * 2**30)
    )
    ranks.all_ranks(lambda: mels.decode(progress=progress))
    broken = {key: failure for unreadable in ranks.all_of(dict(mels.unreadable)) for key, failure in unreadable.items()}
    with ranks.same_outcome():
        warn_of_skipped(broken.values())
        batches = task.batches([e for e in examples if e.key not in broken], mels)
        if not batches.steps:
            raise TrainingError(
                f"{count_noun(len(batches.examples), 'sound that can be read is', 'sounds that can be read are')} fewer"
                f" than one batch of {settings.batch_size}; add sounds or lower batch_size"
            )
    with _threads(settings.threads), explain_out_of_memory():
        loss = run.train(batches, progress=progress, console=console)
    run.save()
    ranks.wait()
    return Report(str(run.out), settings.epochs, run.step, loss, run.seconds)


class _TrainingRun:
    """The state of one run: model, optimiser, moving average and position."""

    def __init__(
        self, task: Task, config: CLAPConfig, examples: Sequence[Example], ranks: Ranks, device: torch.device
    ) -> None:
        settings = task.settings
        self.task = task
        self.settings, self.ranks, self.device = settings, ranks, device
        self.sharded = settings.shard and ranks.world > 1
        self.out = settings.resolve(settings.out)
        self._initial = InitialModel(settings, config, device)
        self.model = self._initial.model
        self.checkpoint = Checkpoint(config, Weights({}), self._initial.tokenizer_file, str(self.out))
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        task.extra_module.to(device)
        task.begin(RunContext(config, self.model, ranks, device, self.scaler.scale, self._tokenizer))
        self.model.clamp_logit_scale()
        self._identity = self._run_digest(examples)
        if self.sharded:
            shard(self.model, ranks.world)
        groups = parameter_groups(self.model, settings, task.extra_module, task.extra_rate)
        self.optimiser = make_optimiser(groups, settings.learning_rate, settings.betas)
        self._trained: list[nn.Parameter] = [p for group in groups for p in group["params"]]
        if ranks.world > 1 and settings.pieces is None:  # with pieces, ranks may not run the same layers together
            share_norms(self.model)
        self.average = None if settings.average is None else MovingAverage(self.model, settings.average)
        self.epoch = self.position = self.step = 0
        self.seconds = 0.0
        self.losses: list[float] = []

    # -- going ---------------------------------------------------------------------------------------

    def train(self, batches: Batches, *, progress: bool, console: Console) -> float:
        """Do all remaining steps → the mean loss of the last epoch."""
        total = batches.steps * self.settings.epochs
        began = saved = time.monotonic()
        before, last = self.seconds, math.nan
        trackers = Trackers(
            self.settings.trackers if self.ranks.first else (), self.out, self.step, cpu=self.device.type == "cpu"
        )
        with progress_bar(total, progress, console) as bar, closing(trackers):
            for epoch in range(self.epoch, self.settings.epochs):
                for batch in batches.epoch(epoch, start=self.position):
                    self.losses.append(self._step(batch, epoch, total))
                    self.position += 1
                    self.step += 1
                    self.seconds = before + time.monotonic() - began
                    rate = self.step * self.settings.batch_size / self.seconds
                    bar(completed=self.step, loss=float(np.mean(self.losses[-50:])), rate=rate)
                    if self.step % self.settings.track_steps == 0:
                        trackers.log(self._step_numbers(rate), self.step)
                    if self._is_save_due(saved):
                        self._save_state()
                        saved = time.monotonic()
                self.epoch, self.position = epoch + 1, 0
                last = float(np.mean(self.losses)) if self.losses else math.nan
                self.losses = []
                if self.ranks.first:
                    log_epoch(self.out, self.epoch, self.step, last, self._logit_scale(), self.seconds)
        return last

    def _is_save_due(self, saved: float) -> bool:
        """Whether the state is to be saved now; where every rank holds a part of it, the first rank's clock decides."""
        due = time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
        return self.ranks.all_of(due)[0] if self.sharded else due

    def _step_numbers(self, rate: float) -> dict[str, float]:
        """The numbers of a step that trackers show."""
        learning_rate = float(self.optimiser.param_groups[0]["lr"])
        recent = float(np.mean(self.losses[-self.settings.track_steps :]))
        return {
            "loss": recent,
            "learning_rate": learning_rate,
            "logit_scale": self._logit_scale(),
            "clips_per_second": rate,
        }

    def _logit_scale(self) -> float:
        return float(self.model.logit_scale.detach().exp())

    def _step(self, batch: Batch, epoch: int, total: int) -> float:
        settings = self.settings
        set_learning_rates(self.optimiser, settings.learning_rate, schedule(self.step, total, settings.warmup_share))
        rng = np.random.default_rng((settings.seed, epoch, self.position + 1, 1 + self.ranks.rank))
        train_mode(self.model)
        enable_adapter_dropout(self.model)
        if settings.freeze_norms:
            keep_norm_statistics(self.model)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.task.gradients(self.model, batch, int(rng.integers(2**62)))
        if not math.isfinite(loss):
            with self.ranks.same_outcome():
                raise TrainingError(f"the loss is {loss} at step {self.step}; lower learning_rate or set clip_gradient")
        self.ranks.average(p for p in self._trained if not is_sharded(p))
        self.scaler.unscale_(self.optimiser)
        if settings.clip_gradient and self.sharded:
            clip_gradients(self._trained, settings.clip_gradient)
        elif settings.clip_gradient:
            nn.utils.clip_grad_norm_(self._trained, settings.clip_gradient)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.model.clamp_logit_scale()
        if self.average is not None:
            self.average.add(self.model, self.step)
        return loss

    def _tokenizer(self) -> Tokenizer:
        if self.checkpoint.tokenizer_file is None:
            raise TrainingError("the run has no tokenizer for its texts; name a tokenizer.json with tokenizer")
        return load_tokenizer(self.checkpoint)

    # -- keeping -------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the trained model, or its moving average where there is one, and remove the training state."""
        state = self._gather(self.model.state_dict() if self.average is None else self.average.weights)
        if not self.ranks.first:
            return
        start = (
            InitialModel(self.settings, self.checkpoint.config, torch.device("cpu")) if self.sharded else self._initial
        )
        start.model.load_state_dict(state)
        start.model.clamp_logit_scale()  # the mean may lie beyond the limit in a state of an older version
        weights = Weights(entries_from_arrays(start.merge_adapters().eval().arrays()))
        replaces = (self.out / "config.json").exists()  # until the new model is there, the old one stays whole
        save_pretrained(self.checkpoint.config, weights, self.checkpoint.tokenizer_file, self.out)
        if replaces:
            delete_results(self.out)
        try:
            self.task.save(self.out)
            write_json(self.out / "training.json", self._deciding_facts, own=True, sync=True)
        except (OpenClapError, OSError) as error:
            raise TrainingError(f"{error}; run it again: it goes on from the last state that was kept") from error
        (self.out / STATE_FILE).unlink(missing_ok=True)

    def _save_state(self) -> None:
        """Save the state of the run; the first rank writes it, since all ranks have what is not sharded."""
        state = {
            "model": self._gather(self.model.state_dict()),
            "optimiser": self._gather(self.optimiser.state_dict()),
            "average": None if self.average is None else self._gather(self.average.weights),
            "own": self.task.extra_module.state_dict(),
            "scaler": self.scaler.state_dict(),
            "position": [self.epoch, self.position, self.step],
            "seconds": self.seconds,
            "losses": self.losses,
        }
        if self.ranks.first:
            save_state(self.out, self._identity, state)

    def _run_digest(self, examples: Sequence[Example]) -> str:
        """The digest that tells the states of this run from those of other runs."""
        settings = self.settings
        said = [(example.item.key, example.captions, example.concept) for example in examples]
        named = (*settings.phrases, settings.families, settings.tokenizer)
        files = digest(settings.resolve(path) for path in named if path)
        return run_digest(type(self.task).__name__, self._deciding_facts, said, self.ranks.world, files)

    @property
    def _deciding_facts(self) -> dict[str, Any]:
        """The settings and facts that decide the run, beside its examples."""
        return {**self.settings.to_dict(), **self.task.facts}

    def _gather(self, tree: Any) -> Any:
        return gather_whole(tree) if self.sharded else tree

    def resume(self, *, wanted: bool, console: Console) -> None:
        """Load the state that a stopped run of this configuration left."""
        state = load_state(self.out, self._identity) if wanted else None
        if not wanted and self.ranks.first:  # a kill before the next state is kept would bring the old one back
            (self.out / STATE_FILE).unlink(missing_ok=True)
        if state is None:
            return
        own = self.model.state_dict()
        self.model.load_state_dict({k: shard_like(v, own[k]) for k, v in state["model"].items()})
        self.model.clamp_logit_scale()
        self.optimiser.load_state_dict(self._optimiser_state(state["optimiser"]))
        if self.average is not None:
            self.average.weights = {k: shard_like(v, own[k]) for k, v in state["average"].items()}
        self.scaler.load_state_dict(state["scaler"])
        self.task.extra_module.load_state_dict(state["own"])
        self.epoch, self.position, self.step = state["position"]
        self.seconds, self.losses = state["seconds"], state["losses"]
        console.print(f"going on at epoch {self.epoch + 1}, step {self.step}")

    def _optimiser_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state of the optimiser, sharded as the parameters are."""
        owners = self._trained
        return {
            **state,
            "state": {i: {k: shard_like(v, owners[i]) for k, v in held.items()} for i, held in state["state"].items()},
        }


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
