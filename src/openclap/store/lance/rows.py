"""Rows of the tables ↔ files, recordings and vectors.

A window is a row that repeats all facts of its file, so that one condition serves files and windows; the row of window
0 stands for the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from openclap.silence import SILENT_DB, is_heard
from openclap.store.lance.texts import NAMED, TEXT, row_to_text, text_to_columns
from openclap.store.path_patterns import path_to_text, text_to_path
from openclap.store.records import File, Recording, RememberedTags, ScoredWindow, Vectors
from openclap.store.validation import (
    UNIT_TOLERANCE,
    BrokenValue,
    validate_file,
    validate_level,
    validate_path,
    validate_scores,
    validate_span,
    validate_vectors,
)

__all__ = [
    "FIRST",
    "HEARD",
    "LEVEL",
    "SCHEMAS",
    "TRACK",
    "check_schema",
    "fact_columns",
    "recordings_to_table",
    "remembered_row",
    "row_to_file",
    "row_to_remembered",
    "row_to_track",
    "table_to_recordings",
    "table_to_scored_windows",
    "update_table",
    "upgrade_columns",
    "vectors_of",
    "window_columns",
    "windows_schema",
]

FACTS = ["path", "size", "mtime_ns", "hash", "seconds", "tags", "reading"]
WINDOW = ["path", "start", "end", "embedding"]
LEVEL, TRACK = "level", "track"  # of a window; of the whole file, on the first window alone
HEARD = f"({LEVEL} IS NULL OR {LEVEL} >= {SILENT_DB})"  # a condition
FIRST = "number = 0"
NEWER = {"reading": pa.int32(), **dict.fromkeys([*TEXT, NAMED], pa.string()), LEVEL: pa.float32(), TRACK: pa.binary()}
# columns that tables of older formats lack
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
            *NEWER.items(),
        ]
    )


def check_schema(name: str, schema: Any) -> None:
    """Refuse a table without the columns of its kind: anybody may have made or changed a library."""
    width = 1
    if name.startswith("windows-") and "embedding" in schema.names:
        width = getattr(schema.field("embedding").type, "list_size", 1)
    wanted = SCHEMAS.get(name) or windows_schema(width)
    for field in wanted:
        older = name not in SCHEMAS and field.name in NEWER and field.name not in schema.names
        if not older and (field.name not in schema.names or schema.field(field.name).type != field.type):
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
    windows = list(zip(repeated.tolist(), numbers.tolist(), strict=True))
    texts = [text_to_columns(recordings[i].text, number) for i, number in windows]
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
        **{name: [text[name] for text in texts] for name in (*TEXT, NAMED)},
        LEVEL: [None if math.isnan(level) else level for r in recordings for level in r.levels.tolist()],
        TRACK: [
            None if number or counts[i] == 1 else recordings[i].track.astype("<f4").tobytes() for i, number in windows
        ],  # of a single window, this is the whole
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
    for name in sorted(NEWER.keys() - {*table.schema.names}):
        value = 1 if name == "reading" else None
        table = table.append_column(name, pa.array([value] * len(table), NEWER[name]))
    return table


def fact_columns(table: Any, *others: str) -> list[str]:
    """The columns of FACTS, and others, that a table has; one of an older format lacks some."""
    return [name for name in (*FACTS, *others) if name in table.schema.names]


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
        whole = validate_vectors(file.path, some, vectors.shape[1])
        level = np.array([validate_level(file.path, rows[i].get(LEVEL)) for i in places], np.float32)
        yield Recording(file, spans[:, 0].copy(), spans[:, 1].copy(), whole, row_to_text(rows[places[0]]), level)


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
    columns = [name for name in ("path", "start", "end", LEVEL) if name in table.schema.names]
    for place, score, vector in zip(table.select(columns).to_pylist(), scores, vectors, strict=True):
        path = validate_path(text_to_path(place["path"]) if isinstance(place["path"], str) else place["path"])
        silent = not is_heard(validate_level(path, place.get(LEVEL)))
        rows.append(ScoredWindow(path, *validate_span(path, place["start"], place["end"]), score, vector, silent))
    return rows


def row_to_track(row: Mapping[str, Any], width: int) -> Vectors | None:
    """The vector (E,) of a whole file, of a row with the column TRACK; None where none is noted, or it is damaged."""
    blob = row.get(TRACK)
    vector = np.frombuffer(blob, "<f4") if isinstance(blob, bytes) and len(blob) == 4 * width else None
    if vector is None or not abs(float(vector @ vector) - 1) < 2 * UNIT_TOLERANCE:
        return None
    return vector.astype(np.float32)


def window_columns(table: Any) -> list[str]:
    """The columns that `table_to_scored_windows` takes, of those that a table has."""
    return [*WINDOW, *([LEVEL] if LEVEL in table.schema.names else [])]
