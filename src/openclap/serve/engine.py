"""What computes behind the service: the model, its lanes, the threads that decode, the library. Knows nothing of HTTP.

    sound ─ decoders (threads: base64, URL, decode, mel) ─ clips ─ lane "audio" ─ row ─┬─ embeddings
                                                                                       ├─ lane "compare" ─ labels, matches
    texts ──────────────────────────────────────────────────────── lane "text" ── rows ┘
    a description, a watch ── a thread that may wait ── ears: both lanes, as all others
    query ──────────────────────────────────────────────────────── lane "search", lane "moments": a thread and a library each

Whoever awaits here waits for a thread; the event loop computes nothing. Memory is bounded: a sound gives the audio lane
`CHUNK` clips at a time, and the next ones when these are done, so a long recording and short ones take turns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from openclap.audio.load import longest, stopping
from openclap.checkpoints.presets import find_preset
from openclap.clap import CLAP, Long
from openclap.detector import Detector
from openclap.errors import RequestRefused, SoundError
from openclap.library.moments import moments_in
from openclap.results import Hit, Label, Match, Moment
from openclap.serve.batching import Lane
from openclap.serve.describing import Described, Describing, How
from openclap.serve.ears import CHUNK, Clips, SharedEars
from openclap.serve.settings import Settings
from openclap.serve.shelf import Shelf
from openclap.vectors import unit

__all__ = ["Engine", "Source"]

T = TypeVar("T")

ANY_NAME = "*"  # among the aliases: every name means the loaded model
Vectors = npt.NDArray[np.float32]
Calls = Lane[Callable[[], Any], Any]


@dataclass(frozen=True)
class Source:
    """A sound of a request: how its errors call it, and how to get its bytes, which may take a while."""

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
        place = settings.library
        self._shelves = [] if place is None else [Shelf(place, self.clap, settings.roots) for _ in range(2)]
        self._decoders = ThreadPoolExecutor(settings.decoders, "openclap-decode")
        # of their own: a timeline keeps its thread as long as it takes, and an embedding is done with it once its sound is decoded
        self._describers = ThreadPoolExecutor(settings.decoders, "openclap-describe")
        patience, most = settings.patience_seconds, settings.batch
        self._audio: Lane[Clips, Vectors] = Lane(
            "audio", self._heard, patience=patience, most=most, seen=lambda size: seen("audio", size)
        )
        self._text: Lane[list[str], tuple[Vectors, int]] = Lane(
            "text", self._rows, patience=patience, most=most, seen=lambda size: seen("text", size)
        )
        self._compare, self._search, self._moments = (
            Calls(name, lambda jobs: [job() for job in jobs]) for name in ("compare", "search", "moments")
        )
        self.lanes: tuple[Lane[Any, Any], ...] = (self._audio, self._text, self._compare, self._search, self._moments)
        self.ears = SharedEars(self.clap, lambda clips: self._audio.ask(clips, weight=len(clips)), self._said)
        self._describing = Describing(self.ears)
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
        many = list(texts)
        return await asyncio.wrap_future(self._text.ask(many, weight=len(many)))

    async def sounds(self, sources: Sequence[Source], *, long: Long = "auto") -> Vectors:
        """Sounds → rows (N, E) as `CLAP.encode_audio` gives them.

        Raises
        ------
        SoundError, RequestRefused
            Of the first one that cannot be used.
        """
        gone = threading.Event()
        try:
            rows = await asyncio.gather(*(self._sound(one, long, gone) for one in sources), return_exceptions=True)
        finally:
            gone.set()  # nobody waits any more
        for row in rows:
            if isinstance(row, BaseException):
                raise row
        return np.stack(rows)  # type: ignore[arg-type]

    async def classify(self, source: Source, labels: Sequence[str], template: str) -> list[Label]:
        """As `CLAP.classify`."""
        (row,) = await self.sounds([source])
        return await self._ask(self._compare, lambda: self.clap.classify(row, labels, template=template))

    async def match(self, source: Source, texts: Sequence[str]) -> list[Match]:
        """As `CLAP.match`."""
        (row,) = await self.sounds([source])
        return await self._ask(self._compare, lambda: self.clap.match(row, texts))

    async def describe(self, source: Source, how: How) -> Described:
        """As `CLAP.describe`, and span by span where that is asked for."""
        gone = threading.Event()
        try:
            return await asyncio.wrap_future(
                self._describers.submit(self._decoding, source, gone, lambda data: self._describing(data, how))
            )
        finally:
            gone.set()

    async def search(self, words: str | None, source: Source | None, k: int, **filters: Any) -> list[Hit]:
        """As `Library.search`, for words, a sound, or both."""
        shelf = self._shelf(0)
        query = await self._query(words, source)
        return await self._ask(self._search, lambda: shelf.search(query, k, **filters))

    async def moments(self, words: str | None, source: Source | None, k: int) -> list[Moment]:
        """Where in the library, as `Library.moments`; with words and a sound: where in that sound, as `moments_in`."""
        gone = threading.Event()

        def of_sound() -> list[Moment]:
            assert source is not None
            assert words is not None
            return self._decoding(source, gone, lambda data: moments_in(self.clap, data, words, k))

        def of_library() -> list[Moment]:
            stopping.set(gone)
            return shelf.moments(query, k)

        try:
            if words is not None and source is not None:
                return await self._ask(self._moments, of_sound)
            shelf, query = self._shelf(1), await self._query(words, source)
            return await self._ask(self._moments, lambda: copy_context().run(of_library))
        finally:
            gone.set()

    def facts(self) -> dict[str, Any] | None:
        """What the library holds, or None without one. For the thread of the search lane, or before any search."""
        return self._shelves[0].facts() if self._shelves else None

    def close(self) -> None:
        """Finish what was accepted, and let go of everything."""
        self.draining = True
        self._decoders.shutdown()
        self._describers.shutdown()
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
        begun = self._decoders.submit(self._decoding, source, gone, lambda data: self._clips(data, long))
        summed, last = await asyncio.wrap_future(begun)
        total = summed + (await asyncio.wrap_future(last)).sum(axis=0)
        return unit(total)

    def _decoding(self, source: Source, gone: threading.Event, use: Callable[[bytes], T]) -> T:
        """Do something with a sound within the limits: in seconds, and for as long as somebody waits."""

        def limited() -> T:
            longest.set(self.settings.audio_seconds)
            stopping.set(gone)
            return use(source.read())

        try:
            return copy_context().run(limited)
        except SoundError as error:
            raise type(error)(source.name, error.cause) from error

    def _clips(self, data: bytes, long: Long) -> tuple[Vectors, Future[Vectors]]:
        """Have a sound embedded as it is decoded → the sum of all rows but the last ones, which are still awaited."""
        total = np.zeros(self.clap.config.embedding, np.float32)
        pending: Future[Vectors] | None = None
        chunk: Clips = []
        for clip in self.clap.clips(data, long=long):
            if len(chunk) == CHUNK:
                if pending is not None:
                    total = total + pending.result().sum(axis=0)
                pending, chunk = self._audio.ask(chunk, weight=len(chunk)), []
            chunk.append(clip)
        if pending is not None:
            total = total + pending.result().sum(axis=0)
        return total, self._audio.ask(chunk, weight=len(chunk))

    def _heard(self, jobs: list[Clips]) -> list[Vectors]:
        """Clips of several sounds → each one's rows."""
        rows = self.clap.encode_clips([clip for clips in jobs for clip in clips])
        return np.split(rows, np.cumsum([len(clips) for clips in jobs])[:-1])

    def _said(self, texts: list[str]) -> Vectors:
        """Texts → rows, for a thread that waits; many texts let others in between."""
        size = max(1, self.settings.batch)
        some = [texts[i : i + size] for i in range(0, len(texts), size)]
        return np.concatenate([self._text.ask(texts, weight=len(texts)).result()[0] for texts in some])

    def _rows(self, jobs: list[list[str]]) -> list[tuple[Vectors, int]]:
        """Texts of several requests → each one's rows, and its number of tokens."""
        texts = [text for job in jobs for text in job]
        rows = self.clap.encode_text(texts, batch_size=max(1, self.settings.batch))
        tokens = self.clap.tokenizer(texts)[1].sum(axis=1)
        ends = np.cumsum([len(job) for job in jobs])[:-1]
        return [
            (part, int(count.sum())) for part, count in zip(np.split(rows, ends), np.split(tokens, ends), strict=True)
        ]
