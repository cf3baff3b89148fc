"""The towers as OpenVINO graphs: arrays of a checkpoint in, graphs out, without torch, export or conversion.

The layout is tokens (B, N, D) where possible, so that a 1 x 1 convolution is a product and nothing is transposed. A
test holds the graphs equal to the towers of `openclap.models`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

__all__ = ["code_digest"]


@cache
def code_digest(build: Callable[..., object]) -> str:
    """A digest of the code beside a function that builds a graph and of that here.

    With it, a graph that was compiled from other code is not taken from the cache.
    """
    beside = Path(sys.modules[build.__module__].__file__ or __file__)
    files = {file for folder in (beside.parent, Path(__file__).parent) for file in folder.glob("*.py")}
    return hashlib.blake2b(b"".join(file.read_bytes() for file in sorted(files)), digest_size=8).hexdigest()
