"""What a watch tells: an event, and at its end a report. Knows nothing of how either came about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["UNUSUAL", "Event", "WatchReport"]

UNUSUAL = "unusual"  # the alert of --unusual, which has no words


@dataclass(frozen=True)
class Event:
    """Something that was heard.

    Attributes
    ----------
    id
        The same for the same event in every message about it; a receiver that has it already may drop the second.
    state
        "ended" where all is known; "began" where it was told at once: `end` and `peak` are what is known so far, no
        clip yet.
    alert
        The words it answers, or "unusual".
    source, time
        What was watched (for a folder: the file), and when it began, UTC, where the source has a clock (live ones).
    start, end, peak
        Seconds from the source's start: from the first window it is heard in to the end of the last; `peak` is the
        middle of the best one.
    score
        Cosine of the best window with the words; for "unusual", its distance from what was heard so far, where 0 is
        usual and 1 the farthest twentieth.
    confidence
        In [0, 1]: how likely the best window holds it, seen against this source's own background.
    latency
        Seconds from `start` until it was decided: the sound that had to be heard, and, for a live source, the
        computing.
    clip
        A file with the sound, where clips are kept.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        return asdict(self)

    def to_json(self) -> bytes:
        """One line of UTF-8, as every sink sends it."""
        return json.dumps(self.to_dict(), ensure_ascii=True, allow_nan=False).encode()


@dataclass
class WatchReport:
    """What a watch has done so far: seconds that were heard, lost (by the source) and skipped (the model was too slow)."""

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return asdict(self)
