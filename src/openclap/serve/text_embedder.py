"""Texts → rows, a few at a time, with those of the last requests remembered.

128 texts ─ piece ─ queue "text" ─ rows        others' pieces come in between; who has gone asks for no further one
─ piece ─      "       ─ rows
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np

from openclap.clap import CLAP
from openclap.library.query import read_question, texts_of
from openclap.normalization import Vectors
from openclap.serve.batching import BatchQueue
from openclap.text_cache import TextEmbeddingCache

__all__ = ["QueuedTextEmbedder", "TemplatedText"]

TemplatedText: TypeAlias = tuple[str, str]  # a template, or none, and a text
Piece: TypeAlias = list[TemplatedText]

KNOWN = 8192  # texts whose vectors are remembered: labels, captions, queries
A_TEXT = 1 << 10  # characters that weigh as much as a text


class QueuedTextEmbedder:
    """The text tower of a model, which many requests use at once.

    Parameters
    ----------
    patience, most, seen
        Of its queue.
    """

    def __init__(self, clap: CLAP, *, patience: float, most: int, seen: Callable[[int], None]) -> None:
        self._clap, self._batch = clap, most
        self._known = TextEmbeddingCache(KNOWN)
        self.queue: BatchQueue[Piece, tuple[Vectors, int]] = BatchQueue(
            "text", self._encode, patience=patience, most=most, seen=seen
        )

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Embed texts → rows (M, E), and their number of tokens."""
        found = [await asyncio.wrap_future(asked) for _, asked in self._ask([("", text) for text in texts])]
        return np.concatenate([rows for rows, _ in found]), sum(tokens for _, tokens in found)

    async def embed_known(self, texts: Sequence[TemplatedText]) -> Vectors:
        """Embed texts, or labels in their template → rows (M, E); those of the last requests are remembered."""
        by_key = {_key(one): one for one in texts}
        made: dict[str, Vectors] = {}
        for piece, asked in self._ask([by_key[key] for key in self._known.missing(list(by_key), None)]):
            rows, _ = await asyncio.wrap_future(asked)
            made |= zip(map(_key, piece), rows, strict=True)
        return self._recall(texts, made)

    async def prepare_query(self, words: str | None, without: Sequence[str] = ()) -> None:
        """Embed the words of a query in advance, so that the library finds them remembered."""
        query = [] if words is None else read_question(words).query
        await self.embed_known([("", text) for text in texts_of(query, without)])

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """Embed texts → rows (M, E), most of which are remembered; for a thread that may wait."""
        return self._recall([("", text) for text in texts], {})

    def _recall(self, texts: Sequence[TemplatedText], made: Mapping[str, Vectors]) -> Vectors:
        """Get rows from memory, or from those just made; what was forgotten meanwhile is embedded again."""
        if not texts:
            return np.zeros((0, self._clap.config.embedding), np.float32)
        by_key = {_key(one): one for one in texts}

        def encode(missing: list[str]) -> Vectors:
            asked = self._ask([by_key[key] for key in missing if key not in made])
            rows = dict(made)
            for piece, future in asked:
                rows |= zip(map(_key, piece), future.result()[0], strict=True)
            return np.stack([rows[key] for key in missing])

        return self._known.embed([_key(one) for one in texts], encode, None)

    # -- pieces ----------------------------------------------------------------------------------------

    def _ask(self, texts: Sequence[TemplatedText]) -> Iterator[tuple[Piece, Future[tuple[Vectors, int]]]]:
        """Queue texts in small pieces, the next one when the caller has waited for the last: others come in between."""
        piece: Piece = []
        for text in texts:
            if piece and _weight([*piece, text]) > self.queue.room:
                yield piece, self.queue.ask(piece, weight=_weight(piece))
                piece = []
            piece.append(text)
        if piece:
            yield piece, self.queue.ask(piece, weight=_weight(piece))

    def _encode(self, jobs: list[Piece]) -> list[tuple[Vectors, int]]:
        """Embed texts of several requests in one call → the rows and the number of tokens of each."""
        templated = [one for job in jobs for one in job]
        english = self._clap.in_english([text for _, text in templated])
        texts = [
            template.replace("{}", text) if template else text
            for (template, _), text in zip(templated, english, strict=True)
        ]
        rows = self._clap.encode_text(texts, batch_size=self._batch)
        tokens = self._clap.tokenizer(texts)[1].sum(axis=1)
        ends = np.cumsum([len(job) for job in jobs])[:-1]
        return [
            (part, int(count.sum())) for part, count in zip(np.split(rows, ends), np.split(tokens, ends), strict=True)
        ]


def _key(one: TemplatedText) -> str:
    """The key that the vector of a text is remembered by."""
    return "\0".join(one)


def _weight(texts: Sequence[TemplatedText]) -> int:
    """Long texts weigh as much as several."""
    return sum(1 + (len(template) + len(text)) // A_TEXT for template, text in texts)
