"""What was heard, said in English. Knows nothing of sounds and models."""

from __future__ import annotations

from collections.abc import Sequence

from openclap.results import Tag
from openclap.sentences import inline_label, join_words

__all__ = ["NO_SOUND", "NO_TAG", "SILENCE", "SURE", "sentence_of"]

SILENCE = "silence"  # the label of what has no sound at all, whatever the vocabulary
SURE = 0.5  # below, the sentence says perhaps
NO_SOUND = "Silence."
NO_TAG = "Nothing that can be named."  # of a span


def sentence_of(tags: Sequence[Tag], nearest: str = "") -> str:
    """`The sound of rain and wind, perhaps with thunder.`: what is less than half sure is said to be so."""
    if not tags:
        return f"Nothing that can be named with confidence; the nearest is {inline_label(nearest)}."
    if tags[0].label == SILENCE:
        return NO_SOUND
    sure = [inline_label(tag.label) for tag in tags if tag.confidence >= SURE]
    less = [inline_label(tag.label) for tag in tags if tag.confidence < SURE]
    if not sure:
        return f"Perhaps the sound of {join_words(less)}."
    return f"The sound of {join_words(sure)}{', perhaps with ' + join_words(less) if less else ''}."
