"""What models cost: seconds measured in turns, weights counted.

Knows nothing of what is asked of them or what is told of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.weights import Weights

__all__ = ["count_weights", "time_alternating"]

FEWEST, MOST = 5, 50  # turns


def time_alternating(calls: Sequence[Callable[[], object]], seconds: float) -> npt.NDArray[np.float64]:
    """The seconds that each of some calls takes, again and again in turn, so that whatever else runs here slows all → (turns, calls).

    What is built at the first call is not counted. There are `FEWEST` turns or more, `MOST` at most, and none is begun
    when `seconds` are over.
    """
    for call in calls:
        call()
    times: list[list[float]] = []
    ends = time.perf_counter() + seconds
    while len(times) < FEWEST or (len(times) < MOST and time.perf_counter() < ends):
        turn = []
        for call in calls:
            began = time.perf_counter()
            call()
            turn.append(time.perf_counter() - began)
        times.append(turn)
    return np.array(times)


def count_weights(weights: Weights, prefixes: tuple[str, ...] = ("",)) -> int:
    """Numbers in those weights whose names begin so."""
    return sum(int(np.prod(weights.shape(name))) for name in weights if name.startswith(prefixes))
