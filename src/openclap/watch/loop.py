"""Sound in, events out: the one loop of a watch, for hours, in bounded memory.

    source ─ [thread, bounded queue] ─ sliding ─ model ─ own background ─ hysteresis ─ event ─ sinks
                                    └─ recent ───────────────────────────────────────── clip ─┘

A source that waits (file, folder, pipe) is heard as fast as the model can. One that does not (`live`) is heard as it comes: where the
model falls behind, the oldest windows are skipped, counted and told. Where somebody else has the sound (a browser sends it), a `Watch` of
`Pushed` is not iterated over: `feed` and `finish` give the same events. Knows nothing of the command line.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import statistics
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from openclap.confidence import background_of
from openclap.detector import Detector
from openclap.errors import UsageError
from openclap.watch.alerts import named, queries_of
from openclap.watch.background import MINUTE, Novelty, OwnBackground
from openclap.watch.clips import Clips, Recent
from openclap.watch.event import UNUSUAL, Event, WatchReport
from openclap.watch.hysteresis import Change, Hysteresis, Rules
from openclap.watch.reading import QUEUE, Stop, blocks_of
from openclap.watch.sinks import Sink
from openclap.watch.sources import Block, FolderSource, Source, Tell, source_of
from openclap.watch.windows import Sliding, Span

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["Watch", "watch"]

Wave = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]
Judged = Callable[[float, float, npt.NDArray[np.float64]], None]

WINDOW, HOP = 2.0, 1.0  # seconds
WARMUP = 30.0
BATCH = 32  # windows that a source that waits is heard in
LATE = 6.0  # seconds after its sound came, a window of a live source is skipped
AHEAD = 30.0  # seconds of sound more than time has passed: this "live" source waits for us, so nothing is late
TOLD_EVERY = 60.0  # seconds between two messages that windows are skipped
LONGEST_CLIP = 300.0  # seconds; of a longer event the clip holds the end
LONGEST_WARMUP = 86_400.0  # seconds
LATENCIES = 10_000  # the last of which the report is made


def watch(
    source: str | os.PathLike[str] | Source,
    alerts: Sequence[str | Detector] = (),
    *,
    model: CLAP,
    unusual: bool = False,
    rules: Rules | None = None,
    window: float = WINDOW,
    hop: float = HOP,
    warmup: float = WARMUP,
    when: Literal["ended", "began", "both"] = "ended",
    clips: Clips | str | os.PathLike[str] | None = None,
    sinks: Sequence[Sink] = (),
    stop: threading.Event | None = None,
    tell: Tell | None = None,
    judged: Judged | None = None,
) -> Watch:
    """Listen to a source and give its events as they are decided; a `Watch` is their iterator.

    Parameters
    ----------
    source
        A file, folder, "mic", an http(s), rtsp or rtmp address, "-" (then pass `source_of("-", rate=…)`), or a `Source`.
    alerts
        Words for what should be heard: "glass breaking", "a baby crying"; and detectors, whose alerts have their names.
    model
        What hears: `CLAP.from_pretrained("mini")`.
    unusual
        Tell of anything that is far from this source's background, without words, too.
    rules
        When an event begins and ends.
    window, hop, warmup
        Seconds: of what is heard at once, between two windows, and that are learnt from before anything is told.
    when
        Whether an event is given when it has ended (all is known), when it has begun (at once), or both (the same `id`).
    clips
        Where a FLAC of every event is kept: a folder (256 MiB), or `Clips` with its own budget.
    sinks
        Who gets every event, too: `Delivery(Webhook(…))`, `Command(…)`.
    stop
        Set it, from any thread, to end: what has begun is told as ended.
    tell
        What happens on the way (a stream was cut, windows were skipped), a line each; by default the logger "openclap.watch".
    judged
        Called after every window with its start and end in seconds and a confidence for every name in `Watch.alerts`.

    Raises
    ------
    UsageError, SoundNotFound, SourceError, MissingExtra
        At once, for wrong use; for a source that cannot be heard, from the first event on.

    Examples
    --------
    >>> from openclap import CLAP
    >>> from openclap.watch import watch
    >>> for event in watch("street.flac", ["glass breaking", "a siren"], model=CLAP.from_pretrained("mini")):
    ...     print(event.alert, event.start, event.confidence)
    """
    return Watch(
        source_of(source), alerts, model=model, unusual=unusual, rules=rules or Rules(), window=window, hop=hop, warmup=warmup,
        when=when, clips=clips, sinks=sinks, stop=stop or threading.Event(), tell=tell or logging.getLogger("openclap.watch").warning, judged=judged,
    )  # fmt: skip


@dataclass
class _Pending:
    """An event that has ended, whose clip still waits for what comes after."""

    event: Event
    until: float  # seconds of the stream


@dataclass
class _Clock:
    """When what was heard of a live source came: position of the stream → seconds of a clock that nobody sets."""

    marks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=8 * QUEUE))

    def came(self, position: float) -> float | None:
        """When this position of the stream arrived, as far as is known."""
        for at, moment in reversed(self.marks):
            if at <= position:
                return moment - (at - position)
        return None


class Watch(Iterator[Event]):
    """The events of one source; iterate over it, or use it in a `with`. See `watch`."""

    def __init__(
        self,
        source: Source,
        alerts: Sequence[str | Detector],
        *,
        model: CLAP,
        unusual: bool,
        rules: Rules,
        window: float,
        hop: float,
        warmup: float,
        when: str,
        clips: Clips | str | os.PathLike[str] | None,
        sinks: Sequence[Sink],
        stop: threading.Event,
        tell: Tell,
        judged: Judged | None = None,
    ) -> None:
        asked = named(alerts, unusual)
        self._names = [*asked, *([UNUSUAL] if unusual else [])]
        clip = model.front_end.clip_seconds
        if not 0.1 <= window <= clip or not 0.05 <= hop <= window:
            raise UsageError(
                f"window is {window!r} s and hop {hop!r} s; a window lasts 0.1 to {clip:g} s (of this model), a hop 0.05 s to a window"
            )
        if not 0 <= warmup <= LONGEST_WARMUP:
            raise UsageError(f"warmup is {warmup!r} s; give 0 to {LONGEST_WARMUP:g}, a day")
        if when not in ("ended", "began", "both"):
            raise UsageError(f"when is {when!r}; choose ended, began or both")
        self._source, self._clap, self._rules, self._when = source, model, rules, when
        self._window, self._hop = window, hop
        self._stop, self._tell, self._judged, self._sinks = Stop(stop), tell, judged, sinks
        self._rate = model.front_end.sampling_rate
        self._words = len(asked)
        queries = queries_of(asked, model)
        self._own = OwnBackground(queries, background_of(model), warmup=round(warmup / hop), minute=round(MINUTE / hop))
        self._novelty = Novelty(model.config.embedding, warmup=round(warmup / hop)) if unusual else None
        self._hysteresis = Hysteresis(len(self._names), rules)
        self._clips = Clips(Path(clips), tell, budget=256 << 20) if isinstance(clips, (str, os.PathLike)) else clips
        if self._clips is not None and isinstance(source, FolderSource):
            _check_apart(self._clips.folder, Path(source.name))
        around = (self._clips.before + self._clips.after) if self._clips else 0.0
        longest = min(rules.longest, LONGEST_CLIP) + around + 2 * window + BATCH * hop + 60.0
        self._recent = Recent(
            self._rate, longest if self._clips else window
        )  # without clips its position alone is asked for
        self._sliding = Sliding(self._rate, window, hop)
        self._clock = _Clock()
        self._waiting: list[Span] = []
        self._pending: list[_Pending] = []
        self._before: float | None = None  # start of the window before
        self._begun: dict[int, Event] = {}
        self._run, self._count = uuid.uuid4().hex[:12], 0
        self._name = source.name
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._report = WatchReport(source=source.name)
        self._told_skipped = float("-inf")
        self._since = time.monotonic()
        self._events = self._all()

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End; events that have begun and were not given yet are lost, so set `stop` and iterate on where they matter."""
        self._stop.set()
        self._events.close()  # type: ignore[attr-defined]

    def report(self) -> WatchReport:
        """What has been done so far."""
        seen = sorted(self._latencies)
        return replace(
            self._report,
            latency_median=round(statistics.median(seen), 3) if seen else None,
            latency_worst=round(seen[-1], 3) if seen else None,
        )

    # -- by hand ---------------------------------------------------------------------------------------

    @property
    def alerts(self) -> tuple[str, ...]:
        """The names that confidences are told of, "unusual" last."""
        return tuple(self._names)

    def feed(self, wave: Wave, *, gap: float = 0.0, arrived: float | None = None) -> list[Event]:
        """Hear what comes next (S,), mono at the model's rate, after `gap` lost seconds, and give what was decided.

        For a watch of `Pushed`, from one thread at a time. `arrived`, monotonic seconds, is when it came; by default now. A call
        computes as many windows as have become complete, one a hop.
        """
        came = time.monotonic() if arrived is None else arrived
        return list(self._take(Block(wave, gap, self._name), came, more=False))

    def finish(self) -> list[Event]:
        """Nothing more comes: the last windows, and what has begun ends."""
        return list(self._finish())

    # -- the loop --------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Event]:
        with contextlib.closing(blocks_of(self._source, self._rate, self._stop, self._tell)) as blocks:
            for arrived, block, more in blocks:
                yield from self._take(block, arrived, more=more)
        yield from self._finish()

    def _take(self, block: Block, arrived: float, *, more: bool) -> Iterator[Event]:
        """One block; `more`, where others lie ready, with which its windows may be heard at once."""
        yield from self._begin(block)
        self._hear(block, arrived)
        if block.last:
            yield from self._finish()
            self._restart()
        elif len(self._waiting) >= BATCH or not more:
            yield from self._decide(self._in_time(self._waiting))
            self._waiting.clear()

    def _begin(self, block: Block) -> Iterator[Event]:
        """What was there before a gap ends."""
        self._name = block.name or self._name
        if block.gap <= 0:
            return
        self._report.lost += block.gap
        self._report.cuts += 1
        self._waiting += self._sliding.skip(block.gap)
        yield from self._decide(self._waiting)
        self._waiting.clear()
        self._recent.skip(block.gap)
        self._apart()
        yield from self._told(self._hysteresis.finish())

    def _hear(self, block: Block, arrived: float) -> None:
        self._recent.feed(block.wave)
        self._report.heard += len(block.wave) / self._rate
        self._clock.marks.append((self._recent.position, arrived))
        self._waiting += self._sliding.feed(block.wave)

    def _restart(self) -> None:
        """Another recording comes; what is usual has been learnt and stays."""
        self._sliding = Sliding(self._rate, self._window, self._hop)
        self._recent.restart()
        self._hysteresis = Hysteresis(len(self._names), self._rules)
        self._clock.marks.clear()
        self._apart()

    def _apart(self) -> None:
        """The next window does not overlap the last one."""
        self._before = None
        self._own.restart()
        if self._novelty is not None:
            self._novelty.restart()

    def _finish(self) -> Iterator[Event]:
        """The end of a recording: nothing is left waiting."""
        self._waiting += self._sliding.rest()
        for start in range(0, len(self._waiting), BATCH):
            yield from self._decide(self._waiting[start : start + BATCH])
        self._waiting.clear()
        yield from self._told(self._hysteresis.finish())
        yield from self._ready(float("inf"))

    def _in_time(self, waiting: list[Span]) -> list[Span]:
        """Of a live source, the windows that are not too late."""
        now = time.monotonic()
        if not self._source.live or self._report.heard > now - self._since + AHEAD:
            return waiting
        kept = [span for span in waiting if now - (self._clock.came(span.end) or now) <= LATE]
        if len(kept) < len(waiting):
            self._report.skipped += len(waiting) - len(kept)
            if time.monotonic() - self._told_skipped > TOLD_EVERY:
                self._told_skipped = time.monotonic()
                self._tell(
                    f"{self._name}: the model is slower than the sound comes; {self._report.skipped} windows are skipped so far"
                    " (a longer --hop or a smaller model keeps up)"
                )
        return kept

    def _decide(self, spans: list[Span]) -> Iterator[Event]:
        """Embed windows, and step through them in order."""
        if not spans:
            return
        rows = self._clap.encode_audio([(span.wave, self._rate) for span in spans], batch_size=BATCH)
        for span, row in zip(spans, rows, strict=True):
            self._report.windows += 1
            confidence, score = self._own.judge(row)
            if self._novelty is not None:
                sure, distance = self._novelty.judge(row)
                confidence, score = np.append(confidence, sure), np.append(score, distance)
            start = span.start if self._before is None else self._before  # it was heard together with the window before
            self._before = span.start
            changes = self._hysteresis.step(start, span.end, confidence, score)
            self._own.learn(score[: self._words], confidence[: self._words] >= self._rules.off)
            if self._novelty is not None:
                self._novelty.learn(row)
            if self._judged is not None:
                self._judged(span.start, span.end, confidence)
            yield from self._told(changes)
        yield from self._ready(self._recent.position)

    # -- events ----------------------------------------------------------------------------------------

    def _told(self, changes: Sequence[Change]) -> Iterator[Event]:
        for change in changes:
            if change.began:
                event = self._begun[change.which] = self._new(change)
                if self._when != "ended":
                    yield self._sent(event)
                continue
            event = replace(self._begun.pop(change.which), state="ended", **_known(change))
            if self._clips is not None:
                self._pending.append(_Pending(event, change.end + self._clips.after))
            elif self._when != "began":
                yield self._sent(event)

    def _ready(self, position: float) -> Iterator[Event]:
        """Events whose clip is complete now, with it."""
        if self._clips is None:
            return
        still: list[_Pending] = []
        for waiting in self._pending:
            if waiting.until > position:
                still.append(waiting)
                continue
            event = waiting.event
            wave = self._recent.cut(max(0.0, event.start - self._clips.before), waiting.until)
            clip = self._clips.write(event, wave, self._rate) if len(wave) else None
            if self._when != "began":
                yield self._sent(replace(event, clip=clip))
        self._pending = still

    def _new(self, change: Change) -> Event:
        """An event that has begun just now."""
        self._count += 1
        self._report.events += 1
        latency, began = change.decided - change.start, None
        if self._source.live:
            heard, first = self._clock.came(change.decided), self._clock.came(change.start)
            latency += max(0.0, time.monotonic() - heard) if heard is not None else 0.0
            if first is not None:
                moment = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=time.monotonic() - first)
                began = moment.isoformat(timespec="milliseconds")
        self._latencies.append(latency)
        return Event(
            alert=self._names[change.which], latency=round(latency, 3), id=f"{self._run}-{self._count:06d}", state="began",
            source=self._name, time=began, **_known(change),
        )  # fmt: skip

    def _sent(self, event: Event) -> Event:
        for sink in self._sinks:
            sink.put(event)
        return event


def _known(change: Change) -> dict[str, Any]:
    """What an event knows by now."""
    return {
        "start": round(change.start, 3), "end": round(change.end, 3), "peak": round(change.peak, 3),
        "score": round(change.score, 4), "confidence": round(change.confidence, 4),
    }  # fmt: skip


def _check_apart(clips: Path, watched: Path) -> None:
    """Clips in the folder that is watched would be heard there, and make clips."""
    if watched.resolve() in (clips.resolve(), *clips.resolve().parents):
        raise UsageError(f"clips in {clips} would be heard as new sounds of {watched}; keep them outside of it")
