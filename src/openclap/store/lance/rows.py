"""Rows of the tables ↔ files, recordings, filters. Knows nothing of transactions.

A window is a row, with all that is known of its file repeated on it, so that one filter serves files and windows; the row of
window 0 stands for the file.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from openclap.store.records import File, Recording, Row, Vectors, Where

__all__ = [
    "FACTS",
    "FIRST",
    "WINDOW",
    "about_of",
    "about_schema",
    "among",
    "by",
    "condition_of",
    "file_of",
    "quoted",
    "recordings_of",
    "rows_of",
    "table_of",
    "text_of",
    "update_of",
    "vectors_of",
    "windows_schema",
]

FACTS = ["path", "size", "mtime_ns", "hash", "seconds", "tags"]
WINDOW = ["path", "start", "end", "embedding"]
FIRST = "number = 0"
LARGEST = 2**62
PRIMARY_KEY = "lance-schema:unenforced-primary-key:position"  # so that two writers of one key are told apart

UNDECODED = re.compile("[\udc80-\udcff]")  # bytes of a file's name that are no UTF-8, as Python spells them


def text_of(path: str) -> str:
    """A path as these tables hold it: each byte that is no UTF-8 as NUL and two digits, and no path has a NUL."""
    return UNDECODED.sub(lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", path)


def path_of(text: str) -> str:
    """The path of a text."""
    return re.sub("\0(..)", lambda found: chr(0xDC00 + int(found[1], 16)), text)


def key_of(path: str, number: int) -> str:
    """What no two rows have in common."""
    return f"{text_of(path)}\0\0{number}"


def about_schema() -> Any:
    """Of the table that tells what made which table of windows."""
    import pyarrow as pa

    return pa.schema([_key_field(), ("format", pa.int32()), ("maker", pa.string()), ("windows", pa.string())])


def windows_schema(width: int) -> Any:
    """Of a table of windows with vectors of E numbers."""
    import pyarrow as pa

    return pa.schema(
        [
            _key_field(), ("path", pa.string()), ("number", pa.int32()), ("size", pa.int64()), ("mtime_ns", pa.int64()),
            ("hash", pa.string()), ("seconds", pa.float64()), ("tags", pa.list_(pa.string())),
            ("start", pa.float64()), ("end", pa.float64()), ("embedding", pa.list_(pa.float32(), width)),
        ]
    )  # fmt: skip


def _key_field() -> Any:
    import pyarrow as pa

    return pa.field("key", pa.string(), nullable=False, metadata={PRIMARY_KEY: "1"})


def table_of(recordings: Sequence[Recording], tags: Mapping[str, Sequence[str]]) -> Any:
    """An Arrow table of their windows, with the tags of these paths."""
    import pyarrow as pa

    counts = [len(recording.embedding) for recording in recordings]
    assert all(len(r.start) == len(r.end) == count for r, count in zip(recordings, counts, strict=True))
    files = [recording.file for recording in recordings]
    repeated = np.repeat(np.arange(len(files)), counts)
    numbers = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
    vectors = np.concatenate([recording.embedding for recording in recordings]).astype(np.float32, copy=False)
    columns: list[Any] = [
        [key_of(files[i].path, number) for i, number in zip(repeated, numbers.tolist(), strict=True)],
        [text_of(files[i].path) for i in repeated],
        numbers,
        *([getattr(files[i], name) for i in repeated] for name in ("size", "mtime_ns", "hash", "seconds")),
        [list(tags.get(files[i].path, ())) for i in repeated],
        *(np.concatenate([getattr(recording, name) for recording in recordings]) for name in ("start", "end")),
    ]
    schema = windows_schema(vectors.shape[1])
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=False)]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return pa.Table.from_arrays([*arrays, lists], schema=schema)


def update_of(schema: Any, keys: Sequence[str], **columns: Sequence[Any]) -> Any:
    """An Arrow table that sets some columns of the rows of these keys."""
    import pyarrow as pa

    fields = [_key_field(), *map(schema.field, columns)]
    arrays = [pa.array(values, field.type) for values, field in zip((keys, *columns.values()), fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def about_of(rows: list[dict[str, Any]]) -> Any:
    """An Arrow table of `about_schema`."""
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=about_schema())


def file_of(row: dict[str, Any]) -> File:
    """Of a row with FACTS."""
    facts = {name: row[name] for name in ("size", "mtime_ns", "hash", "seconds")}
    return File(path_of(row["path"]), **facts, tags=tuple(row["tags"] or ()))


def recordings_of(table: Any) -> Iterator[Recording]:
    """Of an Arrow table with FACTS, number, start, end and embedding, whole files; by path."""
    table = table.sort_by([("path", "ascending"), ("number", "ascending")])
    vectors = vectors_of(table)
    rows = table.drop_columns(["embedding"]).to_pylist()
    for _, group in groupby(range(len(rows)), key=lambda i: rows[i]["path"]):
        places = list(group)
        start, end = (np.array([rows[i][name] for i in places], np.float64) for name in ("start", "end"))
        yield Recording(file_of(rows[places[0]]), start, end, vectors[places[0] : places[-1] + 1])


def vectors_of(table: Any) -> Vectors:
    """The column of vectors of a table, or of a batch: (n, E)."""
    column = table["embedding"]
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    rows: Vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    return rows


def rows_of(query: Vectors, table: Any) -> list[Row]:
    """Windows with their cosine to a unit vector, as every store counts it."""
    vectors = vectors_of(table)
    scores = np.clip(vectors @ query, -1.0, 1.0).tolist()
    places = table.select(["path", "start", "end"]).to_pylist()
    return [
        Row(path_of(place["path"]), place["start"], place["end"], score, vector)
        for place, score, vector in zip(places, scores, vectors, strict=True)
    ]


# -- conditions --------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A text in a condition."""
    return "'" + text.replace("'", "''") + "'"


