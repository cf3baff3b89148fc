"""The names that columns of a data set may have, and what the cells of a row say of its sound.

file       file, file_name, path, file_path, audio, audio_path, …     the first of these that is there
captions   caption, captions, caption_1 … caption_5; else text; else sentence
labels     label, labels, label_1 …; else tag, tags; else category
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from openclap.data.items import parse_fold, parse_seconds, parse_texts
from openclap.textfiles import is_absent, normalize_column_name

__all__ = ["COLUMNS", "KNOWN", "Columns", "RowContent", "find_columns"]

COLUMNS = ("file", "caption", "label", "split", "seconds", "fold")  # the names that messages use
FILE = (
    "file",
    "filename",
    "filepath",
    "path",
    "audio",
    "audiofile",
    "audiofilename",
    "audiopath",
    "audiofilepath",
    "sound",
    "soundfile",
    "wav",
    "wavfile",
    "wavpath",
)
CAPTIONS = (r"captions?\d*", r"texts?\d*", r"sentences?\d*")
LABELS = (r"labels?\d*", r"tags?\d*", r"categor(?:y|ies)")
KNOWN = frozenset(
    (
        *FILE,
        *COLUMNS,
        "captions",
        *(f"caption{i}" for i in range(10)),
        "text",
        "sentence",
        "labels",
        "tag",
        "tags",
        "category",
    )
)


@dataclass(frozen=True)
class RowContent:
    """What a row says of its sound."""

    captions: tuple[str, ...]
    labels: tuple[str, ...]
    split: str | None
    seconds: float | None
    fold: str | None


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read, by their names in it; None or () where there is none of a kind."""

    file: str | None
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    split: str | None
    seconds: str | None
    fold: str | None

    @property
    def all(self) -> frozenset[str]:
        """All columns that are read."""
        return frozenset(filter(None, (self.file, *self.captions, *self.labels, self.split, self.seconds, self.fold)))

    def read_file_name(self, row: Mapping[str, Any]) -> str | None:
        """The file name in a row; None where there is none."""
        name = None if self.file is None else row.get(self.file)
        return name.strip() if isinstance(name, str) and not is_absent(name) else None

    def read_row(self, row: Mapping[str, Any]) -> RowContent:
        """Read what a row says of its sound; empty cells, `nan`, `N/A` and the like count as nothing."""
        captions = [text for column in self.captions for text in parse_texts(row.get(column))]
        labels = [text for column in self.labels for text in parse_texts(row.get(column), separator=";")]
        return RowContent(
            tuple(dict.fromkeys(captions)),
            tuple(dict.fromkeys(labels)),
            next(iter(parse_texts(row.get(self.split or ""))), None),
            parse_seconds(row.get(self.seconds or "")),
            parse_fold(row.get(self.fold or "")),
        )


@lru_cache(maxsize=256)  # every row of a JSONL file may have other columns
def find_columns(names: tuple[str, ...]) -> Columns:
    """Find the columns to read by their names; case, spaces, hyphens and underscores do not matter.

    Parameters
    ----------
    names
        The names of all columns of a table.
    """
    plain = [normalize_column_name(name) for name in names]

    def one(*wanted: str) -> str | None:
        return next((names[plain.index(name)] for name in wanted if name in plain), None)

    def some(patterns: Sequence[str]) -> tuple[str, ...]:
        for pattern in patterns:
            found = tuple(dict.fromkeys(n for n, p in zip(names, plain, strict=True) if re.fullmatch(pattern, p)))
            if found:
                return found
        return ()

    return Columns(one(*FILE), some(CAPTIONS), some(LABELS), one("split"), one("seconds"), one("fold"))
