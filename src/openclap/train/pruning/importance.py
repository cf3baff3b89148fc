"""Measure how much each unit is worth, in one pass over calibration sounds or texts.

A pruned model should give the same embeddings z as the whole model. At the whole model the loss |z - z'|² has no
gradient, so its first-order Taylor term is zero; the next term is the squared length of the first-order change of z:

    change of z without a unit = Σ over positions of (mean - a) · dz/da,     a: its activations

where the mean goes into the bias of the reader. The length is estimated with random directions v, |w|² = E (v·w)², so
one backward pass serves all units: their (activation x gradient) of v·z, squared, averaged over sounds. (After P.
Molchanov et al., arXiv 1906.10771, whose loss is supervised.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from openclap.checkpoints.weights import Array
from openclap.train.pruning.units import Units

__all__ = ["UnitStatistics", "choose_units", "collect_statistics", "weight_importance"]

Batch: TypeAlias = tuple[Tensor, Tensor]  # the two inputs of an encoder: mel and longer, or ids and mask

PROBES = 2  # random directions for each batch
EPS = 1e-5  # of batch norms


@dataclass
class UnitStatistics:
    """Statistics of the activations of the units of one reader. D: the numbers of all units together."""

    count: int = 0  # positions seen
    total: Any = 0.0  # sum of activations (D,)
    products: Any = 0.0  # sum of their products (D, D)
    taylor: list[Tensor] = field(default_factory=list)  # for each batch (2, b, D): Σ a·g and Σ g over positions

    def mean(self) -> npt.NDArray[np.float64]:
        """The mean of the activations (D,)."""
        return self.total.double().cpu().numpy() / self.count

    def covariance(self) -> npt.NDArray[np.float64]:
        """The covariance of the activations (D, D)."""
        mean = self.mean()
        return self.products.double().cpu().numpy() / self.count - np.outer(mean, mean)

    def importance(self, units: Units) -> npt.NDArray[np.float64]:
        """The mean squared change of the embedding without each unit, to first order (count,)."""
        with_gradient, gradient = torch.cat(self.taylor, 1).double().cpu().numpy()
        change = (with_gradient - self.mean() * gradient).reshape(len(gradient), units.count, units.size).sum(2)
        return (change**2).mean(0)


def collect_statistics(
    model: nn.Module,
    encode: Callable[[Tensor, Tensor], Tensor],
    units: Sequence[Units],
    batches: Iterable[Batch],
    generator: torch.Generator,
) -> dict[str, UnitStatistics]:
    """Run a model in eval mode and collect statistics of its units, by reader; readers that never run are left out.

    Parameters
    ----------
    encode
        Gives the unit rows (B, E) of a batch, by `model`.
    generator
        Draws the directions; it is on the CPU.
    """
    statistics: dict[str, UnitStatistics] = {}
    caught: list[tuple[Units, Tensor]] = []

    def catch(group: Units) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, given: caught.append((group, given[0]))

    hooks = [model.get_submodule(group.reader).register_forward_pre_hook(catch(group)) for group in units]
    try:
        for batch in batches:
            caught.clear()
            rows = encode(*batch)
            for group, x in caught:
                _add(statistics.setdefault(group.reader, UnitStatistics()), _positions(group, x.detach(), len(rows)))
            inputs = [x for _, x in caught]
            for probe in range(PROBES):
                direction = torch.randn(rows.shape, generator=generator).to(rows.device)
                again = probe + 1 < PROBES
                gradients = torch.autograd.grad((rows * direction).sum(), inputs, retain_graph=again, allow_unused=True)
                for (group, x), gradient in zip(caught, gradients, strict=True):
                    if gradient is not None:
                        a, g = _positions(group, x.detach(), len(rows)), _positions(group, gradient, len(rows))
                        statistics[group.reader].taylor.append(torch.stack([(a * g).sum(1), g.sum(1)]))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: what for name, what in statistics.items() if what.taylor}


def _positions(units: Units, x: Tensor, rows: int) -> Tensor:
    """Arrange the input of a reader as (b, positions, D), with one row b for each clip or text."""
    last = x.movedim(units.axis, -1)
    # windows of attention come as rows of their own; the fusion runs on long clips alone
    return last.reshape(rows if len(x) % rows == 0 else len(x), -1, last.shape[-1])


def _add(statistics: UnitStatistics, x: Tensor) -> None:
    flat = x.reshape(-1, x.shape[-1])
    statistics.count += len(flat)
    statistics.total = statistics.total + flat.sum(0)
    statistics.products = statistics.products + flat.T @ flat


def weight_importance(units: Units, weights: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    """The worth of each unit without any sound (count,).

    It is the norm of the weights that make a unit, times that of the weights that read it, times the scale of its batch
    norm.
    """
    made, read = units.cut[0], units.columns
    worth = _norms(weights[made.name], made.parts, units.count) * _norms(
        np.moveaxis(weights[read.name], 1, 0), 1, units.count
    )
    if units.norm is not None:
        worth *= np.abs(weights[f"{units.norm}.weight"]) / np.sqrt(weights[f"{units.norm}.running_var"] + EPS)
    return worth


def _norms(rows: Array, parts: int, count: int) -> npt.NDArray[np.float64]:
    """The norm of the rows of each unit: (parts * count * size, …) → (count,)."""
    apart = rows.astype(np.float64).reshape(parts, count, -1)
    return np.sqrt((apart**2).sum((0, 2)))


def choose_units(
    units: Sequence[Units], weights: Mapping[str, Array], statistics: Mapping[str, UnitStatistics]
) -> dict[str, npt.NDArray[np.intp]]:
    """Choose the units that stay, in their old order, by reader; between equal ones, larger weights decide."""
    kept = {}
    for group in units:
        weight = weight_importance(group, weights)
        worth = statistics[group.reader].importance(group) if group.reader in statistics else weight
        kept[group.reader] = np.sort(np.lexsort((-weight, -worth))[: group.kept])
    return kept
