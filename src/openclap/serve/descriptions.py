"""Describe a sound of a request: tags, a sentence, captions, and its timeline where that is asked for."""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass

from openclap.confidence import reference_bank
from openclap.describe import Describer, timeline
from openclap.embedder import Embedder
from openclap.options import DescribeOptions, TimelineOptions
from openclap.results import Description, Span

__all__ = ["DescribeResult", "describe_sound"]


@dataclass(frozen=True)
class DescribeResult:
    """A description, and the spans of a timeline each with its sentence."""

    description: Description
    spans: list[tuple[Span, str]] | None = None


def describe_sound(
    embedder: Embedder, sound: bytes, options: DescribeOptions, spans: TimelineOptions | None
) -> DescribeResult:
    """Describe one sound, with `spans` as a timeline too; for a thread that may wait.

    Raises
    ------
    SoundError
        It cannot be used.
    UsageError
        A number out of its range.
    """
    # the bank is made once for all requests: it must not stop with the request that happens to be the first
    Context().run(reference_bank, embedder)
    describer = Describer(embedder, **vars(options))
    seconds = embedder.config.front_end.clip_seconds
    description = describer.describe_windows(sound, embedder.encode_windows(sound, window=seconds, hop=seconds / 2))
    if spans is None:
        return DescribeResult(description)
    found = timeline(describer, sound, **vars(spans))
    return DescribeResult(description, list(zip(found, describer.describe_spans(found), strict=True)))
