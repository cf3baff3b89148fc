"""Correct the batch norms of a pruned model by how much their inputs have changed.

The statistics in a checkpoint come from all the sounds it was trained on, and calibration sounds are few. So the mean
and variance of these few sounds are not used themselves, but how much both differ between the whole and the pruned
model on the same sounds. Both models run side by side, batch by batch, and every norm is corrected before the next one
runs. Where nothing changed, nothing is corrected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from openclap.models.clap import CLAPModel
from openclap.train.pruning.importance import Batch
from openclap.train.pruning.units import Index

__all__ = ["inner_norms", "match_norms"]

FEW = 32  # with fewer positions in a batch, its variance is not used
MOST = 4.0  # the largest factor that a variance is changed by


@dataclass
class _NormShift:
    """How much the input of a norm has changed so far, weighted by positions."""

    mean: Tensor  # of the checkpoint
    var: Tensor  # of the checkpoint
    shift: Any = 0.0  # sum of the changes of the mean
    before: Any = 0.0  # sum of variances in the whole model
    after: Any = 0.0  # sum of variances in the pruned model
    positions: int = 0
    with_variance: int = 0  # positions whose variance was used


def match_norms(whole: CLAPModel, small: CLAPModel, batches: Iterable[Batch], kept: Mapping[str, Index]) -> None:
    """Correct the running statistics of `small` in place; both are in eval mode.

    `kept` are the channels that stay, by norm; norms that are not named keep all.
    """
    theirs: dict[str, list[tuple[Tensor, Tensor]]] = {}
    moved: dict[str, _NormShift] = {}
    hooks = []
    for name, norm in inner_norms(whole).items():
        theirs[name] = []
        index = torch.as_tensor(kept[name]) if name in kept else slice(None)
        hooks.append(norm.register_forward_pre_hook(_record_moments(theirs[name], index)))
    for name, norm in inner_norms(small).items():
        moved[name] = _NormShift(norm.running_mean.clone(), norm.running_var.clone())
        hooks.append(norm.register_forward_pre_hook(_correct_norm(theirs[name], moved[name])))
    try:
        with torch.no_grad():
            for batch in batches:
                whole.encode_audio(*batch)
                small.encode_audio(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    for name, norm in inner_norms(small).items():
        was = moved[name]
        shift = was.shift / was.positions if was.positions else torch.zeros_like(was.mean)
        ratio = _ratio(was.before, was.after, norm.eps) if was.with_variance else torch.ones_like(was.var)
        _set_statistics(norm, was, shift, ratio)


def inner_norms(model: CLAPModel) -> dict[str, Any]:
    """The batch norms of a model, except the first one, whose input is the mel."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    return {n: m for n, m in model.named_modules() if isinstance(m, norms) and n != "audio.batch_norm"}


def _record_moments(notes: list[tuple[Tensor, Tensor]], index: Any) -> Any:
    def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        mean, var, _count = _moments(given[0])
        notes.append((mean[index], var[index]))

    return hook


def _correct_norm(notes: list[tuple[Tensor, Tensor]], moved: _NormShift) -> Any:
    def hook(norm: Any, given: tuple[Tensor, ...]) -> None:
        before, spread = notes.pop(0)
        mean, var, count = _moments(given[0])
        moved.shift = moved.shift + count * (mean - before)
        moved.positions += count
        ratio = torch.ones_like(var)
        if count >= FEW:
            moved.before, moved.after = moved.before + count * spread, moved.after + count * var
            moved.with_variance += count
            ratio = _ratio(moved.before, moved.after, norm.eps)
        _set_statistics(norm, moved, mean - before, ratio)

    return hook


def _moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and variance of every channel of (B, C, …), and the number of positions."""
    flat = x.transpose(0, 1).flatten(1)  # (C, positions)
    return flat.mean(1), flat.var(1, correction=0), flat.shape[1]


def _ratio(before: Tensor, after: Tensor, eps: float) -> Tensor:
    return ((after + eps) / (before + eps)).clamp(1 / MOST, MOST)


def _set_statistics(norm: Any, was: _NormShift, shift: Tensor, ratio: Tensor) -> None:
    norm.running_mean.copy_(was.mean + shift)
    norm.running_var.copy_(was.var * ratio)
