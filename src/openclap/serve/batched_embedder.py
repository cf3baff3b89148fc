"""A model for many who ask at once: every call of its towers waits its turn in the queues.

    a description ─┐                                ┌─ queue "audio" ─┐
    a timeline ────┼─ BatchedEmbedder ─ CHUNK clips ┤                 ├─ model
    a watch ───────┘                                └─ queue "text" ──┘

Who describes, watches or searches asks as often as it likes, and has `CHUNK` clips in the queue and as many made
ahead: requests and sockets take turns. For threads that may wait, never for the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip
from openclap.clap.chunked_embedding import Clips, embed_clips, embed_sounds, embed_windows
from openclap.config import CLAPConfig
from openclap.errors import SoundError
from openclap.results import Windows

if TYPE_CHECKING:
    from openclap.clap import CLAP, Long

__all__ = ["CHUNK", "BatchedEmbedder", "Clips"]

Vectors = npt.NDArray[np.float32]
AskAudio: TypeAlias = Callable[[Clips], "Future[Vectors]"]
AskText: TypeAlias = Callable[[list[str]], Vectors]

CHUNK = 8  # clips of one sound that wait for the model at once


class BatchedEmbedder:
    """A `CLAP` whose towers are called through the queues; all else is the model's own.

    Parameters
    ----------
    clap
        Decodes and makes clips, which any thread may; its towers are never called from here.
    audio
        Clips → the future of their rows (N, E).
    text
        Texts → their rows (M, E).
    chunk
        How many clips to have in the queue at once, now.
    """

    config: CLAPConfig
    fingerprint: str
    logit_scale: float

    def __init__(self, clap: CLAP, audio: AskAudio, text: AskText, chunk: Callable[[], int] = lambda: CHUNK) -> None:
        self._clap, self._audio, self._text, self._chunk = clap, audio, text, chunk

    def __getattr__(self, name: str) -> Any:
        """Pass everything that is not embedding on to the model."""
        return getattr(self._clap, name)

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Embed texts as `CLAP.encode_text` does; a list only."""
        return self._text(list(texts))

    def encode_audio(self, sounds: Sequence[Any], *, long: Long = "auto", batch_size: int = CHUNK) -> Vectors:
        """Embed sounds as `CLAP.encode_audio` does; a list only, and the queue decides on batches."""
        return embed_sounds(self._clap, sounds, long, self._embed)

    def encode_windows(self, sound: Any, *, window: float = 10.0, hop: float = 5.0) -> Windows:
        """Embed the windows of a sound as `CLAP.encode_windows` does."""
        return embed_windows(self._clap, sound, window, hop, self._embed)

    def encode_each(
        self, sounds: Sequence[Any], *, window: float = 10.0, hop: float = 5.0
    ) -> Iterator[Windows | SoundError]:
        """Embed the windows of each sound as `CLAP.encode_each` does; a sound that cannot be used gives its error."""
        for sound in sounds:
            try:
                yield self.encode_windows(sound, window=window, hop=hop)
            except SoundError as error:
                yield error

    def _embed(self, clips: Iterable[Clip | WindowClip]) -> Vectors:
        """Embed clips → rows (N, E)."""
        return embed_clips(clips, self.config.embedding, ask=self._audio, most=self._chunk)
