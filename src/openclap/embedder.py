"""The protocol of a model for packages that lie below it, such as `confidence` and `describe`.

`CLAP` has its members, and so has `serve.batched_embedder.BatchedEmbedder`, which queues the calls of several users.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from openclap.config import CLAPConfig
from openclap.errors import SoundError
from openclap.normalization import Vectors
from openclap.results import Windows

__all__ = ["Embedder"]


class Embedder(Protocol):
    """The members of a CLAP that lower packages use."""

    config: CLAPConfig

    @property
    def fingerprint(self) -> str:
        """16 hex digits that differ between models."""

    @property
    def logit_scale(self) -> float:
        """The factor of cosines before a softmax."""

    def encode_audio(self, sounds: Any, *, long: Any = "auto") -> Vectors:
        """Embed sounds → unit rows (N, E)."""

    def encode_text(self, texts: list[str]) -> Vectors:
        """Embed texts → unit rows (M, E)."""

    def encode_windows(self, sound: Any, *, window: float = 10.0, hop: float = 5.0) -> Windows:
        """Embed the windows of one recording → their times and unit rows."""

    def encode_each(self, sounds: Any, *, window: float = 10.0, hop: float = 5.0) -> Iterator[Windows | SoundError]:
        """Embed the windows of many recordings, in order; one that cannot be used gives its error."""
