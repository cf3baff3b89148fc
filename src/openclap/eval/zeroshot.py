"""Naming sounds by the words of their labels, without having been taught them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.clap import DEFAULT_TEMPLATE
from openclap.errors import UsageError
from openclap.eval.datasets import Dataset, only_labelled
from openclap.eval.embedding import embed_items
from openclap.eval.report import Report, new_report
from openclap.eval.scoring import Scores, score_predictions
from openclap.normalization import normalize_rows

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["class_vectors", "zeroshot"]


def class_vectors(
    clap: CLAP, labels: Sequence[str], templates: Sequence[str] = (DEFAULT_TEMPLATE,)
) -> npt.NDArray[np.float32]:
    """One unit vector a label → float32 (C, E): the mean of its prompts' unit vectors, renormalised.

    Parameters
    ----------
    templates
        Prompts in which {} is the label; several are an ensemble (A. Radford et al., arXiv 2103.00020, section 3.1.4).

    Raises
    ------
    UsageError
        No label, no template, or a template that does not hold {} once.
    """
    if not labels or not templates:
        raise UsageError("at least one label and one template are needed")
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(f"template {template!r} must hold {{}} once, where the label goes")
    english = clap.in_english(labels)
    prompts = [template.replace("{}", label) for template in templates for label in english]
    return normalize_rows(clap.encode_text(prompts).reshape(len(templates), len(labels), -1).mean(axis=0))


def zeroshot(
    clap: CLAP,
    data: Dataset,
    *,
    templates: Sequence[str] = (DEFAULT_TEMPLATE,),
    draws: int = 1000,
    seed: int = 0,
    progress: bool = False,
    batch_size: int = 8,
) -> tuple[Report, Scores]:
    """Accuracy and top-5 (single-label) or mAP (multi-label) of the cosines between sounds and prompts.

    The test split is judged, or everything where there is none; with folds, each is also told by itself. Intervals
    are of `draws` resamples of the examples.

    Raises
    ------
    UsageError
        No labels, an unsuitable template, or not one usable sound.
    """
    chosen, notes = only_labelled(data, data.judged)
    prompts = class_vectors(clap, data.labels, templates)
    used = embed_items(clap, chosen, progress=progress, batch_size=batch_size)
    scores = clap.similarity(used.vectors, prompts)[None]
    judged = score_predictions(used, scores, data.labels, multi_label=data.multi_label, draws=draws, seed=seed)
    report = new_report(
        clap,
        "zeroshot",
        data.name,
        examples=len(used.items),
        settings={"labels": len(data.labels), "templates": list(templates), "draws": draws, "seed": seed},
        metrics=judged.metrics,
        classes=judged.classes,
        folds=judged.folds,
        notes=notes,
        failed=[*data.failed, *used.failed],
    )
    return report, judged
