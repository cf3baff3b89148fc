"""Sounds → unit rows, a few clips at a time, for several users who share a model.

    clips ─ a chunk ─ submit ─ its rows (N, E)       the next chunk is made while the model computes the last one

The owner of the model (the service, the page) says how a chunk is submitted, and how many clips the next one may have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from openclap.audio.clips import Clip, WindowClip, make_windows
from openclap.clap.clap import CLAP
from openclap.clap.embed_audio import Long, as_list
from openclap.config import CLAPConfig
from openclap.errors import SoundError
from openclap.normalization import Vectors, normalize_rows
from openclap.results import Windows
from openclap.silence import is_heard, track_vector

__all__ = ["ChunkedEmbedder", "Clips"]

AnyClip: TypeAlias = Clip | WindowClip
Clips: TypeAlias = list[AnyClip]
Heard: TypeAlias = Callable[[float], None]


class ChunkedEmbedder:
    """A `CLAP` whose audio tower gets a few clips at a time; all that is not sound is the model's own.

    Parameters
    ----------
    clap
        Decodes and makes clips, which any thread may.
    submit
        Submits a chunk of clips → the future of their rows (N, E).
    most
        Gives the number of clips that the next chunk may have.
    heard
        Called with the end, in seconds, of the last window of each chunk of a recording that was embedded.
    each
        Called with how many of how many sounds were embedded.
    """

    config: CLAPConfig
    fingerprint: str
    logit_scale: float

    def __init__(
        self,
        clap: CLAP,
        submit: Callable[[Clips], Future[Vectors]],
        most: Callable[[], int],
        heard: Heard = lambda seconds: None,
        each: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._clap, self._submit, self._most, self._heard, self._each = clap, submit, most, heard, each

    def __getattr__(self, name: str) -> Any:
        """What others ask of a model beside embeddings."""
        return getattr(self._clap, name)

    def encode_clips(self, clips: Iterable[AnyClip]) -> Vectors:
        """As `CLAP.encode_clips`."""
        return self._embed(clips, lambda seconds: None)

    def encode_audio(self, sounds: Any, *, long: Long = "auto", batch_size: int = 0) -> Vectors:
        """As `CLAP.encode_audio`; how large batches are is not the caller's choice."""
        counts: list[int] = []

        def clips() -> Iterator[AnyClip]:
            for sound in as_list(sounds):
                counts.append(0)
                for clip in self._clap.clips(sound, long=long):
                    counts[-1] += 1
                    yield clip

        rows = self._embed(clips(), self._heard)
        return normalize_rows(np.add.reduceat(rows, np.cumsum([0, *counts[:-1]]), axis=0)) if len(rows) else rows

    def row_of(self, sound: Any) -> tuple[Vectors, bool]:
        """The row (1, E) of one sound, of the windows in which something is heard, and whether the sound is silent."""
        level: list[float] = []

        def clips() -> Iterator[AnyClip]:
            for clip in self._clap.clips(sound):
                level.append(clip.level)
                yield clip

        rows = self._embed(clips(), self._heard)
        return track_vector(rows, np.array(level))[None], not is_heard(level).any()

    def encode_windows(self, sound: Any, *, window: float | None = None, hop: float | None = None) -> Windows:
        """As `CLAP.encode_windows`."""
        usual = self._clap.front_end.window_seconds
        window, hop = usual if window is None else window, usual / 2 if hop is None else hop
        return self._windows(sound, window, hop, self._heard)

    def encode_each(
        self, sounds: Sequence[Any], *, window: float = 10.0, hop: float = 5.0
    ) -> Iterator[Windows | SoundError]:
        """As `CLAP.encode_each` with a window."""
        for number, sound in enumerate(sounds, 1):
            try:
                yield self._windows(sound, window, hop, lambda seconds: None)
            except SoundError as error:
                yield error
            self._each(number, len(sounds))

    def _windows(self, sound: Any, window: float, hop: float, heard: Heard) -> Windows:
        start: list[float] = []
        end: list[float] = []
        level: list[float] = []

        def clips() -> Iterator[AnyClip]:
            as_waves = self._clap.backend.takes_waves
            for clip in make_windows(sound, self._clap.front_end, window=window, hop=hop, as_waves=as_waves):
                start.append(clip.start)
                end.append(clip.end)
                level.append(clip.level)
                yield clip

        rows = self._embed(clips(), heard)
        return Windows(np.array(start), np.array(end), rows, np.array(level, np.float32))

    def _embed(self, clips: Iterable[AnyClip], heard: Heard) -> Vectors:
        """Embed clips, chunk by chunk → their rows (N, E)."""
        rows: list[Vectors] = []
        pending: tuple[Future[Vectors], AnyClip] | None = None

        def take() -> None:
            if pending is not None:
                coming, last = pending
                rows.append(coming.result())
                if isinstance(last, WindowClip):
                    heard(last.end)

        made = iter(clips)
        while chunk := list(islice(made, self._most())):
            take()
            pending = self._submit(chunk), chunk[-1]
        take()
        return np.concatenate(rows) if rows else np.zeros((0, self.config.embedding), np.float32)
