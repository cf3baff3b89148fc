"""Labelled sounds: which are learnt from and which are judged. Knows nothing of models or tensors.

split        the sounds of a test split are judged, those of a train split learnt from
fold         those of the named folds are judged; where nothing is named, those of the last one
neither      a fifth of every label is held out
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from openclap.data import Item
from openclap.errors import SoundWarning, TrainingError
from openclap.eval.examples import TEST, TRAIN
from openclap.results import Failure
from openclap.train.examples import Example, key_of, read_sources
from openclap.train.left_out import NAMED, refuse_many, warn_of
from openclap.train.settings import Settings, Source

__all__ = ["Labelled", "SupervisedSettings", "Supervision", "read_labelled", "truth_of"]

SHARE = 0.2  # of every label that is held out where the data says nothing


@dataclass(frozen=True)
class Supervision:
    """What `openclap finetune` learns beside the weights of the model: which labels, in which head, judged on what."""

    multi_label: bool | None = None  # several labels a sound, each by itself; left out, as the labels say
    head: Literal["linear", "mlp"] = "linear"
    start: Literal["probe", "zeroshot", "random"] = "probe"  # of the head: a probe on the frozen model (LP-FT), prompts
    head_rate: float = 10.0  # the head's learning rate, as a multiple of the model's
    test_split: str | None = None  # who is judged and not learnt from: the first of these four that is given
    test_folds: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()  # patterns on the file name
    test_share: float | None = None  # of every label, drawn by `seed`; 0: nobody is judged
    templates: tuple[str, ...] = ("This is a sound of {}.",)  # prompts of labels
    draws: int = 1000  # resamples for the intervals


@dataclass(frozen=True)
class SupervisedSettings(Settings):
    """One fine-tuning."""

    supervised: Supervision = field(default_factory=Supervision)


@dataclass(frozen=True)
class Labelled:
    """Who is learnt from, who is judged, and the labels of the former."""

    train: list[Example]  # repeated as their source says
    test: list[Example]
    labels: tuple[str, ...]  # sorted
    multi_label: bool
    how: str  # the test side was chosen
    name: str  # of the sources, for reports


def truth_of(examples: Sequence[Example], labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which of C labels each example has → (N, C)."""
    place = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(examples), len(labels)), np.bool_)
    for i, example in enumerate(examples):
        table[i, [place[label] for label in example.item.labels]] = True
    return table


def read_labelled(settings: SupervisedSettings) -> Labelled:
    """The labelled sounds of every source, in a fixed order, parted into those to learn from and those to judge.

    Raises
    ------
    TrainingError
        A source that cannot be read, more sounds without a label than may be, fewer than two labels, a side without
        sounds, several labels a sound where one is asked for, or a label that is judged and never learnt.
    """
    supervision = settings.supervised
    _check_asked(supervision)
    found = read_sources(settings, _example, all_splits=True)
    if not any(example.item.labels for _, example in found.rows):
        where = ", ".join(source.folder for source in settings.sources)
        raise TrainingError(
            f"none of the {len(found.rows)} sounds of {where} has a label; a table needs a column label"
        )
    train, test, how = _sides(found.rows, supervision, settings.seed)
    train, test = _described(train, test, found.left_out, settings.most_broken)
    learnt = [example for source, example in train for _ in range(source.repeat)]
    judged = [example for _, example in test]
    several = [e for e in (*learnt, *judged) if len(e.item.labels) > 1]
    multi = bool(several) if supervision.multi_label is None else supervision.multi_label
    if several and not multi:
        raise TrainingError(
            f"{_said(len({e.key for e in several}), 'has', 'have')} several labels, the first is {several[0].key}; give each one, or set multi_label"
        )
    counts = Counter(label for _, example in train for label in example.item.labels)
    _check(learnt, judged, counts)
    return Labelled(
        learnt,
        judged,
        tuple(sorted(counts)),
        multi,
        how,
        " and ".join(Path(s.folder).name or s.folder for s in settings.sources),
    )


def _check(train: Sequence[Example], test: Sequence[Example], counts: Counter[str]) -> None:
    """Labels that can be learnt and judged."""
    if len(counts) < 2:
        raise TrainingError(
            f"the {len(train)} sounds to learn from have {len(counts)} label ({', '.join(counts)}); a classifier needs two or more"
        )
    unseen = {label: e for e in test for label in e.item.labels if label not in counts}
    if unseen:
        label, example = next(iter(unseen.items()))
        raise TrainingError(
            f"{len(unseen)} labels are judged but no sound to learn from has them, the first is {label!r} ({example.key}); add sounds of it, or leave them out"
        )
    rare = [label for label, count in counts.items() if count == 1]
    if rare:
        warnings.warn(
            f"{len(rare)} labels have one sound to learn from, too little to hear them elsewhere: {', '.join(sorted(rare)[:NAMED])}",
            SoundWarning,
            stacklevel=3,
        )


# -- reading -----------------------------------------------------------------------------------------

Row = tuple[Source, Example]


