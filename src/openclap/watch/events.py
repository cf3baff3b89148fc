"""What has changed → events, with when they came and with their clip, to whoever gets them. Knows nothing of models.

changes ─ begun ─ ended ─ waiting for what comes after ─ clip ─┬─ event ─ sinks
waves ─── recent ──────────────────────────────────────────────┘
└──── clock: when what is heard came
"""

from __future__ import annotations

import datetime as dt
import statistics
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.watch.clips import ClipWriter, RecentAudio
from openclap.watch.event import Event, WatchReport
from openclap.watch.hysteresis import EventChange
from openclap.watch.read_source import QUEUE
from openclap.watch.sinks import Sink

__all__ = ["EventPublisher"]

Wave = npt.NDArray[np.float32]

LATENCIES = 10_000  # the last of which the report is made


@dataclass(frozen=True)
class _Pending:
    """An event that has ended, whose clip still waits for what comes after."""

    event: Event
    until: float  # seconds of the stream


class _Clock:
    """When what was heard came: position of the stream → seconds of a clock that nobody sets."""

    def __init__(self) -> None:
        self.marks: deque[tuple[float, float]] = deque(maxlen=8 * QUEUE)

    def came(self, position: float) -> float | None:
        """When this position of the stream arrived, as far as is known."""
        for at, moment in reversed(self.marks):
            if at <= position:
                return moment - (at - position)
        return None


class EventPublisher:
    """The events of one watch, from their beginnings to the sinks.

    Parameters
    ----------
    names
        What an event is called, by the number of its change.
    rate
        Of what is fed, in Hz.
    live
        Whether an event is told with the time of day when it began.
    when
        As in `watch`: which of "began" and "ended" are told, or "both".
    clips
        Who writes clips, or None; they are cut from the last `held` seconds.
    sinks
        Who gets every event, too.
    report
        Where events are counted.
    """

    def __init__(
        self,
        names: Sequence[str],
        rate: int,
        *,
        live: bool,
        when: str,
        clips: ClipWriter | None,
        held: float,
        sinks: Sequence[Sink],
        report: WatchReport,
    ) -> None:
        self._names, self._rate, self._live, self._when = names, rate, live, when
        self._clips, self._sinks, self._report = clips, sinks, report
        self._recent = RecentAudio(rate, held)
        self._clock = _Clock()
        self._begun: dict[int, Event] = {}
        self._pending: list[_Pending] = []
        self._run, self._count = uuid.uuid4().hex[:12], 0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)

    # -- what is heard ---------------------------------------------------------------------------------

    def feed(self, wave: Wave, arrived: float) -> None:
        """What is heard next (S,), which came at a monotonic time."""
        self._recent.feed(wave)
        self._clock.marks.append((self._recent.position, arrived))

    def skip(self, seconds: float) -> None:
        """So much was lost."""
        self._recent.skip(seconds)

    def restart(self) -> None:
        """Another recording comes, which begins at 0."""
        self._recent.restart()
        self._clock.marks.clear()

    def arrival_time(self, position: float) -> float | None:
        """When a position in seconds came, monotonic, as far as is known."""
        return self._clock.came(position)

    # -- what is told ----------------------------------------------------------------------------------

    def publish(self, changes: Sequence[EventChange], source: str) -> Iterator[Event]:
        """Events that have begun or ended in `source`; an event with a clip waits until it is `publish_finished`."""
        for change in changes:
            if change.began:
                event = self._begun[change.which] = self._new(change, source)
                if self._when != "ended":
                    yield self._send(event)
                continue
            event = replace(self._begun.pop(change.which), state="ended", **_event_fields(change))
            if self._clips is not None:
                self._pending.append(_Pending(event, change.end + self._clips.after))
            elif self._when != "began":
                yield self._send(event)

    def publish_finished(self, *, ended: bool = False) -> Iterator[Event]:
        """Events whose clip is complete now, with it; all, where the recording has `ended`."""
        if self._clips is None:
            return
        position = float("inf") if ended else self._recent.position
        still: list[_Pending] = []
        for waiting in self._pending:
            if waiting.until > position:
                still.append(waiting)
                continue
            event = waiting.event
            wave = self._recent.cut(max(0.0, event.start - self._clips.before), waiting.until)
            clip = self._clips.write(event, wave, self._rate) if len(wave) else None
            if self._when != "began":
                yield self._send(replace(event, clip=clip))
        self._pending = still

    def report(self) -> WatchReport:
        """What has been done so far, with how long events took to be decided."""
        seen = sorted(self._latencies)
        return replace(
            self._report,
            latency_median=round(statistics.median(seen), 3) if seen else None,
            latency_worst=round(seen[-1], 3) if seen else None,
        )

    def _new(self, change: EventChange, source: str) -> Event:
        """An event that has begun just now."""
        self._count += 1
        self._report.events += 1
        latency, began = change.decided - change.start, None
        if self._live:
            heard, first = self._clock.came(change.decided), self._clock.came(change.start)
            latency += max(0.0, time.monotonic() - heard) if heard is not None else 0.0
            if first is not None:
                moment = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=time.monotonic() - first)
                began = moment.isoformat(timespec="milliseconds")
        self._latencies.append(latency)
        return Event(
            alert=self._names[change.which],
            latency=round(latency, 3),
            id=f"{self._run}-{self._count:06d}",
            state="began",
            source=source,
            time=began,
            **_event_fields(change),
        )

    def _send(self, event: Event) -> Event:
        for sink in self._sinks:
            sink.put(event)
        return event


def _event_fields(change: EventChange) -> dict[str, Any]:
    """What an event knows by now."""
    return {
        "start": round(change.start, 3),
        "end": round(change.end, 3),
        "peak": round(change.peak, 3),
        "score": round(change.score, 4),
        "confidence": round(change.confidence, 4),
    }
