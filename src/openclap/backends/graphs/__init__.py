"""The towers as OpenVINO graphs, written straight over the arrays of a checkpoint: no torch, no export, no conversion.

Layouts are tokens (B, N, D) wherever they can be, so that a 1 x 1 convolution is a product and nothing is transposed.
The same towers as in `openclap.models`; a test holds the two equal.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["code_digest"]


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of the code in this folder: what was compiled or quantised by other code is not taken from disk."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
