"""A cache of text embeddings, so that the labels of repeated classifications are embedded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from openclap.normalization import Vectors

__all__ = ["TextEmbeddingCache"]


class TextEmbeddingCache:
    """The vectors of the texts used last; several threads may use it.

    Vectors belong to one state of the weights: where the state changes, the cache is emptied.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self._state: object = None
        self._lock = threading.Lock()

    def missing(self, texts: Sequence[str], state: object) -> list[str]:
        """The texts that are not in the cache, each once."""
        with self._lock:
            known = self._known if state == self._state else {}
            return [text for text in dict.fromkeys(texts) if text not in known]

    def embed(self, texts: Sequence[str], encode: Callable[[list[str]], Vectors], state: object) -> Vectors:
        """Texts (M,) → rows (M, E); `encode` embeds those that are not in the cache."""
        with self._lock:
            if state != self._state:
                self._known.clear()
                self._state = state
            known = {text: self._known[text] for text in texts if text in self._known}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known |= {text: row.copy() for text, row in zip(missing, encode(missing), strict=True)}
        with self._lock:
            if state == self._state:
                for text in known:
                    self._known[text] = known[text]
                    self._known.move_to_end(text)
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return np.stack([known[text] for text in texts])
