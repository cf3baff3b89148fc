"""Measure what models cost: seconds per call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["time_alternating"]

FEWEST, MOST = 5, 50  # turns


def time_alternating(calls: Sequence[Callable[[], object]], seconds: float) -> npt.NDArray[np.float64]:
    """Time several calls in turn, so that other load on the machine slows all of them → seconds (turns, calls).

    The first call of each is not counted, since it may build something. There are from `FEWEST` to `MOST` turns; after
    `FEWEST`, none begins when `seconds` are over.
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
