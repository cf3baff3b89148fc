"""Two thousand odd files in one folder: every format, bad names, links, loops, pipes, empty and damaged ones. The report must be right.

usage: python bench/odd_files.py [--files 2000] [--lance]

Each file is made knowing what should become of it; the report of one run is compared with that, and a second run must find
nothing to do but the bad ones. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library

NAMES = ["plain", "ü 声", "-dash", "new\nline", "emoji🎧", "tab\t", "quote'\"", "[b]", "%20", "a" * 200]
FORMATS = [".wav", ".flac", ".ogg", ".aiff", ".au", ".caf", ".w64", ".mp3"]
RATES = [8_000, 16_000, 44_100, 48_000]
KINDS = 20


def write(root: Path, count: int) -> tuple[set[str], set[str]]:
    """Make the files → the paths that are sounds, and those that cannot be used."""
    rng, noise = random.Random(0), np.random.default_rng(0)
    good: set[str] = set()
    bad: set[str] = set()
    target = root.parent / "target.flac"
    sf.write(target, (0.1 * noise.standard_normal(8000)).astype(np.float32), 16_000)
    for i in range(count):
        folder = root / f"folder {i % 37}"
        folder.mkdir(exist_ok=True)
        stem, kind = str(folder / f"{rng.choice(NAMES)}{i}"), i % KINDS
        wave = (0.1 * noise.standard_normal((4000, 2 if kind == 9 else 1))).astype(np.float32)
        path = stem + ".wav"
        if kind < len(FORMATS):
            path = stem + FORMATS[kind]
            sf.write(path, wave, rng.choice(RATES))
        elif kind == 8:  # a format that its name does not tell
            sf.write(path, wave, 16_000, format="FLAC")
        elif kind == 9:
            sf.write(path, wave, 16_000)
        elif kind == 10:
            Path(path).touch()
        elif kind == 11:
            path = stem + ".mp3"
            Path(path).write_text("no sound" * rng.randrange(1, 300))
        elif kind == 12:
            Path(path).write_bytes(rng.randbytes(3000))
        elif kind == 13:
            Path(path).symlink_to(target)
        elif kind == 14:
            Path(path).symlink_to("/nowhere/x.wav")
        elif kind == 15:  # a loop
            Path(stem).symlink_to(root)
        elif kind == 16:
            os.mkfifo(path)
        elif kind == 17:
            Path(stem + ".txt").write_text("not looked at")
        elif kind == 18:
            Path(path).mkdir()
        else:  # no UTF-8
            path = os.fsdecode(os.fsencode(folder) + b"/\xff\xfe%d.wav" % i)
            sf.write(os.fsencode(path), wave, 16_000)
        if kind <= 9 or kind in (13, 19):
            good.add(path)
        elif kind in (10, 11, 12, 14, 16):
            bad.add(path)
    return good, bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--lance", action="store_true", help="a library in LanceDB instead of SQLite")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        root = Path(aside, "sounds")
        root.mkdir()
        good, bad = write(root, args.files)
        library = Library.open(
            Path(aside, "library.lance" if args.lance else "library"), model=CLAP.from_pretrained("mini")
        )
        first = library.add(root)
        there = {file.path for file in library._store.files()}
        second = library.add(root)
        found = {
            "files": args.files, "sounds": len(good), "added": first.added, "missed": len(good - there), "wrongly added": len(there - good),
            "bad": len(bad), "told": len({failure.path for failure in first.failed} & bad),
            "wrongly told": len({failure.path for failure in first.failed} - bad),
            "second run added": second.added, "second run unchanged": second.unchanged, "damaged": len(library.verify().damaged),
        }  # fmt: skip
    table = Table("", "", title="odd files")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)
    print(json.dumps(found))
    right = not any(found[name] for name in ("missed", "wrongly added", "wrongly told", "second run added", "damaged"))
    sys.exit(
        not (
            right
            and found["told"] == found["bad"]
            and found["added"] == found["sounds"] == found["second run unchanged"]
        )
    )


if __name__ == "__main__":
    main()
