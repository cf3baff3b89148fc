"""What can be wrong with a library's tables and cache, and how it is mended."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

from openclap.errors import LibraryError
from openclap.store.records import Recording, Store
from openclap.store.sqlite.rows import AT_ONCE, TAGGED, maker_of, recording_of, vectors_of, width_of
from openclap.store.sqlite.vectors import VectorCache

__all__ = ["faults", "mend", "salvage", "wrong_cache"]

BAD_WINDOWS = "SELECT DISTINCT file FROM windows WHERE length(embedding) <> ?"
SILENT_FILES = "SELECT id FROM files WHERE NOT EXISTS (SELECT 1 FROM windows WHERE file = files.id)"


def faults(db: sqlite3.Connection) -> list[str]:
    """What is wrong with the tables, in words."""
    wrong = [str(row[0]) for row in db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
    orphans = Counter(row[0] for row in db.execute("PRAGMA foreign_key_check"))
    wrong += [f"{count} rows of {table} have no file" for table, count in orphans.items()]
    width = width_of(db)
    bad = db.execute("SELECT count(*) FROM windows WHERE length(embedding) <> ?", [4 * width]).fetchone()[0]
    without = db.execute(f"SELECT count(*) FROM ({SILENT_FILES})").fetchone()[0]
    counted = db.execute("SELECT files, windows FROM counts").fetchone()
    real = db.execute("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM windows)").fetchone()
    wrong += [f"{bad} windows have vectors of another size than {width}"] if bad else []
    wrong += [f"{without} files have no windows"] if without else []
    wrong += [f"the counts say {counted} files and windows, there are {real}"] if counted != real else []
    return wrong


def mend(db: sqlite3.Connection) -> list[str]:
    """Remove files and rows that are not whole, and count again → what was done, in words."""
    bad = {number for (number,) in db.execute(BAD_WINDOWS, [4 * width_of(db)])}
    bad |= {number for (number,) in db.execute(SILENT_FILES)}
    db.executemany("DELETE FROM files WHERE id = ?", [(number,) for number in bad])
    lost = db.execute("DELETE FROM windows WHERE file NOT IN (SELECT id FROM files)").rowcount
    lost += db.execute("DELETE FROM tags WHERE file NOT IN (SELECT id FROM files)").rowcount
    before = db.execute("SELECT files, windows FROM counts").fetchone()
    db.execute(
        "UPDATE counts SET files = (SELECT count(*) FROM files), windows = (SELECT count(*) FROM windows),"
        " seconds = (SELECT coalesce(sum(seconds), 0) FROM files)"
    )
    after = db.execute("SELECT files, windows FROM counts").fetchone()
    done = [f"{len(bad)} files without sound vectors removed: index them again"] if bad else []
    done += [f"{lost} rows of no file removed"] if lost else []
    done += [f"counts set from {before} to {after} files and windows"] if before != after else []
    return done


def salvage(file: Path, into: Store) -> tuple[int, int]:
    """Copy every file that can still be read out of a broken database → how many, and how many could not."""
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    kept = lost = 0
    try:
        maker = maker_of(source)
        if maker:
            into.claim(maker)
        highest = source.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()[0]
        waiting: list[Recording] = []
        for number in range(1, highest + 1):
            try:
                row = source.execute(f"SELECT {TAGGED}, id FROM files WHERE id = ?", [number]).fetchone()
                if row is not None:
                    waiting.append(recording_of(source, row))
                    kept += 1
            except (sqlite3.DatabaseError, ValueError):
                lost += 1
            if len(waiting) == AT_ONCE or number == highest:
                into.put(waiting)
                for recording in waiting:
                    into.tag([recording.file.path], recording.file.tags)
                waiting = []
    except sqlite3.DatabaseError as error:
        raise LibraryError(f"nothing can be read of {file} ({error}); move it away and index again") from error
    finally:
        source.close()
    return kept, lost


def wrong_cache(db: sqlite3.Connection, cache: VectorCache | None) -> list[str]:
    """Whether cached vectors are those of the database."""
    if cache is None or not cache.rows:
        return []
    return cache.differs(lambda ids: vectors_of(db, ids))
