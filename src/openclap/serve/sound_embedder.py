"""Sounds of requests → their rows: each is decoded a few clips at a time while the model has the last ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from openclap.audio.clips import Clip, WindowClip
from openclap.clap import CLAP, Long
from openclap.errors import SoundError
from openclap.normalization import Vectors, normalize_rows
from openclap.serve.batched_embedder import Clips
from openclap.serve.sources import Embedded, Source, sums_of
from openclap.silence import is_heard

__all__ = ["SoundEmbedder"]


class SoundEmbedder:
    """Embeds sounds for a model that others use, too.

    Parameters
    ----------
    decoders
        The threads that decode.
    at_once
        How many sounds of a request are decoded at once.
    ask
        Clips → the future of their rows (N, E).
    chunk
        How many clips of one sound may wait for the model, now.
    read
        A source → the sound as it may be decoded, until the event is set.
    """

    def __init__(
        self,
        clap: CLAP,
        decoders: ThreadPoolExecutor,
        at_once: int,
        ask: Callable[[Clips], Future[Vectors]],
        chunk: Callable[[], int],
        read: Callable[[Source, threading.Event], Any],
    ) -> None:
        self._clap, self._decoders, self._at_once = clap, decoders, at_once
        self._ask_audio, self._chunk, self._read = ask, chunk, read

    async def embed(self, sources: Sequence[Source], long: Long) -> list[Embedded]:
        """Embed sounds, some at a time.

        Raises
        ------
        SoundError, RequestRefused
            Of the first one that cannot be used.
        """
        gone, few = threading.Event(), asyncio.Semaphore(self._at_once)

        async def embed_one(source: Source) -> Embedded:
            async with few:
                return await self._embed_sound(source, long, gone)

        try:
            found = await asyncio.gather(*map(embed_one, sources), return_exceptions=True)
        finally:
            gone.set()  # nobody waits for the others any more
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return found  # type: ignore[return-value]

    async def _embed_sound(self, source: Source, long: Long, gone: threading.Event) -> Embedded:
        """Embed a sound; the next clips are decoded while the model embeds the last ones."""
        loop = asyncio.get_running_loop()
        sums = np.zeros((2, self._clap.config.embedding), np.float32)  # of all clips, and of those that are heard
        heard, any_heard, waiting = np.zeros(0, np.bool_), False, None
        clips = self._clips_of(source, long, gone)
        try:
            more = True
            while more:
                chunk, more = await loop.run_in_executor(self._decoders, self._take, clips)
                if waiting is not None:
                    sums = sums + sums_of(await waiting, heard)
                heard = is_heard([clip.level for clip in chunk])
                any_heard = any_heard or bool(heard.any())
                waiting = asyncio.wrap_future(self._ask_audio(chunk)) if chunk else None
        except SoundError as error:
            raise type(error)(source.name, error.cause) from error
        if waiting is not None:
            sums = sums + sums_of(await waiting, heard)
        row, track = normalize_rows(sums)
        return Embedded(row, track if any_heard else row, silent=not any_heard)

    def _clips_of(self, source: Source, long: Long, gone: threading.Event) -> Iterator[Clip | WindowClip]:
        """Cut a sound into clips; it is read when the first clip is asked for."""
        yield from self._clap.clips(self._read(source, gone), long=long)

    def _take(self, clips: Iterator[Clip | WindowClip]) -> tuple[Clips, bool]:
        """Take the next clips → the clips, and whether there may be more."""
        size = self._chunk()
        chunk = list(islice(clips, size))
        return chunk, len(chunk) == size
