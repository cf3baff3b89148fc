"""From which level a window is heard, and the one vector of a recording, without its silent windows.

    windows  [ -18 dB ][ -20 dB ][ -90 dB ]     levels: dB of full scale, NaN where nobody measured them
    track    the mean of the first two, at length 1

The level of a window (`audio.levels.level_of`) is that of its loudest 50 ms, or 13 dB below its peak where that is
more: a click of one sample is heard, too. Below `SILENT_DB` there is only dither or the noise of a preamplifier, which
a model that normalises loudness names as surely as rain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SILENT_DB", "is_heard", "track_vector"]

SILENT_DB = -65.0  # dB of full scale; the noise of a quiet room or a preamplifier lies below

Levels = npt.NDArray[np.floating[Any]]
Vectors = npt.NDArray[np.float32]


def is_heard(levels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether something is heard at these levels, in dB of full scale; where a level is NaN, nobody knows: yes."""
    return ~(np.asarray(levels) < SILENT_DB)


def track_vector(rows: Vectors, levels: Levels) -> Vectors:
    """The vector (E,) of a recording: the mean of the unit rows (W, E) of its windows that are heard, at length 1.

    Silent windows are left out, so that lead-in silence does not move it; of a recording that is silent throughout, all
    count. Unit vectors identify a recording as well as the tower's output before it is normalised (`bench/tracks.py`),
    and are what libraries hold.
    """
    heard = is_heard(levels)
    mean = rows[heard].mean(0) if heard.any() else rows.mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
