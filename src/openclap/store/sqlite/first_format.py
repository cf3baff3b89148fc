"""A library of format 1 (`library.npz`: a manifest and three arrays, without tags and hashes) → tables of SQLite.

library.npz ─ memory             for processes that only read
           └─ library.sqlite     by the first that writes, in one transaction; the old file stays, unread
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from openclap.regular_files import open_regular
from openclap.store.records import UNHASHED, File
from openclap.store.sqlite.rows import FILE, file_to_row
from openclap.store.validation import BrokenValue

__all__ = ["VERSION", "convert", "first_format_beside"]

VERSION = 1
PARTS = {"manifest.npy", "start.npy", "end.npy", "embedding.npy"}


def first_format_beside(file: Path) -> Path | None:
    """The library of format 1 in the folder of a `library.sqlite`; None where there is none.

    Raises
    ------
    BrokenValue
        There is a file of its name which is not an archive.
    """
    place = file.with_name("library.npz")
    try:
        with open_regular(place) as opened, zipfile.ZipFile(opened) as parts:
            return place if set(parts.namelist()) >= PARTS else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except zipfile.BadZipFile as error:
        raise BrokenValue(str(error), place) from error


def convert(db: sqlite3.Connection, place: Path) -> None:
    """Put what a library of format 1 holds into empty tables of the present format.

    The hash of a file becomes `UNHASHED` and its number, so that no two files are taken for copies.

    Raises
    ------
    BrokenValue
        The parts of the archive do not fit together, or it is of another version.
    """
    try:
        with open_regular(place) as opened, np.load(opened, allow_pickle=False) as parts:
            manifest = json.loads(str(parts["manifest"]))
            start, end, rows = (np.asarray(parts[name]) for name in ("start", "end", "embedding"))
        if (manifest["format"], manifest["format_version"]) != ("openclap-library", VERSION):
            raise ValueError(f"format {manifest['format']!r}, version {manifest['format_version']!r}")
        files, counts = manifest["files"], manifest["windows_of_file"]
        edges = np.cumsum([0, *counts])
        if not len(files) == len(counts) or not len(start) == len(end) == len(rows) == edges[-1] or rows.ndim != 2:
            raise ValueError("its parts do not fit together")
        db.execute("INSERT INTO meta VALUES ('maker', ?)", [json.dumps(manifest["maker"])])
        for number, (facts, first, last) in enumerate(zip(files, edges[:-1], edges[1:], strict=True), 1):
            _put(db, number, facts, start[first:last], end[first:last], rows[first:last])
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BrokenValue(_reason_of(error), place) from error


def _reason_of(error: Exception) -> str:
    """What is wrong in plain words; some errors say no more than a name."""
    if isinstance(error, KeyError):
        return f"it does not say its {error.args[0]}"
    return str(error) or "it ends too early"


def _put(db: sqlite3.Connection, number: int, facts: Any, start: Any, end: Any, rows: Any) -> None:
    file = File(facts["path"], facts["size"], facts["mtime_ns"], f"{UNHASHED}{number}", facts["seconds"])
    db.execute(f"INSERT INTO files (id, {FILE}) VALUES (?, ?, ?, ?, ?, ?, ?)", [number, *file_to_row(file)])
    db.executemany(
        "INSERT INTO windows (file, start_seconds, end_seconds, embedding) VALUES (?, ?, ?, ?)",
        [(number, float(a), float(b), row.astype("<f4").tobytes()) for a, b, row in zip(start, end, rows, strict=True)],
    )
