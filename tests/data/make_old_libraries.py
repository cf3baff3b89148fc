"""Libraries of the formats that openclap wrote before, for tests/test_migration.py.

usage: git worktree add /tmp/old 0c2d56b && PYTHONPATH=/tmp/old/src:tests python tests/data/make_old_libraries.py tests/data/old

The code of that commit is the last that wrote version 2 of SQLite's libraries and format 1 of LanceDB's. What they hold is told by
`HELD` of the test. SQLite's is kept as text, so that a change of it can be read.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from old_libraries import HELD, MAKER, TAGS, recording

from openclap.store import open_store


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
    with tempfile.TemporaryDirectory() as work:
        fill(Path(work, "lib"))
        db = sqlite3.connect(Path(work, "lib", "library.sqlite"))
        names = ("application_id", "user_version")
        numbers = [f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};" for name in names]
        text = "\n".join(["PRAGMA journal_mode = WAL;", *numbers, *db.iterdump()])
        (folder / "version-2.sql").write_text(text + "\n", encoding="utf-8")
        db.close()
        fill(Path(work, "old.lance"))
        Path(work, "old.lance", "writing.lock").unlink(missing_ok=True)
        shutil.make_archive(str(folder / "format-1.lance"), "zip", Path(work, "old.lance"))


if __name__ == "__main__":
    main()
