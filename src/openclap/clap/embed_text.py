"""Texts → unit rows, Chinese ones by way of English. Knows nothing of sounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.load import load_tokenizer
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.clap.runtime import Runtime
from openclap.errors import UsageError
from openclap.language import Translator, has_foreign

__all__ = ["TextEmbedder", "as_text_list"]

Vectors = npt.NDArray[np.float32]


class TextEmbedder:
    """Embeds texts with the towers as they are now; `CLAP` says what each call gives."""

    def __init__(self, towers: Runtime, bridge: Translator) -> None:
        self._towers = towers
        self._bridge = bridge

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Loaded when the first text is encoded: audio-only use never needs it."""
        return load_tokenizer(self._towers.checkpoint)

    @cached_property
    def _reads_chinese(self) -> bool:
        return self.tokenizer.reads_chinese()

    def in_english(self, texts: str | Sequence[str]) -> list[str]:
        """As `CLAP.in_english`.

        Methods of `CLAP` call it themselves, so that the bridge's warning names who called them.
        """
        many = as_text_list(texts)
        if self._bridge.is_off or not any(map(has_foreign, many)) or (self._bridge.is_auto and self._reads_chinese):
            return many
        return self._bridge(many)

    def embed(self, english: Sequence[str], batch_size: int) -> Vectors:
        """Texts (M) that the text tower reads → rows (M, E)."""
        if not english:
            return np.zeros((0, self._towers.config.embedding), np.float32)
        batches = (list(english[i : i + batch_size]) for i in range(0, len(english), batch_size))
        return np.concatenate([self._towers.encode_text(*self.tokenizer(batch)) for batch in batches])


def as_text_list(texts: str | Sequence[str]) -> list[str]:
    """One text or several → a list; refuses what is none."""
    try:
        many = [texts] if isinstance(texts, str) else list(texts)
    except TypeError:
        raise UsageError(f"texts are a string or a list of them, not {type(texts).__name__}") from None
    for text in many:
        if not isinstance(text, str):
            raise UsageError(f"a text must be a string, not {type(text).__name__}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"a text holds what is no Unicode: {text!a}; replace those characters") from None
        if not text.strip():
            raise UsageError("a text is empty; describe a sound in words")
    return many
