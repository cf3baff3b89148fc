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
    weights: Mapping[str, Array],
    units: Sequence[Units],
    kept: Mapping[str, Index],
    statistics: Mapping[str, UnitStatistics],
) -> dict[str, Array]:
    """All weights of the pruned model, by name.

    `kept` are the units that stay, by reader; `statistics` are those of the activations, by reader.
    """
    arrays = {name: weights[name] for name in weights}
    for group in units:
        kept_units = kept[group.reader]
        if len(kept_units) == group.count:
            continue
        _shrink_reader(arrays, group, kept_units, statistics.get(group.reader))
        for part in group.cut:
            arrays[part.name] = np.take(arrays[part.name], part.places(kept_units, group.count), part.axis)
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _shrink_reader(
    arrays: dict[str, Array], group: Units, kept_units: Index, statistics: UnitStatistics | None
) -> None:
    cut_units = np.setdiff1d(np.arange(group.count), kept_units)
    columns = group.columns
    left, gone = columns.places(kept_units, group.count), columns.places(cut_units, group.count)
    weight = np.moveaxis(arrays[columns.name], 1, -1)  # (O, …, D)
    smaller = weight[..., left]
    if statistics is not None:
        matrix, constant = _fit_replacement(statistics, left, gone)
        smaller = (smaller + weight[..., gone] @ matrix).astype(np.float32)
        if group.bias is not None:
            lost = weight[..., gone].sum(tuple(range(1, weight.ndim - 1)))  # (O, D_cut)
            arrays[group.bias] = (arrays[group.bias] + lost @ constant).astype(np.float32)
    arrays[columns.name] = np.moveaxis(smaller, -1, 1)


def _fit_replacement(
    statistics: UnitStatistics, left: Index, gone: Index
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Predict the units that go from those that stay: a matrix (gone, left) and a constant (gone,)."""
    mean, covariance = statistics.mean(), statistics.covariance()
    own: npt.NDArray[np.float64] = covariance[np.ix_(left, left)]
    own[np.diag_indices(len(own))] += max(RIDGE * float(np.diag(own).mean()), 1e-12)
    matrix = np.linalg.solve(own, covariance[np.ix_(left, gone)]).T
    return matrix.astype(np.float64), mean[gone] - matrix @ mean[left]
