"""Files of texts: phrases of labels, families of concepts, texts by themselves. Knows nothing of what they are for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from openclap.errors import TrainingError

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
        with file.open(encoding="utf-8-sig", newline="") as opened:
            if file.suffix.lower() != ".csv":
                return [line.strip() for line in opened if line.strip()]
            reader = csv.DictReader(opened)
            column = next((c for c in COLUMNS if c in (reader.fieldnames or ())), None)
            if column is None:
                raise TrainingError(f"{file}: no column {', '.join(COLUMNS)}; a text file has one text a line")
            return [row[column].strip() for row in reader if (row[column] or "").strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(
            f"{file}: {getattr(error, 'strerror', None) or error}; give a file with one text a line, or a CSV"
        ) from error


def _read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns_found = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: {error}; a CSV with the columns {', '.join(columns)} is expected") from error
    lacking = [c for c in columns if c not in columns_found]
    if lacking:
        raise TrainingError(f"{path}: no column {', '.join(lacking)}; found {', '.join(columns_found) or 'none'}")
    for number, row in enumerate(rows, 2):
        empty = [c for c in columns if not (row[c] or "").strip()]
        if empty:
            raise TrainingError(f"{path}: line {number} has no {', '.join(empty)}; fill it in, or remove the line")
    return rows
