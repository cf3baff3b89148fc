"""A model for many who ask at once: every call of its towers waits its turn in the queues.

    a description ─┐                                ┌─ queue "audio" ─┐
    a timeline ────┼─ BatchedEmbedder ─ CHUNK clips ┤                 ├─ model
    a watch ───────┘                                └─ queue "text" ──┘

Who describes, watches or searches asks as often as it likes, and has `CHUNK` clips in the queue and as many made
ahead: requests and sockets take turns. For threads that may wait, never for the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from openclap.clap import CLAP
from openclap.clap.chunked_embedding import ChunkedEmbedder, Clips
from openclap.normalization import Vectors

__all__ = ["CHUNK", "BatchedEmbedder", "Clips"]


CHUNK = 8  # clips of one sound that wait for the model at once


class BatchedEmbedder(ChunkedEmbedder):
    """A `CLAP` whose towers are called through the queues.

    Parameters
    ----------
    audio
        Clips → the future of their rows (N, E).
    text
        Texts → their rows (M, E).
    chunk
        How many clips to have in the queue at once, now.
    heard, each
        As `ChunkedEmbedder`'s.
    """

    def __init__(
        self,
        clap: CLAP,
        audio: Callable[[Clips], Future[Vectors]],
        text: Callable[[list[str]], Vectors],
        chunk: Callable[[], int] = lambda: CHUNK,
        heard: Callable[[float], None] = lambda seconds: None,
        each: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        super().__init__(clap, audio, chunk, heard, each)
        self._text = text

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Embed texts as `CLAP.encode_text` does; a list only."""
        return self._text(list(texts))
