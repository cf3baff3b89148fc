"""An item: one sound of a data set with its captions and labels; and a manifest: a sequence of items."""

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
from openclap.errors import DataError
from openclap.prefetch import prefetch
from openclap.results import Failure
from openclap.sentences import caption_from_labels
from openclap.textfiles import is_absent

__all__ = [
    "Item",
    "LazySound",
    "ListManifest",
    "Manifest",
    "decode_ahead",
    "make_captions",
    "parse_fold",
    "parse_seconds",
    "parse_texts",
    "side_of",
]

T = TypeVar("T")
R = TypeVar("R")
WORKERS = max(1, min(4, os.cpu_count() or 1))
WAITING = 2  # finished results that may wait, for each worker
SIDES = {
    "train": ("train", "training", "dev", "development"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "eval", "evaluation"),
}
SPLITS = {name: side for side, names in SIDES.items() for name in names}


class LazySound(Protocol):
    """A sound inside something else, such as a tar, that is read only when it is needed."""

    def read(self) -> Sound:
        """The sound as `openclap.audio.load` takes it: a path, bytes, or a dict of array and sampling_rate."""


@dataclass(frozen=True)
class Item:
    """One sound with its captions and labels.

    Attributes
    ----------
    key
        Its name in messages, unique within a split of its manifest.
    sound
        A path, encoded bytes, or something whose `read()` gives either.
    captions
        What people or models wrote about it, each text once, in the order of the source.
    labels
        Its tags or classes, each once.
    split
        "train", "test", …; None where the source has no splits.
    seconds
        Its length as the source gives it; None where it gives none.
    fold
        The fold of a cross-validation; None where the source has no folds.
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
        """Make an item of a file, whose key is its path; `facts` are labels and other fields."""
        return cls(str(file), file, captions, **facts)

    @property
    def place(self) -> str:
        """Where the sound is, for messages: the path of a file, else the key."""
        return str(self.sound) if isinstance(self.sound, Path) else self.key

    @property
    def file_facts(self) -> list[int]:
        """Size and time (ns) of the file that the sound lies in; none where it lies in no file, or that is missing."""
        file = self.sound if isinstance(self.sound, Path) else getattr(self.sound, "tar", None)
        try:
            facts = None if file is None else file.stat()
        except OSError:  # reading the sound will tell
            facts = None
        return [] if facts is None else [facts.st_size, facts.st_mtime_ns]

    def read(self) -> Sound:
        """The sound as `openclap.audio.load` takes it, not decoded yet.

        Raises
        ------
        SoundError
            The sound is not there any more, or the file around it is cut short.
        """
        return self.sound if isinstance(self.sound, (Path, bytes)) else self.sound.read()


class Manifest(ABC):
    """Items in a fixed order, which can be iterated any number of times.

    Attributes
    ----------
    name
        The name of the source in messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._failed: dict[str, Failure] = {}

    @property
    def failed(self) -> list[Failure]:
        """What could not become an item, with the reason, as far as the source has been read."""
        return list(self._failed.values())

    @property
    @abstractmethod
    def count(self) -> int | None:
        """How many items there are; None where this is known only after reading all of them."""

    @abstractmethod
    def __iter__(self) -> Iterator[Item]: ...

    def _note_failure(self, name: str, error: str) -> None:
        self._failed.setdefault(name, Failure(name, error))

    def __len__(self) -> int:
        """How many items there are.

        Raises
        ------
        TypeError
            The number is known only after reading all items (`count` is None).
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

    def __iter__(self) -> Iterator[Item]:
        return iter(self._all)


def make_captions(item: Item) -> tuple[str, ...]:
    """The captions of an item; its labels as a sentence where it has none, and nothing where it has neither."""
    return item.captions or ((caption_from_labels(item.labels),) if item.labels else ())


def side_of(split: str | None) -> str:
    """The purpose of a split by its usual names: "train", "valid" or "test"; other names as they are, "" for None."""
    name = (split or "").strip().lower()
    return SPLITS.get(name, name)


def parse_texts(value: Any, *, separator: str | None = None) -> tuple[str, ...]:
    """Turn a text, a list of texts or nothing into distinct texts without spaces around them.

    Texts that stand for nothing, such as `nan` and `N/A`, are left out.

    Parameters
    ----------
    value
        The content of a cell; what is no text is left out.
    separator
        Splits a text into several: ";" for labels.
    """
    texts = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
    parts = [part for t in texts if isinstance(t, str) for part in (t.split(separator) if separator else [t])]
    whole = (part.encode("utf-8", "replace").decode() for part in parts)  # JSON may hold half a surrogate pair
    return tuple(dict.fromkeys(part.strip() for part in whole if not is_absent(part)))


def parse_seconds(value: Any) -> float | None:
    """Read a length in seconds: a positive number, or the text of one (4.2 or 4,2); None for anything else."""
    try:
        number = float(_normalize_decimal(value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def parse_fold(value: Any) -> str | None:
    """Read the name of a fold; 1, 1.0, "1" and "1,0" are the same."""
    if isinstance(value, str):
        whole = re.fullmatch(r"(\d+)[.,]0+", value.strip())
        value = whole[1] if whole else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, (int, str)) and not is_absent(str(value)) else None


def _normalize_decimal(value: Any) -> Any:
    """Replace the decimal comma that spreadsheets in most of Europe write by a point."""
    return value.replace(",", ".") if isinstance(value, str) and value.count(",") == 1 and "." not in value else value


def decode_ahead(function: Callable[[T], R], things: Iterable[T], *, threads: int = WORKERS) -> Iterator[R]:
    """Map in order, with threads that work a few things ahead; only a few results are in memory."""
    return prefetch(function, things, threads=threads, ahead=WAITING * threads, thread_name_prefix="openclap-data")
