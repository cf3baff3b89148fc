"""Which sounds are judged, described or labelled how: any source that `openclap.data.open_manifest` reads.

Knows nothing of metrics.
"""

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

__all__ = ["Dataset", "only_labelled", "read_items"]


@dataclass(frozen=True)
class Dataset:
    """Items, the labels among which one chooses, and what of the source could not become an item."""

    name: str
    items: list[Item]
    labels: tuple[str, ...] = ()
    multi_label: bool = False
    failed: list[Failure] = field(default_factory=list)

    @property
    def judged(self) -> list[Item]:
        """The items a zero-shot or retrieval score is about: the test split where there is one."""
        return [item for item in self.items if side_of(item.split) == "test"] or self.items


def read_items(source: str | os.PathLike[str] | Any) -> Dataset:
    """What `openclap.data.open_manifest` makes of a source, to judge by: without validation and other splits than train and test.

    The labels are those that occur, in sorted order; where an item has several, each label is judged by itself.

    Raises
    ------
    DataError
        No such source, or a file that is both learnt from and judged.
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


def only_labelled(data: Dataset, items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """The items that have a label, and notes on those that have none or several; a data set without labels is refused."""
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
