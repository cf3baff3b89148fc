"""Evaluates zero-shot classification: naming sounds by the words of their labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openclap.clap import CLAP, DEFAULT_TEMPLATE
from openclap.errors import UsageError
from openclap.eval.datasets import Dataset, select_labelled
from openclap.eval.embedding import Embed, embed_items
from openclap.eval.report import EvalReport, new_report
from openclap.eval.scoring import Scores, score_predictions
from openclap.normalization import normalize_rows

__all__ = ["check_templates", "class_vectors", "zeroshot"]


def class_vectors(
    clap: CLAP, labels: Sequence[str], templates: Sequence[str] = (DEFAULT_TEMPLATE,)
) -> npt.NDArray[np.float32]:
    """One unit vector for each label (C, E): the mean of its prompts' unit vectors, brought to unit length.

    Parameters
    ----------
    templates
        Prompts in which {} stands for the label; several make an ensemble (A. Radford et al., arXiv 2103.00020, section
        3.1.4).

    Raises
    ------
    UsageError
        There is no label or no template, or a template does not hold {} once.
    """
    if not labels:
        raise UsageError("at least one label and one template are needed")
    check_templates(templates)
    english = clap.in_english(labels)
    prompts = [template.replace("{}", label) for template in templates for label in english]
    return normalize_rows(clap.encode_text(prompts).reshape(len(templates), len(labels), -1).mean(axis=0))


def check_templates(templates: Sequence[str]) -> None:
    """Raise a UsageError unless there is a template, and each holds {} once."""
    if not templates:
        raise UsageError("at least one label and one template are needed")
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(f"template {template!r} must hold {{}} once, where the label goes")


def zeroshot(
    clap: CLAP,
    data: Dataset,
    *,
    templates: Sequence[str] = (DEFAULT_TEMPLATE,),
    draws: int = 1000,
    seed: int = 0,
    progress: bool = False,
    batch_size: int = 8,
    embed: Embed = embed_items,
) -> tuple[EvalReport, Scores]:
    """Compute accuracy and top-5 (single-label) or mAP (multi-label) of the cosines between sounds and prompts.

    The test split is judged, or everything where there is none; where there are folds, the report has a score for each.
    Intervals come from `draws` resamples of the examples.

    Returns
    -------
    The report, and the scores it was made of.

    Raises
    ------
    UsageError
        There are no labels or no usable sound, or a template does not hold {} once.
    """
    chosen, notes = select_labelled(data, data.test_items)
    prompts = class_vectors(clap, data.labels, templates)
    used = embed(clap, chosen, progress=progress, batch_size=batch_size)
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
