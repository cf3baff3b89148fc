"""A library's tables and cache → what is wrong with them, in words; damaged tables → whole ones."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from openclap.errors import LibraryError
from openclap.plurals import count_noun
from openclap.regular_files import require_database
from openclap.store.records import Recording, Store
from openclap.store.sqlite.migration import create_compat_views
from openclap.store.sqlite.rows import (
    AT_ONCE,
    ROWS_AT_ONCE,
    TAGGED,
    matrix_of,
    read_model_identity,
    remembered_in,
    row_to_recording,
    vectors_of,
)
from openclap.store.sqlite.vector_cache import VectorCache
from openclap.store.sqlite.words import find_broken_texts, texts_of
from openclap.store.validation import HIGHEST_DB, LOWEST_DB, MAX_SECONDS, UNIT_TOLERANCE, BrokenValue, validate_file

__all__ = ["find_cache_faults", "find_faults", "missing_identity", "repair_tables", "salvage"]

SILENT_FILES = "SELECT id FROM files WHERE NOT EXISTS (SELECT 1 FROM windows WHERE file = files.id)"
OTHER_SIZE = "typeof(embedding) <> 'blob' OR length(embedding) <> ?"
NO_SPAN = (
    "typeof(start_seconds) NOT IN ('real', 'integer') OR typeof(end_seconds) NOT IN ('real', 'integer')"
    f" OR start_seconds < 0 OR end_seconds < start_seconds OR end_seconds > {MAX_SECONDS}"
)

NO_LEVEL = f"level IS NOT NULL AND (typeof(level) <> 'real' OR level NOT BETWEEN {LOWEST_DB} AND {HIGHEST_DB})"


def find_faults(db: sqlite3.Connection) -> list[str]:
    """Find what is wrong with the tables → in words."""
    wrong = [str(row[0]) for row in db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
    unmade = missing_identity(db)
    wrong += [unmade] if unmade else []
    orphans = Counter(row[0] for row in db.execute("PRAGMA foreign_key_check"))
    wrong += [
        f"{count_noun(count, f'row of {table} has', f'rows of {table} have')} no file"
        for table, count in orphans.items()
    ]
    width = _width(db)
    bad, no_spans, no_levels = (
        db.execute(f"SELECT count(*) FROM windows WHERE {what}", values).fetchone()[0]
        for what, values in ((OTHER_SIZE, [4 * width]), (NO_SPAN, []), (NO_LEVEL, []))
    )
    numberless = len(_files_without_unit_vectors(db, width))
    without = db.execute(f"SELECT count(*) FROM ({SILENT_FILES})").fetchone()[0]
    odd = len(_files_with_broken_facts(db))
    said, real = _counts(db), _count_rows(db)
    windows, files = ("window has", "windows have"), ("file has", "files have")
    counted = (
        (bad, windows, f"vectors of another size than {width}"),
        (no_spans, windows, "times that cannot be"),
        (no_levels, windows, "levels that cannot be"),
        (numberless, files, "vectors that are none"),
        (without, files, "no windows"),
        (odd, files, "a path, size, time, length or tag that cannot be"),
        (len(find_broken_texts(db)), files, "a text that cannot be"),
        (len(_broken_tracks(db, width)), files, "a vector as a whole that is none"),
    )
    wrong += [f"{count_noun(count, *whose)} {what}" for count, whose, what in counted if count]
    wrong += [f"the counts of files and windows are {said}, there are {real}"] if said != real else []
    return wrong


def missing_identity(db: sqlite3.Connection) -> str:
    """Why it is unknown which model made the vectors; an empty text where it is known."""
    try:
        if read_model_identity(db) or not db.execute("SELECT 1 FROM files LIMIT 1").fetchone():
            return ""
    except BrokenValue as error:
        return str(error)
    return ""


def repair_tables(db: sqlite3.Connection) -> list[str]:
    """Remove files and rows that are not whole, and count again → what was done, in words.

    Where it is unknown which model made the vectors, all files leave: nothing could be compared with them.
    """
    done = []
    db.execute("UPDATE counts SET seconds = 0.0")  # it is counted at the end; an infinity that leaves would make it NaN
    unmade = missing_identity(db)
    if unmade:
        db.execute("DELETE FROM meta WHERE name = 'maker'")
        gone = db.execute("DELETE FROM files").rowcount
        done.append(f"{unmade}: {count_noun(gone, 'file')} removed with tags kept: index again")
    lost = db.execute("DELETE FROM tags WHERE typeof(name) <> 'text'").rowcount
    width = _width(db)
    bad = {number for (number,) in db.execute(f"SELECT DISTINCT file FROM windows WHERE {OTHER_SIZE}", [4 * width])}
    bad |= {number for (number,) in db.execute(f"SELECT DISTINCT file FROM windows WHERE {NO_SPAN}")}
    bad |= (
        {number for (number,) in db.execute(SILENT_FILES)}
        | _files_without_unit_vectors(db, width)
        | _files_with_broken_facts(db)
    )
    removed = db.executemany("DELETE FROM files WHERE id = ?", [(number,) for number in bad]).rowcount if bad else 0
    lost += db.execute("DELETE FROM windows WHERE file NOT IN (SELECT id FROM files)").rowcount
    lost += db.execute("DELETE FROM tags WHERE file NOT IN (SELECT id FROM files)").rowcount
    lost += db.execute("DELETE FROM tracks WHERE file NOT IN (SELECT id FROM files)").rowcount
    db.execute("DELETE FROM words WHERE rowid NOT IN (SELECT id FROM files)")
    unmeasured = db.execute(f"UPDATE windows SET level = NULL WHERE {NO_LEVEL}").rowcount
    remade = _broken_tracks(db, width)
    db.executemany("DELETE FROM tracks WHERE file = ?", [(number,) for number in remade])
    untold = find_broken_texts(db)
    db.executemany("DELETE FROM words WHERE rowid = ?", [(number,) for number in untold])
    before, after = _counts(db), _count_rows(db)
    db.execute("DELETE FROM counts")
    db.execute("INSERT INTO counts SELECT ?, ?, coalesce(sum(seconds), 0.0) FROM files", after)
    done += [f"{count_noun(removed, 'file')} without sound vectors removed: index again"] if removed else []
    done += [f"{count_noun(lost, 'row')} of no file removed"] if lost else []
    done += [f"{count_noun(len(untold), 'text')} of files removed: index again"] if untold else []
    done += [f"{count_noun(unmeasured, 'level')} of windows removed: index again"] if unmeasured else []
    done += (
        [f"{count_noun(len(remade), 'vector')} of whole files removed; they are made of the windows"] if remade else []
    )
    done += [f"counts set from {before} to {after}, files and windows"] if before != after else []
    return done


def _width(db: sqlite3.Connection) -> int:
    """How many numbers a vector has, by the model that made the library, or else as most vectors have."""
    try:
        if maker := read_model_identity(db):
            return int(maker["embedding"])
    except BrokenValue:
        pass
    most = "SELECT length(embedding) / 4 FROM windows GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    row = db.execute(most).fetchone()
    return int(row[0] or 0) if row else 0


def _files_without_unit_vectors(db: sqlite3.Connection, width: int) -> set[int]:
    """The ids of files with vectors of the right size whose length is not 1."""
    bad: set[int] = set()
    rows = db.execute(f"SELECT file, embedding FROM windows WHERE NOT ({OTHER_SIZE})", [4 * width])
    while width and (some := rows.fetchmany(ROWS_AT_ONCE)):
        with np.errstate(all="ignore"):
            wrong = ~(np.abs(np.linalg.norm(matrix_of([blob for _, blob in some]), axis=1) - 1) < UNIT_TOLERANCE)
        bad |= {some[i][0] for i in np.flatnonzero(wrong)}
    return bad


def _broken_tracks(db: sqlite3.Connection, width: int) -> list[int]:
    """The ids of files whose vector as a whole is none; it can be made of their windows."""
    bad = [file for (file,) in db.execute(f"SELECT file FROM tracks WHERE {OTHER_SIZE}", [4 * width])]
    for file, blob in db.execute(f"SELECT file, embedding FROM tracks WHERE NOT ({OTHER_SIZE})", [4 * width]):
        with np.errstate(all="ignore"):
            if not abs(float(np.linalg.norm(np.frombuffer(blob, "<f4"))) - 1) < UNIT_TOLERANCE:
                bad.append(file)
    return bad


def _files_with_broken_facts(db: sqlite3.Connection) -> set[int]:
    """The ids of files with facts that no library can hold."""
    bad: set[int] = set()
    texts = "CAST(path AS BLOB), typeof(path), size, mtime_ns, CAST(hash AS BLOB), typeof(hash), seconds, reading"
    for number, path, kind, size, mtime_ns, content, of, seconds, reading in db.execute(
        f"SELECT id, {texts} FROM files"
    ):
        try:
            name = os.fsdecode(path) if kind == "blob" else path.decode() if kind == "text" else path
            validate_file(name, size, mtime_ns, content.decode() if of == "text" else content, seconds, (), reading)
        except (BrokenValue, UnicodeDecodeError):
            bad.add(number)
    tagged = "SELECT id FROM files WHERE EXISTS (SELECT 1 FROM tags WHERE file = files.id AND typeof(name) <> 'text')"
    return bad | {number for (number,) in db.execute(tagged)}


def _counts(db: sqlite3.Connection) -> tuple[int, ...]:
    """The numbers of files and windows, as noted in the table of counts."""
    return tuple(db.execute("SELECT files, windows FROM counts").fetchone() or ())


def _count_rows(db: sqlite3.Connection) -> tuple[int, ...]:
    """The numbers of files and windows, counted."""
    return tuple(db.execute("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM windows)").fetchone())


def salvage(file: Path, into: Store) -> tuple[int, int]:
    """Copy every file that can still be read from a broken database → how many were copied, and how many lost."""
    require_database(file)
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    kept = lost = 0
    try:
        create_compat_views(source, int(source.execute("PRAGMA user_version").fetchone()[0]))
        maker = read_model_identity(source)
        if maker:
            into.claim(maker)
        highest = source.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()[0]
        waiting: list[Recording] = []
        for number in range(1, highest + 1):
            try:
                row = source.execute(f"SELECT {TAGGED}, id FROM files WHERE id = ?", [number]).fetchone()
                if row is not None:
                    recording = row_to_recording(source, row)
                    with contextlib.suppress(sqlite3.DatabaseError, ValueError):
                        recording = replace(recording, text=dict(texts_of(source, [number])).get(number))
                    waiting.append(recording)
                    kept += 1
            except (sqlite3.DatabaseError, ValueError):
                lost += 1
            if len(waiting) == AT_ONCE or number == highest:
                into.restore(waiting)
                waiting = []
        into.remember_tags(remembered_in(source))
    except (sqlite3.DatabaseError, BrokenValue) as error:
        raise LibraryError(f"nothing can be read of {file} ({error}); move it away and index again") from error
    finally:
        source.close()
    return kept, lost


def find_cache_faults(db: sqlite3.Connection, cache: VectorCache | None) -> list[str]:
    """Find cached vectors that are not those of the database → in words."""
    if cache is None or not cache.rows:
        return []
    return cache.differs(lambda ids: vectors_of(db, ids))
