"""Read files of texts: phrases of labels, families of concepts, and plain lists of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from openclap.errors import DataError, TrainingError
from openclap.textfiles import read_lines, read_records

__all__ = ["as_training_error", "read_families", "read_phrases", "read_texts"]

COLUMNS = ("caption", "phrase", "text")  # of a CSV of texts, the first that is there


@contextmanager
def as_training_error() -> Iterator[None]:
    """Raise errors in data as TrainingError, which runs raise before their first step; also used as a decorator."""
    try:
        yield
    except DataError as error:
        raise TrainingError(f"{error}") from error


@as_training_error()
def read_phrases(paths: Sequence[Path]) -> dict[str, list[str]]:
    """Read CSV files with the columns `label,phrase` → the phrases of each label."""
    phrases: dict[str, list[str]] = {}
    for path in paths:
        for _, row in read_records(path, ("label", "phrase")):
            phrases.setdefault(row["label"], []).append(row["phrase"])
    return phrases


@as_training_error()
def read_families(path: Path) -> dict[str, set[str]]:
    """Read a CSV file with the columns `family,concept` → the families of each concept."""
    families: dict[str, set[str]] = {}
    for _, row in read_records(path, ("family", "concept")):
        families.setdefault(row["concept"], set()).add(row["family"])
    return families


@as_training_error()
def read_texts(file: Path) -> list[str]:
    """Read a text from each line; of a CSV, its column caption, phrase or text.

    Raises
    ------
    TrainingError
        The file is missing, or a CSV without a column of texts.
    """
    return read_lines(file, COLUMNS)
