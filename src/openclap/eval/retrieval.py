"""Evaluates retrieval: finding the sound of a caption, and the caption of a sound, among all of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from openclap.errors import UsageError
from openclap.eval.datasets import Dataset
from openclap.eval.embedding import Embed, embed_items
from openclap.eval.metrics import Definition, estimate_retrieval, retrieval_ranks
from openclap.eval.report import EvalReport, new_report
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["retrieval"]


def retrieval(
    clap: CLAP,
    data: Dataset,
    *,
    definition: Definition = "standard",
    draws: int = 1000,
    seed: int = 0,
    progress: bool = False,
    batch_size: int = 8,
    embed: Embed = embed_items,
) -> EvalReport:
    """Compute R@1/5/10, mean and median rank and mAP@10 in both directions, see `metrics.retrieval_metrics`.

    All captions of all usable sounds of the test split take part, or of all sounds where there is none. Intervals come
    from `draws` resamples of the clips, each with all its captions; what is searched through stays as it is.

    Raises
    ------
    UsageError
        There are no captions, or no usable sound.
    """
    described = [item for item in data.test_items if item.captions]
    if not described:
        raise UsageError(f"{data.name} has no captions, so there is nothing to retrieve by; choose zeroshot or probe")
    used = embed(clap, described, progress=progress, batch_size=batch_size)
    captions = [caption for item in used.items for caption in item.captions]
    clip_of = np.repeat(np.arange(len(used.items)), [len(item.captions) for item in used.items])
    ranks = retrieval_ranks(clap.similarity(used.vectors, clap.encode_text(captions)), clip_of)
    shared = len(captions) - len(set(captions))
    notes = []
    if shared:
        notes.append(
            f"{count_noun(shared, 'caption is', 'captions are')} said of several sounds, of which only one counts as"
            " found"
        )
    if without := len(data.test_items) - len(described):
        were = count_noun(without, "sound without a caption was", "sounds without a caption were")
        notes.append(f"{were} left out")
    return new_report(
        clap,
        "retrieval",
        data.name,
        examples=len(used.items),
        settings={"captions": len(captions), "definition": definition, "draws": draws, "seed": seed},
        metrics=estimate_retrieval(ranks, definition=definition, draws=draws, rng=seed),
        notes=notes,
        failed=[*data.failed, *used.failed],
    )
