"""Sound in, events out: the one loop of a watch, for hours, in bounded memory.

    source ─ [thread, bounded queue] ─ sliding ─ model ─ own background ─ hysteresis ─ telling ─ sinks
                                    └─ recent ────────────────────────────────────────────┘

A source that waits (file, folder, pipe) is heard as fast as the model can. One that does not (`live`) is heard as it
comes: where the model falls behind, the oldest windows are skipped, counted and told. Where somebody else has the sound
(a browser sends it), a `Watch` of `PushedSource` is not iterated over: `feed` and `finish` give the same events. Knows
nothing of the command line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank, reference_bank
from openclap.detector import Detector
from openclap.errors import UsageError
from openclap.options import Rules, WatchOptions
from openclap.plurals import count_noun
from openclap.watch.alerts import embed_alerts, name_alerts
from openclap.watch.background import MINUTE, LocalBackground, Novelty
from openclap.watch.clips import ClipWriter
from openclap.watch.event import UNUSUAL, Event, WatchReport
from openclap.watch.events import EventPublisher
from openclap.watch.folder import FolderSource
from openclap.watch.foreground import MEMORY, Foreground
from openclap.watch.hysteresis import Hysteresis
from openclap.watch.open_source import open_source
from openclap.watch.read_source import StopEvent, read_blocks
from openclap.watch.sinks import Sink
from openclap.watch.sliding_windows import SlidingWindows, StreamWindow
from openclap.watch.sources import AudioBlock, Source, Tell

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["Watch", "watch"]

Wave = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]
Judged = Callable[[float, float, npt.NDArray[np.float64]], None]

WINDOW, HOP, WARMUP = WatchOptions.window, WatchOptions.hop, WatchOptions.warmup  # seconds
BATCH = 32  # windows that a source that waits is heard in
LATE = 6.0  # seconds after its sound came, a window of a live source is skipped
AHEAD = 30.0  # seconds of sound more than time has passed: this "live" source waits for us, so nothing is late
TOLD_EVERY = 60.0  # seconds between two messages that windows are skipped
LONGEST_CLIP = 300.0  # seconds; of a longer event the clip holds the end
LONGEST_WARMUP = 86_400.0  # seconds
EARLY = 4096  # windows of a warm-up that are kept in case the recording ends within it


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
    clips: ClipWriter | str | os.PathLike[str] | None = None,
    sinks: Sequence[Sink] = (),
    stop: threading.Event | None = None,
    tell: Tell | None = None,
    judged: Judged | None = None,
) -> Watch:
    """Listen to a source and give its events as they are decided; a `Watch` is their iterator.

    Parameters
    ----------
    source
        A file, folder, "mic", an http(s), rtsp or rtmp address, "-" (then pass `source_of("-", rate=…)`), or a
        `Source`.
    alerts
        Words for what should be heard: "glass breaking", "a baby crying"; and detectors, whose alerts have their names.
    model
        What hears: `CLAP.from_pretrained("mini")`.
    unusual
        Tell of anything that is far from this source's background, without words, too.
    rules
        When an event begins and ends.
    window, hop, warmup
        Seconds: of what is heard at once, between two windows, and that are learnt from before anything is told. A
        recording that ends within the warm-up is judged by what there is of it when it ends, which `tell` is told.
    when
        Whether an event is given when it has ended (all is known), when it has begun (at once), or both (the same
        `id`).
    clips
        Where a FLAC of every event is kept: a folder (256 MiB), or `ClipWriter` with its own budget.
    sinks
        Who gets every event, too: `RetryingSink(Webhook(…))`, `Command(…)`.
    stop
        Set it, from any thread, to end: what has begun is told as ended.
    tell
        What happens on the way (a stream was cut, windows were skipped), a line each; by default the logger
        "openclap.watch".
    judged
        Called after every window with its start and end in seconds and a confidence for every name in `Watch.alerts`: 0
        during the warm-up, and once more at the end of a recording that ends within it.

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
        open_source(source),
        alerts,
        WatchOptions(rules or Rules(), window, hop, warmup, unusual, when),
        model=model,
        clips=clips,
        sinks=sinks,
        stop=stop or threading.Event(),
        tell=tell or logging.getLogger("openclap.watch").warning,
        judged=judged,
    )


