"""Choose the examples that are held out of training, to evaluate with; each task has its own rule.

fine-tuning    the split or fold of the table, as others who use the data do; else a share of every label
distillation   a share of the recordings, by their names, which stays the same when recordings are added or moved
pruning        every other one, since calibration needs all kinds, and tables often come sorted by kind
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

import numpy as np

from openclap.data import Item
from openclap.data.items import side_of
from openclap.errors import TrainingError
from openclap.train.examples import Example
from openclap.train.settings import Source

__all__ = ["Row", "hold_out_by_name", "split_alternately", "split_by_table", "spread_evenly"]

SHARE = 0.2  # of every label, held out where the data has no split and no folds

Row = tuple[Source, Example]
T = TypeVar("T")


def hold_out_by_name(examples: Sequence[Example], share: float) -> list[Example]:
    """Choose a share of the recordings, at least one, by their names: their order and their folder do not matter."""
    items = {example.key: example for example in examples}
    order = sorted(items, key=lambda key: hashlib.sha256(items[key].item.key.encode("utf-8", "replace")).digest())
    count = max(1, round(share * len(order))) if share else 0
    return [items[key] for key in order[:count]]


def split_alternately(items: Sequence[Item], most: int) -> tuple[list[Item], list[Item]]:
    """Split items in two: `most` or fewer, evenly spread, to calibrate with; and the others, or all if none is left."""
    shown = spread_evenly(items[::2], most)
    keys = {item.key for item in shown}
    return shown, [item for item in items if item.key not in keys] or list(items)


def spread_evenly(things: Sequence[T], most: int) -> list[T]:
    """Take at most `most` things, evenly spaced, since manifests often come sorted by label."""
    if len(things) <= most:
        return list(things)
    return [things[i] for i in np.linspace(0, len(things) - 1, most).round().astype(int)]


def split_by_table(
    rows: list[Row],
    *,
    split: str | None,
    folds: Sequence[str],
    files: Sequence[str],
    share: float | None,
    seed: int,
) -> tuple[list[Row], list[Row], str]:
    """Split examples into those to learn from and those to evaluate with, and say by which rule.

    The rules are tried in this order: files, folds, split, share; then the test split and the folds of the data.

    Parameters
    ----------
    files
        Patterns for file names.
    share
        The share of every label, drawn by `seed`; with 0 nothing is held out. Where no rule is given, the test split is
        held out, else the last fold, else a fifth.

    Raises
    ------
    TrainingError
        One of the two sides is empty.
    """
    splits = {row[1].item.split or "" for row in rows}
    learnable = _learnable(rows, splits)
    if files:
        return _split_checked(rows, learnable, _name_matcher(files), f"the files {', '.join(files)}")
    if folds:
        return _split_checked(rows, learnable, lambda e: e.item.fold in folds, f"fold {', '.join(folds)}")
    if split is not None:
        return _split_checked(rows, learnable, lambda e: e.item.split == split, f"the split {split}")
    if share is None and any(side_of(name) == "test" for name in splits):
        return _split_checked(rows, learnable, lambda e: side_of(e.item.split) == "test", "the test split")
    there = {row[1].item.fold for row in learnable}
    if share is None and None not in there and len(there) > 1:
        last = max((fold for fold in there if fold is not None), key=lambda name: (len(name), name))
        return _split_checked(rows, learnable, lambda e: e.item.fold == last, f"fold {last}, the last")
    share = SHARE if share is None else share
    held = _of_every_label(learnable, share, seed) if share else set()
    how = f"{share:.0%} of every label, drawn" if share else "nothing"
    return _split_checked(rows, learnable, lambda e: e.key in held, how)


def _learnable(rows: list[Row], splits: set[str]) -> list[Row]:
    """The rows to learn from: of the split that their source names, else of train splits, never of a test split."""
    trains = any(side_of(split) == "train" for split in splits)

    def is_learnable(source: Source, split: str) -> bool:
        if source.split is not None:
            return split == source.split
        return side_of(split) == "train" if trains else side_of(split) != "test"

    return [(source, e) for source, e in rows if is_learnable(source, e.item.split or "")]


def _name_matcher(patterns: Sequence[str]) -> Callable[[Example], bool]:
    return lambda example: any(fnmatch(Path(example.item.key).name, p) for p in patterns)


def _split_checked(
    rows: list[Row], learnable: list[Row], judged: Callable[[Example], bool], how: str
) -> tuple[list[Row], list[Row], str]:
    test = [row for row in rows if judged(row[1])]
    train = [row for row in learnable if not judged(row[1])]
    if not train or (not test and how != "nothing"):
        side = "to learn from" if not train else "to judge"
        folds = sorted({e.item.fold or "none" for _, e in rows})
        splits = sorted({e.item.split or "none" for _, e in rows})
        raise TrainingError(
            f"{how} leaves no sound {side}; there are splits: {', '.join(splits) or 'none'}; folds:"
            f" {', '.join(folds) or 'none'}"
        )
    return train, test, how


def _of_every_label(rows: list[Row], share: float, seed: int) -> set[str]:
    """The keys of a share of the sounds of every label; at least one sound of each label stays to be learnt.

    A sound with several labels counts for the rarest of them.
    """
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
