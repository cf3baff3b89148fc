"""Texts → token ids, with a `tokenizer.json` and the `tokenizers` library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.config import AnyTextConfig
from openclap.errors import BadCheckpoint, LanguageWarning
from openclap.spelling import nearest_words
from openclap.warn_caller import warn_caller

__all__ = ["CharacterTokenizer", "Tokenizer", "load_fast_tokenizer"]

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

Ids = npt.NDArray[np.int64]
UNKNOWN = "[UNK]"
LONGEST_WORD = 40  # letters of a word that is compared with the known ones
KEPT = 1 << 16  # words of which it is remembered whether they are known
MOST_BASICS = 0.75  # of a language's everyday words
MIN_CHINESE_TOKENS = 1000  # a tokenizer made for English may hold a few Chinese characters of names


class Tokenizer:
    """The tokenizer of a text tower, with its begin and end tokens, maximum length and padding.

    Texts are cut after `max_tokens` (77), or at the tower's number of positions, and padded to the longest text of the
    call, which changes no embedding. The first text that is cut causes a warning.
    """

    def __init__(self, file: Path, config: AnyTextConfig) -> None:
        self._fast = load_fast_tokenizer(file)
        self._config = config
        self._begin, self._end = config.ends
        self._added = len(self._begin) + len(self._end)
        positions = config.most_tokens
        self.most = config.max_tokens if positions is None else min(config.max_tokens, positions)
        self._warned = False
        self._known: dict[str, bool] = {}
        size = self._fast.get_vocab_size()
        if size > config.vocabulary:
            raise BadCheckpoint(
                f"{file} has {size} tokens, the model has vectors for {config.vocabulary}: it is another model's; give"
                " the one that belongs to it"
            )
        self._fast.no_padding()
        self._fast.no_truncation()

    def __call__(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """Texts → ids and mask, both int64 (B, L); mask is 1 on tokens and 0 on padding.

        Warns
        -----
        LanguageWarning
            A text is cut.
        """
        written = [text + self._config.suffix for text in texts]
        encoded = [encoding.ids for encoding in self._fast.encode_batch(written, add_special_tokens=False)]
        self._warn_if_cut(encoded)
        rows = [self._row(ids) for ids in encoded]
        longest = max(map(len, rows), default=0)
        ids = np.full((len(rows), longest), self._config.pad_id, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return ids, mask

    def unknown_words(self, text: str) -> list[str]:
        """The words of a text that the tower was never taught; none where it reads every word from its pieces.

        A text without a letter or digit, such as a picture, is as a whole a word that no tower of words knows.
        """
        if not self._config.reads_whole_words:
            return []
        if not any(map(str.isalnum, text)):
            return [" ".join(text.split())]
        encoding = self._fast.encode(text, add_special_tokens=False)
        words = [i for i in encoding.word_ids if i is not None]  # which word each token is of
        pieces = Counter(words)
        cut = {i for i, token in zip(words, encoding.tokens, strict=True) if pieces[i] > 1 or token == UNKNOWN}
        spelt = dict.fromkeys(text[slice(*(encoding.word_to_chars(i) or (0, 0)))] for i in sorted(cut))
        return [word for word in spelt if word.isalnum()]

    def nearest_words(self, word: str) -> tuple[str, ...]:
        """The known words that are spelt most like one."""
        return nearest_words(word.lower(), self._words) if len(word) <= LONGEST_WORD else ()

    @cached_property
    def _words(self) -> list[str]:
        """The whole words that the tower knows."""
        return sorted(word for word in self._fast.get_vocab() if word.isalpha() and len(word) > 2)

    @property
    def reads_whole_words(self) -> bool:
        """Whether a word without a vector of its own means nothing to the tower."""
        return self._config.reads_whole_words

    def knows_word(self, word: str) -> bool:
        """Whether a word, as it is or in lower case, is one token, as frequent words are."""
        known = self._known.get(word)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            known = self._known[word] = any(map(self._is_one_token, dict.fromkeys((word, word.lower()))))
        return known

    def _is_one_token(self, word: str) -> bool:
        tokens = self._fast.encode(f" {word}", add_special_tokens=False).tokens
        return len(tokens) == 1 and tokens[0] != UNKNOWN

    def reads(self, words: Sequence[str]) -> bool:
        """Whether most everyday words of a language are one token: a tokenizer of many languages has nearly all."""
        return sum(map(self.knows_word, words)) >= MOST_BASICS * len(words)

    def reads_chinese(self) -> bool:
        """Whether 1000 or more tokens hold a Chinese character: XLM-R has 15 000, a BERT for English 300."""
        chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in token) for token in self._fast.get_vocab())
        return chinese >= MIN_CHINESE_TOKENS

    def _row(self, ids: list[int]) -> list[int]:
        return [*self._begin, *ids[: self.most - self._added], *self._end] or [self._config.pad_id]

    def _warn_if_cut(self, rows: list[list[int]]) -> None:
        """Warn of a text that is cut, unless that was done before."""
        longest = max(map(len, rows), default=0) + self._added
        if longest <= self.most or self._warned:
            return
        self._warned = True
        positions = self._config.most_tokens
        more = ""
        if positions is not None and positions > self.most:
            more = f"; max_tokens= of from_pretrained takes up to {positions}"
        warn_caller(
            f"a text of {longest} tokens is cut to the first {self.most} tokens, and so is any other as long{more}",
            LanguageWarning,
        )


class CharacterTokenizer(Tokenizer):
    """For text towers that are given texts as they are: the ids are those of Unicode, and nothing is cut."""

    def __init__(self, config: AnyTextConfig) -> None:
        self._config = config
        self.most = config.max_tokens

    def __call__(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """Texts → ids and mask, both int64 (B, L), a character each."""
        sizes = np.array([len(text) for text in texts], np.int64)
        mask = (np.arange(sizes.max(initial=0)) < sizes[:, None]).astype(np.int64)
        ids = np.full(mask.shape, self._config.pad_id, np.int64)
        ids[mask == 1] = [ord(character) for text in texts for character in text]
        return ids, mask

    def reads_chinese(self) -> bool:
        """Whether the tower says so."""
        return self._config.reads_chinese

    def reads(self, words: Sequence[str]) -> bool:
        """False: characters do not show which words it knows, so only texts in other letters are translated."""
        return False


def load_fast_tokenizer(file: Path) -> FastTokenizer:
    """The tokenizer of a tokenizer.json, or of RoBERTa's vocab.json with the merges.txt beside it."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers import Tokenizer as FastTokenizer

    try:
        if file.name == "vocab.json":
            return FastTokenizer.from_str(ByteLevelBPETokenizer(str(file), str(file.with_name("merges.txt"))).to_str())
        return FastTokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for all faults of the file
        raise BadCheckpoint(f"{file}: not a tokenizer.json ({error}); copy it anew from the model's folder") from error
