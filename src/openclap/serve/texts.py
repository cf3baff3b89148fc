"""Texts → rows, a few at a time, with those of the last requests remembered. Knows nothing of sounds or HTTP.

128 texts ─ piece ─ lane "text" ─ rows        others' pieces come in between; who has gone asks for no further one
─ piece ─      "      ─ rows
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.clap import CLAP
from openclap.library.query import parse
from openclap.prompts import Prompts
from openclap.serve.batching import Lane

__all__ = ["Texts", "Wording"]

Vectors = npt.NDArray[np.float32]
Wording: TypeAlias = tuple[str, str]  # a template, or none, and a text

KNOWN = 4096  # texts whose vectors are remembered: labels, queries
A_TEXT = 1 << 10  # characters that weigh as much as a text


class Texts:
    """The text tower of a model for many who ask at once.

    Parameters
    ----------
    patience, most, seen
        Of its lane.
    """

    def __init__(self, clap: CLAP, *, patience: float, most: int, seen: Callable[[int], None]) -> None:
        self._clap, self._batch = clap, most
        self._known = Prompts(KNOWN)
        self.lane: Lane[list[Wording], tuple[Vectors, int]] = Lane(
            "text", self._read, patience=patience, most=most, seen=seen
        )

    async def rows(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Texts → rows (M, E), and how many tokens they have."""
        found = [await self._some(piece) for piece in self._pieces([("", text) for text in texts])]
        return np.concatenate([rows for rows, _ in found]), sum(tokens for _, tokens in found)

    async def vectors(self, texts: Sequence[Wording]) -> Vectors:
        """Texts, or labels in their template → rows (M, E); those of the last requests are known."""
        if not texts:
            return np.zeros((0, self._clap.config.embedding), np.float32)
        keys = {_key(one): one for one in texts}
        made: dict[str, Vectors] = {}
        for piece in self._pieces([keys[key] for key in self._known.unknown(list(keys), None)]):
            rows, _ = await self._some(piece)
            made |= zip(map(_key, piece), rows, strict=True)

        def encode(
            missing: list[str],
        ) -> Vectors:  # one may have been forgotten since, of 4096 others' that came meanwhile
            others = [keys[key] for key in missing if key not in made]
            known = made | dict(zip(map(_key, others), self._wait_for(others), strict=True))
            return np.stack([known[key] for key in missing])

        return self._known.vectors([_key(one) for one in texts], encode, None)

    async def read_query(self, words: str | None, without: Sequence[str] = ()) -> None:
        """Embed the words of a query, so that the library, which asks for all at once, finds them known."""
        wanted, unwanted = parse(words) if words is not None else ([], [])
        await self.vectors([("", text) for text in (*wanted, *unwanted, *without)])

    def remembered(self, texts: list[str]) -> Vectors:
        """Texts → rows, where most are known; for a thread that may wait."""
        if not texts:
            return np.zeros((0, self._clap.config.embedding), np.float32)
        keys = {_key(("", text)): text for text in texts}
        return self._known.vectors(
            list(map(_key, (("", text) for text in texts))),
            lambda missing: self.said([keys[key] for key in missing]),
            None,
        )

    def said(self, texts: list[str]) -> Vectors:
        """Texts → rows; for a thread that may wait."""
        return np.stack(self._wait_for([("", text) for text in texts]))

    # -- pieces ----------------------------------------------------------------------------------------

    def _wait_for(self, texts: Sequence[Wording]) -> list[Vectors]:
        pieces = self._pieces(texts)
        return [row for piece in pieces for row in self.lane.ask(piece, weight=_weight(piece)).result()[0]]

    async def _some(self, piece: list[Wording]) -> tuple[Vectors, int]:
        return await asyncio.wrap_future(self.lane.ask(piece, weight=_weight(piece)))

    def _pieces(self, texts: Sequence[Wording]) -> Iterator[list[Wording]]:
        """Texts in pieces that are read in a fraction of a second; how large one is is decided when it is asked for."""
        piece: list[Wording] = []
        for text in texts:
            if piece and _weight([*piece, text]) > self.lane.room:
                yield piece
                piece = []
            piece.append(text)
        if piece:
            yield piece

    def _read(self, jobs: list[list[Wording]]) -> list[tuple[Vectors, int]]:
        """Texts of several requests → each one's rows, and its number of tokens."""
        wordings = [one for job in jobs for one in job]
        english = self._clap.in_english([text for _, text in wordings])
        texts = [
            template.replace("{}", text) if template else text
            for (template, _), text in zip(wordings, english, strict=True)
        ]
        rows = self._clap.encode_text(texts, batch_size=self._batch)
        tokens = self._clap.tokenizer(texts)[1].sum(axis=1)
        ends = np.cumsum([len(job) for job in jobs])[:-1]
        return [
            (part, int(count.sum())) for part, count in zip(np.split(rows, ends), np.split(tokens, ends), strict=True)
        ]


def _key(one: Wording) -> str:
    """What the vector of a text is remembered by."""
    return "\0".join(one)


def _weight(texts: Sequence[Wording]) -> int:
    """Long texts weigh as much as several."""
    return sum(1 + (len(template) + len(text)) // A_TEXT for template, text in texts)
