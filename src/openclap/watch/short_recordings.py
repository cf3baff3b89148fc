"""What is kept of the warm-up, in case the recording ends within it, and what is told then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EarlyWindow", "short_recording_message"]


@dataclass(frozen=True, eq=False)
class EarlyWindow:
    """A window that was heard during the warm-up, with its embedding (E,)."""

    start: float  # seconds; an event in it begins here, in the window before where the two overlap
    begin: float  # seconds, of the window itself
    end: float
    apart: bool  # whether it does not overlap the one before
    row: npt.NDArray[np.float32]


def short_recording_message(
    name: str, heard: float, warmup: float, *, judged_anyway: bool, novelty_unknown: bool
) -> str:
    """What is told of a recording of `heard` seconds, which ends before enough was learnt.

    Parameters
    ----------
    judged_anyway
        Whether alerts were judged by what there is of it.
    novelty_unknown
        Whether it was too short to know what is unusual in it.
    """
    message = f"{name}: ended after {heard:.0f} s"
    if judged_anyway:
        message += (
            f", within the warm-up of {warmup:g} s: judged by what there is of it, which is less sure (a longer"
            " recording, or a shorter warm-up)"
        )
    return message + (', too short to know what is "unusual" there' if novelty_unknown else "")
