"""Writes descriptions as rows of a .json, .jsonl or .csv file, and reads them back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from openclap.errors import UsageError
from openclap.regular_files import read_regular
from openclap.textfiles import format_csv

__all__ = ["ENDINGS", "HEAD", "Row", "format_rows", "read_lines", "read_rows"]

HEAD = {"format": "openclap descriptions", "version": 1}
COLUMNS = ("path", "sentence", "tags", "confidences", "captions", "size", "mtime_ns", "settings")
ENDINGS = (".json", ".jsonl", ".csv")
Row: TypeAlias = dict[str, Any]


def read_rows(output: Path) -> list[Row]:
    """The rows that an earlier run wrote; none where there is no file."""
    if output.suffix.lower() == ".jsonl":
        return read_lines(output)
    try:
        text = read_regular(output).decode("utf-8", "surrogateescape")  # a carriage return in a name stays one
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{output} cannot be read ({error.strerror or error}); choose another -o") from error
    if output.suffix.lower() == ".csv":
        with suppress(csv.Error, ValueError, TypeError, AttributeError):
            return _read_csv(text)
        raise _not_ours(output)
    with suppress(ValueError, AttributeError, KeyError, TypeError):
        whole = json.loads(text)
        if {key: whole.get(key) for key in HEAD} == HEAD:
            return [row for row in whole["sounds"] if _is_row(row)]
    raise _not_ours(output)


def read_lines(place: Path) -> list[Row]:
    """The rows of a file of JSON lines, without its head; broken lines, as a killed run leaves, are left out."""
    try:
        lines = read_regular(place).decode("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror or error}); choose another -o") from error
    rows: list[Row] = []
    for i, line in enumerate(lines):
        row: Any = None
        with suppress(ValueError):
            row = json.loads(line)
        if i == 0 and row != HEAD:
            raise _not_ours(place)
        if i and _is_row(row):
            rows.append(row)
    return rows


def _is_row(row: Any) -> bool:
    wanted = {"path", "sentence", "tags", "captions", "size", "mtime_ns", "settings"}
    return isinstance(row, dict) and wanted <= set(row) and isinstance(row["path"], str)


def _not_ours(place: Path) -> UsageError:
    return UsageError(
        f"{place} holds something else than descriptions of version {HEAD['version']}; it is left as it is: choose"
        " another -o"
    )


def format_rows(rows: Sequence[Row], ending: str) -> str:
    """The text of a whole file; `ending` is one of `ENDINGS`."""
    if ending == ".json":
        return json.dumps({**HEAD, "sounds": list(rows)}, indent=1) + "\n"
    if ending == ".jsonl":
        return "".join(json.dumps(row) + "\n" for row in (HEAD, *rows))
    return format_csv(COLUMNS, ([_to_csv(row)[column] for column in COLUMNS] for row in rows))


def _to_csv(row: Row) -> Row:
    return {
        **{key: row[key] for key in ("path", "sentence", "size", "mtime_ns", "settings")},
        "tags": "; ".join(tag["label"] for tag in row["tags"]),
        "confidences": "; ".join(str(tag["confidence"]) for tag in row["tags"]),
        "captions": "; ".join(caption["text"] for caption in row["captions"]),
    }


def _read_csv(text: str) -> list[Row]:
    limit = csv.field_size_limit(len(text) + 1)  # captions may be long
    try:
        table = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise ValueError("other columns")
        return [_from_csv(row) for row in table]
    finally:
        csv.field_size_limit(limit)


def _from_csv(row: Row) -> Row:
    names, sure = (row[key].split("; ") if row[key] else [] for key in ("tags", "confidences"))
    return {
        **row,
        "size": int(row["size"]),
        "mtime_ns": int(row["mtime_ns"]),
        "tags": [{"label": name, "confidence": value} for name, value in zip(names, sure, strict=False)],
        "captions": [{"text": text} for text in row["captions"].split("; ") if text],
    }
