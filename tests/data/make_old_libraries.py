"""Libraries of the formats that openclap wrote before, for tests/test_migration.py.

usage: git worktree add /tmp/old 0c2d56b && PYTHONPATH=/tmp/old/src:tests python tests/data/make_old_libraries.py tests/data/old

The code of that commit is the last that wrote version 2 of SQLite's libraries and format 1 of LanceDB's, that of 0975552
the last that wrote version 3 and format 2, that of ea9d223 the last that wrote version 4 and format 3; a file of
3acd8d2 wrote the first format of all: git show 3acd8d2:src/openclap/library/store.py > /tmp/first.py && PYTHONPATH=src:tests python
tests/data/make_old_libraries.py tests/data/old /tmp/first.py. What they hold is told by
`HELD` of the test. SQLite's is kept as text, so that a change of it can be read.
"""

from __future__ import annotations

import importlib.util
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from old_libraries import HELD, MAKER, TAGS, recording

from openclap.store import open_store
from openclap.store.lance.tables import FORMAT_VERSION

try:
    from openclap.store.sqlite.words import WORDS
except ImportError:  # before version 4
    WORDS = ""


def fill_first(folder: Path, code: Path) -> None:
    spec = importlib.util.spec_from_file_location("first", code)
    assert spec is not None
    assert spec.loader is not None
    first = sys.modules["first"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(first)
    store = first.NpzStore(folder)
    store.maker = MAKER
    for path, windows in HELD.items():
        made = recording(path, windows)
        facts = made.file
        store.put(first.File(path, facts.size, facts.mtime_ns, facts.seconds), made.start, made.end, made.embedding)
    store.commit()
    (folder / "library.npz").rename(folder / "format-1.npz")


def fill(place: Path) -> None:
    store = open_store(place)
    store.claim(MAKER)
    store.put([recording(path, windows) for path, windows in HELD.items()])
    for path, tags in TAGS.items():
        store.tag([path], tags)
    store.close()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 2:
        fill_first(folder, Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as work:
        fill(Path(work, "lib"))
        db = sqlite3.connect(Path(work, "lib", "library.sqlite"))
        names = ("application_id", "user_version")
        numbers = [f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};" for name in names]
        db.execute(
            "DROP TABLE IF EXISTS words"
        )  # full text is no text: what iterdump writes of it cannot be read again
        dumped = [*db.iterdump()]
        if WORDS:
            dumped.insert(-1, WORDS.format(""))
        text = "\n".join(["PRAGMA journal_mode = WAL;", *numbers, *dumped])
        (folder / f"version-{db.execute('PRAGMA user_version').fetchone()[0]}.sql").write_text(
            text + "\n", encoding="utf-8"
        )
        db.close()
        fill(Path(work, "old.lance"))
        Path(work, "old.lance", "writing.lock").unlink(missing_ok=True)
        shutil.make_archive(str(folder / f"format-{FORMAT_VERSION}.lance"), "zip", Path(work, "old.lance"))


if __name__ == "__main__":
    main()
