"""Describe a sound of a request: tags, a sentence, captions, and its timeline where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openclap.describe import Describer, timeline
from openclap.embedder import Embedder
from openclap.options import DescribeOptions, TimelineOptions
from openclap.results import Description, Span
from openclap.window_cache import WindowCache

__all__ = ["DescribeResult", "describe_sound"]


@dataclass(frozen=True)
class DescribeResult:
    """A description, and the spans of a timeline each with its sentence."""

    description: Description
    spans: list[tuple[Span, str]] | None = None


def describe_sound(
    embedder: Embedder,
    sound: Any,
    options: DescribeOptions,
    spans: TimelineOptions | None,
    cache: WindowCache,
    *,
    kept: bool = False,
) -> DescribeResult:
    """Describe one sound, with `spans` as a timeline too; for a thread that may wait.

    Parameters
    ----------
    cache
        Where the windows of a timeline are kept.
    kept
        Those of the description as well, as more will be asked about this sound.

    Raises
    ------
    SoundError
        It cannot be used.
    UsageError
        A number out of its range.
    """
    describer = Describer(embedder, **vars(options))
    if kept:
        seconds = embedder.config.front_end.clip_seconds
        windows = cache.windows(embedder, sound, window=seconds, hop=seconds / 2)
        description = describer.describe_windows(sound, windows)
    else:
        description = describer(sound)
    if spans is None:
        return DescribeResult(description)
    found = timeline(describer, sound, cache=cache, **vars(spans))
    return DescribeResult(description, list(zip(found, describer.describe_spans(found), strict=True)))
