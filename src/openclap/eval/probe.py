"""Trains classifiers on frozen embeddings, in numpy, and judges them on sounds that they were not trained on.

    folds          every fold is judged by a head trained on the others
    split          the test split is judged by a head trained on the train split
    neither        five folds are drawn, each with its share of every label
    shots = n      each head sees n examples of each label, drawn `few_draws` times; metrics are the means

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
from openclap.eval.datasets import Dataset, select_labelled
from openclap.eval.embedding import Embed, EmbeddedItems, embed_items, truth_table
from openclap.eval.head import Head
from openclap.eval.report import EvalReport, new_report
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

HIDDEN = 512  # size of the hidden layer of the MLP probe
BATCH, STEPS, EPOCHS = 512, 600, 20  # the least number of steps, and of times through the data
RATE, DECAY = 1e-2, 1e-2  # Adam's learning rate, which falls to 0 along a cosine, and its decoupled weight decay
FOLDS = 5  # how many are drawn where the data has none
NAMED = 5  # the most rare labels that a note names


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
    embed: Embed = embed_items,
) -> tuple[EvalReport, Scores, Head]:
    """Train and judge a probe: accuracy (single-label, softmax) or mAP (multi-label, sigmoid).

    Parameters
    ----------
    kind
        "linear", or "mlp" with one hidden layer of 512.
    shots
        How many examples of each label to learn from, drawn `few_draws` times; by default all, once.
    draws
        Resamples of the judged examples for the intervals, which hold for these heads and not for other trainings.

    Returns
    -------
    The report, the scores it was made of, and a head to save: trained on the train split, or on all examples where they
    were judged in folds; with shots, on the first draw.

    Raises
    ------
    UsageError
        There are no labels or fewer than two to learn, the train or test split has no examples, or no sound is usable.
    """
    if kind not in get_args(Kind):
        raise UsageError(f"kind is {kind!r}; choose {', '.join(get_args(Kind))}")
    if shots is not None and (shots < 1 or few_draws < 1):
        raise UsageError(f"{shots} shots, {few_draws} draws; both must be 1 or more")
    chosen, notes = select_labelled(data, data.items)
    used = embed(clap, chosen, progress=progress, batch_size=batch_size)
    truth = truth_table(used.items, data.labels)
    used, rounds, how = _make_folds(used, truth, seed)
    rare = {} if shots is None else _rare_labels(shots, rounds, truth, data.labels)
    notes += _note_rare_labels(shots, rare)

    def head_of(rows: Ints) -> Head:
        layers = fit_layers(used.vectors[rows], truth[rows], kind=kind, multi_label=data.multi_label, seed=seed)
        return Head(layers, tuple(data.labels), data.multi_label, clap.name, clap.fingerprint)

    scores = np.zeros((1 if shots is None else few_draws, *truth.shape))
    for turn in range(len(scores)):
        for number, (train, test) in enumerate(rounds):
            head = head_of(_draw_rows(train, truth, shots, (seed, turn, number)))
            scores[turn, test] = head.logits(used.vectors[test])
    tested = np.unique(np.concatenate([test for _, test in rounds]))
    seen = EmbeddedItems([used.items[i] for i in tested], used.vectors[tested], used.failed)
    judged_by = partial(score_predictions, seen, labels=data.labels, multi_label=data.multi_label, seed=seed)
    judged = judged_by(scores[:, tested], draws=draws)
    each = [next(iter(judged_by(one[None, tested], draws=0).metrics.values())).value for one in scores]
    saved_rows = _draw_rows(rounds[0][0] if len(rounds) == 1 else np.arange(len(truth)), truth, shots, (seed, 0, 0))
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
            "shots of rarer labels": [f"{label}: {count}" for label, count in rare.items()] or None,
            "each draw": [round(value, 4) for value in each] if shots else None,
            "examples of the saved head": len(saved_rows),
            "draws": draws,
            "seed": seed,
        },
        metrics=judged.metrics,
        classes=judged.classes,
        folds=judged.folds,
        notes=notes,
        failed=[*data.failed, *used.failed],
    )
    return report, judged, head_of(saved_rows)


def fit_layers(
    vectors: Floats, truth: Truth, *, kind: Kind = "linear", multi_label: bool = False, seed: int = 0
) -> tuple[tuple[Floats, Floats], ...]:
    """Learn the layers of a `Head` from embeddings (N, E) and their labels, bool (N, C).

    Adam with decoupled weight decay minimises the mean cross-entropy (softmax, or a sigmoid for each label). The
    embeddings are centred and scaled to unit variance over all dimensions together; the first layer takes that in
    afterwards.
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
    parameters = [p for layer in layers for p in layer]  # these arrays are changed in place
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))  # moments of the gradients
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
    """Batches of row numbers without end: all examples in a random order, then again in another."""
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
    gradients: list[Floats] = []
    for (weight, _), given in zip(reversed(layers), reversed(inputs), strict=True):
        gradients = [error.T @ given, error.sum(axis=0), *gradients]
        error = (error @ weight) * (given > 0)  # `given` is the ReLU's output, except for x, whose gradient is not used
    return gradients


