"""Bytes of a sound → tags, a sentence, captions, and its timeline where that is asked for. Knows nothing of HTTP or lanes."""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from openclap.confidence import background_of
from openclap.describe import ALIKE, Describer, timeline
from openclap.describe.timeline import CHANGE, HOP, WINDOW
from openclap.ears import Ears
from openclap.prompts import Prompts
from openclap.results import Description, Span

__all__ = ["LEAST_HOP", "Described", "Describing", "How"]

Vectors = npt.NDArray[np.float32]

KNOWN_TEXTS = 4096  # labels and captions whose vectors are remembered: AudioSet's, and those of the last requests
LEAST_HOP = 0.05  # seconds: ten minutes of sound are 12,000 windows at most


@dataclass(frozen=True)
class How:
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
class Described:
    """A description, and the spans of a timeline each with its sentence."""

    description: Description
    spans: list[tuple[Span, str]] | None = None


class Describing:
    """Describes sounds for many; for any thread that may wait."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._known = Prompts(KNOWN_TEXTS)

    def __call__(self, sound: bytes, how: How) -> Described:
        """Describe one sound.

        Raises
        ------
        SoundError
            It cannot be used.
        UsageError
            A number out of its range.
        """
        # made once for all, so whoever asks first and does not wait for it must not stop it
        Context().run(background_of, self._ears)
        describer = self._describer(how)
        seconds = self._ears.config.front_end.clip_seconds
        windows = self._ears.encode_windows(sound, window=seconds, hop=seconds / 2)
        made = describer.of_windows(sound, windows)
        return Described(made, self._spans(describer, sound, how) if how.timeline else None)

    def _describer(self, how: How) -> Describer:
        encode = partial(self._known.vectors, encode=self._ears.encode_text, state=None)
        return Describer(
            self._ears, how.labels, threshold=how.threshold, top=how.top, alike=how.alike, captions=how.captions, nearest=how.nearest, language=how.language,
            encode=encode,
        )  # fmt: skip

    def _spans(self, describer: Describer, sound: bytes, how: How) -> list[tuple[Span, str]]:
        spans = timeline(describer, sound, window=how.window, hop=how.hop, change=how.change)
        return list(zip(spans, describer.named(spans), strict=True))
