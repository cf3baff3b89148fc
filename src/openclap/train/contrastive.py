"""The contrastive training of the paper: clips and texts that belong together get similar vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from openclap.train.batches import Batches
from openclap.train.configuration import read_settings
from openclap.train.distributed import same_outcome
from openclap.train.examples import Example, read_examples
from openclap.train.loop import run
from openclap.train.mel_cache import MelCache
from openclap.train.settings import Settings
from openclap.train.step import Step, autocast_dtype, make_tokenize
from openclap.train.task import Report, RunContext, Task

__all__ = ["Contrastive", "train"]

SIGMOID_BIAS = -10.0  # as SigLIP starts, since nearly all pairs are wrong


def train(path: str | os.PathLike[str], *, resume: bool = True, progress: bool = True, **changes: Any) -> Report:
    """Train the model that a YAML file describes and write a checkpoint that `CLAP.from_pretrained` loads.

    Parameters
    ----------
    path
        The configuration; `changes` replace its top-level values.
    resume, progress
        See `openclap.train.loop.run`, which also lists the errors.
    """
    with same_outcome():
        task = Contrastive(read_settings(Path(path), **changes))
    return run(task, resume=resume, progress=progress)


class Contrastive(Task):
    """The task of `openclap train`: InfoNCE, or SigLIP's loss with a bias that is learnt."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.extra_module = nn.Module()
        if settings.loss == "sigmoid":
            self.extra_module.bias = nn.Parameter(torch.tensor(SIGMOID_BIAS))

    def examples(self) -> list[Example]:
        """The described sounds of the sources."""
        return read_examples(self.settings)

    def begin(self, context: RunContext) -> None:
        """Prepare the step that computes gradients."""
        settings, tokens = self.settings, make_tokenize(context.tokenizer())
        self._context = context
        bias = getattr(self.extra_module, "bias", None)
        dtype = autocast_dtype(settings.precision)
        self._step = Step(
            tokens, settings.augment, context.ranks, dtype, settings.pieces, bias, scale_loss=context.scale_loss
        )

    def batches(self, examples: Sequence[Example], mels: MelCache) -> Batches:
        """Batches of clips with one caption each, and captions of other concepts."""
        return Batches(examples, mels, self.settings, self._context.config, self._context.ranks)
