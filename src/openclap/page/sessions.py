"""Who listens through the page: a watch a visitor, fed by their browser or by a recording, bounded in memory and time.

Knows nothing of gradio.

    browser ─ put ─ waiting (15 s at most) ─ take ─┐
                                                   ├─ hear, in the model's thread: Watch.feed ─ events, levels ─ seen
    recording ──────────────────────────── blocks ─┘

The browser sends bare samples, with neither its echo canceller nor its noise suppressor in between, which take for
noise what is watched for. Nothing is written to disk; who goes away is no longer heard.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from openclap.audio.channels import Wave
from openclap.audio.load import Sound, stream
from openclap.audio.waves import HIGHEST_RATE, LOWEST_RATE
from openclap.clap import CLAP
from openclap.detector import Detector
from openclap.page.strings import Language, Told
from openclap.watch import Event, PushedSource, Rules, Watch, WatchOptions, watch
from openclap.watch.sources import BlockConverter

__all__ = ["Asked", "Seen", "Session", "Watches", "as_csv", "as_lines"]


WAITING = 15.0  # seconds of sound that wait for the model; beyond, the oldest are lost
SILENT = 15.0  # seconds without a sample: the browser has gone
LOST = 86_400.0  # seconds: what was not sent for a day comes from no microphone
EVENTS = 1000  # that are kept of a watch; the oldest go
LEVELS = (
    120  # windows of a live watch that are shown; of a recording twice as many at most, each the loudest of several
)
BLOCK = 4.0  # seconds of a recording that are heard before others have their turn
ENDED = 64  # watches that are over, whose events can still be downloaded
TOKEN = re.compile(r"[0-9a-f]{32}")
COLUMNS = ("alert", "start", "end", "peak", "confidence", "score", "state", "time", "id", "source")


@dataclass(frozen=True)
class Asked:
    """What somebody listens for: words and detectors, whether anything unusual too, the least confidence, and seconds that are learnt from first."""

    alerts: tuple[str | Detector, ...]
    unusual: bool = False
    on: float = Rules.on
    warmup: float = 5.0

    def options(self) -> WatchOptions:
        """How a watch listens for it."""
        rules = Rules(on=self.on, off=min(Rules.off, self.on / 2))
        return WatchOptions(rules, warmup=self.warmup, unusual=self.unusual, when="both")


@dataclass(frozen=True, eq=False)
class Seen:
    """A watch as it is now.

    Attributes
    ----------
    names
        Of what is listened for, "unusual" last.
    times : (N,), levels : (N, A)
        Middles of windows in seconds, and the confidences of all names there.
    events
        Newest first; `older` were forgotten.
    heard, lost
        Seconds; `learning`, seconds that are still learnt from.
    over
        Why it has ended, as a key of the table; None as long as it goes on.
    sounds
        Tokens of the events of a recording, by their ids.
    """

    token: str
    asked: Asked
    live: bool
    names: tuple[str, ...] = ()
    times: Wave = field(default_factory=lambda: np.zeros(0, np.float32))
    levels: Wave = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    events: tuple[Event, ...] = ()
    older: int = 0
    heard: float = 0.0
    lost: float = 0.0
    learning: float = 0.0
    length: float = 0.0
    over: str | None = None
    sounds: dict[str, str] = field(default_factory=dict)


class Session:
    """One watch. `put` is for the threads of the server, `begin`, `hear` and `finish` for the model's."""

    def __init__(
        self, token: str, visitor: str, asked: Asked, *, live: bool, language: Language, longest: float
    ) -> None:
        self.token, self.visitor, self.asked, self.live, self.language = token, visitor, asked, live, language
        self.stop = threading.Event()
        self.over: str | None = None
        self._longest = longest
        self._came = threading.Condition()
        self._waiting: deque[tuple[Wave, float, float, float]] = (
            deque()
        )  # samples, their rate, seconds lost before, when
        self._held = 0.0  # seconds
        self._lost = 0.0  # seconds, of what was dropped here, not yet told to the watch
        self._last = self._since = time.monotonic()
        self._watch: Watch | None = None
        self._shape: BlockConverter | None = None
        self._rate = 0
        self._events: OrderedDict[str, Event] = OrderedDict()
        self._older = 0
        self._times: list[float] = []
        self._levels: list[Wave] = []
        self._each, self._seen = 1, 0
        self._length = 0.0
        self.last = Seen(token, asked, live)

    # -- what comes ------------------------------------------------------------------------------------

    def put(self, samples: Wave, rate: float, lost: float = 0.0) -> None:
        """Samples (S,) of the browser at its rate, after `lost` seconds that it could not send.

        Raises
        ------
        Told
            A rate that no microphone has, or more lost than can be.
        """
        if not LOWEST_RATE <= rate <= HIGHEST_RATE or not 0 <= lost <= LOST:
            raise Told("error.input")
        if not len(samples):  # nothing is heard of who sends none
            return
        with self._came:
            self._last = time.monotonic()
            self._waiting.append((samples, rate, lost, self._last))
            self._held += len(samples) / rate
            while self._held > WAITING and len(self._waiting) > 1:
                old, its_rate, before, _ = self._waiting.popleft()
                self._held -= len(old) / its_rate
                self._lost += before + len(old) / its_rate
            self._came.notify()

    def take(self, timeout: float) -> list[tuple[Wave, float, float, float]]:
        """All that waits, or what comes within some seconds; what is too long or too silent is over."""
        with self._came:
            if not self._waiting and not self.stop.is_set():
                self._came.wait(timeout)
            found, self._held = list(self._waiting), 0.0
            self._waiting.clear()
            if found and self._lost:
                samples, rate, lost, came = found[0]
                found[0], self._lost = (samples, rate, lost + self._lost, came), 0.0
        if not found and time.monotonic() - self._last > SILENT:
            self.end("watch.gone")
        heard = 0.0 if self._watch is None else self._watch.report().heard
        if max(heard, time.monotonic() - self._since) >= self._longest:  # a sample now and then is heard for ever
            self.end("watch.long")
        return found

    def end(self, why: str) -> None:
        """It is over; the first reason counts."""
        self.over = self.over or why
        self.stop.set()

    # -- in the model's thread -------------------------------------------------------------------------

    def begin(self, clap: CLAP, name: str) -> None:
        """Embed what is listened for."""
        asked = self.asked
        self._watch = watch(
            PushedSource(name, live=self.live),
            asked.alerts,
            model=clap,
            **vars(asked.options()),
            stop=self.stop,
            tell=lambda _: None,
            judged=self._judged,
        )
        self._rate = clap.front_end.sampling_rate
        self._shape = BlockConverter(self._rate, name, lambda _: None)
        self._last = time.monotonic()  # loading a model may have taken long

    def hear(self, some: Sequence[tuple[Wave, float, float, float]]) -> int:
        """Blocks as `take` gives them → how many events have begun or ended."""
        assert self._watch is not None
        assert self._shape is not None
        count = 0
        for samples, rate, lost, came in some:
            count += self._keep(self._watch.feed(self._shape.feed(samples, rate), gap=lost, arrived=came))
        return count

    def recording(self, sound: Sound, seconds: float) -> Generator[int, None, None]:
        """Hear a recording, block by block: how many events have begun or ended."""
        assert self._watch is not None
        self._length = seconds
        with closing(stream(sound, self._rate, block_seconds=BLOCK)) as blocks:
            for block in blocks:
                yield self._keep(self._watch.feed(block))
                if self.stop.is_set():
                    return

    def finish(self) -> None:
        """What has begun ends; all but what is shown is forgotten."""
        if self._watch is not None:
            self._keep(self._watch.finish())
            self.look()
            self._watch = self._shape = None

    def _keep(self, events: Sequence[Event]) -> int:
        for event in events:
            self._events[event.id] = event
            while len(self._events) > EVENTS:
                self._events.popitem(last=False)
                self._older += 1
        return len(events)

    def _judged(self, start: float, end: float, confidence: npt.NDArray[np.float64]) -> None:
        level = confidence.astype(np.float32)
        if self._seen % self._each:
            self._levels[-1] = np.maximum(self._levels[-1], level)
        else:
            if self.live:
                del self._levels[: 1 - LEVELS], self._times[: 1 - LEVELS]
            elif len(self._levels) == 2 * LEVELS:  # twice as long: half as fine
                self._levels = [np.maximum(*pair) for pair in zip(self._levels[::2], self._levels[1::2], strict=True)]
                self._times = self._times[::2]
                self._each *= 2
            self._levels.append(level)
            self._times.append((start + end) / 2)
        self._seen += 1

    def look(self) -> Seen:
        """How it is now; for whoever hears it, while others have `last`."""
        if self._watch is not None:
            report = self._watch.report()
            self.last = Seen(
                self.token,
                self.asked,
                self.live,
                self._watch.alerts,
                np.array(self._times, np.float32),
                np.array(self._levels, np.float32),
                tuple(reversed(self._events.values())),
                self._older,
                report.heard,
                report.lost,
                max(0.0, self.asked.warmup - report.heard),
                self._length,
            )
        if self.over != self.last.over:
            self.last = replace(self.last, over=self.over)
        return self.last


