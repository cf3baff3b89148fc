"""The report of a fine-tuning: its classifier beside a probe on the frozen model and zero-shot, on the same sounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from openclap.clap import CLAP
from openclap.eval.embedding import EmbeddedItems, truth_table
from openclap.eval.head import Head
from openclap.eval.metrics import Estimate, bootstrap, mean_average_precision
from openclap.eval.report import EvalReport, new_report
from openclap.eval.scoring import score_predictions
from openclap.plurals import count_noun
from openclap.train.finetuning.baseline import Baseline, embed_examples, label_prompts
from openclap.train.finetuning.labels import LabelledSounds
from openclap.train.finetuning.settings import SupervisedSettings
from openclap.train.skipped import NAMED

__all__ = ["compare_methods", "make_eval_report"]

Scores = npt.NDArray[np.float32]


def make_eval_report(
    clap: CLAP, head: Head, data: LabelledSounds, baseline: Baseline, settings: SupervisedSettings, *, progress: bool
) -> EvalReport:
    """Evaluate a fine-tuned model and its head on sounds they have not learnt from.

    Returns
    -------
    Accuracy or mAP of the classifier, of the frozen model's probe and of zero-shot, and the gain over each, all with an
    interval over the same resamples; and the results of every label.
    """
    supervision = settings.supervised
    facts = {
        "head": supervision.head,
        "start": supervision.start,
        "labels": len(data.labels),
        "judged by": data.how,
        "learnt from": len({e.key for e in data.train}),
        "left out": len(data.left_out) or None,
        "epochs": settings.epochs,
        "draws": supervision.draws,
        "seed": settings.seed,
    }
    row = {key: i for i, key in enumerate(baseline.keys)}
    used = embed_examples(clap, [e for e in data.test if e.key in row], progress=progress, task="judging")
    failed = [*baseline.failed, *used.failed]  # the file of a sound may have gone while the model trained
    keys = [item.key for item in used.items]
    before = {name: points[[row[key] for key in keys]] for name, points in baseline.scores.items()}
    notes = [left_out] if (left_out := _left_out(data)) else []
    if not used.items:
        notes.append("nothing was held out, so how well it hears is not known")
        return new_report(
            clap, "finetune", data.name, examples=0, settings=facts, metrics={}, notes=notes, failed=failed
        )
    scores = {"": head.logits(used.vectors), **before}
    prompts = label_prompts(clap, data.labels, supervision.templates) if "zero-shot" in baseline.scores else None
    if prompts is not None:
        scores["zero-shot afterwards"] = clap.similarity(used.vectors, prompts)
        if any("text".startswith(part.rstrip(".")) for part in settings.freeze):
            notes.append("texts have the vectors they had, sounds have new ones: search by words may have changed")
    metrics = compare_methods(used, scores, data, draws=supervision.draws, seed=settings.seed)
    judged = score_predictions(used, scores[""][None], data.labels, multi_label=data.multi_label, draws=0, seed=0)
    return new_report(
        clap,
        "finetune",
        data.name,
        examples=len(used.items),
        settings=facts,
        metrics=metrics,
        classes=judged.classes,
        notes=notes,
        failed=failed,
    )


def _left_out(data: LabelledSounds) -> str:
    """Say how many sounds without a label were left out, and name some; "" where there are none."""
    silent = data.left_out
    if not silent:
        return ""
    named = ", ".join(failure.path for failure in silent[:NAMED]) + (", …" if len(silent) > NAMED else "")
    return f"{count_noun(len(silent), 'sound without a label was', 'sounds without a label were')} left out: {named}"


def compare_methods(
    used: EmbeddedItems, scores: Mapping[str, Scores], data: LabelledSounds, *, draws: int, seed: int
) -> dict[str, Estimate]:
    """Accuracy or mAP of the scores (N, C) of each method, and what the new classifier, "", gains over the others."""
    truth = truth_table(used.items, data.labels)
    name = "mAP" if data.multi_label else "accuracy"
    areas = {key: mean_average_precision(points, truth) for key, points in scores.items()} if data.multi_label else {}
    right = {key: points.argmax(1) == truth.argmax(1) for key, points in scores.items()}

    def one(key: str, counts: npt.NDArray[np.int64]) -> float:
        if not data.multi_label:
            return float(np.average(right[key], weights=counts))
        each = areas[key](counts)
        return float(each[np.isfinite(each)].mean()) if np.isfinite(each).any() else float("nan")

    def numbers(counts: npt.NDArray[np.int64]) -> dict[str, float]:
        found = {f"{name} of {key}" if key else name: one(key, counts) for key in scores}
        others = [key for key in scores if key and key != "zero-shot afterwards"]
        return {**found, **{f"gain over {key}": found[name] - found[f"{name} of {key}"] for key in others}}

    return bootstrap(numbers, len(truth), draws=draws, rng=seed)