# -- which examples ----------------------------------------------------------------------------------


def _make_folds(used: EmbeddedItems, truth: Truth, seed: int) -> tuple[EmbeddedItems, list[tuple[Ints, Ints]], str]:
    """Row numbers (train, test) for each round, and how they were chosen; folds that are drawn are set in the items."""
    splits = np.array([side_of(item.split) for item in used.items])
    folds = np.array([item.fold or "" for item in used.items])
    if (splits == "train").any() and (splits == "test").any():
        rounds, how = [(np.flatnonzero(splits == "train"), np.flatnonzero(splits == "test"))], "the test split"
    elif (splits == "train").any():
        raise UsageError("the examples say train but none says test; a probe is judged on what it has not seen")
    else:
        how = "the folds given"
        if not (folds != "").all() or len(set(folds)) < 2:
            folds, how = _draw_folds(truth, seed), f"{FOLDS} folds, drawn"
            numbered = [replace(item, fold=fold) for item, fold in zip(used.items, folds.tolist(), strict=True)]
            used = EmbeddedItems(numbered, used.vectors, used.failed)
        names = sorted(set(folds.tolist()), key=lambda name: (len(name), name))
        rounds = [(np.flatnonzero(folds != name), np.flatnonzero(folds == name)) for name in names]
    fewest = min(int(truth[train].any(axis=0).sum()) for train, _ in rounds)
    if fewest < 2:
        raise UsageError(f"the sounds to learn from have {fewest} label; a classifier needs two or more")
    return used, rounds, how


def _draw_folds(truth: Truth, seed: int) -> npt.NDArray[np.str_]:
    """Draw a fold for each example, so that all folds have their share of each label (by an example's rarest one)."""
    rng = np.random.default_rng((seed, FOLDS))
    if len(truth) < FOLDS:
        raise UsageError(f"{count_noun(len(truth), 'usable sound is', 'usable sounds are')} too few for {FOLDS} folds")
    rarity = np.where(truth, truth.sum(axis=0), len(truth) + 1)
    order = rng.permutation(len(truth))
    order = order[np.argsort(rarity[order].argmin(axis=1), kind="stable")]  # sorted by label, at random within each
    folds = np.empty(len(truth), np.int64)
    folds[order] = np.arange(len(truth)) % FOLDS
    return (folds + 1).astype(np.str_)


def _rare_labels(
    shots: int, rounds: Sequence[tuple[Ints, Ints]], truth: Truth, labels: Sequence[str]
) -> dict[str, int]:
    """Labels with fewer than `shots` examples in the round where they have the fewest, the rarest first."""
    counts = np.min([truth[train].sum(axis=0) for train, _ in rounds], axis=0)
    order = np.argsort(counts, kind="stable")
    return {labels[i]: int(counts[i]) for i in order if counts[i] < shots}


def _note_rare_labels(shots: int | None, rare: dict[str, int]) -> list[str]:
    """A note that some labels have fewer examples than `shots`; none where all have enough."""
    if not rare:
        return []
    named = ", ".join(f"{label} {count}" for label, count in list(rare.items())[:NAMED])
    more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
    has = count_noun(len(rare), "label has", "labels have")
    return [
        f"{count_noun(shots or 0, 'shot')}: {has} fewer examples to learn from, of which all were used: {named}{more}"
    ]


def _draw_rows(rows: Ints, truth: Truth, shots: int | None, seed: tuple[int, ...]) -> Ints:
    """All rows, or `shots` rows of every label, as far as there are so many; each row once."""
    if shots is None:
        return rows
    rng = np.random.default_rng(seed)
    taken = [
        rng.permutation(rows[truth[rows, label]])[:shots] for label in range(truth.shape[1]) if truth[rows, label].any()
    ]
    return np.unique(np.concatenate(taken))
