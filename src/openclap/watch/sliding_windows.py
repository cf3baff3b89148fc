"""Blocks of a stream → spans that slide over it, as they become complete. Knows nothing of models.

0 ·· 2          every `hop` seconds a span of `window` seconds; after a gap they begin anew behind it; the last one is
  1 ·· 3        moved back to end with the stream, and what is shorter than a window is one span
    2 ·· 4
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SlidingWindows", "StreamWindow"]

Wave = npt.NDArray[np.float32]

LEAST = 0.1  # of a hop: what is left at the end is worth a span of its own from here on


@dataclass(frozen=True, eq=False)
class StreamWindow:
    """`wave` (S,) from `start` to `end`, seconds of the stream."""

    start: float
    end: float
    wave: Wave


class SlidingWindows:
    """Spans of one stream, in memory of a window and a block."""

    def __init__(self, rate: int, window: float, hop: float) -> None:
        self._rate, self._size, self._hop = rate, max(1, round(window * rate)), max(1, round(hop * rate))
        self._held = np.zeros(0, np.float32)
        self._origin = 0  # sample of the stream where what is held begins
        self._next = 0  # sample where the next span begins
        self._given = 0  # sample where the last span ended

    def feed(self, wave: Wave) -> list[StreamWindow]:
        """(S,) → spans that are complete now."""
        self._held = np.concatenate([self._held, wave])
        found = []
        while self._next + self._size <= self._origin + len(self._held):
            found.append(self._span(self._next, self._next + self._size))
            self._next += self._hop
        keep = max(self._origin, min(self._next, self._origin + len(self._held) - self._size))
        self._held = self._held[keep - self._origin :]
        self._origin = keep
        return found

    def flush(self) -> list[StreamWindow]:
        """What was not given yet; nothing where that is less than a tenth of a hop."""
        end = self._origin + len(self._held)
        start = max(self._origin, end - self._size)
        left = end - max(self._given, self._origin)
        if left < max(1, LEAST * self._hop) and self._given > self._origin:
            return []
        return [self._span(start, end)] if end > start else []

    def skip(self, seconds: float) -> list[StreamWindow]:
        """Lose so many seconds: what was there before them ends, what comes after begins anew."""
        last = self.flush()
        end = self._origin + len(self._held) + round(seconds * self._rate)
        self._held = np.zeros(0, np.float32)
        self._origin = self._next = self._given = end
        return last

    def _span(self, start: int, end: int) -> StreamWindow:
        self._given = end
        return StreamWindow(
            start / self._rate, end / self._rate, self._held[start - self._origin : end - self._origin].copy()
        )
