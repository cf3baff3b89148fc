"""Texts → unit rows; those in other languages are translated into English first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from openclap.checkpoints.load import load_tokenizer
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.clap.outputs import UNIT, Wanted
from openclap.clap.runtime import Runtime
from openclap.errors import LanguageWarning, UsageError
from openclap.language import ENGLISH_BASICS, SPACED, Language, Translator, has_foreign
from openclap.normalization import Vectors
from openclap.results import UnderstoodText, UnknownWord
from openclap.text_cache import TextEmbeddingCache
from openclap.warn_caller import warn_caller

__all__ = ["BATCH", "TextEmbedder", "as_text_list"]

BATCH = 64  # texts, by default
MOST_UNKNOWN = 10  # words that are named; to find known ones that are spelt like one takes 0.1 s
CACHED_PROMPTS = 4096  # vectors in memory: 8 MB at E = 512


class TextEmbedder:
    """Embeds texts with the current weights; the methods are documented in `CLAP`."""

    def __init__(self, runtime: Runtime, translator: Translator) -> None:
        self._runtime = runtime
        self._translator = translator
        self._prompts = TextEmbeddingCache(CACHED_PROMPTS)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded at first use."""
        return load_tokenizer(self._runtime.checkpoint)

    @cached_property
    def _reads_chinese(self) -> bool:
        return self.tokenizer.reads_chinese()

    @cached_property
    def _unread(self) -> tuple[Language, ...]:
        """The languages of Latin letters that the tower does not read itself, and that can be told from English."""
        if not self.tokenizer.reads(ENGLISH_BASICS):
            return ()
        return tuple(language for language in SPACED if not self.tokenizer.reads(language.basics))

    def in_english(self, texts: str | Sequence[str]) -> list[str]:
        """As `CLAP.in_english`."""
        many = as_text_list(texts)
        translator = self._translator
        if translator.is_off:
            return many
        if not translator.is_auto:
            return translator(many)
        read = [has_foreign(text) and self._reads_chinese for text in many]
        english = iter(
            translator(
                [text for text, as_it_is in zip(many, read, strict=True) if not as_it_is], self.tokenizer, self._unread
            )
        )
        return [text if as_it_is else next(english) for text, as_it_is in zip(many, read, strict=True)]

    def unknown_words(self, texts: str | Sequence[str]) -> list[UnknownWord]:
        """As `CLAP.unknown_words`."""
        found: dict[str, UnknownWord] = {}
        for text in self.in_english(texts):
            for word in self.tokenizer.unknown_words(text):
                if len(found) == MOST_UNKNOWN:
                    break
                if word not in found:
                    found[word] = UnknownWord(word, self.tokenizer.nearest_words(word))
        return list(found.values())

    def understood(self, texts: str | Sequence[str]) -> list[UnderstoodText]:
        """As `CLAP.understood`."""
        many = list(dict.fromkeys(as_text_list(texts)))
        pairs = zip(many, self.in_english(many), strict=True)
        return [UnderstoodText(text, english) for text, english in pairs if english != text]

    def known_texts(self, texts: str | Sequence[str], if_empty: str) -> list[str]:
        """As `as_text_list`, and warn of words that the model was never taught."""
        many = as_text_list(texts, if_empty)
        unknown = self.unknown_words(many)
        if unknown:
            warn_caller(f"{self._runtime.config.name} does not know {', '.join(map(str, unknown))}", LanguageWarning)
        return many

    def embed_prompts(self, texts: Sequence[str]) -> Vectors:
        """Embed M texts → rows (M, E), each once: what was embedded is remembered until a weight changes."""
        encode = lambda missing: self.embed(self.in_english(missing), BATCH)
        return self._prompts.embed(texts, encode, self._runtime.state)

    def embed(self, english: Sequence[str], batch_size: int, wanted: Wanted = UNIT) -> Vectors:
        """Embed M texts in the tower's language → rows (M, E), or as `CLAP.encode_text` says."""
        if not english:
            return np.zeros((0, self._runtime.config.embedding), np.float32)
        made = [
            self._embed_batch(list(english[i : i + batch_size]), wanted) for i in range(0, len(english), batch_size)
        ]
        if wanted.output == "frames":  # as long as the longest text
            longest = max(rows.shape[1] for rows in made)
            made = [np.pad(rows, ((0, 0), (0, longest - rows.shape[1]), (0, 0))) for rows in made]
        return wanted.finish(np.concatenate(made))

    def _embed_batch(self, texts: list[str], wanted: Wanted) -> Vectors:
        ids, mask = self.tokenizer(texts)
        rows = self._runtime.encode_text(ids, mask, wanted.of_tower)
        return rows * mask[..., None].astype(np.float32) if wanted.output == "frames" else rows


def as_text_list(texts: str | Sequence[str], if_empty: str = "") -> list[str]:
    """One text or several → a list; anything else is refused, and an empty list where there is a message for it.

    Raises
    ------
    UsageError
        What was given is no text, is empty, or holds what is no Unicode; or there is no text at all, as `if_empty` says.
    """
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
    if if_empty and not many:
        raise UsageError(f"{if_empty}; give at least one")
    return many
