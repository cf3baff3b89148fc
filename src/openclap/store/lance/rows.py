"""Rows of the tables ↔ files, recordings and vectors; a `SearchFilter` → a condition of LanceDB.

A window is a row that repeats all facts of its file, so that one condition serves files and windows; the row of window
0 stands for the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from lancedb.query import ColumnOrdering

from openclap.store.path_patterns import (
    has_one_spelling,
    path_to_text,
    regex_of_folder,
    regex_of_pattern,
    spellings,
    text_to_path,
)
from openclap.store.records import File, Recording, RememberedTags, ScoredWindow, SearchFilter, Vectors
from openclap.store.validation import (
    BrokenValue,
    validate_file,
    validate_path,
    validate_scores,
    validate_span,
    validate_vectors,
)

__all__ = [
    "FIRST",
    "SCHEMAS",
    "WINDOW",
    "by",
    "check_schema",
    "fact_columns",
    "filter_condition",
    "is_any_of",
    "quote",
    "recordings_to_table",
    "remembered_row",
    "row_to_file",
    "row_to_remembered",
    "table_to_recordings",
    "table_to_scored_windows",
    "update_table",
    "upgrade_columns",
    "vectors_of",
    "windows_schema",
]

FACTS = ["path", "size", "mtime_ns", "hash", "seconds", "tags", "reading"]
WINDOW = ["path", "start", "end", "embedding"]
FIRST = "number = 0"
LARGEST = 2**62
PRIMARY_KEY = "lance-schema:unenforced-primary-key:position"  # with it, two writers of one key are noticed


KEY = pa.field("key", pa.string(), nullable=False, metadata={PRIMARY_KEY: "1"})
SCHEMAS = {
    "about": pa.schema([KEY, ("format", pa.int32()), ("maker", pa.string()), ("windows", pa.string())]),
    "remembered": pa.schema(
        [
            KEY,
            ("hash", pa.string()),
            ("path", pa.string()),
            ("tags", pa.list_(pa.string())),
            ("moved", pa.bool_()),
        ]
    ),
}  # of all tables but those of windows: which model made which of these, and tags that content had when it left


def key_of(path: str, number: int) -> str:
    """The key of a window, which no other row has."""
    return f"{path_to_text(path)}\0\0{number}"


def windows_schema(width: int) -> Any:
    """The schema of a table of windows with vectors of `width` numbers."""
    return pa.schema(
        [
            KEY,
            ("path", pa.string()),
            ("number", pa.int32()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("hash", pa.string()),
            ("seconds", pa.float64()),
            ("tags", pa.list_(pa.string())),
            ("start", pa.float64()),
            ("end", pa.float64()),
            ("embedding", pa.list_(pa.float32(), width)),
            ("reading", pa.int32()),
        ]
    )


def check_schema(name: str, schema: Any) -> None:
    """Refuse a table without the columns of its kind: anybody may have made or changed a library.

    Tables of format 1 have no column `reading`.
    """
    width = 1
    if name.startswith("windows-") and "embedding" in schema.names:
        width = getattr(schema.field("embedding").type, "list_size", 1)
    wanted = SCHEMAS.get(name) or windows_schema(width)
    for field in wanted:
        there = name not in SCHEMAS and field.name == "reading" and "reading" not in schema.names
        if not there and (field.name not in schema.names or schema.field(field.name).type != field.type):
            raise BrokenValue(f"its table {name} has no column {field.name} of {field.type}")


def recordings_to_table(recordings: Sequence[Recording], tags: Mapping[str, Sequence[str]]) -> Any:
    """An Arrow table of the windows of recordings, with the tags of their paths."""
    counts = [len(recording.embedding) for recording in recordings]
    assert all(len(r.start) == len(r.end) == count for r, count in zip(recordings, counts, strict=True))
    files = [recording.file for recording in recordings]
    repeated = np.repeat(np.arange(len(files)), counts)
    numbers = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
    vectors = np.concatenate([recording.embedding for recording in recordings]).astype(np.float32, copy=False)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    columns: dict[str, Any] = {
        "key": [key_of(files[i].path, number) for i, number in zip(repeated, numbers.tolist(), strict=True)],
        "path": [path_to_text(files[i].path) for i in repeated],
        "number": numbers,
        **{
            name: [getattr(files[i], name) for i in repeated]
            for name in ("size", "mtime_ns", "hash", "seconds", "reading")
        },
        "tags": [list(tags.get(files[i].path, ())) for i in repeated],
        **{name: np.concatenate([getattr(recording, name) for recording in recordings]) for name in ("start", "end")},
        "embedding": lists,
    }
    schema = windows_schema(vectors.shape[1])
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def update_table(schema: Any, keys: Sequence[str], **columns: Sequence[Any]) -> Any:
    """An Arrow table that sets some columns of the rows of these keys."""
    fields = [KEY, *map(schema.field, columns)]
    arrays = [pa.array(values, field.type) for values, field in zip((keys, *columns.values()), fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def upgrade_columns(table: Any) -> Any:
    """An Arrow table of windows, of any format, with the present columns."""
    return (
        table
        if "reading" in table.schema.names
        else table.append_column("reading", pa.array([1] * len(table), pa.int32()))
    )


def fact_columns(table: Any) -> list[str]:
    """The columns of FACTS that a table has; one of format 1 has no `reading`."""
    return FACTS if "reading" in table.schema.names else FACTS[:-1]


def row_to_file(row: dict[str, Any]) -> File:
    """The file of a row with the columns FACTS."""
    path = text_to_path(row["path"]) if isinstance(row["path"], str) else row["path"]
    size, mtime_ns, content, seconds = (row[name] for name in ("size", "mtime_ns", "hash", "seconds"))
    return validate_file(path, size, mtime_ns, content, seconds, row["tags"] or (), row.get("reading", 1))


def remembered_row(some: RememberedTags) -> dict[str, Any]:
    """A row for the table of remembered tags."""
    path = path_to_text(some.path)
    return {
        "key": f"{some.hash}\0\0{path}",
        "hash": some.hash,
        "path": path,
        "tags": list(some.tags),
        "moved": some.moved,
    }


def row_to_remembered(row: dict[str, Any]) -> RememberedTags:
    """The remembered tags of a row of their table."""
    return RememberedTags(row["hash"], text_to_path(row["path"]), tuple(row["tags"] or ()), bool(row["moved"]))


def table_to_recordings(table: Any) -> Iterator[Recording]:
    """The recordings, by path, of an Arrow table of whole files with FACTS, number, start, end and embedding."""
    table = table.sort_by([("path", "ascending"), ("number", "ascending")])
    vectors = vectors_of(table)
    rows = table.drop_columns(["embedding"]).to_pylist()
    for _, group in groupby(range(len(rows)), key=lambda i: rows[i]["path"]):
        places = list(group)
        file = row_to_file(rows[places[0]])
        spans = np.array([validate_span(file.path, rows[i]["start"], rows[i]["end"]) for i in places], np.float64)
        some = vectors[places[0] : places[-1] + 1]
        yield Recording(
            file, spans[:, 0].copy(), spans[:, 1].copy(), validate_vectors(file.path, some, vectors.shape[1])
        )


def vectors_of(table: Any) -> Vectors:
    """The vectors (n, E) of an Arrow table or batch."""
    column = table["embedding"]
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if column.null_count:
        raise BrokenValue("vectors are missing")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)


def table_to_scored_windows(query: Vectors, table: Any) -> list[ScoredWindow]:
    """The windows of an Arrow table with their cosines to a unit vector, computed as every store does."""
    vectors = vectors_of(table)
    scores = np.clip(validate_scores(vectors @ query), -1.0, 1.0).tolist()
    rows = []
    for place, score, vector in zip(table.select(["path", "start", "end"]).to_pylist(), scores, vectors, strict=True):
        path = validate_path(text_to_path(place["path"]) if isinstance(place["path"], str) else place["path"])
        rows.append(ScoredWindow(path, *validate_span(path, place["start"], place["end"]), score, vector))
    return rows


# -- conditions --------------------------------------------------------------------------------------


def quote(text: str) -> str:
    """A text, quoted for a condition."""
    return "'" + text.replace("'", "''") + "'"


def by(column: str) -> Any:
    """The order by a column, the smallest first."""
    return ColumnOrdering(column_name=column, ascending=True)


def is_any_of(column: str, values: Iterable[str]) -> str:
    """The condition that a column is one of these texts."""
    return f"{column} IN ({', '.join(map(quote, values))})"


def filter_condition(where: SearchFilter | None, files: Collection[str] = ()) -> str | None:
    """A filter as a condition of LanceDB; `files` are further paths, as texts, that are allowed by `within`."""
    if where is None:
        return None
    conditions = [
        condition.format(wanted)
        for value, condition, wanted in (
            (where.path, "regexp_like(path, {})", where.path is not None and quote(regex_of_pattern(where.path))),
            (where.min_seconds, "seconds >= {}", _number(where.min_seconds)),
            (where.max_seconds, "seconds <= {}", _number(where.max_seconds)),
            (where.after, "mtime_ns >= {}", _nanoseconds(where.after)),
            (where.before, "mtime_ns < {}", _nanoseconds(where.before)),
        )
        if value is not None
    ]
    conditions += [_any([f"array_has(tags, {quote(way)})" for way in spellings(tag)]) for tag in where.tags]
    if where.within is not None:
        conditions.append(_any([*map(_lies_in, where.within), *([is_any_of("path", sorted(files))] if files else [])]))
    if where.outside:
        conditions.append(f"NOT {_any([*map(_lies_in, where.outside)])}")
    return " AND ".join(conditions) or None


def _any(conditions: Sequence[str]) -> str:
    """The condition that one of these holds, as a tree: a long chain would be too deep for the parser."""
    if len(conditions) <= 1:
        return f"({conditions[0]})" if conditions else "false"
    middle = len(conditions) // 2
    return f"({_any(conditions[:middle])} OR {_any(conditions[middle:])})"


def _lies_in(path: str) -> str:
    if not has_one_spelling(path):
        return f"regexp_like(path, {quote(regex_of_folder(path))})"
    folder = path_to_text(path).rstrip(os.sep) + os.sep
    beyond = folder[:-1] + chr(ord(os.sep) + 1)
    return f"path = {quote(path_to_text(path))} OR (path > {quote(folder)} AND path < {quote(beyond)})"


def _number(value: float | None) -> str:
    return f"CAST('{value}' AS DOUBLE)"


def _nanoseconds(seconds: float | None) -> int:
    if seconds is None:
        return 0
    wanted = seconds * 1e9
    return (
        math.ceil(max(-LARGEST, min(LARGEST, wanted))) if abs(wanted) < LARGEST else int(math.copysign(LARGEST, wanted))
    )
