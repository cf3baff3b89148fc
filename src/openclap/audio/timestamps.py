"""Time stamps of a container's frames → where the samples of each lie in the recording.

    stamps      0        12 s ▓▓▓▓▓▓▓▓      20 s ▓▓▓▓▓
    recording   ░░░░░░░░░░░░░ ▓▓▓▓▓▓▓▓░░░░░░░░░░ ▓▓▓▓▓     ░ silence: what a player shows there

Stamps that are off by less than `TOLERANCE` change nothing: delays of encoders, rounding and jitter are no gaps. Where
the error grows beyond it, silence is filled in, or sound that overlaps earlier sound is left out. Where the clock was
set back, sound goes on without a gap. So it does where stamps leap ahead and nothing else in the file confirms that.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TOLERANCE", "StampClock"]

TOLERANCE = 0.1  # seconds
MAX_OVERLAP = 1.0  # seconds; stamps that go back by more belong to a new clock
MAX_UNCONFIRMED_SILENCE = 3600.0  # seconds in all, where no announced end confirms them
MAX_SILENCE = 48 * 3600.0  # seconds of silence in all


class StampClock:
    """Decides where the samples of each next frame go.

    Parameters
    ----------
    zero
        The time stamp, in seconds, at which the recording begins.
    end
        Where it ends as the container announces, in seconds of the recording; None where it announces nothing.
    warn
        Called once with a sentence where something is wrong with the stamps.
    """

    def __init__(self, zero: float, end: float | None, warn: Callable[[str], None]) -> None:
        self._zero, self._end, self._warn = zero, end or 0.0, warn
        self._filled = 0.0
        self._before = 0.0  # seconds before the rate last changed
        self._rate = 0
        self._samples = 0
        self._overlapping = self._warned = False

    @property
    def seconds(self) -> float:
        """The length of the recording so far."""
        return self._before + (self._samples / self._rate if self._rate else 0.0)

    def begin_at(self, samples: int, rate: int) -> None:
        """Go on at another sample of the recording, to which the decoder was set."""
        self._samples, self._rate, self._before = samples, rate, 0.0

    def place_frame(self, stamp: float | None, samples: int, rate: int) -> tuple[int, int]:
        """(samples of silence before a frame of `samples` samples, how many of its first samples are left out)."""
        if rate != self._rate:
            self._before, self._samples, self._rate = self.seconds, 0, rate
        silent, left_out = self._correction(stamp, samples)
        self._samples += silent + samples - left_out
        return silent, left_out

    def _correction(self, stamp: float | None, samples: int) -> tuple[int, int]:
        """What `place_frame` returns, without counting the frame."""
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
        if -MAX_OVERLAP <= ahead < 0:
            left_out = min(samples, round(-ahead * self._rate))
            self._overlapping = left_out == samples  # go on until all of the overlap is left out
            return 0, left_out
        self._set_clock(ahead)
        return 0, 0

    def _set_clock(self, ahead: float) -> None:
        """Change the clock by `ahead` seconds, so that the frame comes now, and warn."""
        self._zero += ahead
        if not self._warned:
            self._warned = True
            jump = f"leap {ahead:.0f} s ahead" if ahead > 0 else f"go back by {-ahead:.1f} s"
            self._warn(
                f"its time stamps {jump} at {self.seconds:.1f} s; what follows is put right behind what was before"
            )

    def _is_plausible(self, ahead: float) -> bool:
        """Whether so many seconds of silence are filled in."""
        if self._warned and ahead > MAX_OVERLAP:  # the clock was changed before: this is another change
            return False
        if self._filled + ahead > MAX_SILENCE:
            return False
        return self.seconds + ahead <= self._end + 1.0 or self._filled + ahead <= MAX_UNCONFIRMED_SILENCE
