"""Data sets to evaluate by, from any source that `openclap.data.open_manifest` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclap.data.items import Item, side_of
from openclap.data.manifest import open_manifest
from openclap.errors import DataError, UsageError
from openclap.plurals import count_noun
from openclap.results import Failure

__all__ = ["Dataset", "read_items", "select_labelled"]


@dataclass(frozen=True)
class Dataset:
    """A data set to evaluate by: items, the labels to choose from, and what of the source could not become an item."""

    name: str
    items: list[Item]
    labels: tuple[str, ...] = ()
    multi_label: bool = False
    failed: list[Failure] = field(default_factory=list)

    @property
    def test_items(self) -> list[Item]:
        """The items that a zero-shot or retrieval score is about: the test split, or all where there is none."""
        return [item for item in self.items if side_of(item.split) == "test"] or self.items


def read_items(source: str | os.PathLike[str] | Any) -> Dataset:
    """Read a data set from any source that `openclap.data.open_manifest` takes.

    Only items of the splits train and test, and those without one, are taken. The labels are those that occur, in
    sorted order; where an item has several, each label is judged by itself.

    Raises
    ------
    DataError
        There is no such source, or a file is in two splits.
    """
    manifest = open_manifest(source)
    items = [item for item in manifest if side_of(item.split) in ("", "train", "test")]
    sides: dict[Path, str] = {}
    for item in items:
        if isinstance(item.sound, Path) and sides.setdefault(item.sound, side_of(item.split)) != side_of(item.split):
            raise DataError(f"{manifest.name}: the rows of {item.key} disagree on its split; give it one")
    labels = tuple(sorted({label for item in items for label in item.labels}))
    multi_label = any(len(item.labels) > 1 for item in items)
    return Dataset(Path(manifest.name).resolve().name, items, labels, multi_label, manifest.failed)


def select_labelled(data: Dataset, items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """The items that have a label, and notes on those with none or several; UsageError where no item has one."""
    chosen = [item for item in items if item.labels]
    if not chosen:
        raise UsageError(f"{data.name} has no labels, so there is nothing to name; choose retrieval")
    notes = []
    if len(items) > len(chosen):
        without = count_noun(len(items) - len(chosen), "sound without a label was", "sounds without a label were")
        notes.append(f"{without} left out")
    several = sum(len(item.labels) > 1 for item in chosen)
    if several:
        notes.append(
            f"{count_noun(several, 'sound has', 'sounds have')} several labels, so each label is judged by itself"
        )
    return chosen, notes
