"""kill -9 while a library is written to: does it stay whole, is anything acknowledged ever lost, does the next run go on.

usage: python bench/crash.py [--rounds 20] [--kills 3] [--indexers 2] [--files 1000] [--lance] [--work index|migrate|reread|front-end]

Each round works on a new library with some processes at once, kills all of them at random moments, looks, and starts again; the last
run is left to finish. What another process saw committed before a kill is acknowledged. What they do:

    index      add a folder of synthesised sounds
    migrate    add them to a library that an older version has made, which is brought up first
    reread     embed anew what an earlier revision of decoding has read, tags kept
    front-end  embed a library of another front end anew, as a whole: after each kill all of it is old, or all of it new

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile as sf
from child_processes import exit_on_sigterm, stop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from openclap import CLAP, Library
from openclap.audio.decode_revision import DECODE_REVISION
from openclap.library.model_identity import model_identity
from openclap.store import Store, open_store

TAG = "kept"
CODE = """
import sys
from openclap import CLAP, Library
from openclap.library import indexing
if sys.argv[1] == "reread":
    indexing.concerns = lambda path, since: path[-5] in "02468"
indexing.COMMIT_SECONDS = float(sys.argv[2])
report = Library.open(sys.argv[3], model=CLAP.from_pretrained("mini", threads=1)).add(sys.argv[4:])
print(len(report.failed))
"""


@dataclass(frozen=True)
class Work:
    """What is done to a library: how it is before, and what must hold of it after every kill → how much does not."""

    name: str
    prepare: Callable[[Path, Path], None] = lambda library, sounds: None
    wrong: Callable[[Store], int] = lambda store: 0
    commits: float = 1.0  # seconds between them


def write_sounds(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        place = folder / f"part {i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        paths.append(place / f"{i:04d}.wav")
        sf.write(paths[-1], (0.1 * rng.standard_normal(16_000)).astype(np.float32), 16_000)
    return paths


# -- what is done ------------------------------------------------------------------------------------


def filled(library: Path, sounds: Path) -> None:
    """Every sound with a tag, indexed once and copied from then on."""
    template = sounds.parents[1] / f"filled with {sounds.name}{library.suffix}"
    if not template.exists():
        made = Library.open(template, model=CLAP.from_pretrained("mini"))
        made.add(sounds, tags=[TAG])
        made.close()
    shutil.copytree(template, library)


def old(library: Path, sounds: Path) -> None:
    """Half of the sounds, in a library as an older version has made it."""
    filled(library, sounds / "part 0")
    if library.suffix:
        import lancedb

        place = lancedb.connect(library)
        place.open_table(next(name for name in place.list_tables().tables if name.startswith("windows"))).drop_columns(
            ["reading"]
        )
        place.open_table("about").update("key = 'library'", {"format": 1})
        return
    db = sqlite3.connect(library / "library.sqlite")
    for trigger in ("file_removed_with_tags", "file_changed_with_tags"):
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("DROP TABLE remembered")
    db.execute("ALTER TABLE files DROP COLUMN reading")
    db.execute("PRAGMA user_version = 2")
    db.close()


def lacks_of_old(store: Store) -> int:
    """Files of the older library that are lost, or have lost their tag."""
    return sum("/part 0/" in file.path and file.tags != (TAG,) for file in store.files())


def of_another_reading(library: Path, sounds: Path) -> None:
    filled(library, sounds)
    store = open_store(library)
    store.update_facts([replace(file, reading=DECODE_REVISION - 1) for file in store.files()])
    store.close()


def of_another_front_end(library: Path, sounds: Path) -> None:
    filled(library, sounds)
    store = open_store(library)
    maker = model_identity(CLAP.from_pretrained("mini"))
    other = {**maker, "front_end": {**maker["front_end"], "f_max": 1000.0}}
    aside = store.staging(other)
    aside.claim(other)
    for some in store.scan():
        aside.put([replace(some, file=replace(some.file, seconds=77.0))])
        aside.tag([some.file.path], some.file.tags)
    store.swap_in(aside)
    store.close()


def untagged(store: Store) -> int:
    return sum(file.tags != (TAG,) for file in store.files())


def mixed(store: Store) -> int:
    """Files of both front ends at once, or of the one that the library does not say."""
    new = store.model_identity()["front_end"]["f_max"] != 1000.0
    return sum(bool((file.seconds == 77.0) == new) for file in store.files()) + untagged(store)


WORK = {
    "index": Work("index"),
    "migrate": Work("migrate", old, lacks_of_old, 0.0),
    "reread": Work("reread", of_another_reading, untagged, 0.0),
    "front-end": Work("front-end", of_another_front_end, mixed, 0.0),
}


# -- kills -------------------------------------------------------------------------------------------


def known(library: Path) -> set[str]:
    """What is committed: the paths, and which of them have been read by this revision."""
    store = open_store(library)
    try:
        return {
            name
            for file in store.files()
            for name in (file.path, *[f"{file.path} read"] * (file.reading == DECODE_REVISION))
        }
    finally:
        store.close()


def start(library: Path, sounds: Path, indexers: int, work: Work) -> list[subprocess.Popen[bytes]]:
    folders = [sounds / f"part {i}" for i in range(2)] if indexers == 2 else [sounds]
    arguments = [sys.executable, "-c", CODE, work.name, str(work.commits), str(library)]
    return [subprocess.Popen([*arguments, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for folder in folders]  # fmt: skip


def one_round(
    library: Path, sounds: Path, files: int, kills: int, indexers: int, rng: np.random.Generator, work: Work = WORK["index"]
) -> dict[str, int]:  # fmt: skip
    found = {"kills": 0, "lost": 0, "damaged": 0, "repeated": 0, "unfinished": 0}
    work.prepare(library, sounds)
    acknowledged = known(library) if library.exists() else set()
    for _ in range(kills):
        running = start(library, sounds, indexers, work)
        patience = rng.exponential(0.3)  # seconds after start-up, or after the first commit of this run
        begun, before = time.monotonic(), len(known(library)) if library.exists() else 0
        seen = 0.0
        try:
            while any(process.poll() is None for process in running):
                acknowledged = known(library) if library.exists() else acknowledged
                seen = seen or (time.monotonic() if len(acknowledged) > before else 0.0)
                if (seen and time.monotonic() > seen + patience) or time.monotonic() > begun + 1 + 4 * patience:
                    break
                time.sleep(0.01)
            found["kills"] += sum(process.poll() is None for process in running)
        finally:
            for process in running:
                process.kill()
            for process in running:
                process.wait()
        found["lost"] += len(acknowledged - known(library) if library.exists() else acknowledged)
        found["damaged"] += examined(library, work)
    last = start(library, sounds, indexers, work)
    try:
        found["unfinished"] += sum(process.wait() != 0 for process in last)
    finally:
        stop(*last)
    found["damaged"] += examined(library, work)
    store = open_store(library)
    here = list(store.files())
    found["unfinished"] += abs(files - len(here)) + sum(file.reading != DECODE_REVISION for file in here)
    recordings = (store.recording(file.path) for file in here)
    found["repeated"] += sum(
        len(some.start) - 1 for some in recordings if some is not None
    )  # each of these sounds is one window
    store.close()
    return found


def examined(library: Path, work: Work) -> int:
    """What is wrong with a library."""
    store = open_store(library)
    try:
        return len(store.check()) + (work.wrong(store) if library.exists() else 0)
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--indexers", type=int, choices=(1, 2), default=2)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which they are killed")
    parser.add_argument("--lance", action="store_true", help="libraries in LanceDB instead of SQLite")
    parser.add_argument("--work", choices=list(WORK), default="index")
    args = parser.parse_args()
    total: dict[str, int] = {}
    rng = np.random.default_rng(args.seed)
    work = WORK[args.work]
    indexers = 1 if args.work == "front-end" else args.indexers  # one at a time may
    with tempfile.TemporaryDirectory() as aside:
        sounds = Path(aside, "work", "sounds")
        write_sounds(sounds, args.files)
        for number in track(range(args.rounds), "rounds", console=Console(stderr=True)):
            library = Path(aside, f"library {number}{'.lance' * args.lance}")
            found = one_round(library, sounds, args.files, args.kills, indexers, rng, work)
            total = {name: total.get(name, 0) + value for name, value in found.items()}
            shutil.rmtree(library)
    title = f"{args.work}, {'LanceDB' if args.lance else 'SQLite'}: {args.rounds} rounds, {indexers} at once, {args.files} files"
    table = Table(*total, title=title)
    table.add_row(*map(str, total.values()))
    Console().print(table)
    print(json.dumps({"work": args.work, "store": "lance" if args.lance else "sqlite", **total}))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
