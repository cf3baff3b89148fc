"""Time stamps of a container's frames → where their samples lie in the recording. Knows nothing of codecs.

    stamps      0        12 s ▓▓▓▓▓▓▓▓      20 s ▓▓▓▓▓
    recording   ░░░░░░░░░░░░░ ▓▓▓▓▓▓▓▓░░░░░░░░░░ ▓▓▓▓▓     ░ silence: what a player shows there

Stamps that are off by less than `TOLERANCE` are followed by the samples as they are: encoders' delays, rounding and
jitter are no gaps, and no error grows beyond that. Sound that overlaps what was there before is left out, a clock that
was set back goes on where it was, and a leap that nothing else in the file bears out is not believed.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TOLERANCE", "StampClock"]

TOLERANCE = 0.1  # seconds
SET_BACK = 1.0  # seconds that stamps go back: no overlap, another clock
BELIEVED = 3600.0  # seconds of silence in all, where the container announces no end that bears them out
MOST = 48 * 3600.0  # seconds of silence in all


class StampClock:
    """Where the next samples go.

    Parameters
    ----------
    zero
        The time stamp, in seconds, at which the recording begins.
    end
        Where it ends as the container announces, in seconds of the recording; None where it announces nothing.
    tell
        Is told, in words and once, what was wrong with the stamps.
    """

    def __init__(self, zero: float, end: float | None, tell: Callable[[str], None]) -> None:
        self._zero, self._end, self._tell = zero, end or 0.0, tell
        self._filled = 0.0
        self._before = 0.0  # seconds of what had another rate
        self._rate = 0
        self._samples = 0
        self._overlapping = self._told = False

    @property
    def seconds(self) -> float:
        """How long the recording is so far."""
        return self._before + (self._samples / self._rate if self._rate else 0.0)

    def begin_at(self, samples: int, rate: int) -> None:
        """Go on from a place further on, which was sought."""
        self._samples, self._rate, self._before = samples, rate, 0.0

    def seconds_of_stamp(self, stamp: float) -> float:
        """The second of the recording that a time stamp stands for."""
        return stamp - self._zero

    def place_frame(self, stamp: float | None, samples: int, rate: int) -> tuple[int, int]:
        """How many samples of silence come before a frame of `samples`, and how many of its own first ones are left out."""
        if rate != self._rate:
            self._before, self._samples, self._rate = self.seconds, 0, rate
        silent, left_out = self._correction(stamp, samples)
        self._samples += silent + samples - left_out
        return silent, left_out

    def _correction(self, stamp: float | None, samples: int) -> tuple[int, int]:
        if stamp is None:
            return 0, 0
        ahead = stamp - self._zero - self.seconds
        if abs(ahead) <= (0.0 if self._overlapping else TOLERANCE):
            return 0, 0
        self._overlapping = self._overlapping and ahead < 0
        if 0 < ahead <= TOLERANCE:
            return 0, 0
        if ahead > 0 and self._is_plausible(ahead):
            self._filled += ahead
            return round(ahead * self._rate), 0
        if -SET_BACK <= ahead < 0:
            left_out = min(samples, round(-ahead * self._rate))
            self._overlapping = left_out == samples  # go on until all of it is left out
            return 0, left_out
        self._set_clock(ahead)
        return 0, 0

    def _set_clock(self, ahead: float) -> None:
        """Take what is due this much later, or earlier, for due now."""
        self._zero += ahead
        if not self._told:
            self._told = True
            way = f"leap {ahead:.0f} s ahead" if ahead > 0 else f"go back by {-ahead:.1f} s"
            self._tell(
                f"its time stamps {way} at {self.seconds:.1f} s; what follows is put right behind what was before"
            )

    def _is_plausible(self, ahead: float) -> bool:
        if self._told and ahead > SET_BACK:  # where a clock was set once, a leap is another one
            return False
        if self._filled + ahead > MOST:
            return False
        return self.seconds + ahead <= self._end + 1.0 or self._filled + ahead <= BELIEVED