class Watch(Iterator[Event]):
    """The events of one source; iterate over it, or use it in a `with`. See `watch`."""

    def __init__(
        self,
        source: Source,
        alerts: Sequence[str | Detector],
        options: WatchOptions,
        *,
        model: CLAP,
        clips: ClipWriter | str | os.PathLike[str] | None,
        sinks: Sequence[Sink],
        stop: threading.Event,
        tell: Tell,
        judged: Judged | None = None,
    ) -> None:
        rules, window, hop, warmup = options.rules, options.window, options.hop, options.warmup
        unusual, when = options.unusual, options.when
        asked = name_alerts(alerts, unusual)
        self._names = [*asked, *([UNUSUAL] if unusual else [])]
        clip = model.front_end.clip_seconds
        if not 0.1 <= window <= clip or not 0.05 <= hop <= window:
            raise UsageError(
                f"window is {window!r} s and hop {hop!r} s; a window lasts 0.1 to {clip:g} s (of this model), a hop"
                " 0.05 s to a window"
            )
        if not 0 <= warmup <= LONGEST_WARMUP:
            raise UsageError(f"warmup is {warmup!r} s; give 0 to {LONGEST_WARMUP:g}, a day")
        if when not in ("ended", "began", "both"):
            raise UsageError(f"when is {when!r}; choose ended, began or both")
        self._source, self._clap, self._rules = source, model, rules
        self._window, self._hop = window, hop
        self._stop, self._tell, self._judged = StopEvent(stop), tell, judged
        self._rate = model.front_end.sampling_rate
        self._words = len(asked)
        queries = embed_alerts(asked, model)
        self._own = _background(queries, reference_bank(model), warmup=round(warmup / hop), hop=hop)
        self._novelty = Novelty(model.config.embedding, warmup=round(warmup / hop)) if unusual else None
        self._hysteresis = Hysteresis(len(self._names), rules)
        if isinstance(clips, (str, os.PathLike)):
            clips = ClipWriter(Path(clips), tell, budget=256 << 20)
        if clips is not None and isinstance(source, FolderSource):
            _check_apart(clips.folder, Path(source.name))
        self._report = WatchReport(source=source.name)
        held = window  # seconds; without clips the position alone is asked for
        if clips is not None:
            around = clips.before + clips.after
            held = min(rules.longest, LONGEST_CLIP) + around + 2 * window + BATCH * hop + 60.0
        self._telling = EventPublisher(
            self._names,
            self._rate,
            live=source.live,
            when=when,
            clips=clips,
            held=held,
            sinks=sinks,
            report=self._report,
        )
        self._sliding = SlidingWindows(self._rate, window, hop)
        self._waiting: list[StreamWindow] = []
        self._before: float | None = None  # start of the window before
        self._early: deque[_Early] = deque(maxlen=EARLY)  # of this recording, during the warm-up
        self._warmup, self._told_short = warmup, False
        self._name = source.name
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
        return self._telling.report()

    # -- by hand ---------------------------------------------------------------------------------------

    @property
    def alerts(self) -> tuple[str, ...]:
        """The names that confidences are told of, "unusual" last."""
        return tuple(self._names)

    def feed(self, wave: Wave, *, gap: float = 0.0, arrived: float | None = None) -> list[Event]:
        """Hear what comes next (S,), mono at the model's rate, after `gap` lost seconds, and give what was decided.

        For a watch of `PushedSource`, from one thread at a time. `arrived`, monotonic seconds, is when it came; by
        default now. A call computes as many windows as have become complete, one a hop.
        """
        came = time.monotonic() if arrived is None else arrived
        return list(self._take(AudioBlock(wave, gap, self._name), came, more=False))

    def finish(self) -> list[Event]:
        """Nothing more comes: the last windows, and what has begun ends."""
        return list(self._finish())

    # -- the loop --------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Event]:
        with contextlib.closing(read_blocks(self._source, self._rate, self._stop, self._tell)) as blocks:
            for arrived, block, more in blocks:
                yield from self._take(block, arrived, more=more)
        yield from self._finish()

    def _take(self, block: AudioBlock, arrived: float, *, more: bool) -> Iterator[Event]:
        """One block; `more`, where others lie ready, with which its windows may be heard at once."""
        yield from self._begin(block)
        self._hear(block, arrived)
        if block.last:
            yield from self._finish()
            self._restart()
        elif len(self._waiting) >= BATCH or not more:
            yield from self._decide(self._in_time(self._waiting))
            self._waiting.clear()

    def _begin(self, block: AudioBlock) -> Iterator[Event]:
        """What was there before a gap ends."""
        self._name = block.name or self._name
        if block.gap <= 0:
            return
        self._report.lost += block.gap
        self._report.cuts += 1
        self._waiting += self._sliding.skip(block.gap)
        yield from self._decide(self._waiting)
        self._waiting.clear()
        self._telling.skip(block.gap)
        self._apart()
        yield from self._telling.publish(self._hysteresis.finish(), self._name)

    def _hear(self, block: AudioBlock, arrived: float) -> None:
        self._telling.feed(block.wave, arrived)
        self._report.heard += len(block.wave) / self._rate
        self._waiting += self._sliding.feed(block.wave)

    def _restart(self) -> None:
        """Another recording comes; what is usual has been learnt and stays."""
        self._sliding = SlidingWindows(self._rate, self._window, self._hop)
        self._telling.restart()
        self._hysteresis = Hysteresis(len(self._names), self._rules)
        self._apart()

    def _apart(self) -> None:
        """The next window does not overlap the last one."""
        self._before = None
        self._own.restart()
        if self._novelty is not None:
            self._novelty.restart()

    def _finish(self) -> Iterator[Event]:
        """The end of a recording: nothing is left waiting."""
        self._waiting += self._sliding.flush()
        for start in range(0, len(self._waiting), BATCH):
            yield from self._decide(self._waiting[start : start + BATCH])
        self._waiting.clear()
        yield from self._after_all()
        yield from self._telling.publish(self._hysteresis.finish(), self._name)
        yield from self._telling.publish_finished(ended=True)

    def _after_all(self) -> Iterator[Event]:
        """A recording that ends within the warm-up is judged by what there is of it, and that is told."""
        early, self._early = self._early, deque(maxlen=EARLY)
        unknown = self._novelty is not None and self._novelty.learns
        if (early or unknown) and not self._told_short:
            self._told_short = True
            self._tell(self._short(early, unknown=unknown))
        if not early:
            return
        judged = self._own.judge_after_all([e.row for e in early], [e.apart for e in early], self._rules.off)
        more = [0.0] * (len(self._names) - self._words)  # of "unusual"
        for window, (levels, cosines) in zip(early, judged, strict=True):
            confidence, score = np.append(levels, more), np.append(cosines, more)
            changes = self._hysteresis.step(window.start, window.end, confidence, score)
            if self._judged is not None:
                self._judged(window.begin, window.end, confidence)
            yield from self._telling.publish(changes, self._name)

    def _short(self, early: Collection[_Early], *, unknown: bool) -> str:
        """What is told of a recording that ends before enough was learnt."""
        heard = f"{self._name}: ended after {self._report.heard:.0f} s"
        words = (
            f", within the warm-up of {self._warmup:g} s: judged by what there is of it, which is less sure (a longer"
            " recording, or a shorter --warmup)"
            if early and self._words
            else ""
        )
        unusual = ', too short to know what is "unusual" there' if unknown else ""
        return heard + words + unusual

    def _in_time(self, waiting: list[StreamWindow]) -> list[StreamWindow]:
        """Of a live source, the windows that are not too late."""
        now = time.monotonic()
        if not self._source.live or self._report.heard > now - self._since + AHEAD:
            return waiting
        kept = [span for span in waiting if now - (self._telling.arrival_time(span.end) or now) <= LATE]
        if len(kept) < len(waiting):
            self._report.skipped += len(waiting) - len(kept)
            if time.monotonic() - self._told_skipped > TOLD_EVERY:
                self._told_skipped = time.monotonic()
                self._tell(
                    f"{self._name}: the model is slower than the sound comes;"
                    f" {count_noun(self._report.skipped, 'window is', 'windows are')} skipped so far (a longer --hop or"
                    " a smaller model keeps up)"
                )
        return kept

    def _decide(self, spans: list[StreamWindow]) -> Iterator[Event]:
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
            apart, self._before = self._before is None, span.start
            if self._own.learns:
                self._early.append(_Early(start, span.start, span.end, apart, row))
            elif self._early:
                self._early.clear()
            changes = self._hysteresis.step(start, span.end, confidence, score)
            self._own.learn(row, score[: self._words], confidence[: self._words] >= self._rules.off)
            if self._novelty is not None:
                self._novelty.learn(row)
            if self._judged is not None:
                self._judged(span.start, span.end, confidence)
            yield from self._telling.publish(changes, self._name)
        yield from self._telling.publish_finished()


@dataclass(frozen=True, eq=False)
class _Early:
    """A window that was heard during the warm-up, with its embedding (E,), in case the recording ends within it."""

    start: float  # s: of what it was heard together with
    begin: float
    end: float
    apart: bool  # it does not overlap the one before
    row: Vectors


def _background(queries: Vectors, banks: ReferenceBank, *, warmup: int, hop: float) -> LocalBackground:
    """By the model's own curve for a watch, or by the one for models that have none."""
    minute = round(MINUTE / hop)
    if banks.curves.watch:
        return Foreground(queries, banks, warmup=warmup, minute=minute, known=round(MEMORY / hop))
    return LocalBackground(queries, banks, warmup=warmup, minute=minute)


def _check_apart(clips: Path, watched: Path) -> None:
    """Clips in the folder that is watched would be heard there, and make clips."""
    if watched.resolve() in (clips.resolve(), *clips.resolve().parents):
        raise UsageError(f"clips in {clips} would be heard as new sounds of {watched}; keep them outside of it")