def _check_asked(asked: Supervision) -> None:
    rules = {
        "head_rate": (asked.head_rate > 0, "more than 0"),
        "test_share": (asked.test_share is None or 0 <= asked.test_share < 1, "from 0 to below 1"),
        "draws": (asked.draws >= 0, "0 or more"),
    }
    for name, (fine, rule) in rules.items():
        if not fine:
            raise TrainingError(f"supervised.{name} is {getattr(asked, name)!r}; it must be {rule}")


def _example(name: str, item: Item) -> Example:
    """Its labels stand for captions: mixing two sounds then joins them as it joins captions."""
    return Example(key_of(name, item), item, item.labels, "\n".join(item.labels))


def _described(train: list[Row], test: list[Row], lost: list[Failure], most: float) -> tuple[list[Row], list[Row]]:
    """Without those that have no label, which are named, as are those that were lost before."""
    silent = [*lost, *(Failure(e.key, "no label") for _, e in (*train, *test) if not e.item.labels)]
    said = _said(len(silent), "is not there or has", "are not there or have")
    refuse_many(silent, len(train) + len(test) + len(lost), most, f"{said} no label", "label them")
    warn_of(silent, "sounds that are not there or have no label")
    return [row for row in train if row[1].item.labels], [row for row in test if row[1].item.labels]


def _said(count: int, one: str, many: str) -> str:
    return f"1 sound {one}" if count == 1 else f"{count} sounds {many}"


# -- who is judged -----------------------------------------------------------------------------------


def _sides(rows: list[Row], asked: Supervision, seed: int) -> tuple[list[Row], list[Row], str]:
    """Learnt from, judged, and by what they were parted."""
    splits = {row[1].item.split or "" for row in rows}
    learnable = _learnable(rows, splits)
    if asked.test_files:
        patterns = ", ".join(asked.test_files)
        return _parted(rows, learnable, _named(asked.test_files), f"the files {patterns}")
    if asked.test_folds:
        return _parted(
            rows, learnable, lambda e: e.item.fold in asked.test_folds, f"fold {', '.join(asked.test_folds)}"
        )
    if asked.test_split is not None:
        return _parted(rows, learnable, lambda e: e.item.split == asked.test_split, f"the split {asked.test_split}")
    if asked.test_share is None and any(_is(split, TEST) for split in splits):
        return _parted(rows, learnable, lambda e: _is(e.item.split or "", TEST), "the test split")
    folds = {row[1].item.fold for row in learnable}
    if asked.test_share is None and None not in folds and len(folds) > 1:
        last = max((fold for fold in folds if fold is not None), key=lambda name: (len(name), name))
        return _parted(rows, learnable, lambda e: e.item.fold == last, f"fold {last}, the last")
    share = SHARE if asked.test_share is None else asked.test_share
    held = _held_out(learnable, share, seed) if share else set()
    return _parted(
        rows, learnable, lambda e: e.key in held, f"{share:.0%} of every label, drawn" if share else "nothing"
    )


def _is(split: str, names: Sequence[str]) -> bool:
    return split.strip().lower() in names


def _learnable(rows: list[Row], splits: set[str]) -> list[Row]:
    """Those of the split their source names, or of a train split where there is one; never a test split's."""
    trains = any(_is(split, TRAIN) for split in splits)

    def wanted(source: Source, split: str) -> bool:
        if source.split is not None:
            return split == source.split
        return _is(split, TRAIN) if trains else not _is(split, TEST)

    return [(source, e) for source, e in rows if wanted(source, e.item.split or "")]


def _named(patterns: Sequence[str]) -> Callable[[Example], bool]:
    return lambda example: any(fnmatch(Path(example.item.key).name, p) for p in patterns)


def _parted(
    rows: list[Row], learnable: list[Row], judged: Callable[[Example], bool], how: str
) -> tuple[list[Row], list[Row], str]:
    test = [row for row in rows if judged(row[1])]
    train = [row for row in learnable if not judged(row[1])]
    if not train or (not test and how != "nothing"):
        side = "to learn from" if not train else "to judge"
        folds = sorted({e.item.fold or "none" for _, e in rows})
        splits = sorted({e.item.split or "none" for _, e in rows})
        raise TrainingError(
            f"{how} leaves no sound {side}; there are splits: {', '.join(splits) or 'none'}; folds: {', '.join(folds) or 'none'}"
        )
    return train, test, how


def _held_out(rows: list[Row], share: float, seed: int) -> set[str]:
    """The keys of a share of every label (of a sound's rarest, where it has several); one of each stays to be learnt."""
    counts = Counter(label for _, e in rows for label in e.item.labels)
    members: dict[str, list[str]] = {}
    for _, e in rows:
        if e.item.labels:
            members.setdefault(min(e.item.labels, key=lambda x: (counts[x], x)), []).append(e.key)
    rng = np.random.default_rng((seed, len(rows)))
    held: set[str] = set()
    for label in sorted(members):
        keys = members[label]
        some = min(len(keys) - 1, max(1, round(share * len(keys))))
        held |= {keys[i] for i in rng.permutation(len(keys))[:some]}
    return held
