"""What a run teaches, as the loop sees it: a task, what it is told, and what a run tells in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from openclap.checkpoints.tokenizer import Tokenizer
from openclap.config import CLAPConfig
from openclap.models.clap import CLAPModel
from openclap.train.batch import Batch
from openclap.train.batches import Batches
from openclap.train.distributed import Ranks
from openclap.train.examples import Example
from openclap.train.mel_cache import MelCache
from openclap.train.settings import Settings

__all__ = ["Report", "RunContext", "Task"]


@dataclass(frozen=True)
class RunContext:
    """What a task is told of the run it is in."""

    config: CLAPConfig
    model: CLAPModel
    ranks: Ranks
    device: torch.device
    scale_loss: Callable[[Tensor], Tensor]  # before it goes backward
    tokenizer: Callable[[], Tokenizer]  # TrainingError where the model has none


class Task(Protocol):
    """What a run teaches: its examples and batches, and the gradient of one batch.

    Order of calls: as below, then `gradients` again and again.
    """

    extra_module: nn.Module  # parameters that train beside the model's; kept with the run's state
    extra_rate: float  # their learning rate, as a multiple of the model's
    facts: Mapping[str, Any]  # what decides the run beside settings and examples

    @property
    def settings(self) -> Settings:
        """Of the run."""

    def examples(self) -> list[Example]:
        """What there is to learn from, or TrainingError."""

    def begin(self, around: RunContext) -> None:
        """The model is there."""

    def batches(self, examples: Sequence[Example], mels: MelCache) -> Batches:
        """Those of the examples that can be read."""

    def gradients(self, model: CLAPModel, batch: Batch, seed: int) -> float:
        """Add the gradient of this rank's part, times the number of ranks, to those of the parameters → the loss."""

    def save(self, out: Path) -> None:
        """What belongs to the model but is not in its checkpoint; by the first rank alone, while the others wait."""


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
