"""Translates a description into Chinese.

Sounds are described with English labels, as their families and confidences are known. Each of AudioSet's labels is then
replaced by the same line of the packaged list `labels/audioset.zh.txt`. Where the labels are the user's `own`, they
stay as they were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from openclap.describe.english import NO_SOUND, SILENCE, SURE
from openclap.labels import labels
from openclap.results import Description, Span, Tag

__all__ = ["description_in_chinese", "label_in_chinese", "sentence_in_chinese", "span_in_chinese"]

QUIET = "静音"  # the label of a stretch without any sound


def description_in_chinese(description: Description, nearest: str = "", *, own: bool = False) -> Description:
    """Translate a description: Chinese labels and a Chinese sentence; captions stay as they are.

    Parameters
    ----------
    nearest
        The label that came nearest, where there is no tag.
    own
        Whether the labels are the user's own.
    """
    tags = [_translate_tag(tag, own) for tag in description.tags]
    if not tags and description.sentence == NO_SOUND:
        return Description(tags, sentence_in_chinese([Tag(QUIET, 1.0, 0.0)]), description.captions)
    return Description(tags, sentence_in_chinese(tags, _translate_label(nearest, own)), description.captions)


def label_in_chinese(label: str) -> str:
    """Translate one of AudioSet's labels; any other stays as it is."""
    return _translate_label(label, own=False)


def span_in_chinese(span: Span, *, own: bool = False) -> Span:
    """Translate the labels of a timeline's span into Chinese."""
    label = None if span.label is None else _translate_label(span.label, own)
    return replace(span, label=label, tags=[_translate_tag(tag, own) for tag in span.tags])


def sentence_in_chinese(tags: Sequence[Tag], nearest: str = "") -> str:
    """Write a sentence such as `听到雨声、风声，可能还有雷声。`; labels below a confidence of 0.5 come after "可能" (perhaps)."""
    if [tag.label for tag in tags] == [QUIET]:
        return "没有声音。"
    sure = "、".join(tag.label for tag in tags if tag.confidence >= SURE)
    less = "、".join(tag.label for tag in tags if tag.confidence < SURE)
    if sure and less:
        return f"听到{sure}，可能还有{less}。"
    if sure or less:
        return f"听到{sure}。" if sure else f"可能是{less}。"
    return f"没有能确定的声音；最接近的是{nearest}。" if nearest else "没有能确定的声音。"


def _translate_tag(tag: Tag, own: bool) -> Tag:
    alike = [_translate_label(label, own) for label in tag.alike]
    return replace(tag, label=_translate_label(tag.label, own), alike=alike)


def _translate_label(label: str, own: bool) -> str:
    if label == SILENCE:
        return QUIET
    return label if own else _chinese_labels().get(label, label)


@lru_cache(maxsize=1)
def _chinese_labels() -> dict[str, str]:
    return dict(zip(labels("audioset"), labels("audioset.zh"), strict=True))
