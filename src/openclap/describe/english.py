"""What was heard, said in English. Knows nothing of sounds and models."""

from __future__ import annotations

from collections.abc import Sequence

from openclap.results import Tag
from openclap.sentences import and_so_on, said

__all__ = ["NO_SOUND", "NO_TAG", "SILENCE", "SURE", "sentence_of"]

SILENCE = "silence"  # the label of what has no sound at all, whatever the vocabulary
SURE = 0.5  # below, the sentence says perhaps
NO_SOUND = "Silence."
NO_TAG = "Nothing that can be named."  # of a span


def sentence_of(tags: Sequence[Tag], nearest: str = "") -> str:
    """`The sound of rain and wind, perhaps with thunder.`: what is less than half sure is said to be so."""
    if not tags:
        return f"Nothing that can be named with confidence; the nearest is {said(nearest)}."
    if tags[0].label == SILENCE:
        return NO_SOUND
    sure = [said(tag.label) for tag in tags if tag.confidence >= SURE]
    less = [said(tag.label) for tag in tags if tag.confidence < SURE]
    if not sure:
        return f"Perhaps the sound of {and_so_on(less)}."
    return f"The sound of {and_so_on(sure)}{', perhaps with ' + and_so_on(less) if less else ''}."
