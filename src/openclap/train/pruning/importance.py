"""How much each unit is worth, and what it does: one pass over calibration sounds or texts. Knows nothing of files.

A pruned model shall give the embeddings z of the whole one. At the whole model that loss, |z - z'|², has no gradient,
so its first-order Taylor term is zero; the one after is the squared length of the first-order change of z:

    change of z without a unit = Σ over positions of (mean - a) · dz/da,     a: its activations

where the mean goes into the reader's bias. The length is estimated with random directions v, |w|² = E (v·w)², so that
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

Batch: TypeAlias = tuple[Tensor, Tensor]  # what an encoder takes

PROBES = 2  # random directions a batch
EPS = 1e-5  # of batch norms


@dataclass
class UnitStatistics:
    """What the units of one reader did, as far as it was watched. D: all their numbers."""

    count: int = 0  # positions
    total: Any = 0.0  # (D,)
    products: Any = 0.0  # (D, D)
    taylor: list[Tensor] = field(default_factory=list)  # of each batch: (2, b, D), Σ a·g and Σ g over positions

    def mean(self) -> npt.NDArray[np.float64]:
        """(D,)."""
        mean: npt.NDArray[np.float64] = self.total.double().cpu().numpy() / self.count
        return mean

    def covariance(self) -> npt.NDArray[np.float64]:
        """(D, D)."""
        mean = self.mean()
        covariance: npt.NDArray[np.float64] = self.products.double().cpu().numpy() / self.count - np.outer(mean, mean)
        return covariance

    def importance(self, units: Units) -> npt.NDArray[np.float64]:
        """(count,): the mean squared change of the embedding without each unit, to first order."""
        with_gradient, gradient = torch.cat(self.taylor, 1).double().cpu().numpy()
        change = (with_gradient - self.mean() * gradient).reshape(len(gradient), units.count, units.size).sum(2)
        worth: npt.NDArray[np.float64] = (change**2).mean(0)
        return worth


def collect_statistics(
    model: nn.Module,
    encode: Callable[[Tensor, Tensor], Tensor],
    units: Sequence[Units],
    batches: Iterable[Batch],
    generator: torch.Generator,
) -> dict[str, UnitStatistics]:
    """Run a model in eval mode and see what its units do, by reader; readers that nothing reaches are left out.

    Parameters
    ----------
    encode
        A batch → unit rows (B, E), by `model`.
    generator
        On the CPU; draws the directions.
    """
    seen: dict[str, UnitStatistics] = {}
    caught: list[tuple[Units, Tensor]] = []

    def catch(of: Units) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, given: caught.append((of, given[0]))

    hooks = [model.get_submodule(of.reader).register_forward_pre_hook(catch(of)) for of in units]
    try:
        for batch in batches:
            caught.clear()
            rows = encode(*batch)
            for of, x in caught:
                _add(seen.setdefault(of.reader, UnitStatistics()), _positions(of, x.detach(), len(rows)))
            inputs = [x for _, x in caught]
            for probe in range(PROBES):
                direction = torch.randn(rows.shape, generator=generator).to(rows.device)
                again = probe + 1 < PROBES
                gradients = torch.autograd.grad((rows * direction).sum(), inputs, retain_graph=again, allow_unused=True)
                for (of, x), gradient in zip(caught, gradients, strict=True):
                    if gradient is not None:
                        a, g = _positions(of, x.detach(), len(rows)), _positions(of, gradient, len(rows))
                        seen[of.reader].taylor.append(torch.stack([(a * g).sum(1), g.sum(1)]))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: what for name, what in seen.items() if what.taylor}


def _positions(units: Units, x: Tensor, rows: int) -> Tensor:
    """What a reader is given → (b, positions, D), one of b a clip or text."""
    last = x.movedim(units.axis, -1)
    # windows of attention are rows of their own; the fusion sees long clips alone
    return last.reshape(rows if len(x) % rows == 0 else len(x), -1, last.shape[-1])


def _add(seen: UnitStatistics, x: Tensor) -> None:
    flat = x.reshape(-1, x.shape[-1])
    seen.count += len(flat)
    seen.total = seen.total + flat.sum(0)
    seen.products = seen.products + flat.T @ flat


def weight_importance(units: Units, weights: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    """(count,): without sounds, the norm of what makes a unit times that of what reads it, and its batch norm's scale."""
    made, read = units.cut[0], units.columns
    worth = _norms(weights[made.name], made.parts, units.count) * _norms(
        np.moveaxis(weights[read.name], 1, 0), 1, units.count
    )
    if units.norm is not None:
        worth *= np.abs(weights[f"{units.norm}.weight"]) / np.sqrt(weights[f"{units.norm}.running_var"] + EPS)
    return worth


def _norms(rows: Array, parts: int, count: int) -> npt.NDArray[np.float64]:
    """(parts * count * size, …) → (count,)."""
    apart = rows.astype(np.float64).reshape(parts, count, -1)
    norms: npt.NDArray[np.float64] = np.sqrt((apart**2).sum((0, 2)))
    return norms


def choose_units(
    units: Sequence[Units], weights: Mapping[str, Array], seen: Mapping[str, UnitStatistics]
) -> dict[str, npt.NDArray[np.intp]]:
    """The units that stay, in their old order, by reader; of those that never did anything the heaviest."""
    kept = {}
    for of in units:
        weight = weight_importance(of, weights)
        worth = seen[of.reader].importance(of) if of.reader in seen else weight
        kept[of.reader] = np.sort(np.lexsort((-weight, -worth))[: of.kept])
    return kept
