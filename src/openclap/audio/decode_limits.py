"""What a sound is decoded with: how long it may be, which track, and who still waits for it.

The limits travel with the sound, so that no thread, pool or generator between who sets them and who decodes can lose
them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from openclap.errors import TooLong, UsageError

__all__ = ["DecodeLimits", "DecodingStopped", "LimitedSound", "limit", "split_limits"]


class DecodingStopped(Exception):
    """Nobody waits for a sound any more; no user ever sees this."""


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of one sound.

    Attributes
    ----------
    seconds
        A longer sound is refused while it is decoded; None: any length.
    track
        Which of several tracks of sound, from 1; None: the one that the container marks as its default, else the first.
    stops
        Decoding stops at its next block where one of these is set.

    Raises
    ------
    UsageError
        The track is no whole number from 1 on.
    """

    seconds: float | None = None
    track: int | None = None
    stops: tuple[threading.Event, ...] = ()

    def __post_init__(self) -> None:
        number: Any = self.track
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1):
            raise UsageError(f"track is {number!r}; tracks of sound are counted from 1")

    def check(self, name: str, seconds: float) -> None:
        """Go on after so many seconds were decoded, or do not.

        Raises
        ------
        DecodingStopped
            One of the events is set.
        TooLong
            Naming the sound.
        """
        if any(stop.is_set() for stop in self.stops):
            raise DecodingStopped
        if self.seconds is not None and seconds > self.seconds:
            raise TooLong(name, f"is longer than the {self.seconds:g} s that are taken here; give a part of it")


@dataclass(frozen=True, eq=False)
class LimitedSound:
    """A sound with limits, which is taken wherever a sound is."""

    source: Any
    limits: DecodeLimits


def limit(
    sound: Any, *, seconds: float | None = None, track: int | None = None, stop: threading.Event | None = None
) -> Any:
    """The sound with these limits, besides those that it has; itself where none is given."""
    if seconds is None and track is None and stop is None:
        return sound
    source, own = split_limits(sound)
    stops = own.stops if stop is None else (*own.stops, stop)
    seconds, track = own.seconds if seconds is None else seconds, own.track if track is None else track
    return LimitedSound(source, DecodeLimits(seconds, track, stops))


def split_limits(sound: Any) -> tuple[Any, DecodeLimits]:
    """A sound without its limits, and the limits."""
    return (sound.source, sound.limits) if isinstance(sound, LimitedSound) else (sound, DecodeLimits())
