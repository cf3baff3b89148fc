"""Read CSV, JSONL and Parquet files that name sounds as items.

file              caption                label        split   seconds   fold   only `file` must be there
dog/1.wav         a dog barks twice      dog;bark     train   4.2       1      several rows of a file: several captions
dog/1.wav         barking in a yard                                            ";" separates labels
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclap.data.columns import COLUMNS, KNOWN, Columns, RowContent, find_columns
from openclap.data.file_lookup import FileLookup
from openclap.data.items import Item, ListManifest, Manifest
from openclap.errors import DataError, MissingExtra
from openclap.textfiles import WORKBOOKS, open_text, open_text_table, reason_of

__all__ = ["COLUMNS", "SUFFIXES", "find_metadata", "open_table", "read_rows", "refuse_workbook"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")

Row = tuple[str, Mapping[str, Any] | str]  # where a row is; its cells, or the reason why it cannot be read


def open_table(path: Path, *, split: str | None = None) -> Manifest:
    """Open a table as items; the paths of its sounds are relative to it.

    Parameters
    ----------
    path
        A .csv or .tsv (with a header), .jsonl or .parquet file with the columns `file` and, where known, `caption`,
        `label`, `split`, `seconds` and `fold`, or other names for these (see `columns`). In JSONL and Parquet a caption
        or label may be a list. Other columns are ignored. Cells that are empty, `nan`, `N/A`, `None`, `NULL` or `-`
        count as nothing.
    split
        Only the items of this split.

    Returns
    -------
    One item for each file and split, in the order of their first rows. Rows that cannot be used are in its `failed`.
    Whether the sounds exist is found out when they are read.

    Raises
    ------
    DataError
        The table is missing, cannot be read, has no column `file`, or has no rows.
    MissingExtra
        A Parquet file needs pyarrow.
    """
    drafts: dict[tuple[str, str | None], _Draft] = {}
    failed: list[tuple[str, str]] = []
    found: dict[str, None] = {}  # the columns of rows that name no file
    places = FileLookup(path.parent)
    for place, cells in read_rows(path):
        if isinstance(cells, str):
            failed.append((place, cells))
            continue
        columns = find_columns(tuple(cells))
        file = columns.read_file_name(cells)
        if file is None:
            found.update(dict.fromkeys(cells))
            failed.append((place, "names no file; fill it in, or remove the row"))
            continue
        content = columns.read_row(cells)
        name = places.name_of(file)
        draft = drafts.setdefault((name, content.split), _Draft())
        if content.fold is not None and draft.fold not in (None, content.fold):
            why = (
                f"{name} is in fold {draft.fold} by an earlier row, and in {content.fold} by this one; the first holds"
            )
            failed.append((place, why))
        draft.add(content)
    if not drafts:
        raise DataError(
            f"{path}: no row names a file, found {', '.join(found) or 'none'}; a table has the columns"
            f" {', '.join(COLUMNS)}, the last five where known"
        )
    items = [draft.item(path.parent, name, of) for (name, of), draft in drafts.items()]
    manifest = ListManifest(str(path), items, split=split)
    for place, error in failed:
        manifest._note_failure(place, error)
    return manifest


@dataclass
class _Draft:
    """Collects the rows of one file."""

    captions: dict[str, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)
    seconds: float | None = None
    fold: str | None = None

    def add(self, content: RowContent) -> None:
        self.captions.update(dict.fromkeys(content.captions))
        self.labels.update(dict.fromkeys(content.labels))
        self.seconds = content.seconds if self.seconds is None else self.seconds
        self.fold = content.fold if self.fold is None else self.fold

    def item(self, folder: Path, name: str, split: str | None) -> Item:
        return Item(name, folder / name, tuple(self.captions), tuple(self.labels), split, self.seconds, self.fold)


def read_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a table with the names of its own columns: where each row is, and its cells or an error.

    Raises
    ------
    DataError, MissingExtra
        See `open_table`.
    """
    return _READERS[path.suffix.lower()](path)


def find_metadata(folder: Path) -> Path | None:
    """Find the table that describes a folder: metadata.csv, .tsv, .jsonl or .parquet; None without one."""
    for suffix in SUFFIXES:
        table = folder / f"metadata{suffix}"
        if table.is_file():
            return table
    return next(
        (
            p
            for p in sorted(folder.glob("*"))
            if p.stem.lower() == "metadata" and p.suffix.lower() in SUFFIXES and p.is_file()
        ),
        None,
    )


def refuse_workbook(path: Path) -> None:
    """Refuse a workbook with a message that says what to do.

    Raises
    ------
    DataError
        The file is a workbook, by its ending.
    """
    if path.suffix.lower() in WORKBOOKS:
        raise DataError(f"{path}: is a workbook; save its sheet as CSV (UTF-8), and give that")


def _csv_rows(path: Path) -> Iterator[Row]:
    grid = open_text_table(path, KNOWN)
    names = _number_duplicates(grid.names)
    _require_file_column(path, names)
    for line, row in grid.rows:
        more = any(map(str.strip, row[len(names) :]))
        place = f"{path}: line {line}"
        if more:
            yield place, f"more cells than the {len(names)} columns; put texts with commas in quotes"
        else:
            yield place, dict(zip(names, row, strict=False))


def _number_duplicates(names: Sequence[str]) -> list[str]:
    """Number columns of the same name from the second on: `caption,caption` becomes `caption,caption 2`."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} {seen[name]}" if seen[name] > 1 else name)
    return found


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with open_text(path) as file:
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


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra(
            "a .parquet file needs pyarrow: install openclap's extra 'train' (docs/install.md)"
        ) from None
    try:
        with parquet.ParquetFile(path) as table:
            texts = [field.name for field in table.schema_arrow if not pyarrow.types.is_struct(field.type)]
            columns = _require_file_column(path, texts)
            number = 0
            for batch in table.iter_batches(columns=[name for name in texts if name in columns.all]):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: {reason_of(error)}; a Parquet file with a column `file` is expected") from None


_READERS = {".csv": _csv_rows, ".tsv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}


def _require_file_column(path: Path, found: Sequence[str]) -> Columns:
    columns = find_columns(tuple(found))
    if columns.file is None:
        raise DataError(
            f"{path}: no column `file`, found {', '.join(name for name in found if name) or 'none'}; a table has the"
            f" columns {', '.join(COLUMNS)}, the last five where known: rename them"
        )
    return columns
