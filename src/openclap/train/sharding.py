"""Shard weights, gradients and optimiser state (FSDP, torch's fully_shard): each rank holds a part of every tower.

The fusion, the logit scale and the parameters of a task stay whole on every rank. All ranks call these functions at the
same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from openclap.models.clap import CLAPModel

__all__ = ["clip_gradients", "gather_whole", "is_sharded", "shard", "shard_like"]


def shard(model: CLAPModel, world: int) -> None:
    """Shard towers and projections over the ranks; each part that is called on its own is sharded on its own.

    The fusion stays whole, because a rank whose rows hold no long recording has no gradient of it.
    """
    model.audio.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # fully_shard takes no other
    mesh = init_device_mesh(model.logit_scale.device.type, (world,))
    fusion = {p for name, p in model.audio.named_parameters() if "fusion" in name or "local_project" in name}
    for tower in (model.audio, model.text):
        for block in _blocks(tower):
            fully_shard(block, mesh=mesh, ignored_params=fusion)
    for part in (model.audio, model.text, model.audio_projection, model.text_projection):
        fully_shard(part, mesh=mesh, ignored_params=fusion)


def _blocks(tower: nn.Module) -> list[nn.Module]:
    """The blocks of a tower: layers of a transformer, stages of an HTSAT, blocks of a PANN."""
    lists = [m for name, m in tower.named_modules() if isinstance(m, nn.ModuleList)]
    outer = [m for m in lists if not any(m is not other and m in set(other.modules()) for other in lists)]
    return [block for found in outer for block in found]


def is_sharded(parameter: Tensor) -> bool:
    """Whether each rank holds only a part of this tensor."""
    return isinstance(parameter, DTensor)


def gather_whole(tree: Any) -> Any:
    """Gather every sharded tensor in dictionaries and lists as a whole one on the CPU."""
    if isinstance(tree, DTensor):
        return tree.full_tensor().cpu()
    if isinstance(tree, dict):
        return {key: gather_whole(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [gather_whole(value) for value in tree]
    return tree


def shard_like(value: Any, owner: Tensor) -> Any:
    """Move a whole tensor to the device of `owner` and shard it in the same way; other values stay as they are."""
    if not isinstance(value, Tensor) or value.shape != owner.shape:
        return value
    value = value.to(owner.device)
    if isinstance(owner, DTensor):
        return distribute_tensor(value, owner.device_mesh, owner.placements, src_data_rank=None)
    return value


def clip_gradients(parameters: Sequence[nn.Parameter], limit: float) -> None:
    """Scale all gradients so that their norm over all ranks is at most `limit`."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts = [g.to_local() for g in gradients if isinstance(g, DTensor)]
    squares = (
        torch.stack([g.double().square().sum() for g in parts]).sum()
        if parts
        else torch.zeros((), dtype=torch.double, device=gradients[0].device)
    )
    dist.all_reduce(squares)
    squares += sum(g.double().square().sum() for g in gradients if not isinstance(g, DTensor))
    factor = float(torch.clamp(limit / (squares.sqrt() + 1e-6), max=1.0))
    for gradient in gradients:
        gradient.mul_(factor)
