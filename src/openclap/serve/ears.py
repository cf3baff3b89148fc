"""A model as one of many hears through it: every call waits its turn in the lanes. Knows nothing of HTTP.

    a describer ─┐                          ┌─ lane "audio" ─┐
    a timeline ──┼─ SharedEars ─ CHUNK clips┤                ├─ model
    a watch ─────┘                          └─ lane "text" ──┘

Who describes or watches asks as often as it likes, and has `CHUNK` clips in the lane and as many made ahead: requests and sockets take
turns. For threads that may wait, never for the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip
from openclap.clap.pieces import Clips, embed_clips, embed_sounds, embed_windows
from openclap.config import CLAPConfig, FrontEnd
from openclap.errors import SoundError
from openclap.results import Windows

if TYPE_CHECKING:
    from openclap.clap import CLAP, Long

__all__ = ["CHUNK", "Clips", "LibraryEars", "SharedEars"]

Vectors = npt.NDArray[np.float32]
AskAudio: TypeAlias = Callable[[Clips], "Future[Vectors]"]
AskText: TypeAlias = Callable[[list[str]], Vectors]

CHUNK = 8  # clips of one sound that wait for the model at once


class SharedEars:
    """What describing and watching need of a `CLAP` (`openclap.ears.Ears`, and what `Watch` asks for).

    Parameters
    ----------
    clap
        Decodes and makes clips, which any thread may; its towers are never called from here.
    audio
        Clips → the future of their rows (N, E).
    text
        Texts → their rows (M, E), at once or remembered.
    chunk
        Clips to have in the lane at once, now.
    """

    def __init__(self, clap: CLAP, audio: AskAudio, text: AskText, chunk: Callable[[], int] = lambda: CHUNK) -> None:
        self._clap, self._audio, self._text, self._chunk = clap, audio, text, chunk
        self.config: CLAPConfig = clap.config

    @property
    def front_end(self) -> FrontEnd:
        """The model's."""
        return self._clap.front_end

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self._clap.fingerprint

    @property
    def logit_scale(self) -> float:
        """The model's."""
        return self._clap.logit_scale

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """As `CLAP.encode_text`, for a list."""
        many = list(texts)
        return self._text(many) if many else np.zeros((0, self.config.embedding), np.float32)

    def encode_audio(self, sounds: Sequence[Any], *, long: Long = "auto", batch_size: int = CHUNK) -> Vectors:
        """As `CLAP.encode_audio`, for a list; batches are the lane's."""
        return embed_sounds(self._clap, sounds, long, self._rows)

    def encode_windows(self, sound: Any, *, window: float = 10.0, hop: float = 5.0) -> Windows:
        """As `CLAP.encode_windows`."""
        return embed_windows(self._clap, sound, window, hop, self._rows)

    def encode_each(
        self, sounds: Sequence[Any], *, window: float = 10.0, hop: float = 5.0
    ) -> Iterator[Windows | SoundError]:
        """As `CLAP.encode_each` with a window: a sound that cannot be used gives its error."""
        for sound in sounds:
            try:
                yield self.encode_windows(sound, window=window, hop=hop)
            except SoundError as error:
                yield error

    def _rows(self, clips: Iterable[Clip | WindowClip]) -> Vectors:
        """The rows (N, E) of clips."""
        return embed_clips(clips, self.config.embedding, ask=self._audio, most=self._chunk)


class LibraryEars(SharedEars):
    """A `CLAP` for a library that is searched, not filled: its towers are called through the lanes, all else is the model's."""

    def __getattr__(self, name: str) -> Any:
        """What a library asks of its model beside embeddings."""
        return getattr(self._clap, name)
