"""Supervised classifiers on frozen embeddings: trained in numpy, judged on sounds they were not trained on.

    folds          every fold is judged by a head trained on the others
    split          the test split is judged by a head trained on the train split
    neither        five folds are drawn, each with its share of every label
    shots = n      each head sees n examples a label, drawn anew `few_draws` times; numbers are the means

The same seed gives the same heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from openclap.data.items import side_of
from openclap.errors import UsageError
from openclap.eval.datasets import Dataset, only_labelled
from openclap.eval.embedding import Embedded, embed_items, truth_of
from openclap.eval.head import Head
from openclap.eval.report import Report, new_report
from openclap.eval.scoring import Scores, score_predictions
from openclap.plurals import count_noun
from openclap.scores import logistic, softmax

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["Kind", "fit_layers", "probe"]

Kind: TypeAlias = Literal["linear", "mlp"]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]

HIDDEN = 512  # of the MLP probe
BATCH, STEPS, EPOCHS = 512, 600, 20  # at least so many steps, and so many times through the data
RATE, DECAY = 1e-2, 1e-2  # of Adam: falls to 0 along a cosine; decoupled weight decay
FOLDS = 5  # where the data has none
NAMED = 5  # rare labels in a note


def probe(
    clap: CLAP,
    data: Dataset,
    *,
    kind: Kind = "linear",
    shots: int | None = None,
    few_draws: int = 5,
    draws: int = 1000,
    seed: int = 0,
    progress: bool = False,
    batch_size: int = 8,
) -> tuple[Report, Scores, Head]:
    """Train and judge a probe: accuracy (single-label, softmax) or mAP (multi-label, sigmoid).

    Parameters
    ----------
    kind
        "linear", or "mlp": one hidden layer of 512.
    shots
        Examples a label to learn from, drawn `few_draws` times; all when omitted.
    draws
        Resamples of the judged examples for the intervals, which are about these heads, not about other trainings.

    Returns
    -------
    The report, what it was made of, and a head to keep: of the train split, or of all examples where they were judged
    in folds; with shots, of the first draw.

    Raises
    ------
    UsageError
        No labels, fewer than two of them to learn, a train or test side without examples, or not one usable sound.
    """
    if kind not in get_args(Kind):
        raise UsageError(f"kind is {kind!r}; choose {', '.join(get_args(Kind))}")
    if shots is not None and (shots < 1 or few_draws < 1):
        raise UsageError(f"{shots} shots, {few_draws} draws; both must be 1 or more")
    chosen, notes = only_labelled(data, data.items)
    used = embed_items(clap, chosen, progress=progress, batch_size=batch_size)
    truth = truth_of(used.items, data.labels)
    used, rounds, how = _make_folds(used, truth, seed)
    fewer = {} if shots is None else _labels_with_fewer(shots, rounds, truth, data.labels)
    notes += _note_fewer(shots, fewer)

    def head_of(rows: Ints) -> Head:
        layers = fit_layers(used.vectors[rows], truth[rows], kind=kind, multi_label=data.multi_label, seed=seed)
        return Head(layers, tuple(data.labels), data.multi_label, clap.name, clap.fingerprint)

    scores = np.zeros((1 if shots is None else few_draws, *truth.shape))
    for turn in range(len(scores)):
        for number, (train, test) in enumerate(rounds):
            scores[turn, test] = head_of(_draw_rows(train, truth, shots, (seed, turn, number))).logits(
                used.vectors[test]
            )
    tested = np.unique(np.concatenate([test for _, test in rounds]))
    seen = Embedded([used.items[i] for i in tested], used.vectors[tested], used.failed)
    judged_by = partial(score_predictions, seen, labels=data.labels, multi_label=data.multi_label, seed=seed)
    judged = judged_by(scores[:, tested], draws=draws)
    each = [next(iter(judged_by(one[None, tested], draws=0).metrics.values())).value for one in scores]
    kept = _draw_rows(rounds[0][0] if len(rounds) == 1 else np.arange(len(truth)), truth, shots, (seed, 0, 0))
    report = new_report(
        clap,
        "probe",
        data.name,
        examples=len(tested),
        settings={
            "kind": kind,
            "labels": len(data.labels),
            "judged by": how,
            "shots": shots,
            "shots of rarer labels": [f"{label}: {count}" for label, count in fewer.items()] or None,
            "each draw": [round(value, 4) for value in each] if shots else None,
            "examples of the saved head": len(kept),
            "draws": draws,
            "seed": seed,
        },
        metrics=judged.metrics,
        classes=judged.classes,
        folds=judged.folds,
        notes=notes,
        failed=[*data.failed, *used.failed],
    )
    return report, judged, head_of(kept)


def fit_layers(
    vectors: Floats, truth: Truth, *, kind: Kind = "linear", multi_label: bool = False, seed: int = 0
) -> tuple[tuple[Floats, Floats], ...]:
    """The layers of a `Head`, learnt from embeddings (N, E) and their labels (N, C), bool.

    Mean cross-entropy (softmax, or a sigmoid a label) by Adam with decoupled weight decay. The embeddings are centred
    and brought to unit variance over all dimensions together, which is folded into the first layer afterwards.
    """
    rng = np.random.default_rng(seed)
    centre = vectors.mean(axis=0)
    scale = np.float32(1 / max(float((vectors - centre).std()), 1e-6))
    x = (vectors - centre) * scale
    y = truth.astype(np.float32) / (1 if multi_label else truth.sum(axis=1, keepdims=True))
    sizes = (vectors.shape[1], *((HIDDEN,) if kind == "mlp" else ()), truth.shape[1])
    layers = [_init_layer(rng, inputs, outputs) for inputs, outputs in pairwise(sizes)]
    batch = min(BATCH, len(x))
    steps = max(STEPS, EPOCHS * -(-len(x) // batch))
    parameters = [p for layer in layers for p in layer]  # changed in place
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))  # moments of their slopes
    for step, rows in zip(range(1, steps + 1), _batches(rng, len(x), batch), strict=False):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for i, slope in enumerate(_gradients(layers, x[rows], y[rows], multi_label)):
            first[i] += 0.1 * (slope - first[i])
            second[i] += 0.001 * (slope * slope - second[i])
            if parameters[i].ndim == 2:
                parameters[i] -= rate * DECAY * parameters[i]
            parameters[i] -= rate * (first[i] / (1 - 0.9**step)) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
    weight, bias = layers[0]
    layers[0] = (weight * scale, bias - (weight * scale) @ centre)
    return tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers)


def _init_layer(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[Floats, Floats]:
    weight = rng.standard_normal((outputs, inputs)) * np.sqrt(1 / inputs)
    return weight.astype(np.float32), np.zeros(outputs, np.float32)


def _batches(rng: np.random.Generator, examples: int, batch: int) -> Iterator[Ints]:
    """Row numbers without end: every example once, then all again in another order."""
    while True:
        order = rng.permutation(examples)
        for start in range(0, examples - batch + 1, batch):
            yield order[start : start + batch]


def _gradients(layers: Sequence[tuple[Floats, Floats]], x: Floats, y: Floats, multi_label: bool) -> list[Floats]:
    """Gradients of the mean cross-entropy, in the order of the parameters."""
    inputs = [x]
    for weight, bias in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ weight.T + bias, 0))
    weight, bias = layers[-1]
    logits = inputs[-1] @ weight.T + bias
    guess: Floats = logistic(logits) if multi_label else softmax(logits)
    error: Floats = np.divide(guess - y, len(x))  # (B, C)
    found: list[Floats] = []
    for (weight, _), given in zip(reversed(layers), reversed(inputs), strict=True):
        found = [error.T @ given, error.sum(axis=0), *found]
        error = (error @ weight) * (given > 0)  # given is the ReLU's output, but for x, whose slope nobody needs
    return found


# -- which examples ----------------------------------------------------------------------------------


def _make_folds(used: Embedded, truth: Truth, seed: int) -> tuple[Embedded, list[tuple[Ints, Ints]], str]:
    """Who learns and who is judged, as (train, test) row numbers; drawn folds are written into the examples."""
    splits = np.array([side_of(item.split) for item in used.items])
    folds = np.array([item.fold or "" for item in used.items])
    if (splits == "train").any() and (splits == "test").any():
        rounds, how = [(np.flatnonzero(splits == "train"), np.flatnonzero(splits == "test"))], "the test split"
    elif (splits == "train").any():
        raise UsageError("the examples say train but none says test; a probe is judged on what it has not seen")
    else:
        how = "the folds given"
        if not (folds != "").all() or len(set(folds)) < 2:
            folds, how = _fold_of(truth, seed), f"{FOLDS} folds, drawn"
            numbered = [replace(item, fold=fold) for item, fold in zip(used.items, folds.tolist(), strict=True)]
            used = Embedded(numbered, used.vectors, used.failed)
        names = sorted(set(folds.tolist()), key=lambda name: (len(name), name))
        rounds = [(np.flatnonzero(folds != name), np.flatnonzero(folds == name)) for name in names]
    fewest = min(int(truth[train].any(axis=0).sum()) for train, _ in rounds)
    if fewest < 2:
        raise UsageError(f"the sounds to learn from have {fewest} label; a classifier needs two or more")
    return used, rounds, how


def _fold_of(truth: Truth, seed: int) -> npt.NDArray[np.str_]:
    """A fold for every example, each with its share of every label (of an example's rarest, where it has several)."""
    rng = np.random.default_rng((seed, FOLDS))
    if len(truth) < FOLDS:
        raise UsageError(f"{count_noun(len(truth), 'usable sound is', 'usable sounds are')} too few for {FOLDS} folds")
    rarity = np.where(truth, truth.sum(axis=0), len(truth) + 1)
    order = rng.permutation(len(truth))
    order = order[np.argsort(rarity[order].argmin(axis=1), kind="stable")]  # by label, within it at random
    folds = np.empty(len(truth), np.int64)
    folds[order] = np.arange(len(truth)) % FOLDS
    return (folds + 1).astype(np.str_)


def _labels_with_fewer(
    shots: int, rounds: Sequence[tuple[Ints, Ints]], truth: Truth, labels: Sequence[str]
) -> dict[str, int]:
    """Labels with fewer examples to learn from than asked for, in the round where they have the fewest, rarest first."""
    counts = np.min([truth[train].sum(axis=0) for train, _ in rounds], axis=0)
    order = np.argsort(counts, kind="stable")
    return {labels[i]: int(counts[i]) for i in order if counts[i] < shots}


def _note_fewer(shots: int | None, fewer: dict[str, int]) -> list[str]:
    """That a few-shot score is not about as many examples as asked for; nothing where it is."""
    if not fewer:
        return []
    named = ", ".join(f"{label} {count}" for label, count in list(fewer.items())[:NAMED])
    more = f" and {len(fewer) - NAMED} more" if len(fewer) > NAMED else ""
    has = count_noun(len(fewer), "label has", "labels have")
    return [
        f"{count_noun(shots or 0, 'shot')}: {has} fewer examples to learn from, of which all were used: {named}{more}"
    ]


def _draw_rows(rows: Ints, truth: Truth, shots: int | None, seed: tuple[int, ...]) -> Ints:
    """All rows, or `shots` of every label (fewer where there are fewer), each row once."""
    if shots is None:
        return rows
    rng = np.random.default_rng(seed)
    taken = [
        rng.permutation(rows[truth[rows, label]])[:shots] for label in range(truth.shape[1]) if truth[rows, label].any()
    ]
    return np.unique(np.concatenate(taken))
