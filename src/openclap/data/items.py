"""One sound of a data set with what is said about it, and a sequence of these. Knows nothing of formats."""

from __future__ import annotations

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from openclap.audio.load import Sound
from openclap.errors import DataError, UsageError
from openclap.prefetch import prefetch
from openclap.results import Failure
from openclap.textfiles import is_absent

__all__ = [
    "Item",
    "LazySound",
    "ListManifest",
    "Manifest",
    "decode_ahead",
    "parse_fold",
    "parse_seconds",
    "parse_texts",
    "side_of",
]

T = TypeVar("T")
R = TypeVar("R")
WORKERS = max(1, min(4, os.cpu_count() or 1))
WAITING = 2  # finished results a worker that may wait
SIDES = {
    "train": ("train", "training", "dev", "development"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "eval", "evaluation"),
}
SPLITS = {name: side for side, names in SIDES.items() for name in names}


class LazySound(Protocol):
    """A sound that is somewhere inside something else, and read when asked for."""

    def read(self) -> Sound:
        """What `openclap.audio.load` takes: a path, bytes, or a dict of array and sampling_rate."""


@dataclass(frozen=True)
class Item:
    """One sound and what is said about it.

    Attributes
    ----------
    key
        Its name in messages, unique within a split of its manifest.
    sound
        A path, coded bytes, or something whose `read()` gives either.
    captions
        What people or models wrote about it, each once, in the order of the source; may be none.
    labels
        Its tags or classes, each once; may be none.
    split
        "train", "test", …, or None where the source knows of none.
    seconds
        Its length as the source claims it; None where it claims nothing.
    fold
        Of a cross-validation; None where the source knows of none.
    """

    key: str
    sound: Path | bytes | LazySound
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    split: str | None = None
    seconds: float | None = None
    fold: str | None = None

    @classmethod
    def at(cls, file: Path, captions: tuple[str, ...] = (), **facts: Any) -> Item:
        """A file that is known by its path; `facts`: labels and so on."""
        return cls(str(file), file, captions, **facts)

    @property
    def place(self) -> str:
        """Where it is, for messages: a file's path, else its key."""
        return str(self.sound) if isinstance(self.sound, Path) else self.key

    def read(self) -> Sound:
        """The sound as `openclap.audio.load` takes it: nothing is decoded yet.

        Raises
        ------
        SoundError
            It is not there any more, or the file around it is cut short.
        """
        return self.sound if isinstance(self.sound, (Path, bytes)) else self.sound.read()


class Manifest(ABC):
    """Items in a fixed order, to be gone through any number of times.

    Attributes
    ----------
    name
        How messages call the source.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._failed: dict[str, Failure] = {}

    @property
    def failed(self) -> list[Failure]:
        """What could not become an item, and why, as far as the source has been read."""
        return list(self._failed.values())

    @property
    @abstractmethod
    def count(self) -> int | None:
        """How many items there are; None where only reading all of it would tell."""

    def items(self, shard: int = 0, of: int = 1) -> Iterator[Item]:
        """The items of one of `of` equal parts; the parts together hold every item exactly once.

        Parameters
        ----------
        shard, of
            Which part of how many, 0 ≤ shard < of: worker and number of workers, or rank and world size.

        Raises
        ------
        UsageError
            There is no such part.
        """
        if not 0 <= shard < of:
            raise UsageError(f"there is no part {shard} of {of}; parts are counted from 0 to {of - 1}")
        return self._items(shard, of)

    @abstractmethod
    def _items(self, shard: int, of: int) -> Iterator[Item]: ...

    def _fail(self, name: str, error: str) -> None:
        self._failed.setdefault(name, Failure(name, error))

    def __iter__(self) -> Iterator[Item]:
        return self.items()

    def __len__(self) -> int:
        """How many items there are.

        Raises
        ------
        TypeError
            Only reading all of it would tell (`count` is None).
        """
        if self.count is None:
            raise TypeError(f"{self.name}: its number of items is not known before it has been read")
        return self.count


class ListManifest(Manifest):
    """A manifest whose items are all known from the start."""

    def __init__(self, name: str, items: Sequence[Item], *, split: str | None = None) -> None:
        super().__init__(name)
        if split is not None:
            splits = sorted({item.split or "none" for item in items})
            items = [item for item in items if item.split == split]
            if not items:
                raise DataError(f"{name}: no item is of the split {split!r}; there are: {', '.join(splits) or 'none'}")
        self._all = items

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self._all)

    def _items(self, shard: int, of: int) -> Iterator[Item]:
        return iter(self._all[shard::of])


def side_of(split: str | None) -> str:
    """What a split is for, by its usual names: "train", "valid" or "test"; another name as it is, "" where there is no split."""
    name = (split or "").strip().lower()
    return SPLITS.get(name, name)


def parse_texts(value: Any, *, separator: str | None = None) -> tuple[str, ...]:
    """A text, a list of texts or nothing → texts without spaces around them, none that says nothing (`nan`, `N/A`), each once.

    Parameters
    ----------
    value
        What stands in a cell; what is no text is left out.
    separator
        Cuts a text into several: ";" for labels.
    """
    texts = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
    parts = [part for t in texts if isinstance(t, str) for part in (t.split(separator) if separator else [t])]
    whole = (part.encode("utf-8", "replace").decode() for part in parts)  # half a surrogate pair, from JSON, is no text
    return tuple(dict.fromkeys(part.strip() for part in whole if not is_absent(part)))


def parse_seconds(value: Any) -> float | None:
    """A length as a source claims it: a positive number, or the text of one (4.2, or 4,2); else None."""
    try:
        number = float(_normalize_decimal(value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def parse_fold(value: Any) -> str | None:
    """The name of a fold as a source writes it: 1, 1.0, "1" and "1,0" are one."""
    if isinstance(value, str):
        whole = re.fullmatch(r"(\d+)[.,]0+", value.strip())
        value = whole[1] if whole else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, (int, str)) and not is_absent(str(value)) else None


def _normalize_decimal(value: Any) -> Any:
    """A number with a decimal comma, as a spreadsheet in most of Europe writes it, with a point."""
    return value.replace(",", ".") if isinstance(value, str) and value.count(",") == 1 and "." not in value else value


def decode_ahead(function: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
    """`map` in order, a few things ahead in threads; memory is that of a few results."""
    return prefetch(function, things, threads=WORKERS, ahead=WAITING * WORKERS, thread_name_prefix="openclap-data")
