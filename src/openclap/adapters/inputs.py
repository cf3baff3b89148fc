"""What other libraries give, as `CLAP` takes it: their benchmarks must not stop at an empty text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openclap.clap import CLAP, Long
from openclap.normalization import Vectors

__all__ = ["check_long", "embed_texts"]

SILENCE = np.zeros(1, np.float32), 48_000


def embed_texts(clap: CLAP, texts: Sequence[str], batch_size: int) -> Vectors:
    """Embed texts → rows (M, E); an empty text has a row of zeros, which is near to nothing."""
    rows = np.zeros((len(texts), clap.config.embedding), np.float32)
    not_empty = [i for i, text in enumerate(texts) if text.strip()]
    rows[not_empty] = clap.encode_text([texts[i] for i in not_empty], batch_size=batch_size)
    return rows


def check_long(clap: CLAP, long: Long) -> None:
    """Refuse what the model cannot do with long recordings, before the first one comes."""
    if not clap.config.audio.is_missing:
        clap.clips(SILENCE, long=long)
