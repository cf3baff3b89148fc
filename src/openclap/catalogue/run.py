"""What descriptions and timelines of folders have in common: the key of their settings, progress and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from openclap.results import Failure, Result

if TYPE_CHECKING:
    from openclap.describe import Describer

__all__ = ["DescribeReport", "describer_key", "file_stat", "show_progress"]


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


def file_stat(path: Path) -> tuple[int, int] | None:
    """Size and time of a file, by which a change is noticed; None where it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def show_progress(paths: Sequence[Path], progress: bool) -> Iterable[Path]:
    """Give the same paths, with a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    return track(paths, "describing", console=Console(stderr=True), disable=not progress)
