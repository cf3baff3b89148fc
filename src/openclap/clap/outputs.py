"""Which output of a tower is asked for, and how rows of several windows become one.

embedding   the projection (N, E): what sounds and texts are compared by
pooled      what it is the projection of (N, D): for classifiers of one's own
frames      features of each step of time of a sound, or of each token of a text (N, T', D)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from openclap.backends.outputs import TowerOutput
from openclap.errors import UsageError
from openclap.normalization import Vectors, normalize_rows

__all__ = ["UNIT", "Output", "Wanted"]

Output: TypeAlias = Literal["embedding", "pooled", "frames"]


@dataclass(frozen=True)
class Wanted:
    """An output, at length 1 or as the tower gives it."""

    output: Output = "embedding"
    normalize: bool = True

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise UsageError(f"output is {self.output!r}; choose {', '.join(get_args(Output))}")

    @property
    def of_tower(self) -> TowerOutput:
        """What the backend is asked for."""
        if self.output == "embedding":
            return "unit" if self.normalize else "projected"
        return self.output

    def finish(self, rows: Vectors) -> Vectors:
        """Rows as a tower gives them → as they were asked for."""
        return normalize_rows(rows) if self.normalize and self.output != "embedding" else rows

    def merge(self, windows: Sequence[Vectors]) -> Vectors:
        """The rows of all windows of a sound → one: their mean, at length 1 where that is asked for.

        Raises
        ------
        UsageError
            Frames of several windows, which have no mean.
        """
        if self.output == "frames":
            if len(windows) > 1:
                raise UsageError(
                    "frames of a recording longer than a clip have no mean; ask encode_windows, or take long='head'"
                )
            return self.finish(windows[0])
        if not self.normalize:
            return np.mean(windows, axis=0, dtype=np.float32)
        return normalize_rows(np.sum(windows, axis=0, dtype=np.float32))


UNIT = Wanted()
