"""Writes an English sentence from tags."""

from __future__ import annotations

from collections.abc import Sequence

from openclap.results import Tag
from openclap.sentences import inline_label, join_words

__all__ = ["NO_SOUND", "NO_TAG", "SILENCE", "SURE", "sentence_in_english"]

SILENCE = "silence"  # the label where there is no sound at all, whatever the vocabulary
SURE = 0.5  # a confidence below makes the sentence say "perhaps"
NO_SOUND = "Silence."
NO_TAG = "Nothing that can be named."  # the sentence of a span without tags


def sentence_in_english(tags: Sequence[Tag], nearest: str = "") -> str:
    """Write a sentence such as `The sound of rain, perhaps with thunder.`; "perhaps" stands before unsure tags.

    Parameters
    ----------
    nearest
        The label that came nearest, where there is no tag.
    """
    if not tags:
        return f"Nothing that can be named with confidence; the nearest is {inline_label(nearest)}."
    if tags[0].label == SILENCE:
        return NO_SOUND
    sure = [inline_label(tag.label) for tag in tags if tag.confidence >= SURE]
    less = [inline_label(tag.label) for tag in tags if tag.confidence < SURE]
    if not sure:
        return f"Perhaps the sound of {join_words(less)}."
    return f"The sound of {join_words(sure)}{', perhaps with ' + join_words(less) if less else ''}."
