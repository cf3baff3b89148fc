"""Examples of a request → a draft of a detector, its ranking of the library, and what should be marked next.

    files of the library ─ known windows ─────────┐
    recordings, parts of files ─ heard in turns ──┼─ rows ─ fit ─ draft ─ hits, next
    examples that were kept ─ heard in turns ─────┘

The library is asked by a thread of its own, the model through its queues, and the fit is made in a thread that may wait: so
others' searches go on. What was heard of a recording is kept, so that the next lesson answers at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
from starlette.concurrency import run_in_threadpool

from openclap.audio.decode_limits import DecodingStopped, limit
from openclap.audio.load import cut
from openclap.clap import CLAP
from openclap.confidence import reference_bank
from openclap.detector import Detector
from openclap.errors import OpenClapError, RequestRefused, SoundError, UsageError
from openclap.example_store import ExampleSource
from openclap.normalization import Vectors
from openclap.results import Hit, Ranked, Windows
from openclap.serve.batched_embedder import BatchedEmbedder
from openclap.serve.detector_schemas import Example, Skipped
from openclap.serve.engine import Engine
from openclap.serve.inputs import source_of
from openclap.serve.progress import Progress
from openclap.serve.recordings import Recording, Recordings
from openclap.silence import track_vector
from openclap.store import File
from openclap.teach import Taught, fit
from openclap.teach.teaching import embed_kept_examples, refuse_copies

__all__ = ["Lesson", "Teaching"]

T = TypeVar("T")

FITS = 1  # at once; each takes a processor for some tenths of a second, or seconds with hundreds of examples
STEPS = 2  # beside the examples, that progress counts: the fit and the ranking


@dataclass(eq=False)
class _Given:
    """An example as it was given: which of the yes or no it is, and what it is called."""

    is_yes: bool
    index: int
    name: str
    start: float = 0.0
    end: float | None = None
    track: int | None = None
    file: File | None = None  # of the library
    recording: Recording | None = None
    row: Vectors | None = None
    error: str = ""

    @property
    def part(self) -> tuple[float, float] | None:
        """From when to when, where a part of the sound is meant."""
        if self.end is None and not self.start:
            return None
        whole = self.recording.seconds if self.recording is not None else self.file.seconds if self.file else 0.0
        return self.start, whole if self.end is None else self.end


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was taught: a draft with its id, the library as it ranks it, what to mark next, what could not be used."""

    id: str
    detector: Detector
    hits: Ranked[Hit]
    next: list[Hit]
    skipped: list[Skipped] = field(default_factory=list)
    before: Detector | None = None


