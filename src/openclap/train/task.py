"""What the training loop needs of a task, what it tells the task of the run, and the report of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from openclap.checkpoints.tokenizer import Tokenizer
from openclap.config import CLAPConfig
from openclap.models.clap import CLAPModel
from openclap.results import Result
from openclap.train.batch import Batch
from openclap.train.batches import Batches
from openclap.train.distributed import Ranks
from openclap.train.examples import Example
from openclap.train.mel_cache import MelCache
from openclap.train.settings import Settings

__all__ = ["Report", "RunContext", "Task"]


@dataclass(frozen=True)
class RunContext:
    """What a task may use of the run it belongs to."""

    config: CLAPConfig
    model: CLAPModel
    ranks: Ranks
    device: torch.device
    scale_loss: Callable[[Tensor], Tensor]  # before it goes backward
    tokenizer: Callable[[], Tokenizer]  # TrainingError where the model has none


class Task(ABC):
    """What a run learns: its examples and batches, and the gradient of one batch.

    The methods are called in the order below; `gradients` is called once for each batch, `save` at the end.
    """

    settings: Settings  # of the run
    extra_module: nn.Module  # parameters that train beside those of the model; saved with the state of the run
    extra_rate: float = 1.0  # their learning rate, as a multiple of that of the model
    facts: Mapping[str, Any] = {}  # what decides the run, beside its settings and examples
    _step: Any  # computes gradients; `begin` or `batches` makes it

    @abstractmethod
    def examples(self) -> list[Example]:
        """The examples to learn from; raises TrainingError without any."""

    @abstractmethod
    def begin(self, context: RunContext) -> None:
        """Prepare for training: called once, when the model has been made."""

    @abstractmethod
    def batches(self, examples: Sequence[Example], mels: MelCache) -> Batches:
        """Make the batches of the examples that can be read."""

    def gradients(self, model: CLAPModel, batch: Batch, seed: int) -> float:
        """Add the gradient of this rank's rows, times the number of ranks, to those of the parameters → the loss."""
        return float(self._step.gradients(model, batch, seed))

    def save(self, out: Path) -> None:  # noqa: B027 -- most tasks have nothing to write
        """Write what belongs to the model but not into its checkpoint; only the first rank calls this."""


@dataclass(frozen=True)
class Report(Result):
    """What a run did: the mean loss of the last epoch, all steps, seconds, and the folder of the model."""

    out: str
    epochs: int
    steps: int
    loss: float
    seconds: float
