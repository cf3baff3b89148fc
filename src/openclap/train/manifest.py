"""Which sounds, described how: sources → examples and their captions. Knows nothing of tensors."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openclap.data import Item, open_manifest
from openclap.data.captions import captions_of
from openclap.data.tables import SUFFIXES
from openclap.errors import DataError, SoundWarning, TrainingError
from openclap.library.scan import find_sounds
from openclap.train.settings import Settings, Source

__all__ = ["Captions", "Example", "read_examples", "read_phrases"]


@dataclass(frozen=True)
class Example:
    """A recording, what people wrote about it, and the concept it is one of."""

    key: str  # unique in a run
    item: Item
    captions: tuple[str, ...]
    concept: str  # clips of one concept describe each other, so they are no negatives of each other


def read_examples(settings: Settings, *, described: bool = True) -> list[Example]:
    """The examples of every source, in a fixed order, repeated as their source says.

    Parameters
    ----------
    described
        Something must be said about each. Without this, a folder of nothing but sounds is a source, too.

    Raises
    ------
    TrainingError
        A source that cannot be read, items that nothing is said about, or nothing left to train on.
    """
    phrases = read_phrases([settings.resolve(p) for p in settings.phrases])
    found: list[Example] = []
    silent: list[str] = []
    for source in settings.sources:
        some = _read_source(str(settings.resolve(source.folder)), source, phrases, described=described)
        silent += [example.key for example in some if described and not example.captions]
        found += [example for example in some if not described or example.captions] * source.repeat
    if len(silent) > settings.most_broken * (len(found) + len(silent)):
        raise TrainingError(
            f"{len(silent)} sounds have neither caption nor label, the first is {silent[0]}; describe them, or raise most_broken"
        )
    if silent:
        warnings.warn(
            f"{len(silent)} sounds without caption or label are left out: {', '.join(silent)}",
            SoundWarning,
            stacklevel=2,
        )
    if len(found) < settings.batch_size:
        raise TrainingError(
            f"{len(found)} examples are fewer than one batch of {settings.batch_size}; add sounds or lower batch_size"
        )
    return found


def _read_source(
    name: str, source: Source, phrases: Mapping[str, list[str]], *, described: bool = True
) -> list[Example]:
    try:
        items = None if described or source.split else _sounds_alone(Path(name))
        items = items or list(open_manifest(name, split=source.split))
    except DataError as error:
        raise TrainingError(f"sources: {error}") from error
    examples = []
    for item in items:
        file = Path(item.key).name
        if not any(fnmatch(file, p) for p in source.include) or any(fnmatch(file, p) for p in source.exclude):
            continue
        captions = captions_of(item)
        label = item.labels[0] if len(item.labels) == 1 else captions[0] if captions else ""
        concept = _concept(captions[0], label, phrases) if captions else ""
        examples.append(Example(f"{name}:{item.split or ''}:{item.key}", item, captions, concept))
    return examples


def _sounds_alone(folder: Path) -> list[Item] | None:
    """The sounds in a folder and below that nothing is written about; None for what `open_manifest` reads."""
    if not folder.is_dir() or any((folder / f"metadata{suffix}").exists() for suffix in SUFFIXES):
        return None
    files = find_sounds([folder]).files
    return [Item(file.relative_to(folder.absolute()).as_posix(), file) for file in files] or None


def _concept(caption: str, label: str, phrases: Mapping[str, list[str]]) -> str:
    """The finer of caption and label that phrases are written for; the caption where there are none."""
    return caption if caption in phrases or label not in phrases else label


def read_phrases(paths: Sequence[Path]) -> dict[str, list[str]]:
    """CSV files `label,phrase` → the phrases of each label."""
    phrases: dict[str, list[str]] = {}
    for path in paths:
        for row in _read_csv(path, ("label", "phrase")):
            phrases.setdefault(row["label"], []).append(row["phrase"])
    return phrases


def _read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns_found = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: {error}; a CSV with the columns {', '.join(columns)} is expected") from error
    lacking = [c for c in columns if c not in columns_found]
    if lacking:
        raise TrainingError(f"{path}: no column {', '.join(lacking)}; found {', '.join(columns_found) or 'none'}")
    for number, row in enumerate(rows, 2):
        empty = [c for c in columns if not (row[c] or "").strip()]
        if empty:
            raise TrainingError(f"{path}: line {number} has no {', '.join(empty)}; fill it in, or remove the line")
    return rows


class Captions:
    """Draws what is said about a concept: its captions, its phrases, sometimes in a template."""

    def __init__(self, examples: Sequence[Example], settings: Settings) -> None:
        phrases = read_phrases([settings.resolve(p) for p in settings.phrases])
        self._of: dict[str, list[str]] = {concept: list(texts) for concept, texts in phrases.items()}
        self._own: dict[str, list[str]] = {}
        for example in examples:
            for texts in (self._of.setdefault(example.concept, []), self._own.setdefault(example.concept, [])):
                texts += [c for c in example.captions if c not in texts]
        self.concepts: list[str] = sorted(self._of)
        self._numbers = {concept: number for number, concept in enumerate(self.concepts)}
        self._families: dict[str, set[str]] = {}
        if settings.families is not None:
            for row in _read_csv(settings.resolve(settings.families), ("family", "concept")):
                self._families.setdefault(row["concept"], set()).add(row["family"])
        self._templates = settings.templates
        self._share = settings.template_share
        self._own_share = settings.own_share

    def draw(self, concept: str, rng: np.random.Generator) -> str:
        """One way to say `concept`, drawn anew at every visit."""
        own = self._own.get(concept) if self._own_share and rng.random() < self._own_share else None
        text = str(rng.choice(own or self._of[concept]))
        return str(rng.choice(self._templates)).replace("{}", text) if rng.random() < self._share else text

    def number_of(self, concept: str) -> int:
        """Its number, the same in every process."""
        return self._numbers[concept]

    def related(self, one: str, other: str) -> bool:
        """Whether two concepts share a family without being the same."""
        return one != other and bool(self._families.get(one, set()) & self._families.get(other, set()))

    @cached_property
    def families(self) -> Tensor:
        """The numbers of each concept's families, -1 where it has fewer than another: (concepts, K)."""
        names = sorted(set().union(*self._families.values())) if self._families else []
        most = max(map(len, self._families.values()), default=1)
        table = torch.full((len(self.concepts), most), -1)
        for concept, own in self._families.items():
            if concept in self._numbers:
                table[self._numbers[concept], : len(own)] = torch.tensor(sorted(names.index(name) for name in own))
        return table
