"""Open any source of described sounds as a manifest; this module only decides what kind of source it is.

folder with metadata.csv / .tsv / .jsonl / .parquet ─┐
.csv .tsv .jsonl .parquet ───────────────────────────┼─ tables ──────┐
.tar(.gz), list, {0000..0012}.tar, folder of tars ───── tars ────────┼─ Manifest of Items
save_to_disk folder, Dataset, DatasetDict ───────────── huggingface ─┘
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclap.data.huggingface import HuggingFace, is_dataset, is_saved, open_saved
from openclap.data.items import Manifest
from openclap.data.tables import SUFFIXES, find_metadata, open_table, refuse_workbook
from openclap.data.tars import Tars, expand, find_tars, is_tar, split_of
from openclap.errors import DataError
from openclap.plurals import count_noun

__all__ = ["open_manifest"]

ALLOWED = (
    "a source is a folder with a metadata.csv, a .csv, .tsv, .jsonl or .parquet file, WebDataset tars (one, several, "
    "a pattern {0000..0012}.tar, a folder of them), or a data set saved by save_to_disk"
)


def open_manifest(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Any, *, split: str | None = None
) -> Manifest:
    """Open a source of any kind → its items in a fixed order.

    Parameters
    ----------
    source
        A folder with metadata.csv (or .jsonl, .parquet); such a table; WebDataset tars in LAION's layout: a .tar, a
        list, a brace pattern, a folder with tars in it or below; a folder made by `save_to_disk`; a `datasets.Dataset`
        or `DatasetDict`. `~` is expanded. Nothing is downloaded.
    split
        Only the items of this split. Tables have a column for it; tars lie in a folder of its name.

    Raises
    ------
    DataError
        There is nothing, or nothing of a known kind, or no such split.
    MissingExtra
        A Parquet file needs pyarrow, or a saved data set needs `datasets`.
    """
    if is_dataset(source):
        return HuggingFace(f"<{type(source).__name__}>", source, split=split)
    if isinstance(source, (list, tuple)):
        return _open_tars(
            [path for one in source for path in expand(_source_path(one))], count_noun(len(source), "tar"), split
        )
    text = _source_path(source)
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, split)
    refuse_workbook(path)
    if path.suffix.lower() in SUFFIXES:
        return open_table(path, split=split)
    paths = [text] if path.exists() else expand(text)
    if all(map(is_tar, paths)):
        return _open_tars(paths, text, split)
    raise DataError(f"{text}: {'is of no known kind' if path.exists() else 'nothing is there'}; {ALLOWED}")


def _source_path(source: Any) -> str:
    if not isinstance(source, (str, os.PathLike)) or not os.fspath(source):
        raise DataError(f"{source!r} ({type(source).__name__}) is no source; {ALLOWED}")
    return os.path.expanduser(os.fsdecode(source))


def _open_folder(folder: Path, split: str | None) -> Manifest:
    table = find_metadata(folder)
    if table is not None:
        return open_table(table, split=split)
    if is_saved(folder):
        return HuggingFace(str(folder), open_saved(folder), split=split)
    tars, passed = find_tars(folder)
    if tars:
        return Tars(str(folder), tars, split=split, passed=passed)
    for place, why in passed[:1]:
        raise DataError(f"{place}: {why}")
    raise DataError(f"{folder}: neither a metadata.csv nor tars nor a saved data set are in it; {ALLOWED}")


def _open_tars(paths: Sequence[str], name: str, split: str | None) -> Manifest:
    other = [p for p in paths if not is_tar(p)]
    if other or not paths:
        raise DataError(f"{other[0] if other else 'an empty list'} is no .tar; several sources at once must be tars")
    missing = [p for p in paths if not Path(p).is_file()]
    if missing:
        raise DataError(f"{missing[0]}: no such tar ({len(missing)} of {len(paths)} are not there); check the path")
    return Tars(name, [(Path(p), split_of(Path(p))) for p in dict.fromkeys(paths)], split=split)
