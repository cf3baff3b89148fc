"""What computes behind the service: the model, its lanes, the threads that decode, the library. Knows nothing of HTTP.

    sound ─ decoders, a few clips at a time ─ lane "audio" ─ row ─┬─ embeddings
                                                                  ├─ lane "compare" ─ labels, matches
    texts ─ a few at a time ───────────────── lane "text" ── rows ┘
    a description, moments of a sound, a watch ── a thread that may wait ── ears: both lanes, as all others
    query ─────────────────────────────────── lane "search", lanes "moments": a thread and a library each

Whoever awaits here waits for a thread; the event loop computes nothing. Nothing long is asked for at once: a sound gives the decoders
and the audio lane a few clips at a time, many texts the text lane a few, and the next ones when these are done. So all take turns, memory is
bounded, and what is asked by who has gone (their task is cancelled) ends with the piece in work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip
from openclap.audio.load import longest, stopping
from openclap.checkpoints.presets import find_preset
from openclap.clap import CLAP, Long
from openclap.clap.comparing import check_template, cosines, ranked
from openclap.detector import Detector
from openclap.errors import RequestRefused, SoundError
from openclap.library.moments import moments_in
from openclap.results import Hit, Label, Match, Moment, Ranked
from openclap.serve.batching import Lane
from openclap.serve.describing import Described, Describing, How
from openclap.serve.ears import CHUNK, Clips, LibraryEars, SharedEars
from openclap.serve.settings import Settings
from openclap.serve.shelf import Shelf
from openclap.serve.texts import Texts
from openclap.vectors import unit

__all__ = ["Engine", "Source"]

T = TypeVar("T")

ANY_NAME = "*"  # among the aliases: every name means the loaded model
Vectors = npt.NDArray[np.float32]
Calls = Lane[Callable[[], Any], Any]

DECODERS = 3  # threads that decode at least: a sound that becomes one clip is decoded in one piece
WAITERS = 32  # threads of describing and of moments, which mostly wait for the lanes
MOMENTS = 3  # searches for moments in the library at once


@dataclass(frozen=True)
class Source:
    """A sound of a request: how its errors call it, and how to get its bytes."""

    name: str
    read: Callable[[], bytes]


class Engine:
    """A loaded model, and a library, for many who ask at once.

    Parameters
    ----------
    clap
        A model that is loaded already; else `settings.model` is.
    seen
        Told lane and size of every batch.

    Raises
    ------
    ModelError, LibraryError, DetectorError
        The model, the library or a detector cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clap: CLAP | None = None,
        seen: Callable[[str, int], None] = lambda lane, size: None,
    ) -> None:
        self.settings = settings
        self.detectors = {one.name: one for one in map(Detector.load, settings.detectors)}
        self.clap = clap or CLAP.from_pretrained(
            settings.model, device=settings.device, threads=settings.threads, precision=settings.precision  # type: ignore[arg-type]
        )  # fmt: skip
        for one in self.detectors.values():
            one.check(self.clap)
        self._warm_up()
        self._decoders = ThreadPoolExecutor(max(DECODERS, settings.decoders), "openclap-decode")
        self._waiters = ThreadPoolExecutor(WAITERS, "openclap-wait")
        patience, most = settings.patience_seconds, settings.batch
        self._audio: Lane[Clips, Vectors] = Lane(
            "audio", self._heard, patience=patience, most=most, seen=lambda size: seen("audio", size)
        )
        self._texts = Texts(self.clap, patience=patience, most=most, seen=lambda size: seen("text", size))
        audio = lambda clips: self._audio.ask(clips, weight=len(clips))
        self.ears = SharedEars(self.clap, audio, self._texts.said, self._chunk)
        self._describing = Describing(self.ears)
        names = ("compare", "search", *(f"moments-{i}" for i in range(MOMENTS)))
        self._compare, self._search, *self._moments = (
            Calls(name, lambda jobs: [job() for job in jobs]) for name in names
        )
        self.lanes: tuple[Lane[Any, Any], ...] = (
            self._search,
            *self._moments,
            self._compare,
            self._texts.lane,
            self._audio,
        )
        place, model = settings.library, cast(CLAP, LibraryEars(self.clap, audio, self._texts.remembered, self._chunk))
        self._shelves = [] if place is None else [Shelf(place, model, settings.roots) for _ in range(1 + MOMENTS)]
        self.draining = False

    @property
    def name(self) -> str:
        """What the loaded model is called; never where it lies."""
        asked = self.settings.model
        known = find_preset(asked) is not None or (not Path(asked).exists() and asked.count("/") == 1)
        return asked if known else Path(self.clap.name).name or "model"

    @property
    def names(self) -> tuple[str, ...]:
        """What a request may call it."""
        own = (self.name, Path(self.clap.name).name or "model", "default")
        return tuple(dict.fromkeys((*own, *self.settings.aliases)))

    def goes_by(self, name: str) -> bool:
        """Whether a request may call the model so."""
        return name in self.names or ANY_NAME in self.settings.aliases

    # -- asking --------------------------------------------------------------------------------------

    async def texts(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Texts → rows (M, E), and how many tokens they have."""
        return await self._texts.rows(texts)

    async def sounds(self, sources: Sequence[Source], *, long: Long = "auto") -> Vectors:
        """Sounds → rows (N, E) as `CLAP.encode_audio` gives them.

        Raises
        ------
        SoundError, RequestRefused
            Of the first one that cannot be used.
        """
        gone, few = threading.Event(), asyncio.Semaphore(self.settings.decoders)

        async def one(source: Source) -> Vectors:
            async with few:
                return await self._sound(source, long, gone)

        try:
            rows = await asyncio.gather(*(one(source) for source in sources), return_exceptions=True)
        finally:
            gone.set()  # nobody waits any more
        for row in rows:
            if isinstance(row, BaseException):
                raise row
        return np.stack(rows)  # type: ignore[arg-type]

    async def classify(self, source: Source, labels: Sequence[str], template: str) -> list[Label]:
        """As `CLAP.classify`."""
        check_template(template)
        (row,) = await self.sounds([source])
        prompts = await self._texts.vectors([(template, label) for label in labels])
        return await self._ask(self._compare, lambda: ranked(labels, cosines(row, prompts)[0], self.clap.logit_scale))

    async def match(self, source: Source, texts: Sequence[str]) -> list[Match]:
        """As `CLAP.match`."""
        (row,) = await self.sounds([source])
        rows = await self._texts.vectors([("", text) for text in texts])
        scores = await self._ask(self._compare, lambda: cosines(row, rows)[0])
        return [Match(text, float(score)) for text, score in zip(texts, scores, strict=True)]

    async def describe(self, source: Source, how: How) -> Described:
        """As `CLAP.describe`, and span by span where that is asked for."""
        gone = threading.Event()
        try:
            return await asyncio.wrap_future(
                self._waiters.submit(self._decoding, source, gone, lambda data: self._describing(data, how))
            )
        finally:
            gone.set()

    async def search(self, words: str | None, source: Source | None, k: int, **filters: Any) -> Ranked[Hit]:
        """As `Library.search`, for words, a sound, or both."""
        shelf = self._shelf(0)
        await self._texts.read_query(words, filters.get("without") or ())
        query = await self._query(words, source)
        return await self._ask(self._search, lambda: shelf.search(query, k, **filters))

    async def moments(self, words: str | None, source: Source | None, k: int) -> Ranked[Moment]:
        """Where in the library, as `Library.moments`; with words and a sound: where in that sound, as `moments_in`."""
        gone = threading.Event()
        try:
            if words is not None and source is not None:
                return Ranked(await self._moments_of_sound(words, source, k, gone))
            number = min(range(MOMENTS), key=lambda i: self._moments[i].unfinished)
            shelf = self._shelf(1 + number)
            await self._texts.read_query(words)
            query = await self._query(words, source)

            def of_library() -> Ranked[Moment]:
                stopping.set(gone)
                return shelf.moments(query, k)

            return await self._ask(self._moments[number], lambda: copy_context().run(of_library))
        finally:
            gone.set()

    async def _moments_of_sound(self, words: str, source: Source, k: int, gone: threading.Event) -> list[Moment]:
        await self._texts.read_query(words)
        ears = cast(CLAP, self.ears)
        return await asyncio.wrap_future(
            self._waiters.submit(self._decoding, source, gone, lambda data: moments_in(ears, data, words, k))
        )

    def facts(self) -> dict[str, Any] | None:
        """What the library holds, or None without one. For the thread of the search lane, or before any search."""
        return self._shelves[0].facts() if self._shelves else None

    def close(self) -> None:
        """Finish what was accepted, and let go of everything."""
        self.draining = True
        for pool in (self._decoders, self._waiters):
            pool.shutdown()
        for lane in self.lanes:
            lane.close()
        for shelf in self._shelves:
            shelf.close()

    # -- inside --------------------------------------------------------------------------------------

    def _warm_up(self) -> None:
        """Build towers now, not at the first request."""
        rate = self.clap.front_end.sampling_rate
        self.clap.encode_audio((np.zeros(rate, np.float32), rate))
        self.clap.encode_text("a sound")

    async def _ask(self, lane: Calls, call: Callable[[], T]) -> T:
        found: T = await asyncio.wrap_future(lane.ask(call))
        return found

    async def _query(self, words: str | None, source: Source | None) -> Any:
        parts: list[Any] = [] if words is None else [words]
        if source is not None:
            parts += list(await self.sounds([source], long="windows"))  # as the library hears its sounds
        return parts if len(parts) > 1 else parts[0]

    def _shelf(self, number: int) -> Shelf:
        if not self._shelves:
            raise RequestRefused(
                "this server has no library to search in; whoever runs it gives one with --library", 503, "no_library"
            )
        return self._shelves[number]

    async def _sound(self, source: Source, long: Long, gone: threading.Event) -> Vectors:
        """A sound's row (E,): the next clips are decoded while the model hears the last."""
        limits = Context()
        limits.run(self._limit, gone)
        loop = asyncio.get_running_loop()
        total, waiting = np.zeros(self.clap.config.embedding, np.float32), None
        clips = self._clips(source, long)
        try:
            more = True
            while more:
                chunk, more = await loop.run_in_executor(self._decoders, limits.run, self._next_of, clips)
                if waiting is not None:
                    total = total + (await waiting).sum(axis=0)
                waiting = asyncio.wrap_future(self._audio.ask(chunk, weight=len(chunk))) if chunk else None
        except SoundError as error:
            raise type(error)(source.name, error.cause) from error
        return unit(total if waiting is None else total + (await waiting).sum(axis=0))

    def _clips(self, source: Source, long: Long) -> Iterator[Clip | WindowClip]:
        """A sound's clips; it is read when the first is asked for."""
        yield from self.clap.clips(source.read(), long=long)

    def _next_of(self, clips: Iterator[Clip | WindowClip]) -> tuple[Clips, bool]:
        """The next clips, and whether there may be more."""
        size = self._chunk()
        chunk = list(islice(clips, size))
        return chunk, len(chunk) == size

    def _chunk(self) -> int:
        """Clips of one sound that wait for the model at once."""
        return min(CHUNK, self._audio.room)

    def _limit(self, gone: threading.Event) -> None:
        """What is decoded from here on has an end: in seconds, and where nobody waits."""
        longest.set(self.settings.audio_seconds)
        stopping.set(gone)

    def _decoding(self, source: Source, gone: threading.Event, use: Callable[[bytes], T]) -> T:
        """Do something with a sound within the limits: in seconds, and for as long as somebody waits."""

        def limited() -> T:
            self._limit(gone)
            return use(source.read())

        try:
            return copy_context().run(limited)
        except SoundError as error:
            raise type(error)(source.name, error.cause) from error

    def _heard(self, jobs: list[Clips]) -> list[Vectors]:
        """Clips of several sounds → each one's rows."""
        rows = self.clap.encode_clips([clip for clips in jobs for clip in clips])
        return np.split(rows, np.cumsum([len(clips) for clips in jobs])[:-1])
