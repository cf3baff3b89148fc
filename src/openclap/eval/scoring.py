"""Compares scores of examples for labels with the truth: metrics, classes, folds and the confusion matrix.

scores (D, N, C)   D: draws of a few-shot probe, else 1 · N: examples · C: labels; every metric is the mean over D
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openclap.atomic_write import write_text
from openclap.errors import MissingExtra, UsageError
from openclap.eval.embedding import EmbeddedItems, truth_table
from openclap.eval.metrics import (
    Estimate,
    Floats,
    Ints,
    bootstrap,
    confusion_matrix,
    mean_average_precision,
    top_k,
)
from openclap.eval.report import ClassScore

__all__ = ["Scores", "check_confusion", "score_predictions", "write_confusion"]

TOP = 5  # of top-5 accuracy


@dataclass(frozen=True, eq=False)
class Scores:
    """Metrics with intervals, of every class and fold; for a single-label task, the confusion matrix (C, C)."""

    labels: tuple[str, ...]
    metrics: dict[str, Estimate]
    classes: list[ClassScore]
    folds: dict[str, float]
    confusion: Ints | None = None  # the truth by row


def score_predictions(
    used: EmbeddedItems, scores: npt.ArrayLike, labels: Sequence[str], *, multi_label: bool, draws: int, seed: int
) -> Scores:
    """Compare scores (D, N, C), higher for what is more likely, with the labels of the items.

    A single-label task has accuracy, top-5 accuracy where there are more labels, and the mean of the folds' accuracies
    where there are folds. A multi-label task has mAP, the mean average precision of the labels that occur.
    """
    points = np.asarray(scores, np.float64)
    assert points.ndim == 3, points.shape
    truth = truth_table(used.items, labels)
    if multi_label:
        return _score_multi_label(points, truth, tuple(labels), draws, seed)
    return _score_single_label(
        points, truth.argmax(axis=1), [item.fold or "" for item in used.items], tuple(labels), draws, seed
    )


def _score_single_label(
    points: Floats, truth: Ints, fold_of: list[str], labels: tuple[str, ...], draws: int, seed: int
) -> Scores:
    answers = points.argmax(axis=2)
    right = (answers == truth).mean(axis=0)
    near = np.mean([top_k(scores, truth, TOP) for scores in points], axis=0)
    names = sorted({fold for fold in fold_of if fold}, key=lambda name: (len(name), name))
    members = [np.array([fold == name for fold in fold_of]) for name in names]

    def numbers(counts: Ints) -> dict[str, float]:
        metrics = {"accuracy": float(np.average(right, weights=counts))}
        if len(labels) > TOP:
            metrics[f"top-{TOP} accuracy"] = float(np.average(near, weights=counts))
        drawn = [(right[mine], counts[mine]) for mine in members if counts[mine].any()]
        if len(names) > 1:
            metrics["mean of folds accuracy"] = float(np.mean([np.average(r, weights=c) for r, c in drawn]))
        return metrics

    confusion = sum(confusion_matrix(row, truth, len(labels)) for row in answers)
    assert isinstance(confusion, np.ndarray)
    return Scores(
        labels,
        bootstrap(numbers, len(truth), draws=draws, rng=seed),
        [_class_score(i, confusion, len(points), labels) for i in range(len(labels))],
        {name: float(right[mine].mean()) for name, mine in zip(names, members, strict=True)},
        confusion,
    )


def _class_score(index: int, confusion: Ints, draws: int, labels: tuple[str, ...]) -> ClassScore:
    row = confusion[index]
    examples = int(row.sum())
    wrong = np.where(np.arange(len(row)) == index, 0, row)
    taken_for = labels[int(wrong.argmax())] if wrong.any() else None
    return ClassScore(labels[index], examples // draws, row[index] / examples if examples else None, taken_for)


def _score_multi_label(
    points: Floats, truth: npt.NDArray[np.bool_], labels: tuple[str, ...], draws: int, seed: int
) -> Scores:
    areas = [mean_average_precision(scores, truth) for scores in points]

    def classes(counts: Ints | None) -> Floats:
        return np.mean([area(counts) for area in areas], axis=0)

    def numbers(counts: Ints) -> dict[str, float]:
        known = classes(counts)
        known = known[np.isfinite(known)]
        return {"mAP": float(known.mean()) if len(known) else float("nan")}

    each = [
        ClassScore(label, int(count), float(area) if np.isfinite(area) else None)
        for label, count, area in zip(labels, truth.sum(axis=0), classes(None), strict=True)
    ]
    return Scores(labels, bootstrap(numbers, len(truth), draws=draws, rng=seed), each, {})


def check_confusion(path: Path, *, multi_label: bool) -> None:
    """Check before the work that `write_confusion` can write to a path; it raises the same errors."""
    if multi_label:
        raise UsageError("a multi-label task has no confusion matrix; the scores of its classes are in the report")
    if path.suffix.lower() not in (".csv", ".png"):
        raise UsageError(f"{path}: a confusion matrix is written as .csv or .png")
    if path.suffix.lower() == ".png" and find_spec("matplotlib") is None:
        raise MissingExtra(
            "a picture needs matplotlib: install openclap's extra 'eval' (docs/install.md)  (or write a .csv)"
        )


def write_confusion(judged: Scores, path: Path) -> None:
    """Write the confusion matrix as a .csv table or a .png picture, with the truth by row.

    Raises
    ------
    UsageError
        It is another ending or a multi-label task, or the file cannot be written.
    MissingExtra
        A picture needs matplotlib, which is not installed.
    """
    check_confusion(path, multi_label=judged.confusion is None)
    assert judged.confusion is not None
    if path.suffix.lower() == ".csv":
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["truth", *judged.labels])
        table.writerows([label, *row] for label, row in zip(judged.labels, judged.confusion.tolist(), strict=True))
        write_text(path, text.getvalue(), errors="backslashreplace")  # for labels that are no UTF-8
    else:
        _draw(judged.confusion, judged.labels, path)


def _draw(confusion: Ints, labels: tuple[str, ...], path: Path) -> None:
    """Draw the confusion matrix, each row as shares of its sum."""
    from matplotlib.figure import Figure

    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    size = 3 + 0.2 * len(labels)  # inches
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set(xlabel="answered", ylabel="truth")
    figure.colorbar(picture, label="share of the row")
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror or error}); choose another place") from error
