"""Change weights by their gradients: parameter groups, AdamW, the learning rate schedule and the moving average."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from openclap.models.clap import CLAPModel
from openclap.train.settings import Settings

__all__ = ["MovingAverage", "make_optimiser", "parameter_groups", "schedule", "set_learning_rates"]


def make_optimiser(
    parameters: Iterable[nn.Parameter] | list[dict[str, Any]], learning_rate: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """Make a fused AdamW: the usual one takes a third of the time of a step of a full-size model on a CPU."""
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=0.0, fused=True)


def parameter_groups(model: CLAPModel, settings: Settings, own: nn.Module, own_rate: float) -> list[dict[str, Any]]:
    """The parameters that train, in the groups an optimiser takes; those of the task come last.

    Only matrices have weight decay: no biases, norms, logit scale, tables of word vectors or parameters of the task.
    """
    parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parts[parameter.ndim > 1 and not name.startswith("text.table")].append(parameter)
    groups = [{"params": p, "weight_decay": settings.weight_decay if d else 0.0} for d, p in parts.items() if p]
    beside = list(own.parameters())
    return groups + ([{"params": beside, "weight_decay": 0.0, "rate": own_rate}] if beside else [])


def schedule(step: int, total: int, warmup_share: float) -> float:
    """The share of the learning rate at a step of `total`: linear warm-up, then cosine to zero."""
    warmup = max(1, round(total * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def set_learning_rates(optimiser: torch.optim.Optimizer, learning_rate: float, share: float) -> None:
    """Set the learning rate of every group: a share of `learning_rate`, times the rate of the group."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group.get("rate", 1.0) * share


class MovingAverage:
    """A moving average of the weights, which older steps enter with less weight; early in a run it covers fewer steps.

    Attributes
    ----------
    weights
        The averaged weights, with the names of the model's state dict.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights: dict[str, Tensor] = {key: value.clone() for key, value in model.state_dict().items()}

    @torch.no_grad()
    def add(self, model: nn.Module, step: int) -> None:
        """Add the weights after a step, counted from 0; what is not floating point is copied."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.weights[key].lerp_(value, 1 - decay)
            else:
                self.weights[key].copy_(value)
