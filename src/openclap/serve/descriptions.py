"""The bytes of a sound → tags, a sentence, captions, and its timeline where that is asked for."""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass
from typing import Literal

from openclap.confidence import reference_bank
from openclap.describe import ALIKE, Describer, timeline
from openclap.describe.timeline import CHANGE, HOP, WINDOW
from openclap.embedder import Embedder
from openclap.results import Description, Span

__all__ = ["LEAST_HOP", "DescribeOptions", "DescribeResult", "describe_sound"]

LEAST_HOP = 0.05  # seconds: ten minutes of sound are 12,000 windows at most


@dataclass(frozen=True)
class DescribeOptions:
    """What is asked for, as the options of `CLAP.describe` and `openclap describe` are called."""

    labels: tuple[str, ...] | None = None
    threshold: float | None = None
    top: int = 5
    alike: float = ALIKE
    captions: tuple[str, ...] = ()
    nearest: int = 3
    timeline: bool = False
    window: float = WINDOW
    hop: float = HOP
    change: float = CHANGE
    language: Literal["en", "zh"] = "en"


@dataclass(frozen=True)
class DescribeResult:
    """A description, and the spans of a timeline each with its sentence."""

    description: Description
    spans: list[tuple[Span, str]] | None = None


def describe_sound(embedder: Embedder, sound: bytes, options: DescribeOptions) -> DescribeResult:
    """Describe one sound; for a thread that may wait.

    Raises
    ------
    SoundError
        It cannot be used.
    UsageError
        A number out of its range.
    """
    # made once for all, so whoever asks first and does not wait for it must not stop it
    Context().run(reference_bank, embedder)
    describer = Describer(
        embedder,
        options.labels,
        threshold=options.threshold,
        top=options.top,
        alike=options.alike,
        captions=options.captions,
        nearest=options.nearest,
        language=options.language,
    )
    seconds = embedder.config.front_end.clip_seconds
    description = describer.describe_windows(sound, embedder.encode_windows(sound, window=seconds, hop=seconds / 2))
    if not options.timeline:
        return DescribeResult(description)
    spans = timeline(describer, sound, window=options.window, hop=options.hop, change=options.change)
    return DescribeResult(description, list(zip(spans, describer.describe_spans(spans), strict=True)))
