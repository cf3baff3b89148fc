"""Decides from confidences over time when an event begins and ends. It depends on these numbers alone, on no clock.

confidence      ┌───┐
on  ············│···│┄┄┄┄┄┄┄┄   begins: at or above `on` for `least` seconds
off ────────┐ ┌─┘   └┐┄┄┄┄┄┄┄   ends: below `off`, or after `longest` seconds; if it goes on, a new event begins
            └─┘      └──────    then the alert is ignored for `cooldown` seconds
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.options import Rules

__all__ = ["EventChange", "Hysteresis"]

Levels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EventChange:
    """The beginning or the end of an event of alert number `which`, with what is known of it now.

    `decided` is the end of the window that decided; `confidence` and `score` are those of the best window so far, whose
    middle is `peak`.
    """

    which: int
    began: bool
    start: float
    end: float
    peak: float
    score: float
    confidence: float
    decided: float


@dataclass
class _ActiveEvent:
    """An alert that is at or above `off`: an event, or what may become one."""

    start: float
    end: float
    peak: float
    score: float
    confidence: float
    above_on: float | None = None  # since when it has been at or above `on`
    begun: float | None = None  # when it became an event


class Hysteresis:
    """Follows the confidences of all alerts, window by window in order; it holds one record for each active alert."""

    def __init__(self, alerts: int, rules: Rules) -> None:
        self._rules = rules
        self._active: dict[int, _ActiveEvent] = {}
        self._ignored_until = np.full(alerts, -np.inf)  # seconds

    def step(self, start: float, end: float, confidence: Levels, score: Levels) -> list[EventChange]:
        """Take the next window, with a confidence and a score for each alert (A,); the changes it brings.

        The window lasts from `start` to `end`. The changes come in the order of alerts.
        """
        rules, changes = self._rules, []
        starting = np.flatnonzero((confidence >= rules.on) & (self._ignored_until <= start))
        for which in map(int, np.union1d(starting, list(self._active))):
            event = self._active.get(which)
            if event is not None and confidence[which] < rules.off:
                changes += self._end_event(which)
                continue
            if event is None:
                event = self._active[which] = _ActiveEvent(
                    start, end, (start + end) / 2, float(score[which]), float(confidence[which])
                )
            changes += self._continue(which, event, start, end, float(confidence[which]), float(score[which]))
        return changes

    def finish(self) -> list[EventChange]:
        """End all events, as nothing more comes or a gap follows."""
        return [change for which in sorted(self._active) for change in self._end_event(which)]

    def _continue(
        self, which: int, event: _ActiveEvent, start: float, end: float, confidence: float, score: float
    ) -> list[EventChange]:
        rules = self._rules
        event.end = end
        if confidence > event.confidence:
            event.confidence, event.score, event.peak = confidence, score, (start + end) / 2
        if confidence >= rules.on and event.above_on is None:
            event.above_on = start
        elif confidence < rules.on and event.begun is None:
            event.above_on = None
        changes = []
        if event.begun is None and event.above_on is not None and end - event.above_on >= rules.least:
            event.begun = end
            changes.append(_change(which, event, began=True, decided=end))
        if event.begun is not None and end - event.start >= rules.longest:
            changes += self._end_event(which)
        return changes

    def _end_event(self, which: int) -> list[EventChange]:
        event = self._active.pop(which)
        if event.begun is None:
            return []
        self._ignored_until[which] = event.end + self._rules.cooldown
        return [_change(which, event, began=False, decided=event.begun)]


def _change(which: int, event: _ActiveEvent, *, began: bool, decided: float) -> EventChange:
    return EventChange(which, began, event.start, event.end, event.peak, event.score, event.confidence, decided)
