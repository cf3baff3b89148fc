"""What can be asked of describing and watching: one class each for Python, the command line, the service and the page.

Fields are called as the keywords of the functions that take them, so that `vars(options)` is a call's keywords.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from openclap.errors import UsageError

__all__ = ["DescribeOptions", "Rules", "TimelineOptions", "WatchOptions"]


@dataclass(frozen=True)
class DescribeOptions:
    """How a sound is described: the keywords of `CLAP.describe` and `openclap.describe.Describer`, which explain them."""

    labels: Sequence[str] | None = None
    threshold: float | None = None
    top: int = 5
    alike: float = 0.5
    captions: Sequence[str] = ()
    nearest: int = 3
    language: str = "en"


@dataclass(frozen=True)
class TimelineOptions:
    """How a recording is described span by span: the keywords of `openclap.describe.timeline`."""

    window: float = 2.0  # seconds
    hop: float = 0.5  # seconds
    change: float = 4.0  # nats that a change of label costs


@dataclass(frozen=True)
class Rules:
    """When an event begins and ends: confidences `on` and `off` in [0, 1]; seconds."""

    on: float = 0.7
    off: float = 0.2
    least: float = 0.0
    cooldown: float = 5.0
    longest: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.on <= 1 or not 0 <= self.off <= self.on:
            raise UsageError(
                f"on is {self.on!r} and off {self.off!r}; they are confidences, 0 <= off <= on <= 1, and on is above 0"
            )
        for name in ("least", "cooldown", "longest"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{name} is {getattr(self, name)!r}; give seconds, 0 or more")
        if self.longest <= self.least:
            raise UsageError(
                f"longest is {self.longest:g} s and the least duration {self.least:g} s; an event must be able to last"
            )


@dataclass(frozen=True)
class WatchOptions:
    """How a source is watched: the keywords of `openclap.watch.watch`."""

    rules: Rules = field(default_factory=Rules)
    window: float = 2.0  # seconds
    hop: float = 1.0  # seconds
    warmup: float = 30.0  # seconds
    unusual: bool = False
    when: Literal["ended", "began", "both"] = "ended"
