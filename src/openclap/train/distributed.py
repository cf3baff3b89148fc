"""Several processes that train one model (torchrun): their ranks, and how they exchange rows, gradients and errors.

A single process is rank 0 of 1.

Every rank computes the loss of the whole batch from the gathered embeddings, and sends the gradient back through its
own rows alone. That gradient is multiplied by the number of ranks, so that the mean over ranks is the gradient of the
whole batch, in the towers and in the logit scale.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from openclap.batches import batches_until
from openclap.errors import DataWarning, LanguageWarning, ModelWarning, OpenClapError, SoundWarning

__all__ = ["Ranks", "is_first", "join_ranks", "quiet_other_ranks", "same_outcome", "share_norms"]

T = TypeVar("T")
BUCKET = 25_000_000  # numbers that are averaged in one call
PATIENCE = timedelta(hours=12)  # the first rank may evaluate alone for long; torchrun stops all when one process dies


@dataclass(frozen=True)
class Ranks:
    """The rank of this process, and how many processes train together."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (n, …) of every rank, in order of the ranks; the gradient goes back to this rank's own."""
        return _Gathered.apply(rows, self) if self.world > 1 else rows  # type: ignore[no-untyped-call]

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients of every rank by their mean over all ranks."""
        if self.world == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        if not trained:
            return
        used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32, device=trained[0].device)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        trained = [p for p, somewhere in zip(trained, used.tolist(), strict=True) if somewhere]
        for p in trained:  # every rank must send the same parameters, even those its rows did not use
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        gradients = [p.grad for p in trained if p.grad is not None]
        for some in batches_until(gradients, lambda some: sum(g.numel() for g in some) >= BUCKET):
            flat = torch.cat([g.reshape(-1) for g in some])
            dist.all_reduce(flat)
            flat /= self.world
            for g, part in zip(some, torch.split(flat, [g.numel() for g in some]), strict=True):
                g.copy_(part.view_as(g))

    def all_of(self, value: T) -> list[T]:
        """The value of every rank, in order of the ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def all_ranks(self, call: Callable[[], T]) -> list[T]:
        """Run `call` on every rank and give all results. Where it fails on one rank, all stop with its error.

        Without this, the other ranks would wait for the one that failed.

        Raises
        ------
        OpenClapError
            The error of the first rank that has one; other exceptions are raised only where they happen.
        """
        found: T | None = None
        trouble: OpenClapError | None = None
        try:
            found = call()
        except OpenClapError as error:
            if self.world == 1:
                raise
            trouble = error
        told = self.all_of((found, trouble))
        for _, wrong in told:
            if wrong is not None:
                wrong.quiet = not self.first
                raise wrong
        return [value for value, _ in told]  # type: ignore[misc]  # nothing failed

    def same_outcome(self) -> AbstractContextManager[None]:
        """Around code that has the same outcome on every rank: only the first shows warnings and errors."""
        return same_outcome(self.rank)

    def wait(self) -> None:
        """Wait until every rank has come here."""
        if self.world > 1:
            dist.barrier()


def is_first() -> bool:
    """Whether this process reports results: the only one, or the first of those that torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or os.environ.get("RANK", "0") == "0"


@contextmanager
def same_outcome(rank: int | None = None) -> Iterator[None]:
    """Around code that has the same outcome in every process: only the first shows warnings and errors.

    Parameters
    ----------
    rank
        The rank of this process. None, before the processes have joined, means its number on this machine, since the
        files of another machine may differ.
    """
    if rank is None:
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
        rank = 0 if alone else int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")))
    with quiet_other_ranks(rank):
        try:
            yield
        except OpenClapError as error:
            error.quiet = rank > 0
            raise


@contextmanager
def quiet_other_ranks(rank: int) -> Iterator[None]:
    """Hide the warnings of all ranks but the first, since all of them would give the same ones."""
    if rank == 0:
        yield
        return
    with warnings.catch_warnings():
        for category in (DataWarning, LanguageWarning, ModelWarning, SoundWarning):
            warnings.simplefilter("ignore", category)
        yield


@contextmanager
def join_ranks(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun has started; a process group that is already there is used."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 and not dist.is_initialized():
        yield Ranks()
        return
    mine = not dist.is_initialized()
    if mine:
        if device.type == "cuda":
            torch.cuda.set_device(device)  # NCCL uses this one; else all processes of a machine share the first GPU
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        if mine:
            dist.destroy_process_group()


def share_norms(model: nn.Module) -> None:
    """Let every batch norm use the rows of all ranks, as one process with the whole batch would."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.forward = _SharedNorm(module)  # type: ignore[assignment]
        if hasattr(module, "needs_two_rows"):  # the other ranks have a row each, too
            module.needs_two_rows = False  # type: ignore[assignment]


class _SharedNorm:
    """The forward of a batch norm over the rows of all ranks; torch's own version runs only on CUDA."""

    def __init__(self, norm: Any) -> None:
        self.norm = norm

    def __call__(self, x: Tensor) -> Tensor:
        norm = self.norm
        if not norm.training:
            return type(norm).forward(norm, x)
        axes = [0, *range(2, x.ndim)]
        wide = x.double()  # single precision would lose the variance of a mel bin that hardly changes
        count = x.new_full((1,), x.numel() / x.shape[1], dtype=wide.dtype)
        sums = torch.cat([wide.sum(axes), (wide * wide).sum(axes), count])
        total: Tensor = _Summed.apply(sums)  # type: ignore[no-untyped-call]
        number = total[-1]
        mean = total[: x.shape[1]] / number
        variance = (total[x.shape[1] : -1] / number - mean * mean).clamp(min=0)
        with torch.no_grad():
            norm.num_batches_tracked += 1
            momentum = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
            norm.running_mean.lerp_(mean.to(x.dtype), momentum)
            norm.running_var.lerp_((variance * number / (number - 1)).to(x.dtype), momentum)
        shape = [1, -1, *[1] * (x.ndim - 2)]
        scale = (variance + norm.eps).rsqrt() * norm.weight
        return (wide * scale.view(shape) + (norm.bias - mean * scale).view(shape)).to(x.dtype)


class _Gathered(torch.autograd.Function):
    """Forward: the rows of all ranks. Backward: the gradient of this rank's rows, times the number of ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> Tensor:
        counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(ranks.world)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
        sizes = [int(count) for count in counts]
        padded = torch.zeros(max(sizes), *rows.shape[1:], dtype=rows.dtype, device=rows.device)
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        ctx.own = slice(sum(sizes[: ranks.rank]), sum(sizes[: ranks.rank + 1]))
        ctx.world = ranks.world
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.own] * ctx.world, None


class _Summed(torch.autograd.Function):
    """The sum over ranks, forward and backward."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
