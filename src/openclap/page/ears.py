"""A model as one of many jobs hears through it: every call of its towers is a small piece, which waits its turn.

Knows no tab.

    moments, a timeline, a search … ─ Turns ─ pieces of some clips, or some texts ─ the model's one thread

What decodes and makes clips does so in the thread of who asks, ahead of the model by a piece.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

import numpy as np

from openclap.clap import CLAP
from openclap.clap.chunked_embedding import ChunkedEmbedder, Clips
from openclap.clap.similarity import rank_labels, score_texts
from openclap.normalization import Vectors
from openclap.results import Label, Match, Scores

__all__ = ["Pace", "Turns"]

T = TypeVar("T")
Ask: TypeAlias = Callable[[Callable[[], Any]], "Future[Any]"]

CLIPS, TEXTS = 8, 8  # of a piece, at most
CHARACTERS = 4096  # of its texts, unless one alone is longer
SECONDS = 0.25  # that a piece should take


class Pace:
    """How many clips a model hears in a turn, by how long the last ones took it."""

    def __init__(self) -> None:
        self._seconds = 0.0  # a clip

    @property
    def clips(self) -> int:
        """Of the next piece."""
        return CLIPS if self._seconds * CLIPS <= SECONDS else max(1, int(SECONDS / self._seconds))

    def timed(self, clap: CLAP, clips: Clips) -> Vectors:
        """Their rows; in the model's thread."""
        begun = time.monotonic()
        rows = clap.encode_clips(clips)
        self._seconds = (time.monotonic() - begun) / max(1, len(clips))
        return rows


class Turns(ChunkedEmbedder):
    """A `CLAP` whose towers are called by turns; what needs none of them is the model's own.

    Parameters
    ----------
    ask
        Has something done by the model's thread; raises `DecodingStopped` where nobody waits for it any more.
    heard, each
        As `ChunkedEmbedder`'s.
    """

    def __init__(
        self,
        clap: CLAP,
        ask: Ask,
        pace: Pace | None = None,
        heard: Callable[[float], None] = lambda seconds: None,
        each: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        own = pace or Pace()
        super().__init__(clap, lambda piece: ask(lambda: own.timed(clap, piece)), lambda: own.clips, heard, each)
        self._ask = ask

    # -- texts -----------------------------------------------------------------------------------------

    def encode_text(self, texts: str | Sequence[str], *, batch_size: int = TEXTS) -> Vectors:
        """As `CLAP.encode_text`."""
        many = [texts] if isinstance(texts, str) else list(texts)
        rows = [self._do(lambda some=some: self._clap.encode_text(some)) for some in _pieces(many)]  # type: ignore[misc]
        return np.concatenate(rows) if rows else np.zeros((0, self._clap.config.embedding), np.float32)

    def match(self, sound: Any, texts: Sequence[str]) -> Scores[Match]:
        """As `CLAP.match`."""
        row, silent = self._row_of(sound)
        return score_texts(texts, self._clap.similarity(row, self.encode_text(texts))[0], silent=silent)

    def classify(self, sound: Any, labels: Sequence[str]) -> Scores[Label]:
        """As `CLAP.classify`."""
        row, silent = self._row_of(sound)
        rows = [self._do(lambda some=some: self._clap.encode_labels(some)) for some in _pieces(labels)]  # type: ignore[misc]
        cosines = self._clap.similarity(row, np.concatenate(rows))[0]
        return rank_labels(labels, cosines, self._clap.logit_scale, silent=silent)

    # -- inside ----------------------------------------------------------------------------------------

    def _do(self, call: Callable[[], T]) -> T:
        return self._ask(call).result()

    def _row_of(self, sound: Any) -> tuple[Vectors, bool]:
        """The embedding (1, E) of a sound, or of itself, and whether the sound is silent."""
        return (sound[None], False) if isinstance(sound, np.ndarray) else self.row_of(sound)


def _pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts, some at a time: few, and few characters."""
    some: list[str] = []
    for text in texts:
        if some and (len(some) == TEXTS or sum(map(len, some)) + len(text) > CHARACTERS):
            yield some
            some = []
        some.append(text)
    if some:
        yield some
