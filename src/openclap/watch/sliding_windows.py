"""Cuts the blocks of a stream into windows that slide over it, each as soon as it is complete.

0 ·· 2          every `hop` seconds a window of `window` seconds begins; after a gap they begin anew behind it; the last
  1 ·· 3        one is moved back to end with the stream, and a stream shorter than a window is one window
    2 ·· 4
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openclap.audio.channels import Wave

__all__ = ["SlidingWindows", "StreamWindow"]


LEAST = 0.1  # of a hop; what is left at the end becomes a window of its own where it is at least this long


@dataclass(frozen=True, eq=False)
class StreamWindow:
    """The samples (S,) of a stream from `start` to `end`, in seconds."""

    start: float
    end: float
    wave: Wave


class SlidingWindows:
    """Cuts one stream into windows; it holds no more than a window and a block."""

    def __init__(self, rate: int, window: float, hop: float) -> None:
        self._rate, self._size, self._hop = rate, max(1, round(window * rate)), max(1, round(hop * rate))
        self._held = np.zeros(0, np.float32)
        self._origin = 0  # sample of the stream where the held samples begin
        self._next = 0  # sample where the next window begins
        self._given = 0  # sample where the last window ended

    def feed(self, wave: Wave) -> list[StreamWindow]:
        """Append samples (S,); the windows that are complete now."""
        self._held = np.concatenate([self._held, wave])
        windows = []
        while self._next + self._size <= self._origin + len(self._held):
            windows.append(self._cut(self._next, self._next + self._size))
            self._next += self._hop
        keep = max(self._origin, min(self._next, self._origin + len(self._held) - self._size))
        self._held = self._held[keep - self._origin :]
        self._origin = keep
        return windows

    def flush(self) -> list[StreamWindow]:
        """The last window, if at least a tenth of a hop of the stream was in none yet."""
        end = self._origin + len(self._held)
        start = max(self._origin, end - self._size)
        left = end - max(self._given, self._origin)
        if left < max(1, LEAST * self._hop) and self._given > self._origin:
            return []
        return [self._cut(start, end)] if end > start else []

    def skip(self, seconds: float) -> list[StreamWindow]:
        """Move on by lost seconds: the last window before them; the next one begins behind them."""
        last = self.flush()
        end = self._origin + len(self._held) + round(seconds * self._rate)
        self._held = np.zeros(0, np.float32)
        self._origin = self._next = self._given = end
        return last

    def _cut(self, start: int, end: int) -> StreamWindow:
        self._given = end
        return StreamWindow(
            start / self._rate, end / self._rate, self._held[start - self._origin : end - self._origin].copy()
        )
