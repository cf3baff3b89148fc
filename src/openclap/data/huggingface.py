"""Read data sets of Hugging Face's `datasets` as items; their audio is decoded by openclap, never by `datasets`.

To use a data set of the Hub, save it as a folder once, where there is a network:
`datasets.load_dataset("owner/name").save_to_disk("folder")`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclap.audio.load import Sound
from openclap.data.columns import Columns, find_columns
from openclap.data.items import Item, Manifest, parse_texts
from openclap.errors import DataError, MissingExtra, UnreadableSound

__all__ = ["HuggingFace", "is_dataset", "is_saved", "open_saved"]


@dataclass(frozen=True)
class Cell:
    """The sound of one row."""

    dataset: Any
    row: int
    column: str

    def read(self) -> Sound:
        """The encoded bytes of the sound, or its path.

        Raises
        ------
        UnreadableSound
            The row holds neither.
        """
        value = self.dataset[self.row][self.column]
        if isinstance(value, dict):
            if value.get("bytes") is not None:
                return bytes(value["bytes"])
            if value.get("path"):
                return Path(value["path"])
        raise UnreadableSound(f"row {self.row}", f"the column {self.column} holds no sound here")


class HuggingFace(Manifest):
    """The rows of a `datasets.Dataset`, or of the splits of a `DatasetDict`.

    Captions and labels are taken from the same columns as in tables (`columns`); numbers of classes become names. A
    column `split` counts where the data set has no splits of its own.
    """

    def __init__(self, name: str, dataset: Any, *, split: str | None = None) -> None:
        super().__init__(name)
        parts: dict[str | None, Any] = dict(dataset) if isinstance(dataset, Mapping) else {None: dataset}
        self._by_row = split if None in parts else None  # the split is read from a column
        if split is not None and None not in parts:
            if split not in parts:
                raise DataError(f"{name}: no split {split!r}; there are: {', '.join(map(str, parts))}")
            parts = {split: parts[split]}
        self._parts = [(of, *_without_decoding(name, part)) for of, part in parts.items()]
        if self._by_row is not None and not any("split" in part.column_names for _, part, _ in self._parts):
            raise DataError(f"{name}: has no splits and no column split, so there is no {split!r}; leave split out")

    @property
    def count(self) -> int | None:
        """The number of rows; None where a column must be read to know it."""
        return None if self._by_row is not None else sum(len(part) for _, part, _ in self._parts)

    def __iter__(self) -> Iterator[Item]:
        for split, part, column in self._parts:
            columns = find_columns(tuple(c for c in part.column_names if c != column))
            said = part.select_columns([c for c in part.column_names if c in columns.all and c != columns.file])
            for row in range(len(part)):
                item = self._item(split, part, (column, columns), row, said[row] if said.column_names else {})
                if self._by_row is None or item.split == self._by_row:
                    yield item

    def _item(
        self, split: str | None, part: Any, where: tuple[str, Columns], row: int, cells: Mapping[str, Any]
    ) -> Item:
        column, columns = where
        said = columns.read_row(cells)
        labels = [text for c in columns.labels for text in _names(part.features.get(c), cells.get(c))]
        return Item(
            f"{row:08d}",
            Cell(part, row, column),
            said.captions,
            parse_texts(labels),
            split or said.split,
            fold=said.fold,
        )


def _without_decoding(name: str, dataset: Any) -> tuple[Any, str]:
    """The data set with its audio left encoded, and the name of the audio column."""
    column = next((c for c, feature in dataset.features.items() if type(feature).__name__ == "Audio"), None)
    if column is None:
        columns = ", ".join(dataset.column_names) or "none"
        raise DataError(
            f"{name}: no audio column, found {columns}; cast one:  dataset.cast_column(…, datasets.Audio())"
        )
    from datasets import Audio

    return dataset.cast_column(column, Audio(decode=False)), column


def _names(feature: Any, value: Any) -> tuple[str, ...]:
    """Turn class numbers, or lists of them, into names."""
    feature = getattr(feature, "feature", feature)
    values = value if isinstance(value, list) else [value]
    if hasattr(feature, "int2str"):
        values = [feature.int2str(v) for v in values if isinstance(v, int) and v >= 0]
    return tuple(text for v in values for text in parse_texts(v, separator=";"))


def is_dataset(thing: object) -> bool:
    """Whether this is a `datasets.Dataset` or `DatasetDict`, found out without importing `datasets`."""
    return any(t.__module__.split(".")[0] == "datasets" for t in type(thing).__mro__) and hasattr(thing, "cast_column")


def is_saved(folder: Path) -> bool:
    """Whether this folder was made by `save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()
    )


def open_saved(folder: Path) -> Any:
    """Open a folder that `save_to_disk` has written.

    Raises
    ------
    MissingExtra
        `datasets` is not installed.
    DataError
        The folder cannot be loaded.
    """
    try:
        from datasets import load_from_disk
    except ImportError:
        raise MissingExtra(
            "a data set of Hugging Face needs `datasets`: install openclap's extra 'train' (docs/install.md)"
        ) from None
    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder}: cannot be loaded ({' '.join(str(error).split())}); save it anew with save_to_disk"
        ) from None
