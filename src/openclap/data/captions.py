"""The captions of an item: its own ones, or its labels as a sentence."""

from __future__ import annotations

import numpy as np

from openclap.data.items import Item
from openclap.errors import DataError
from openclap.sentences import DEBIAS, caption_from_labels, make_debiaser

__all__ = ["DEBIAS", "caption_from_labels", "choose_caption", "make_captions", "make_debiaser"]


def make_captions(item: Item) -> tuple[str, ...]:
    """The captions of an item; its labels as a sentence where it has none, and nothing where it has neither."""
    return item.captions or ((caption_from_labels(item.labels),) if item.labels else ())


def choose_caption(item: Item, rng: np.random.Generator) -> str:
    """Draw one caption of an item.

    Raises
    ------
    DataError
        The item has neither captions nor labels.
    """
    captions = make_captions(item)
    if not captions:
        raise DataError(f"{item.key}: has neither captions nor labels; describe it, or leave it out")
    return captions[int(rng.integers(len(captions)))]
