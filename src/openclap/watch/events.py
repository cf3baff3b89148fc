"""Turns changes of the hysteresis into events, with their times and clips, and hands them to the sinks.

changes ─ began ─ ended ─ pending until the clip is complete ─ clip ─┬─ event ─ sinks
waves ─┬─ recent audio ──────────────────────────────────────────────┘
       └─ clock: when each position of the stream arrived
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

from openclap.audio.channels import Wave
from openclap.watch.clips import ClipWriter, RecentAudio
from openclap.watch.event import Event, WatchReport
from openclap.watch.hysteresis import EventChange
from openclap.watch.read_source import QUEUE
from openclap.watch.sinks import Sink

__all__ = ["EventPublisher"]


LATENCIES = 10_000  # the last ones, which the report is made of


@dataclass(frozen=True)
class _Pending:
    """An event that has ended, whose clip still waits for the sound that comes after it."""

    event: Event
    until: float  # seconds of the stream, where the clip ends


class _Clock:
    """Remembers when each position of the stream arrived, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.arrivals: deque[tuple[float, float]] = deque(maxlen=8 * QUEUE)

    def arrival_time(self, position: float) -> float | None:
        """When a position of the stream, in seconds, arrived; None where it is not remembered."""
        for at, moment in reversed(self.arrivals):
            if at <= position:
                return moment - (at - position)
        return None


class EventPublisher:
    """Makes the events of one watch and hands them to the sinks.

    Parameters
    ----------
    names
        Names of the alerts; `EventChange.which` is a place in them.
    rate
        Sampling rate of what is fed, in Hz.
    live
        Whether an event carries the time of day when it began.
    when
        Which states of an event are given: "began", "ended" or "both", as in `watch`.
    clips
        What writes clips, or None.
    clip_memory
        How many of the last seconds are held, for clips to be cut from.
    sinks
        Receivers of every event.
    report
        The report that events are counted in.
    """

    def __init__(
        self,
        names: Sequence[str],
        rate: int,
        *,
        live: bool,
        when: str,
        clips: ClipWriter | None,
        clip_memory: float,
        sinks: Sequence[Sink],
        report: WatchReport,
    ) -> None:
        self._names, self._rate, self._live, self._when = names, rate, live, when
        self._clips, self._sinks, self._report = clips, sinks, report
        self._recent = RecentAudio(rate, clip_memory)
        self._clock = _Clock()
        self._begun: dict[int, Event] = {}
        self._pending: list[_Pending] = []
        self._run, self._count = uuid.uuid4().hex[:12], 0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)

    # -- sound comes in ---------------------------------------------------------------------------------

    def feed(self, wave: Wave, arrived: float) -> None:
        """Take the next samples (S,), which arrived at a time of the monotonic clock."""
        self._recent.feed(wave)
        self._clock.arrivals.append((self._recent.position, arrived))

    def skip(self, seconds: float) -> None:
        """Move on by seconds that were lost."""
        self._recent.skip(seconds)

    def restart(self) -> None:
        """Prepare for another recording, which begins at 0."""
        self._recent.restart()
        self._clock.arrivals.clear()

    def arrival_time(self, position: float) -> float | None:
        """When a position in seconds arrived, by the monotonic clock; None where it is not remembered."""
        return self._clock.arrival_time(position)

    # -- events go out ---------------------------------------------------------------------------------

    def publish(self, changes: Sequence[EventChange], source: str) -> Iterator[Event]:
        """Give the events that began or ended in `source`; one with a clip is given later, by `publish_finished`."""
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
        """Give events whose clip is complete now, or all of them where the recording has `ended`."""
        if self._clips is None:
            return
        position = float("inf") if ended else self._recent.position
        unfinished: list[_Pending] = []
        for waiting in self._pending:
            if waiting.until > position:
                unfinished.append(waiting)
                continue
            event = waiting.event
            wave = self._recent.cut(max(0.0, event.start - self._clips.before), waiting.until)
            clip = self._clips.write(event, wave, self._rate) if len(wave) else None
            if self._when != "began":
                yield self._send(replace(event, clip=clip))
        self._pending = unfinished

    def report(self) -> WatchReport:
        """The report so far, with how long events took to be decided."""
        seen = sorted(self._latencies)
        return replace(
            self._report,
            latency_median=round(statistics.median(seen), 3) if seen else None,
            latency_worst=round(seen[-1], 3) if seen else None,
        )

    def _new(self, change: EventChange, source: str) -> Event:
        """Make the event of a change with which it begins."""
        self._count += 1
        self._report.events += 1
        latency, began = change.decided - change.start, None
        if self._live:
            decided, first = self._clock.arrival_time(change.decided), self._clock.arrival_time(change.start)
            latency += max(0.0, time.monotonic() - decided) if decided is not None else 0.0
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
    """The fields of an event that a change knows."""
    return {
        "start": round(change.start, 3),
        "end": round(change.end, 3),
        "peak": round(change.peak, 3),
        "score": round(change.score, 4),
        "confidence": round(change.confidence, 4),
    }
