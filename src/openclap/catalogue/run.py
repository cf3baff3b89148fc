"""What descriptions and timelines of folders have in common: the key of their settings, progress and the report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from openclap.describe import Describer
from openclap.results import Failure, Result

__all__ = ["DescribeReport", "describer_key"]


@dataclass(frozen=True)
class DescribeReport(Result):
    """What a run did: how many sounds were `described` now, and how many are `unchanged` since an earlier run."""

    output: str
    described: int = 0
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)


def describer_key(describer: Describer, *more: object) -> str:
    """A digest of everything that a description depends on besides the sound."""
    parts = [describer.clap.fingerprint, describer.key(), *more]
    return hashlib.blake2b(json.dumps(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