class Teaching:
    """Teaches for the requests of one engine."""

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        self._engine, self._recordings = engine, recordings
        self._fitting = asyncio.Semaphore(FITS)

    async def teach(
        self,
        name: str,
        text: str | None,
        given: Sequence[tuple[bool, Example | str | bytes]],
        *,
        k: int,
        suggestions: int,
        progress: Progress | None = None,
    ) -> Lesson:
        """Make a draft by examples, each with whether it is the sound.

        Raises
        ------
        UsageError
            No example of the sound can be used, or one is both the sound and not.
        """
        examples = await self._read(given)
        await self._fill(examples, progress)
        usable = [one for one in examples if one.row is not None]
        yes, no = ([one for one in usable if one.is_yes is wanted] for wanted in (True, False))
        if not yes:
            faults = [f"{one.name}: {one.error}" for one in examples if one.error]
            why = f" ({faults[0]})" if faults else ""
            raise UsageError(f"no example of {name!r} can be used{why}", "give sounds that it can be heard in")
        rows = [
            np.array([one.row for one in some]).reshape(-1, self._engine.clap.config.embedding) for some in (yes, no)
        ]
        refuse_copies(([one.name for one in yes], rows[0]), ([one.name for one in no], rows[1]))
        detector = await self._fit(name, text, *rows)
        kept = [self._source(one) for one in usable] if self._engine.settings.manage else []
        marked = [one.file.path for one in usable if one.file is not None]
        skipped = [
            Skipped(of="yes" if one.is_yes else "no", index=one.index, name=one.name, error=one.error)
            for one in examples
            if one.row is None
        ]
        return replace(await self._finish(Taught(detector, examples=kept), k, suggestions, marked), skipped=skipped)

    async def refit(self, name: str, *, k: int, suggestions: int, progress: Progress | None = None) -> Lesson:
        """Make a draft for the loaded model of a detector of another one, by the examples that were kept.

        Raises
        ------
        RequestRefused
            None were, or they are damaged.
        """
        engine = self._engine
        before = await engine.in_thread(lambda: engine.detectors.to_refit(name))
        clap = cast(CLAP, engine.telling(progress))
        try:
            yes, no = await engine.in_thread(lambda: embed_kept_examples(clap, before))
        except OpenClapError:
            raise RequestRefused(f"the examples of the detector {name!r} are damaged; teach it again", 409, "no_examples") from None  # fmt: skip
        made = replace(await self._fit(before.name, before.text or "", yes, no), threshold=before.threshold)
        lesson = await self._finish(Taught(made, examples=before.key), k, suggestions, ())
        return replace(lesson, before=before)

    # -- examples --------------------------------------------------------------------------------------

    async def _read(self, given: Sequence[tuple[bool, Example | str | bytes]]) -> list[_Given]:
        """What was given, each found or with what is wrong with it."""
        counts = {True: 0, False: 0}
        found: list[_Given] = []
        for is_yes, one in given:
            index = counts[is_yes]
            counts[is_yes] += 1
            label = f"{'yes' if is_yes else 'no'}[{index}]"
            if isinstance(one, Example):
                example = _Given(is_yes, index, one.path or label, one.start or 0.0, one.end, one.track)
                if one.recording is not None:
                    self._find_recording(example, one.recording)
            else:
                example = _Given(is_yes, index, label)
                await self._upload(example, one)
            found.append(example)
        await self._find_files([one for one in found if one.recording is None and not one.error])
        return found

    def _find_recording(self, example: _Given, id: str) -> None:
        try:
            example.recording = self._recordings.get(id)
            example.name = example.recording.name
        except RequestRefused as error:
            example.error = str(error)

    async def _upload(self, example: _Given, content: str | bytes) -> None:
        """Keep a sound that came with the request as a recording, where it can be asked for again."""
        source = source_of(content, example.name)

        def keep() -> Recording:
            data = source.read()
            assert isinstance(data, bytes)
            with self._recordings.begin() as upload:
                upload.write(data)
                return upload.keep(example.name)

        try:
            example.recording = await run_in_threadpool(keep)
        except SoundError as error:
            example.error = error.cause

    async def _find_files(self, examples: list[_Given]) -> None:
        if not examples:
            return
        files = self._engine.files
        if files is None:
            raise RequestRefused("this server has no library; whoever runs it can give it one", 503, "no_library")
        there = await files.find([one.name for one in examples])
        for one in examples:
            one.file = there.get(one.name)
            one.error = "" if one.file is not None else "the library holds no such sound"
        wanted = [one for one in examples if one.file is not None]
        rows = await self._engine.in_library(
            lambda view: view.examples([(cast(File, one.file).path, one.part) for one in wanted])
        )
        for one, row in zip(wanted, rows, strict=True):
            one.row = row

    async def _fill(self, examples: list[_Given], progress: Progress | None) -> None:
        """Hear those whose rows are not known, in a thread; who has gone is not worked for."""
        new = [one for one in examples if one.row is None and not one.error]
        if not new:
            return
        gone, embedder = threading.Event(), self._engine.embedder

        def hear() -> None:
            for number, one in enumerate(new, 1):
                try:
                    one.row = self._row_of(one, embedder, gone)
                except SoundError as error:
                    one.error = error.cause
                except OpenClapError as error:
                    one.error = str(error)
                if progress is not None:
                    progress.tell_each(number, len(new) + STEPS)

        try:
            await self._engine.in_thread(hear)
        except DecodingStopped:
            raise RequestRefused("the server is going down", 503, "going_down") from None
        finally:
            gone.set()

    def _row_of(self, one: _Given, embedder: BatchedEmbedder, gone: threading.Event) -> Vectors:
        """The row (E,) of an example: the mean of its windows in which something is heard.

        Raises
        ------
        SoundError
            It cannot be heard.
        """
        settings, seconds, part = self._engine.settings, embedder.front_end.clip_seconds, one.part
        if part is not None and part[0] >= part[1]:
            raise SoundError(one.name, "ends before this part begins; give an earlier one")
        if part is not None and part[1] - part[0] > settings.audio_seconds:
            raise SoundError(one.name, f"is a part of more than {settings.audio_seconds:g} s; give a shorter one")
        hold = nullcontext() if one.recording is None else self._recordings.hold(one.recording)
        opened = nullcontext(one.recording.path) if one.recording is not None else self._open(one)
        with hold, opened as sound:
            most = settings.recording_seconds if one.recording is not None else settings.audio_seconds
            whole = limit(sound, track=one.track, stop=gone, seconds=None if part else most)

            def listen() -> dict[str, Any]:
                heard = whole if part is None else _cut(whole, embedder.front_end.sampling_rate, part, one.name)
                found: Windows = embedder.encode_windows(heard, window=seconds, hop=seconds / 2)
                return {"row": track_vector(found.embedding, found.level), "heard": np.array(found.heard.any())}

            kept = self._engine.heard.recall(whole, ("example", embedder.fingerprint, *(part or ())), listen)
        if not kept["heard"]:
            raise SoundError(one.name, "nothing is heard in it")
        return np.asarray(kept["row"], np.float32)

    def _open(self, one: _Given) -> BinaryIO:
        files = self._engine.files
        assert files is not None
        assert one.file is not None
        return files.open_now(one.name, one.file).handle

    def _source(self, one: _Given) -> ExampleSource:
        """Where an example is copied from when the draft is kept."""
        if one.recording is None:
            return ExampleSource(partial(self._open, one), one.is_yes, one.start, one.end)
        opened = partial(_reopen, self._recordings, one.recording.id)
        return ExampleSource(opened, one.is_yes, one.start, one.end)

    # -- the fit ---------------------------------------------------------------------------------------

    async def _fit(self, name: str, text: str | None, yes: Vectors, no: Vectors) -> Detector:
        drawn = await self._with_library(lambda view: view.counter_examples(yes), yes[:0])
        clap = cast(CLAP, self._engine.embedder)

        def work() -> Detector:
            reference_bank(clap)  # the first time the model makes it
            return fit(clap, name, yes, no, text=text, drawn=drawn)

        async with self._fitting:
            made = await self._engine.in_thread(work)
        return replace(made, model=self._engine.name)  # never the path of a model

    async def _finish(self, taught: Taught, k: int, suggestions: int, marked: Sequence[str]) -> Lesson:
        nothing: tuple[Ranked[Hit], list[Hit]] = (Ranked(), [])
        detector = taught.detector
        hits, next_ = await self._with_library(lambda view: view.rank(detector, k, suggestions, marked), nothing)
        return Lesson(self._engine.detectors.add_draft(taught), detector, hits, next_)

    async def _with_library(self, call: Callable[[Any], T], otherwise: T) -> T:
        """Ask the library, where there is one that this model made."""
        if not self._engine.has_library:
            return otherwise
        return await self._engine.in_library(call)


def _cut(sound: Any, rate: int, part: tuple[float, float], name: str) -> tuple[Any, int]:
    (wave,) = cut(sound, rate, [part])
    if not len(wave):
        raise SoundError(name, "ends before this part begins; give an earlier one")
    return wave, rate


def _reopen(recordings: Recordings, id: str) -> BinaryIO:
    return Path(recordings.get(id).path).open("rb")
