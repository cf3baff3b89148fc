"""The loop of a watch: sound comes in, events go out, for hours and in bounded memory.

    source ─ [thread, bounded queue] ─ sliding windows ─ heard? ─ model ─ scorers ─ hysteresis ─ publisher ─ sinks
                                    └─ recent audio (for clips) ────────────────────────────────────┘

A source that waits (file, folder, pipe) is processed as fast as the model can. A `live` one does not wait: where the
model falls behind, the oldest windows are skipped, counted, and a message says so. Where the sound is sent to us, by a
browser for example, a `Watch` of a `PushedSource` is not iterated over: `feed` and `finish` give the same events.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.audio.levels import level_of
from openclap.confidence import reference_bank
from openclap.detector import Detector
from openclap.errors import UsageError
from openclap.options import Rules, WatchKeywords, WatchOptions, make_options
from openclap.plurals import count_noun
from openclap.silence import is_heard
from openclap.watch.alerts import embed_alerts, name_alerts
from openclap.watch.calibrated_scorer import alert_scorer
from openclap.watch.clips import ClipWriter
from openclap.watch.event import UNUSUAL, Event, WatchReport
from openclap.watch.events import EventPublisher
from openclap.watch.folder import FolderSource
from openclap.watch.hysteresis import Hysteresis
from openclap.watch.novelty_scorer import NoveltyScorer
from openclap.watch.open_source import open_source
from openclap.watch.read_source import StopEvent, read_blocks
from openclap.watch.short_recordings import EarlyWindow, short_recording_message
from openclap.watch.sinks import Sink
from openclap.watch.sliding_windows import SlidingWindows, StreamWindow
from openclap.watch.sources import AudioBlock, AudioSource, Tell

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

    from openclap.clap import CLAP

__all__ = ["Watch", "watch"]

Wave = npt.NDArray[np.float32]
Judged = Callable[[float, float, npt.NDArray[np.float64]], None]

BATCH = 32  # windows that are embedded at once, of a source that waits
LATE = 6.0  # seconds after its sound came, after which a window of a live source is skipped
AHEAD = 30.0  # seconds; where so much more sound came than time has passed, a "live" source waits: nothing is late
TOLD_EVERY = 60.0  # seconds between two messages that windows are skipped
LONGEST_CLIP = 300.0  # seconds; the clip of a longer event holds only its end
EARLY = 4096  # windows of a warm-up that are kept in case the recording ends within it


def watch(
    source: str | os.PathLike[str] | AudioSource,
    alerts: Sequence[str | Detector] = (),
    *,
    model: CLAP,
    clips: ClipWriter | str | os.PathLike[str] | None = None,
    sinks: Sequence[Sink] = (),
    stop: threading.Event | None = None,
    tell: Tell | None = None,
    judged: Judged | None = None,
    **options: Unpack[WatchKeywords],
) -> Watch:
    """Listen to a source: the `Watch` that comes back is an iterator over its events, each given once it is decided.

    Parameters
    ----------
    source
        A file, folder, "mic", an http(s), rtsp or rtmp address, "-" (then pass `open_source("-", rate=…)`), or a
        `AudioSource`.
    alerts
        Words for what should be heard: "glass breaking", "a baby crying"; and detectors, whose alerts have their names.
    model
        The model that listens: `CLAP.from_pretrained("mini")`.
    clips
        Where a FLAC of every event is kept: a folder (256 MiB), or `ClipWriter` with its own budget.
    sinks
        Receivers of every event: `RetryingSink(Webhook(…))`, `Command(…)`.
    stop
        Set it, from any thread, to end the watch: events that have begun are given as ended.
    tell
        Called with one line for each thing that happens on the way (a stream was cut, windows were skipped); by default
        a warning of the logger "openclap.watch".
    judged
        Called after every window with its start and end in seconds and a confidence for every name in `Watch.alerts`: 0
        during the warm-up, and once more at the end of a recording that ends within it.
    **options
        `rules`, `window`, `hop`, `warmup`, `unusual`, `when`: fields of `openclap.options.WatchOptions`.

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
        make_options(WatchOptions, {**options, "rules": options.get("rules") or Rules()}),
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
        source: AudioSource,
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
        window, hop = options.window, options.hop
        detectors = name_alerts(alerts, options.unusual)
        self._names = [*detectors, *([UNUSUAL] if options.unusual else [])]
        _check_windows(window, hop, model.front_end.clip_seconds)
        self._source, self._clap, self._asked = source, model, options
        self._stop, self._tell, self._judged = StopEvent(stop), tell, judged
        self._rate = model.front_end.sampling_rate
        self._alert_count = len(detectors)
        queries = embed_alerts(detectors, model)
        warmup = round(options.warmup / hop)  # windows
        self._scorer = alert_scorer(queries, reference_bank(model), warmup=warmup, hop=hop)
        self._novelty = NoveltyScorer(model.config.embedding, warmup=warmup) if options.unusual else None
        self._hysteresis = Hysteresis(len(self._names), options.rules)
        if isinstance(clips, (str, os.PathLike)):
            clips = ClipWriter(Path(clips), tell, budget=256 << 20)
        if clips is not None and isinstance(source, FolderSource):
            _check_apart(clips.folder, Path(source.name))
        self._report = WatchReport(source=source.name)
        clip_memory = window  # seconds; without clips only the position is asked for
        if clips is not None:
            around = clips.before + clips.after
            clip_memory = min(options.rules.longest, LONGEST_CLIP) + around + 2 * window + BATCH * hop + 60.0
        self._publisher = EventPublisher(
            self._names,
            self._rate,
            live=source.live,
            when=options.when,
            clips=clips,
            clip_memory=clip_memory,
            sinks=sinks,
            report=self._report,
        )
        self._sliding = SlidingWindows(self._rate, window, hop)
        self._waiting: list[StreamWindow] = []
        self._before: float | None = None  # where the window before started
        self._early: deque[EarlyWindow] = deque(maxlen=EARLY)  # of this recording, during the warm-up
        self._short_told = False
        self._name = source.name
        self._skipped_told_at = float("-inf")
        self._started_at = time.monotonic()
        self._events = self._run()

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End at once; events that were not given yet are lost (to get them, set `stop` and iterate to the end)."""
        self._stop.set()
        self._events.close()

    def report(self) -> WatchReport:
        """The report of what has been done so far."""
        return self._publisher.report()

    # -- where the sound is pushed ---------------------------------------------------------------------

    @property
    def alerts(self) -> tuple[str, ...]:
        """The names of the alerts, in the order of the confidences that `judged` gets; "unusual" is the last."""
        return tuple(self._names)

    def feed(self, wave: Wave, *, gap: float = 0.0, arrived: float | None = None) -> list[Event]:
        """Process the next samples (S,), mono at the model's rate, after `gap` lost seconds; the events decided by now.

        For a watch of a `PushedSource`, from one thread at a time. `arrived` is when the samples came, in monotonic
        seconds; by default now. A call computes all windows that have become complete, one for each hop.
        """
        came = time.monotonic() if arrived is None else arrived
        return list(self._process(AudioBlock(wave, gap, self._name), came, more=False))

    def finish(self) -> list[Event]:
        """End the recording: process its last windows, end the events that have begun, and give those decided now."""
        return list(self._finish())

    # -- the loop --------------------------------------------------------------------------------------

    def _run(self) -> Generator[Event, None, None]:
        with contextlib.closing(read_blocks(self._source, self._rate, self._stop, self._tell)) as blocks:
            for arrived, block, more in blocks:
                yield from self._process(block, arrived, more=more)
        yield from self._finish()

    def _process(self, block: AudioBlock, arrived: float, *, more: bool) -> Iterator[Event]:
        """Process one block; where `more` lie ready, windows may wait to be embedded together with theirs."""
        yield from self._end_before_gap(block)
        self._feed_block(block, arrived)
        if block.last:
            yield from self._finish()
            self._restart()
        elif len(self._waiting) >= BATCH or not more:
            yield from self._decide(self._drop_late(self._waiting))
            self._waiting.clear()

    def _end_before_gap(self, block: AudioBlock) -> Iterator[Event]:
        """Decide what came before a gap, and end its events."""
        self._name = block.name or self._name
        if block.gap <= 0:
            return
        self._report.lost += block.gap
        self._report.cuts += 1
        self._waiting += self._sliding.skip(block.gap)
        yield from self._decide(self._waiting)
        self._waiting.clear()
        self._publisher.skip(block.gap)
        self._restart_scorers()
        yield from self._publisher.publish(self._hysteresis.finish(), self._name)

    def _feed_block(self, block: AudioBlock, arrived: float) -> None:
        self._publisher.feed(block.wave, arrived)
        self._report.heard += len(block.wave) / self._rate
        self._waiting += self._sliding.feed(block.wave)

    def _restart(self) -> None:
        """Prepare for another recording; what was learnt stays."""
        self._sliding = SlidingWindows(self._rate, self._asked.window, self._asked.hop)
        self._publisher.restart()
        self._hysteresis = Hysteresis(len(self._names), self._asked.rules)
        self._restart_scorers()

    def _restart_scorers(self) -> None:
        """Forget the window before: the next one does not overlap it."""
        self._before = None
        self._scorer.restart()
        if self._novelty is not None:
            self._novelty.restart()

    def _finish(self) -> Iterator[Event]:
        """End a recording: all windows are decided, all events and clips are complete."""
        self._waiting += self._sliding.flush()
        for start in range(0, len(self._waiting), BATCH):
            yield from self._decide(self._waiting[start : start + BATCH])
        self._waiting.clear()
        yield from self._score_early()
        yield from self._publisher.publish(self._hysteresis.finish(), self._name)
        yield from self._publisher.publish_finished(ended=True)

    def _score_early(self) -> Iterator[Event]:
        """Judge a recording that ends within the warm-up by what there is of it, and say so once."""
        early, self._early = self._early, deque(maxlen=EARLY)
        unknown = self._novelty is not None and self._novelty.warming_up
        if (early or unknown) and not self._short_told:
            self._short_told = True
            judged_anyway = bool(early) and self._alert_count > 0
            self._tell(
                short_recording_message(
                    self._name,
                    self._report.heard,
                    self._asked.warmup,
                    judged_anyway=judged_anyway,
                    novelty_unknown=unknown,
                )
            )
        if not early:
            return
        scores = self._scorer.score_short_recording(
            [e.row for e in early], [e.apart for e in early], self._asked.rules.off
        )
        zeros = [0.0] * (len(self._names) - self._alert_count)  # of "unusual"
        for window, (confidences, cosines) in zip(early, scores, strict=True):
            confidence, score = np.append(confidences, zeros), np.append(cosines, zeros)
            changes = self._hysteresis.step(window.start, window.end, confidence, score)
            if self._judged is not None:
                self._judged(window.begin, window.end, confidence)
            yield from self._publisher.publish(changes, self._name)

    def _drop_late(self, waiting: list[StreamWindow]) -> list[StreamWindow]:
        """The windows that are not too late; a message says, once a minute, that a live source's were skipped."""
        now = time.monotonic()
        if not self._source.live or self._report.heard > now - self._started_at + AHEAD:
            return waiting
        kept = [window for window in waiting if now - (self._publisher.arrival_time(window.end) or now) <= LATE]
        if len(kept) < len(waiting):
            self._report.skipped += len(waiting) - len(kept)
            if time.monotonic() - self._skipped_told_at > TOLD_EVERY:
                self._skipped_told_at = time.monotonic()
                self._tell(
                    f"{self._name}: the model is slower than the sound comes;"
                    f" {count_noun(self._report.skipped, 'window is', 'windows are')} skipped so far (a longer hop or"
                    " a smaller model keeps up)"
                )
        return kept

    def _decide(self, windows: list[StreamWindow]) -> Iterator[Event]:
        """Embed windows, score them in order, and give the events that begin or end with them."""
        if not windows:
            return
        heard = is_heard([level_of(window.wave, self._rate) for window in windows])
        sounding = [(window.wave, self._rate) for window, is_loud in zip(windows, heard, strict=True) if is_loud]
        embedded = self._clap.encode_audio(sounding, batch_size=BATCH) if sounding else np.zeros((0, 0), np.float32)
        rows = iter(embedded)
        for window, is_loud in zip(windows, heard, strict=True):
            self._report.windows += 1
            if not is_loud:
                yield from self._pass_silence(window)
                continue
            row = next(rows)
            confidence, score = self._scorer.score(row)
            if self._novelty is not None:
                sure, distance = self._novelty.score(row)
                confidence, score = np.append(confidence, sure), np.append(score, distance)
            # two overlapping windows are judged together, so an event begins with the first of them
            start = window.start if self._before is None else self._before
            apart, self._before = self._before is None, window.start
            if self._scorer.warming_up:
                self._early.append(EarlyWindow(start, window.start, window.end, apart, row))
            elif self._early:
                self._early.clear()
            changes = self._hysteresis.step(start, window.end, confidence, score)
            maybe = confidence[: self._alert_count] >= self._asked.rules.off
            self._scorer.learn(row, score[: self._alert_count], maybe)
            if self._novelty is not None:
                self._novelty.learn(row)
            if self._judged is not None:
                self._judged(window.start, window.end, confidence)
            yield from self._publisher.publish(changes, self._name)
        yield from self._publisher.publish_finished()

    def _pass_silence(self, window: StreamWindow) -> Iterator[Event]:
        """Take a window in which nothing is heard: no alert is, and nothing is learnt; give the events that end."""
        start = window.start if self._before is None else self._before
        self._before = window.start
        self._scorer.pass_silence()
        if self._novelty is not None:
            self._novelty.restart()
        nothing = np.zeros(len(self._names))
        changes = self._hysteresis.step(start, window.end, nothing, nothing)
        if self._judged is not None:
            self._judged(window.start, window.end, nothing)
        yield from self._publisher.publish(changes, self._name)


def _check_windows(window: float, hop: float, clip_seconds: float) -> None:
    """Raise UsageError for windows that this model cannot hear, or that leave something out between them."""
    if not 0.1 <= window <= clip_seconds or not 0.05 <= hop <= window:
        raise UsageError(
            f"window is {window!r} s and hop {hop!r} s; a window lasts 0.1 to {clip_seconds:g} s (of this model), a hop"
            " 0.05 s to a window"
        )


def _check_apart(clips: Path, watched: Path) -> None:
    """Refuse clips in the folder that is watched: they would be heard as new sounds and make clips of their own."""
    if watched.resolve() in (clips.resolve(), *clips.resolve().parents):
        raise UsageError(f"clips in {clips} would be heard as new sounds of {watched}; keep them outside of it")
