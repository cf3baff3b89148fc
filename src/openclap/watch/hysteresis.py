"""Confidences over time → when something begins and ends. A pure function of numbers: no clock, no sound, no model.

confidence      ┌───┐
on  ············│···│┄┄┄┄┄┄┄┄   begins: at or above `on` for `least` seconds
off ────────┐ ┌─┘   └┐┄┄┄┄┄┄┄   ends: below `off`, or after `longest`, when what goes on is told anew
            └─┘      └──────    then the alert is deaf for `cooldown` seconds
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
    """Alert number `which` has begun or ended: what is known of it now.

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
    """An alert at or above `off`."""

    start: float
    end: float
    peak: float
    score: float
    confidence: float
    loud: float | None = None  # when it came to `on`
    begun: float | None = None  # when it was told


class Hysteresis:
    """Feed it windows in order; memory is one record for each alert that is heard just now."""

    def __init__(self, alerts: int, rules: Rules) -> None:
        self._rules = rules
        self._heard: dict[int, _ActiveEvent] = {}
        self._deaf = np.full(alerts, -np.inf)  # until this second

    def step(self, start: float, end: float, confidence: Levels, score: Levels) -> list[EventChange]:
        """One window from `start` to `end` with a confidence and a score for every alert (A,) → what changed.

        Changes of one window come in the order of alerts.
        """
        rules, found = self._rules, []
        for number in np.union1d(np.flatnonzero((confidence >= rules.on) & (self._deaf <= start)), list(self._heard)):
            which = int(number)
            heard = self._heard.get(which)
            if heard is not None and confidence[which] < rules.off:
                found += self._end_event(which, end)
                continue
            if heard is None:
                heard = self._heard[which] = _ActiveEvent(
                    start, end, (start + end) / 2, float(score[which]), float(confidence[which])
                )
            found += self._goes_on(which, heard, start, end, float(confidence[which]), float(score[which]))
        return found

    def finish(self) -> list[EventChange]:
        """Nothing more comes, or something is missing: what has begun ends."""
        found = []
        for which in sorted(self._heard):
            found += self._end_event(which, self._heard[which].end)
        return found

    def _goes_on(
        self, which: int, heard: _ActiveEvent, start: float, end: float, confidence: float, score: float
    ) -> list[EventChange]:
        rules = self._rules
        heard.end = end
        if confidence > heard.confidence:
            heard.confidence, heard.score, heard.peak = confidence, score, (start + end) / 2
        if confidence >= rules.on and heard.loud is None:
            heard.loud = start
        elif confidence < rules.on and heard.begun is None:
            heard.loud = None
        found = []
        if heard.begun is None and heard.loud is not None and end - heard.loud >= rules.least:
            heard.begun = end
            found.append(_change(which, heard, began=True, decided=end))
        if heard.begun is not None and end - heard.start >= rules.longest:
            found += self._end_event(which, end)
        return found

    def _end_event(self, which: int, now: float) -> list[EventChange]:
        heard = self._heard.pop(which)
        if heard.begun is None:
            return []
        self._deaf[which] = heard.end + self._rules.cooldown
        return [_change(which, heard, began=False, decided=heard.begun)]


def _change(which: int, heard: _ActiveEvent, *, began: bool, decided: float) -> EventChange:
    return EventChange(which, began, heard.start, heard.end, heard.peak, heard.score, heard.confidence, decided)
