"""What a run begins from: a tower that has landed, so that no run is ever lost whole, or a plain one; and the mean it ends with.

What ships is a tower without the heads it learnt with. Of the tower as it is, least squares gives heads that are worth
thousands of steps, and no step moves the tower while they are still random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from openclap.checkpoints.load import load_checkpoint
from openclap.config import FrontEnd, PANNConfig

__all__ = ["landed_tower", "least_squares", "moving_average", "plain_config"]

RIDGE = 1e-3  # of the mean square of the features


def plain_config(widths: Sequence[int], output: int) -> PANNConfig:
    """A tower of one convolution a block; from the fifth block on only frequency is pooled."""
    pools = ((2, 2),) * 4 + ((1, 2),) * (len(widths) - 4)
    config = PANNConfig(widths=tuple(widths), convs=1, kernel=3, pools=pools, output=output)
    return replace(config, dropout=0.0, head_dropout=0.0, output_dropout=0.0)


def landed_tower(model: str, front_end: FrontEnd) -> tuple[PANNConfig, dict[str, Tensor]]:
    """Configuration and weights of a model's audio tower, by name or folder, in full precision; a fusion is left out.

    Raises
    ------
    SystemExit
        Its tower is no PANN, or hears another mel than the student.
    """
    given = load_checkpoint(model)
    config = given.config
    if not isinstance(config.audio, PANNConfig) or replace(config.front_end, padding=front_end.padding) != front_end:
        raise SystemExit(
            f"--start {model}: its audio tower is no PANN that hears the student's mel; take mini, or leave it out"
        )
    named = ((name.removeprefix("audio."), name) for name in given.weights if name.startswith("audio."))
    weights = {
        own: torch.from_numpy(np.array(given.weights[name], np.float32))
        for own, name in named
        if not own.startswith(("local_project.", "fusion."))
    }
    return replace(config.audio, dropout=0.0, head_dropout=0.0, output_dropout=0.0), weights


def least_squares(features: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, D) and what is wanted of them (N, K) → weight (K, D) and bias (K,) of a linear layer."""
    x, y = features.double(), wanted.double()
    mean, usual = x.mean(0), y.mean(0)
    x, y = x - mean, y - usual
    gram = x.T @ x
    gram.diagonal().add_(RIDGE * gram.diagonal().mean())
    weight = torch.linalg.solve(gram, x.T @ y).T
    return weight.float(), (usual - weight @ mean).float()


def moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Of weights; over few steps at first, so that random ones are soon forgotten."""

    @torch.no_grad()
    def average(kept: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        share = min(decay, (1 + int(count)) / (10 + int(count)))
        for old, now in zip(kept, new, strict=True):
            if old.is_floating_point():
                old.lerp_(now, 1 - share)
            else:
                old.copy_(now)

    return average
