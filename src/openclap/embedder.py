"""What the rooms below a model need of it: a protocol.

Whoever computes a confidence or a description is given one, and knows no model.

A `CLAP` is one; so is `serve.batched_embedder.BatchedEmbedder`, which waits its turn among others.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from openclap.config import CLAPConfig
from openclap.results import Windows

__all__ = ["Embedder"]

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """What of a CLAP the rooms below it need."""

    config: CLAPConfig

    @property
    def fingerprint(self) -> str:
        """What tells two models apart."""

    @property
    def logit_scale(self) -> float:
        """What multiplies cosines before a softmax."""

    def encode_audio(self, sounds: Any, *, long: Any = "auto") -> Vectors:
        """Sounds → unit rows (N, E)."""

    def encode_text(self, texts: list[str]) -> Vectors:
        """Texts → unit rows (M, E)."""

    def encode_windows(self, sound: Any, *, window: float = 10.0, hop: float = 5.0) -> Windows:
        """Spans of one recording with their unit rows."""