def by(column: str) -> Any:
    """The order of a column, smallest first."""
    from lancedb.query import ColumnOrdering

    return ColumnOrdering(column_name=column, ascending=True)


def among(column: str, values: Iterable[str]) -> str:
    """That a column is one of these texts."""
    return f"{column} IN ({', '.join(map(quoted, values))})"


def condition_of(where: Where | None, files: Collection[str] = ()) -> str | None:
    """What a filter allows, in the words of the tables; `files` are texts of further paths that lie within."""
    if where is None:
        return None
    conditions = [
        condition.format(wanted)
        for value, condition, wanted in (
            (where.glob, "regexp_like(path, {})", where.glob is not None and quoted(_pattern(where.glob))),
            (where.shortest, "seconds >= {}", _number(where.shortest)),
            (where.longest, "seconds <= {}", _number(where.longest)),
            (where.after, "mtime_ns >= {}", _nanoseconds(where.after)),
            (where.before, "mtime_ns < {}", _nanoseconds(where.before)),
            *((tag, "array_has(tags, {})", quoted(tag)) for tag in where.tags),
        )
        if value is not None
    ]
    if where.within is not None:
        conditions.append(_any([*map(_lies_in, where.within), *([among("path", sorted(files))] if files else [])]))
    return " AND ".join(conditions) or None


def _any(conditions: Sequence[str]) -> str:
    """One of them, as a tree: a long chain is too deep for the parser."""
    if len(conditions) <= 1:
        return f"({conditions[0]})" if conditions else "false"
    middle = len(conditions) // 2
    return f"({_any(conditions[:middle])} OR {_any(conditions[middle:])})"


def _lies_in(path: str) -> str:
    folder = text_of(path).rstrip(os.sep) + os.sep
    beyond = folder[:-1] + chr(ord(os.sep) + 1)
    return f"path = {quoted(text_of(path))} OR (path > {quoted(folder)} AND path < {quoted(beyond)})"


def _number(value: float | None) -> str:
    return f"CAST('{value}' AS DOUBLE)"


def _nanoseconds(seconds: float | None) -> int:
    if seconds is None:
        return 0
    wanted = seconds * 1e9
    return (
        math.ceil(max(-LARGEST, min(LARGEST, wanted))) if abs(wanted) < LARGEST else int(math.copysign(LARGEST, wanted))
    )


def _pattern(glob: str) -> str:
    """A regular expression that fits what SQLite's GLOB fits."""
    pattern, i = "", 0
    while i < len(glob):
        sign = glob[i]
        i += 1
        if sign == "[":
            negated = glob.startswith("^", i)
            end = glob.find("]", i + negated + 1)
            if end < 0:
                return "[^\\s\\S]"  # an open bracket fits nothing, as in SQLite
            pattern += _class_of(glob[i + negated : end], negated)
            i = end + 1
        else:
            pattern += {"*": "[\\s\\S]*", "?": "(?:\0..|[\\s\\S])"}.get(sign) or re.escape(text_of(sign))
    return f"^{pattern}$"


def _class_of(signs: str, negated: bool) -> str:
    """A class of a regular expression: of `a-z` all between, and of `z-a` none."""
    inside, i = "", 0
    while i < len(signs):
        if signs[i + 1 : i + 2] == "-" and i + 2 < len(signs):
            first, last = signs[i], signs[i + 2]
            inside += f"{_escaped(first)}-{_escaped(last)}" if first <= last else ""
            i += 3
        else:
            inside += _escaped(signs[i])
            i += 1
    if not inside:
        return "[\\s\\S]" if negated else "[^\\s\\S]"
    return f"[{'^' * negated}{inside}]"


def _escaped(sign: str) -> str:
    return "\\" + sign if sign in "\\[]&~^-" else sign
