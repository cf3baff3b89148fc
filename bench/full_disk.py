"""A library on a disk that fills up while it is indexed: what was acknowledged is still there, and it goes on with more room.

usage: python bench/full_disk.py [--rounds 5] [--lance]

Needs the right to mount a small file system in memory (tmpfs): root. Each round gives the disk another size, indexes until it is full,
looks, enlarges the disk, and lets the run finish. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from child_processes import exit_on_sigterm
from crash import known, write_sounds
from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library
from openclap.errors import LibraryError
from openclap.store import open_store

FILES = 900


@contextlib.contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of that size."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lance", action="store_true", help="libraries in LanceDB instead of SQLite")
    args = parser.parse_args()
    total = {"rounds": args.rounds, "full": 0, "in words": 0, "lost": 0, "damaged": 0, "unfinished": 0, "repeated": 0}
    with tempfile.TemporaryDirectory() as aside:
        sounds = Path(aside, "sounds")
        write_sounds(sounds, FILES)
        clap = CLAP.from_pretrained("mini")
        for number in range(args.rounds):
            place = Path(aside, f"disk {number}")
            with disk(place, 700 + 500 * number):
                name = place / ("library.lance" if args.lance else "library")
                library = Library.open(name, model=clap)
                acknowledged: set[str] = set()
                try:
                    for part in sorted(sounds.rglob("*.wav")):  # each call that returns is acknowledged
                        library.add(part)
                        acknowledged.add(str(part))
                except LibraryError as error:
                    total["full"] += 1
                    total["in words"] += "full" in str(error)
                library.close()
                total["lost"] += len(acknowledged - known(name))
                total["damaged"] += len(open_store(name).check())
                subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
                report = Library.open(name, model=clap).add(sounds)
                store = open_store(name)
                stats = store.stats()
                total["unfinished"] += len(report.failed) + FILES - stats["files"]
                total["repeated"] += stats["windows"] - FILES  # each of these sounds is one window
                total["damaged"] += len(store.check())
                store.close()
    table = Table(*total, title=f"{FILES} files on a disk that is too small")
    table.add_row(*map(str, total.values()))
    Console().print(table)
    print(json.dumps(total))
    sys.exit(
        total["full"] < args.rounds
        or total["in words"] < total["full"]
        or any(total[name] for name in ("lost", "damaged", "unfinished", "repeated"))
    )


if __name__ == "__main__":
    exit_on_sigterm()
    main()
