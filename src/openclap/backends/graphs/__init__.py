"""The towers as OpenVINO graphs: arrays of a checkpoint in, graphs out, without torch, export or conversion.

The layout is tokens (B, N, D) where possible, so that a 1 x 1 convolution is a product and nothing is transposed. A
test holds the graphs equal to the towers of `openclap.models`.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["code_digest"]


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of the code in this folder, so that graphs compiled from other code are not taken from the cache."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
