"""Texts → token ids, by a `tokenizer.json` and the `tokenizers` library alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.config import TextConfig, WordsConfig
from openclap.errors import BadCheckpoint

__all__ = ["Tokenizer", "read_fast"]

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

Ids = npt.NDArray[np.int64]
CHINESE = 1000  # tokens; a tokenizer made for English text may hold a few characters of names


class Tokenizer:
    """The tokenizer of a text tower: its begin and end tokens, its maximum, its padding.

    Texts are cut after `max_tokens` (77) and padded to the longest text of the call, which changes no embedding.
    """

    def __init__(self, file: Path, config: TextConfig | WordsConfig) -> None:
        self._fast = read_fast(file)
        self._config = config
        size = self._fast.get_vocab_size()
        if size > config.vocabulary:
            raise BadCheckpoint(
                f"{file} has {size} tokens, the model has vectors for {config.vocabulary}: it is another model's; give the one that belongs to it"
            )
        self._fast.no_padding()
        self._fast.no_truncation()

    def __call__(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """Texts → ids and mask, both int64 (B, L); mask is 1 on tokens and 0 on padding."""
        rows = [self._row(encoding.ids) for encoding in self._fast.encode_batch(list(texts), add_special_tokens=False)]
        longest = max(map(len, rows), default=0)
        ids = np.full((len(rows), longest), self._config.pad_id, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return ids, mask

    def reads_chinese(self) -> bool:
        """Whether so many tokens hold a Chinese character that the tower must have learnt them: XLM-R has 15 000, BERT 300."""
        return sum(any("\u4e00" <= c <= "\u9fff" for c in token) for token in self._fast.get_vocab()) >= CHINESE

    def _row(self, ids: list[int]) -> list[int]:
        config = self._config
        if isinstance(config, WordsConfig):
            return ids[: config.max_tokens] or [config.pad_id]
        return [config.begin_id, *ids[: config.max_tokens - 2], config.end_id]


def read_fast(file: Path) -> FastTokenizer:
    """The tokenizer of a tokenizer.json, or of RoBERTa's vocab.json with the merges.txt beside it."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers import Tokenizer as FastTokenizer

    try:
        if file.name == "vocab.json":
            return FastTokenizer.from_str(ByteLevelBPETokenizer(str(file), str(file.with_name("merges.txt"))).to_str())
        return FastTokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for whatever is wrong with the file
        raise BadCheckpoint(f"{file}: not a tokenizer.json ({error}); copy it anew from the model's folder") from error
