"""What a watch gives: an event for each thing heard, and a report at its end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from openclap.results import Result

__all__ = ["UNUSUAL", "Event", "WatchReport"]

UNUSUAL = "unusual"  # the name of the alert that has no words


@dataclass(frozen=True)
class Event(Result):
    """An alert that was heard from `start` to `end`.

    Attributes
    ----------
    id
        The same in every message about the same event, so a receiver may drop what it has already.
    state
        "ended" where all is known; "began" where it is given at once: then `end` and `peak` are what is known so far,
        and there is no clip yet.
    alert
        The words that were listened for, or "unusual".
    source, time
        What was watched (for a folder, the file), and the time of day in UTC when it began, for live sources only.
    start, end, peak
        Seconds from the source's start. The event lasts from the first window it is heard in to the end of the last
        one; `peak` is the middle of the best one.
    score
        Cosine of the best window with the words; for "unusual", its distance from what was heard so far, where 0 is
        usual and 1 the farthest twentieth.
    confidence
        In [0, 1]: how likely the best window holds it, seen against what is usual at this source.
    latency
        Seconds from `start` until it was decided: how much sound had to be heard and, for a live source, how long
        the computing took.
    clip
        The path of a file with the sound, where clips are written.
    """

    alert: str
    start: float
    end: float
    peak: float
    score: float
    confidence: float
    latency: float
    clip: str | None = None
    id: str = ""
    state: Literal["began", "ended"] = "ended"
    source: str = ""
    time: str | None = None

    def to_json(self) -> bytes:
        """One line of JSON in ASCII, as every sink sends it."""
        return json.dumps(self.to_dict(), ensure_ascii=True, allow_nan=False).encode()


@dataclass
class WatchReport(Result):
    """What a watch has done so far.

    `heard` and `lost` are seconds, the latter lost by the source in `cuts` interruptions; `skipped` counts windows for
    which the model was too slow; `undelivered` counts events by the name of the sink that could not pass them on.
    """

    source: str = ""
    heard: float = 0.0
    lost: float = 0.0
    windows: int = 0
    skipped: int = 0
    events: int = 0
    cuts: int = 0
    latency_median: float | None = None
    latency_worst: float | None = None
    undelivered: dict[str, int] = field(default_factory=dict)
