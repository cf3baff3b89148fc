"""CSV, JSONL and Parquet files that name sounds → items. Knows nothing of what is in a sound.

file              caption                label        split   seconds   fold   only `file` must be there
dog/1.wav         a dog barks twice      dog;bark     train   4.2       1      several rows of a file: several captions
dog/1.wav         barking in a yard                                            ";" separates labels
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclap.data.items import Item, Manifest, Table, fold_of, seconds_of, texts_of
from openclap.errors import DataError, MissingExtra

__all__ = ["COLUMNS", "SUFFIXES", "open_table"]

COLUMNS = ("file", "caption", "label", "split", "seconds", "fold")
SUFFIXES = (".csv", ".jsonl", ".parquet")

Row = tuple[str, Mapping[str, Any] | str]  # its place, and its cells or why it has none


def open_table(path: Path, *, split: str | None = None) -> Manifest:
    """The items of a table; the sounds it names lie relative to it.

    Parameters
    ----------
    path
        A .csv (UTF-8, with a header), .jsonl or .parquet file with the columns `file` and, where known, `caption`,
        `label`, `split`, `seconds` and `fold`; in JSONL and Parquet a caption or label may be a list. Others are ignored.
    split
        Only items of this split.

    Returns
    -------
    One item a file and split, in the order of their first rows. Rows that cannot be used are in its `failed`;
    whether the sounds are there is found out when they are read.

    Raises
    ------
    DataError
        No such table, no table, no column `file`, nothing in it.
    MissingExtra
        Parquet without pyarrow.
    """
    drafts: dict[tuple[str, str | None], _Draft] = {}
    failed: list[tuple[str, str]] = []
    for place, cells in _READERS[path.suffix](path):
        if isinstance(cells, str):
            failed.append((place, cells))
            continue
        file = cells.get("file")
        if not isinstance(file, str) or not file.strip():
            failed.append((place, "names no file; fill it in, or remove the row"))
            continue
        name = os.path.normpath(file.strip())
        of = next(iter(texts_of(cells.get("split"))), None)
        drafts.setdefault((name, of), _Draft()).add(cells)
    if not drafts:
        raise DataError(
            f"{path}: no row names a file; a table has the columns {', '.join(COLUMNS)}, the last five where known"
        )
    items = [draft.item(path.parent, name, of) for (name, of), draft in drafts.items()]
    manifest = Table(str(path), items, split=split)
    for place, error in failed:
        manifest._fail(place, error)
    return manifest


@dataclass
class _Draft:
    """What the rows of one file have said so far."""

    captions: dict[str, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)
    seconds: float | None = None
    fold: str | None = None

    def add(self, cells: Mapping[str, Any]) -> None:
        self.captions.update(dict.fromkeys(texts_of(cells.get("caption"))))
        self.labels.update(dict.fromkeys(texts_of(cells.get("label"), separator=";")))
        self.seconds = seconds_of(cells.get("seconds")) if self.seconds is None else self.seconds
        self.fold = fold_of(cells.get("fold")) if self.fold is None else self.fold

    def item(self, folder: Path, name: str, split: str | None) -> Item:
        return Item(name, folder / name, tuple(self.captions), tuple(self.labels), split, self.seconds, self.fold)


def _csv_rows(path: Path) -> Iterator[Row]:
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _need_file(path, list(reader.fieldnames or ()))
            width = len(reader.fieldnames or ())
            for row in reader:
                line = reader.line_num
                place = f"{path}: line {reader.line_num}"
                many = None in row
                yield place, f"more cells than the {width} columns; put texts with commas in quotes" if many else row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        where = f"after line {line}, " if line else ""
        raise DataError(f"{path}: {where}{_why(error)}; a CSV in UTF-8 with a column `file` is expected") from None


def _jsonl_rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                place = f"{path}: line {number}"
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield place, f"is not JSON ({error})"
                    continue
                yield place, row if isinstance(row, dict) else 'is no JSON object; write {"file": …, "caption": …}'
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {_why(error)}; JSON objects in UTF-8, one a line, are expected") from None


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("a .parquet file needs pyarrow:  pip install 'openclap[train]'") from None
    try:
        with parquet.ParquetFile(path) as table:
            names = table.schema_arrow.names
            _need_file(path, names)
            number = 0
            for batch in table.iter_batches(columns=[n for n in COLUMNS if n in names]):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: {_why(error)}; a Parquet file with a column `file` is expected") from None


_READERS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}


def _need_file(path: Path, found: list[str]) -> None:
    if "file" not in found:
        raise DataError(
            f"{path}: no column `file`, found {', '.join(map(str, found)) or 'none'}; a table has the columns "
            f"{', '.join(COLUMNS)}, the last five where known: rename them"
        )


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