class Watches:
    """All of them: so many at once, one a visitor."""

    def __init__(self, most: int, longest: float) -> None:
        self._most, self._longest = most, longest
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, visitor: str, asked: Asked, language: Language, token: str | None = None) -> Session:
        """A new one; with the token of a browser's microphone, or of a recording, with one of ours.

        A visitor's last one ends.

        Raises
        ------
        Told
            Too many listen already, or this is no token.
        """
        if token is not None and not TOKEN.fullmatch(token):
            raise Told("error.input")
        with self._lock:
            others = sum(one.over is None and one.visitor != visitor for one in self._sessions.values())
            if others >= self._most:
                raise Told("error.watches", most=self._most)
            if token in self._sessions:
                raise Told("error.input")
            for one in self._sessions.values():
                if one.visitor == visitor:
                    one.end("watch.stopped")
            made = Session(
                token or secrets.token_hex(16),
                visitor,
                asked,
                live=token is not None,
                language=language,
                longest=self._longest,
            )
            self._sessions[made.token] = made
            over = [token for token, one in self._sessions.items() if one.over is not None]
            for old in over[: max(0, len(over) - ENDED)]:
                del self._sessions[old]
        return made

    def of(self, token: str) -> Session | None:
        """The one of a token."""
        with self._lock:
            return self._sessions.get(token)

    def of_visitor(self, visitor: str) -> Session | None:
        """The one that a visitor has at work."""
        with self._lock:
            return next((one for one in self._sessions.values() if one.visitor == visitor and one.over is None), None)

    def forget(self, visitor: str) -> None:
        """They have left."""
        with self._lock:
            for token, one in list(self._sessions.items()):
                if one.visitor == visitor:
                    one.end("watch.stopped")
                    del self._sessions[token]

    def close(self) -> None:
        """All end."""
        with self._lock:
            for one in self._sessions.values():
                one.end("watch.stopped")


def as_csv(events: Sequence[Event]) -> str:
    """A row an event, oldest first."""
    out = io.StringIO()
    rows = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    rows.writerows(event.to_dict() for event in reversed(events))
    return out.getvalue()


def as_lines(events: Sequence[Event]) -> str:
    """A JSON object a line, as `openclap watch` writes them, oldest first."""
    return "".join(event.to_json().decode() + "\n" for event in reversed(events))
