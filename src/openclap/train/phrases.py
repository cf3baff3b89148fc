"""Files of texts: phrases of labels, families of concepts, texts by themselves. Knows nothing of what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openclap.errors import DataError, TrainingError
from openclap.textfiles import lines_of, records_of

__all__ = ["read_families", "read_phrases", "read_texts"]

COLUMNS = ("caption", "phrase", "text")  # of a CSV of texts, the first that is there


def read_phrases(paths: Sequence[Path]) -> dict[str, list[str]]:
    """CSV files `label,phrase` → the phrases of each label."""
    phrases: dict[str, list[str]] = {}
    for path in paths:
        for row in _read_csv(path, ("label", "phrase")):
            phrases.setdefault(row["label"], []).append(row["phrase"])
    return phrases


def read_families(path: Path) -> dict[str, set[str]]:
    """A CSV file `family,concept` → the families of each concept."""
    families: dict[str, set[str]] = {}
    for row in _read_csv(path, ("family", "concept")):
        families.setdefault(row["concept"], set()).add(row["family"])
    return families


def read_texts(file: Path) -> list[str]:
    """A text a line; of a CSV, its column caption, phrase or text.

    Raises
    ------
    TrainingError
        A file that is not there, or a CSV without a column of texts.
    """
    try:
        return lines_of(file, COLUMNS)
    except DataError as error:
        raise TrainingError(f"{error}") from error


def _read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        columns_found, rows = records_of(path, columns)
    except DataError as error:
        raise TrainingError(f"{error}; a CSV with the columns {', '.join(columns)} is expected") from error
    lacking = [c for c in columns if c not in columns_found]
    if lacking:
        raise TrainingError(f"{path}: no column {', '.join(lacking)}; found {', '.join(columns_found) or 'none'}")
    for line, row in rows:
        empty = [c for c in columns if not row.get(c, "").strip()]
        if empty:
            raise TrainingError(f"{path}: line {line} has no {', '.join(empty)}; fill it in, or remove the line")
    return [row for _, row in rows]
