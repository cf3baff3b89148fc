"""What was heard, said in Chinese. Knows nothing of sounds and models.

Hearing is done with the English names, whose families and confidences are known; AudioSet's labels are then called by
the packaged Chinese list, line by line. Labels of one's own (`own`) stay as they were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from openclap.describe.english import NO_SOUND, SILENCE, SURE
from openclap.labels import labels
from openclap.results import Description, Span, Tag

__all__ = ["description_in_chinese", "sentence_in_chinese", "span_in_chinese"]

QUIET = "静音"  # what a timeline calls a stretch without any sound


def description_in_chinese(made: Description, nearest: str = "", *, own: bool = False) -> Description:
    """A description with Chinese names and a Chinese sentence; captions stay.

    Parameters
    ----------
    nearest
        The label that came nearest, for where there is no tag.
    """
    tags = [_tag(tag, own) for tag in made.tags]
    if not tags and made.sentence == NO_SOUND:
        tags_said = [Tag(QUIET, 1.0, 0.0)]
        return Description(tags, sentence_in_chinese(tags_said), made.captions)
    return Description(tags, sentence_in_chinese(tags, _name(nearest, own)), made.captions)


def span_in_chinese(span: Span, *, own: bool = False) -> Span:
    """A span of a timeline with Chinese names."""
    label = None if span.label is None else _name(span.label, own)
    return replace(span, label=label, tags=[_tag(tag, own) for tag in span.tags])


def sentence_in_chinese(tags: Sequence[Tag], nearest: str = "") -> str:
    """`听到雨声、风声，可能还有雷声。`: what is less than half sure is said to be so, as in English."""
    if [tag.label for tag in tags] == [QUIET]:
        return "没有声音。"
    sure = "、".join(tag.label for tag in tags if tag.confidence >= SURE)
    less = "、".join(tag.label for tag in tags if tag.confidence < SURE)
    if sure and less:
        return f"听到{sure}，可能还有{less}。"
    if sure or less:
        return f"听到{sure}。" if sure else f"可能是{less}。"
    return f"没有能确定的声音；最接近的是{nearest}。" if nearest else "没有能确定的声音。"


def _tag(tag: Tag, own: bool) -> Tag:
    return replace(tag, label=_name(tag.label, own), alike=[_name(label, own) for label in tag.alike])


def _name(label: str, own: bool) -> str:
    if label == SILENCE:
        return QUIET
    return label if own else _names().get(label, label)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return dict(zip(labels("audioset"), labels("audioset.zh"), strict=True))
