"""The engine of the service: the model, its queues, the threads that decode, the library.

    sound ─ decoders, a few clips at a time ─ queue "audio" ─ row ─┬─ embeddings
                                                                   ├─ labels, matches
    texts ─ a few at a time ───────────────── queue "text" ── rows ┘
    a description, moments of a sound, a watch ── a thread that may wait ── embedder: both queues, as all others
    query, lesson ─────────────────────────── queues "search", "moments", "lessons": a thread and a view of the library each

Whoever awaits here waits for a thread; the event loop computes nothing but a few cosines. Nothing long is asked for
at once: a sound gives the decoders and the audio queue a few clips at a time, many texts the text queue a few, and
the next ones when these are done. So all take turns, memory is bounded, and what is asked by who has gone (their task
is cancelled) ends with the piece in work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import limit
from openclap.checkpoints.presets import find_preset
from openclap.clap import CLAP, Long
from openclap.clap.similarity import check_template, cosines, rank_labels, score_texts
from openclap.detector import Detection, Detector, apply_detectors
from openclap.errors import RequestRefused, SoundError
from openclap.library import Library
from openclap.library.moments import moments_of_each
from openclap.library.query import refuse_silent
from openclap.library.search import By, Per
from openclap.normalization import Vectors
from openclap.options import DescribeOptions, TimelineOptions
from openclap.results import Hit, Label, Match, Moment, Ranked, Scores, Step, UnderstoodText, UnknownWord
from openclap.serve.batched_embedder import CHUNK, BatchedEmbedder, Clips
from openclap.serve.batching import BatchQueue
from openclap.serve.descriptions import DescribeResult, describe_sound
from openclap.serve.detectors import Detectors
from openclap.serve.library_files import LibraryFiles
from openclap.serve.library_indexing import LibraryIndexing
from openclap.serve.library_map import LibraryMap
from openclap.serve.library_queues import LibraryQueues
from openclap.serve.library_view import LibraryView
from openclap.serve.progress import Progress
from openclap.serve.settings import ServeSettings
from openclap.serve.sound_embedder import SoundEmbedder
from openclap.serve.sources import Source
from openclap.serve.text_embedder import QueuedTextEmbedder, TemplatedText
from openclap.store import SearchFilter
from openclap.thread_priority import give_way
from openclap.window_cache import WindowCache

__all__ = ["Engine", "Source"]

T = TypeVar("T")

ANY_NAME = "*"  # among the aliases: every name means the loaded model
DECODERS = 3  # least number of threads that decode: a short sound keeps one busy until it is decoded
WAITERS = 32  # threads of descriptions and of moments, which mostly wait for the queues


class Engine:
    """A loaded model and a library that many requests use at once.

    Parameters
    ----------
    clap
        A model that is loaded already; else `settings.model` is.
    seen
        Told queue and size of every batch.
    any_library
        Work without the library where it was made by another model; who asks for it is told so.

    Raises
    ------
    ModelError, LibraryError, DetectorError
        The model, the library or a detector cannot be used.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        clap: CLAP | None = None,
        seen: Callable[[str, int], None] = lambda queue, size: None,
        any_library: bool = False,
    ) -> None:
        self.settings = settings
        self.clap = clap or CLAP.from_pretrained(
            settings.model,
            device=settings.device,
            threads=settings.threads,
            precision=settings.precision or _library_precision(settings),  # type: ignore[arg-type]
        )
        self.detectors = Detectors(settings, self.clap, self.name)
        self._warm_up()
        self._decoders = ThreadPoolExecutor(max(DECODERS, settings.decoders), "openclap-decode", give_way)
        self._waiters = ThreadPoolExecutor(WAITERS, "openclap-wait", give_way)
        patience, most = settings.patience_seconds, settings.batch
        self._audio: BatchQueue[Clips, Vectors] = BatchQueue(
            "audio", self._encode, patience=patience, most=most, seen=lambda size: seen("audio", size), begin=give_way
        )
        self._texts = QueuedTextEmbedder(self.clap, patience=patience, most=most, seen=lambda size: seen("text", size))
        self._sounds = SoundEmbedder(
            self.clap, self._decoders, settings.decoders, self._ask_audio, self._chunk, self._read
        )
        self.embedder = BatchedEmbedder(self.clap, self._ask_audio, self._texts.embed_now, self._chunk)
        self.heard = WindowCache()  # of sounds of requests: in memory alone
        model, place = cast(CLAP, self.embedder), settings.library
        self._views = LibraryQueues(place, model, settings.roots, any_library=any_library)
        self.files = None if settings.library is None else LibraryFiles(settings)
        if self.files is not None:
            self.indexing = LibraryIndexing(settings, model, self.files.chosen)
            self.maps = LibraryMap(self.files.library, self.embedder)
        self.queues: tuple[BatchQueue[Any, Any], ...] = (
            *([] if self.files is None else [self.files.queue]),
            *self._views.queues,
            self._texts.queue,
            self._audio,
        )

    @property
    def name(self) -> str:
        """The name of the loaded model, never its path."""
        asked = self.settings.model
        known = find_preset(asked) is not None or (not Path(asked).exists() and asked.count("/") == 1)
        return asked if known else Path(self.clap.name).name or "model"

    @property
    def has_library(self) -> bool:
        """Whether there is a library that the loaded model can search in."""
        return self._views.is_usable

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a request may call the model by."""
        own = (self.name, Path(self.clap.name).name or "model", "default")
        return tuple(dict.fromkeys((*own, *self.settings.aliases)))

    def goes_by(self, name: str) -> bool:
        """Whether a request may call the model by this name."""
        return name in self.names or ANY_NAME in self.settings.aliases

    # -- asking --------------------------------------------------------------------------------------

    async def embed_texts(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Embed texts → rows (M, E), and their number of tokens."""
        return await self._texts.embed(texts)

    async def embed_sounds(self, sources: Sequence[Source], *, long: Long = "auto") -> Vectors:
        """Embed sounds → rows (N, E), as `CLAP.encode_audio` does.

        Raises
        ------
        SoundError, RequestRefused
            Of the first one that cannot be used.
        """
        return np.stack([one.row for one in await self._sounds.embed(sources, long)])

    async def classify(
        self, source: Source, labels: Sequence[str], template: str, progress: Progress | None = None
    ) -> Scores[Label]:
        """Rank labels for a sound, as `CLAP.classify` does."""
        check_template(template)
        scores, silent = await self._compare(source, [(template, label) for label in labels], progress)
        return rank_labels(labels, scores, self.clap.logit_scale, silent=silent)

    async def match(self, source: Source, texts: Sequence[str], progress: Progress | None = None) -> Scores[Match]:
        """Compare a sound with texts, as `CLAP.match` does."""
        scores, silent = await self._compare(source, [("", text) for text in texts], progress)
        return score_texts(texts, scores, silent=silent)

    async def unknown_words(self, texts: Sequence[str]) -> list[UnknownWord]:
        """Words that the model was never taught, as `CLAP.unknown_words`."""
        return await asyncio.to_thread(self.clap.unknown_words, texts)

    async def words_of(self, texts: Sequence[str]) -> tuple[list[UnknownWord], list[UnderstoodText]]:
        """What is to be told of texts: words that the model does not know, and texts that were put into English."""
        return await self.unknown_words(texts), await asyncio.to_thread(self.clap.understood, texts)

    async def describe(
        self,
        source: Source,
        options: DescribeOptions,
        spans: TimelineOptions | None = None,
        progress: Progress | None = None,
    ) -> DescribeResult:
        """Describe a sound as `CLAP.describe` does, with `spans` as a timeline too."""
        embedder, kept = self.telling(progress), source.recording
        return await self._with_sound(
            source, lambda data: describe_sound(embedder, data, options, spans, self.heard, kept=kept)
        )

    async def search(
        self,
        words: str | None,
        source: Source | None,
        k: int,
        filter: SearchFilter,
        *,
        without: Sequence[str] = (),
        per: Per = "file",
        by: By = "both",
        like: str | None = None,
        detector: str | None = None,
    ) -> Ranked[Hit]:
        """Search the library for words, a sound, or both, as `Library.search` does.

        For what is `like` a file of it, and for what a detector was taught, too.
        """
        queue, view = self._views.searches()
        place = None if like is None else await self._place_of(like)
        taught = [] if detector is None else await self.find_detectors([detector])
        asked = words is not None or source is not None or taught
        query = await self._query(words, source, without, taught) if asked else None
        return await asyncio.wrap_future(
            queue.ask(lambda: view.search(query, k, filter, without=without, per=per, by=by, like=place))
        )

    async def journey(self, start: str, end: str, n: int) -> Ranked[Step]:
        """Walk through the library from one of its files, or words, to another, as `Library.journey` does."""
        queue, view = self._views.searches()
        assert self.files is not None
        known = await self.files.find([start, end])
        for text in (start, end):
            if text not in known:
                await self._texts.prepare_query(text)
        ends = [(known[text].path, True) if text in known else (text, False) for text in (start, end)]
        return await asyncio.wrap_future(queue.ask(lambda: view.journey(ends, n)))

    async def moments(
        self, words: str | Detector | None, source: Source | None, k: int, progress: Progress | None = None
    ) -> Ranked[Moment]:
        """Find moments in the library; with words and a sound, where in that sound the words are heard.

        For words there may be a detector.
        """
        if words is not None and source is not None:
            (found,) = await self.moments_of_each([words], source, k, progress)
            return found
        queue, view = self._views.moments()
        taught = [words] if isinstance(words, Detector) else []
        query, gone = await self._query(None if taught else words, source, (), taught), threading.Event()  # type: ignore[arg-type]
        try:
            return await asyncio.wrap_future(queue.ask(lambda: view.moments(query, k, gone)))
        finally:
            gone.set()

    async def moments_of_each(
        self, queries: Sequence[str | Detector], source: Source, k: int, progress: Progress | None = None
    ) -> list[Ranked[Moment]]:
        """Find where in a sound the words, or the detector, of each query are heard; it is listened to once for all."""
        for words in queries:
            if isinstance(words, str):
                await self._texts.prepare_query(words)
        model = cast(CLAP, self.telling(progress))
        return await self._with_sound(source, lambda data: moments_of_each(model, data, queries, k, cache=self.heard))

    async def detect(
        self, source: Source, detectors: Sequence[Detector], progress: Progress | None = None
    ) -> tuple[list[Detection], bool]:
        """What detectors hear in a sound, and whether it is silent."""
        embedder, seconds = self.telling(progress), self.clap.front_end.clip_seconds
        listen = partial(self.heard.windows, embedder) if source.recording else embedder.encode_windows
        windows = await self._with_sound(source, lambda data: listen(data, window=seconds, hop=seconds / 2))
        return apply_detectors(windows.embedding, detectors, windows.heard), not windows.heard.any()

    async def find_detectors(self, names: Sequence[str]) -> list[Detector]:
        """The detectors of some names, or the drafts of some ids.

        Raises
        ------
        RequestRefused
            As `Detectors.find`.
        """
        return await self.in_thread(lambda: [self.detectors.find(name) for name in names]) if names else []

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Have a thread do something that may wait: for the model's queues, for files."""
        return await asyncio.wrap_future(self._waiters.submit(call))

    async def in_library(self, call: Callable[[LibraryView], T]) -> T:
        """Have the thread of lessons ask the library something, so that no search waits for it.

        Raises
        ------
        RequestRefused, LibraryMismatch
            There is no library, or it was made by another model.
        """
        queue, view = self._views.lessons()
        return await asyncio.wrap_future(queue.ask(lambda: call(view)))

    def close(self) -> None:
        """Finish the jobs that were accepted, then stop the threads and close the library."""
        if self.files is not None:
            self.indexing.close()
        for pool in (self._decoders, self._waiters):
            pool.shutdown()
        for queue in self.queues:
            queue.close()
        self._views.close()
        if self.files is not None:
            self.files.close()

    # -- inside --------------------------------------------------------------------------------------

    def _warm_up(self) -> None:
        """Build both towers now and not at the first request."""
        rate = self.clap.front_end.sampling_rate
        self.clap.encode_audio((np.zeros(rate, np.float32), rate))
        self.clap.encode_text("a sound")

    async def _place_of(self, name: str) -> str:
        """The path of a file of the library that is called so.

        Raises
        ------
        RequestRefused
            404: the library holds none.
        """
        assert self.files is not None
        file = (await self.files.find([name])).get(name)
        if file is None:
            raise RequestRefused(f"the library holds no sound {name[:200]!r}", 404, "sound_not_found")
        return file.path

    def telling(self, progress: Progress | None) -> BatchedEmbedder:
        """The embedder, for one who wants to know how far it is."""
        if progress is None:
            return self.embedder
        ask, embed = self._ask_audio, self._texts.embed_now
        return BatchedEmbedder(self.clap, ask, embed, self._chunk, progress.tell_seconds, progress.tell_each)

    async def _compare(
        self, source: Source, texts: Sequence[TemplatedText], progress: Progress | None = None
    ) -> tuple[Vectors, bool]:
        """Compare a sound with texts → cosines (M,), and whether the sound is silent."""
        if source.recording:
            row, silent = await self._row_of(source, progress)
        else:
            (sound,) = await self._sounds.embed([source], "auto")
            row, silent = sound.row, sound.silent
        return cosines(row, await self._texts.embed_known(texts))[0], silent

    async def _row_of(self, source: Source, progress: Progress | None) -> tuple[Vectors, bool]:
        """The row (E,) of a recording, and whether it is silent; it is listened to once."""
        embedder = self.telling(progress)

        def find(data: Any) -> Mapping[str, npt.NDArray[Any]]:
            def make() -> dict[str, npt.NDArray[Any]]:
                row, silent = embedder.row_of(data)
                return {"row": row[0], "silent": np.array(silent)}

            return self.heard.recall(data, ("row", self.clap.fingerprint), make)

        found = await self._with_sound(source, find)
        return found["row"], bool(found["silent"])

    async def _query(
        self,
        words: str | None,
        source: Source | None,
        without: Sequence[str] = (),
        taught: Sequence[Detector] = (),
    ) -> Any:
        await self._texts.prepare_query(words, without)
        parts: list[Any] = [*([] if words is None else [words]), *taught]
        if source is not None:
            (sound,) = await self._sounds.embed([source], "windows")
            refuse_silent(source.name, not sound.silent)
            parts.append(sound.track)
        return parts if len(parts) > 1 else parts[0]

    async def _with_sound(self, source: Source, use: Callable[[Any], T]) -> T:
        """Use a sound in a thread that may wait; the work is stopped when the client has gone."""
        gone = threading.Event()

        def work() -> T:
            with source.hold():
                return use(self._read(source, gone))

        try:
            return await asyncio.wrap_future(self._waiters.submit(work))
        except SoundError as error:
            raise type(error)(source.name, error.cause) from error
        finally:
            gone.set()

    def _read(self, source: Source, gone: threading.Event) -> Any:
        """A sound as it may be decoded: so long, and until the client has gone."""
        most = source.seconds or self.settings.audio_seconds
        return limit(source.read(), seconds=most, track=source.track, stop=gone)

    def _chunk(self) -> int:
        """How many clips of one sound may wait for the model."""
        return min(CHUNK, self._audio.room)

    def _ask_audio(self, clips: Clips) -> Future[Vectors]:
        return self._audio.ask(clips, weight=len(clips))

    def _encode(self, jobs: list[Clips]) -> list[Vectors]:
        """Embed clips of several sounds in one call → the rows of each sound."""
        rows = self.clap.encode_clips([clip for clips in jobs for clip in clips])
        return np.split(rows, np.cumsum([len(clips) for clips in jobs])[:-1])


def _library_precision(settings: ServeSettings) -> str:
    """That of the library, where visitors may add to it; what is only searched needs none."""
    found = Library.open(settings.library).precision if settings.library is not None and settings.manage else None
    return found or "float32"
