"""Which sounds, described or labelled how; and their embeddings. Knows nothing of metrics.

A folder of one's own is described by a `metadata.csv` in it:

    file,label,caption,split,fold          file: inside the folder; label and caption: one of the two or both
    a/1.wav,dog,a dog barks twice,,1       several rows a file are several captions
    a/2.wav,dog;rain,,,2                   a ";" between labels makes the whole folder multi-label
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from openclap.counting import counted
from openclap.data.columns import COLUMNS, Columns, columns_of
from openclap.data.places import Places
from openclap.data.tables import metadata_of, read_rows
from openclap.errors import DataError, SoundError, UsageError
from openclap.results import Failure
from openclap.textfiles import records_of

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["Dataset", "Embedded", "Example", "embed", "labelled", "read_csv", "read_folder"]

TEST = ("test", "eval", "evaluation")  # what a split to be judged on is called
TRAIN = ("train", "dev", "development", "training")


@dataclass(frozen=True)
class Example:
    """A sound with its captions and labels; `fold` of a cross-validation, `split` train or test, "" where there is none."""

    path: Path
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    fold: str = ""
    split: str = ""


@dataclass(frozen=True)
class Dataset:
    """Examples, and the labels among which one chooses."""

    name: str
    examples: list[Example]
    labels: tuple[str, ...] = ()
    multi_label: bool = False

    @property
    def judged(self) -> list[Example]:
        """The examples a zero-shot or retrieval score is about: the test split where there is one."""
        return [e for e in self.examples if e.split == "test"] or self.examples


@dataclass(frozen=True, eq=False)
class Embedded:
    """What could be used of some examples, with unit rows (N, E), and what could not."""

    examples: list[Example]
    vectors: npt.NDArray[np.float32]
    failed: list[Failure]

    def truth(self, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which of C labels each example has → (N, C)."""
        place = {label: i for i, label in enumerate(labels)}
        table = np.zeros((len(self.examples), len(labels)), np.bool_)
        for i, example in enumerate(self.examples):
            table[i, [place[label] for label in example.labels]] = True
        return table


def embed(clap: CLAP, examples: Sequence[Example], *, progress: bool = False, batch_size: int = 8) -> Embedded:
    """Embed the sounds of examples in order, with a bar on stderr; a bad file is left out, named and counted.

    Raises
    ------
    UsageError
        Where not one sound could be used.
    """
    kept: list[Example] = []
    rows: list[npt.NDArray[np.float32]] = []
    failed: list[Failure] = []
    embedded = clap.encode_each([example.path for example in examples], batch_size=batch_size)
    console = Console(stderr=True)
    bar = track(embedded, "embedding", total=len(examples), console=console, disable=not progress)
    for example, result in zip(examples, bar, strict=True):
        if isinstance(result, SoundError):
            failed.append(Failure(str(example.path), result.cause))
        else:
            kept.append(example)
            rows.append(result.embedding[0])
    if not kept:
        first = f"; the first: {failed[0].path}: {failed[0].error}" if failed else ""
        raise UsageError(f"not one of {counted(len(examples), 'sound')} could be used{first}")
    return Embedded(kept, np.stack(rows), failed)


def read_folder(folder: Path) -> Dataset:
    """A folder with a `metadata.csv`: columns file, caption and/or label, optionally split and fold; or with another table of `openclap.data`.

    Rows of one file are put together: each caption and label once. The labels are those that occur, in sorted order.
    Rows of a validation split are left out.

    Raises
    ------
    UsageError
        No such table, a missing column, or rows of one file that disagree on its split or fold.
    """
    table = metadata_of(folder) or folder / "metadata.csv"
    rows = _rows_of(table)
    multi = any(_is_several(row.get(name)) for _, columns, row in rows for name in columns.labels)
    places = Places(folder)
    found: dict[str, Example] = {}
    for place, columns, row in rows:
        file = columns.file_of(row)
        if file is None:
            raise UsageError(f"{place} has no file")
        name, said = places.name_of(file), columns.said(row)
        new = Example(folder / name, said.captions, said.labels, said.fold or "", _split(said.split or ""))
        old = found.setdefault(name, new)
        if (old.fold, old.split) != (new.fold, new.split):
            raise UsageError(f"{table}: the rows of {name} disagree on its split or fold; give it one")
        found[name] = replace(old, captions=_once(old.captions + new.captions), labels=_once(old.labels + new.labels))
    examples = [example for example in found.values() if example.split in ("", "train", "test")]
    if any(len(example.labels) > 1 for example in examples) and not multi:
        name = next(example.path.name for example in examples if len(example.labels) > 1)
        raise UsageError(f"{table}: {name} has several labels; put them in one row, separated by ';'")
    labels = tuple(sorted({label for example in examples for label in example.labels}))
    return Dataset(folder.resolve().name, examples, labels, multi)


def _rows_of(table: Path) -> list[tuple[str, Columns, Mapping[str, Any]]]:
    """Rows with their places and with what their columns tell; a row that cannot be read is refused: scores are about all of them."""
    found = []
    try:
        for place, row in read_rows(table):
            if isinstance(row, str):
                raise UsageError(f"{place}: {row}")
            found.append((place, columns_of(tuple(row)), row))
    except DataError as error:
        raise UsageError(f"{error}") from error
    if not found:
        raise UsageError(f"{table}: no row; a table has the columns {', '.join(COLUMNS)}")
    if not any(columns.captions or columns.labels for _, columns, _ in found):
        raise UsageError(f"{table}: a column caption or label is needed; it has {', '.join(found[0][2])}")
    return found


def _is_several(cell: Any) -> bool:
    return ";" in cell if isinstance(cell, str) else isinstance(cell, list) and len(cell) > 1


def _split(name: str) -> str:
    split = name.lower()
    return "test" if split in TEST else "train" if split in TRAIN else split


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a benchmark's CSV file with a header, by column.

    Raises
    ------
    UsageError
        Not there, no text, empty, or without one of the columns.
    """
    try:
        names, rows = records_of(path, columns)
    except DataError as error:
        raise UsageError(f"{error}; a CSV file with columns {', '.join(columns)} … is expected") from error
    missing = [column for column in columns if column not in names]
    if missing:
        raise UsageError(f"{path}: no column {', '.join(missing)}; it has {', '.join(names) or 'none'}")
    for line, row in rows:
        empty = next((column for column in columns if column not in row), None)
        if empty is not None or not row[columns[0]].strip():
            raise UsageError(f"{path}: line {line} has no {empty or columns[0]}")
    if not rows:
        raise UsageError(f"{path}: no row")
    return [row for _, row in rows]


def labelled(data: Dataset, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
    """The examples that have a label, and a note on those that have none; a data set without labels is refused."""
    chosen = [example for example in examples if example.labels]
    if not chosen:
        raise UsageError(f"{data.name} has no labels, so there is nothing to name; choose retrieval")
    without = len(examples) - len(chosen)
    return chosen, [
        f"{counted(without, 'sound without a label was', 'sounds without a label were')} left out"
    ] if without else []
