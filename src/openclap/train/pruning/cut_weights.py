"""Cut units out of weights: their rows and columns go, and the remaining units replace them as far as they can.

    a_cut ≈ M · a_kept + c  (ridge regression over calibration sounds)   →   W_kept + W_cut · M,   bias + W_cut · c

A unit that is always zero is predicted to be zero, so cutting it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.weights import Array
from openclap.train.pruning.importance import UnitStatistics
from openclap.train.pruning.units import Index, Units

__all__ = ["cut_weights"]

RIDGE = 1e-2  # as a share of the mean variance of the units that stay


def cut_weights(
    weights: Mapping[str, Array], units: Sequence[Units], kept: Mapping[str, Index], seen: Mapping[str, UnitStatistics]
) -> dict[str, Array]:
    """All weights of the pruned model, by name.

    `kept` are the units that stay, by reader; `seen` are statistics of activations, by reader.
    """
    arrays = {name: weights[name] for name in weights}
    for of in units:
        stay = kept[of.reader]
        if len(stay) == of.count:
            continue
        _shrink_reader(arrays, of, stay, seen.get(of.reader))
        for part in of.cut:
            arrays[part.name] = np.take(arrays[part.name], part.places(stay, of.count), part.axis)
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _shrink_reader(arrays: dict[str, Array], of: Units, stay: Index, seen: UnitStatistics | None) -> None:
    go = np.setdiff1d(np.arange(of.count), stay)
    columns = of.columns
    left, gone = columns.places(stay, of.count), columns.places(go, of.count)
    weight = np.moveaxis(arrays[columns.name], 1, -1)  # (O, …, D)
    smaller = weight[..., left]
    if seen is not None:
        matrix, constant = _fit_replacement(seen, left, gone)
        smaller = (smaller + weight[..., gone] @ matrix).astype(np.float32)
        if of.bias is not None:
            lost = weight[..., gone].sum(tuple(range(1, weight.ndim - 1)))  # (O, D_cut)
            arrays[of.bias] = (arrays[of.bias] + lost @ constant).astype(np.float32)
    arrays[columns.name] = np.moveaxis(smaller, -1, 1)


def _fit_replacement(
    seen: UnitStatistics, left: Index, gone: Index
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Predict the units that go from those that stay: a matrix (gone, left) and a constant (gone,)."""
    mean, covariance = seen.mean(), seen.covariance()
    own: npt.NDArray[np.float64] = covariance[np.ix_(left, left)]
    own[np.diag_indices(len(own))] += max(RIDGE * float(np.diag(own).mean()), 1e-12)
    matrix = np.linalg.solve(own, covariance[np.ix_(left, gone)]).T
    return matrix.astype(np.float64), mean[gone] - matrix @ mean[left]
