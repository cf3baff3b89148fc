"""kill -9 while indexing: does the library stay whole, is anything acknowledged ever lost, does the next run go on.

usage: python bench/crash.py [--rounds 20] [--kills 3] [--indexers 2] [--files 300] [--lance]

Each round indexes a folder of synthesised sounds into a new library with some processes at once, kills all of them at random moments,
looks, and starts again; the last run is left to finish. What another process saw committed before a kill is acknowledged. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from openclap.store import open_store

CODE = """
import sys
from openclap import CLAP, Library
report = Library.open(sys.argv[1], model=CLAP.from_pretrained("mini", threads=1)).add(sys.argv[2:])
print(len(report.failed))
"""


def write_sounds(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        place = folder / f"part {i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        paths.append(place / f"{i:04d}.wav")
        sf.write(paths[-1], (0.1 * rng.standard_normal(16_000)).astype(np.float32), 16_000)
    return paths


def known(library: Path) -> set[str]:
    store = open_store(library)
    try:
        return {file.path for file in store.files()}
    finally:
        store.close()


def start(library: Path, sounds: Path, indexers: int) -> list[subprocess.Popen[bytes]]:
    folders = [sounds / f"part {i}" for i in range(2)] if indexers == 2 else [sounds]
    return [subprocess.Popen([sys.executable, "-c", CODE, str(library), str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for folder in folders]  # fmt: skip


def one_round(library: Path, sounds: Path, files: int, kills: int, indexers: int, rng: np.random.Generator) -> dict[str, int]:  # fmt: skip
    found = {"kills": 0, "lost": 0, "damaged": 0, "repeated": 0, "unfinished": 0}
    for _ in range(kills):
        running = start(library, sounds, indexers)
        patience = rng.exponential(0.3)  # seconds after start-up, or after the first commit of this run
        begun, before = time.monotonic(), len(known(library)) if library.exists() else 0
        acknowledged: set[str] = set()
        seen = 0.0
        while any(process.poll() is None for process in running):
            acknowledged = known(library) if library.exists() else set()
            seen = seen or (time.monotonic() if len(acknowledged) > before else 0.0)
            if (seen and time.monotonic() > seen + patience) or time.monotonic() > begun + 1 + 4 * patience:
                break
            time.sleep(0.01)
        found["kills"] += sum(process.poll() is None for process in running)
        for process in running:
            process.kill()
        for process in running:
            process.wait()
        found["lost"] += len(acknowledged - known(library))
        store = open_store(library)
        found["damaged"] += len(store.check())
        store.close()
    for process in start(library, sounds, indexers):
        process.wait()
        found["unfinished"] += process.returncode != 0
    store = open_store(library)
    found["damaged"] += len(store.check())
    stats = store.stats()
    found["unfinished"] += files - stats["files"]
    found["repeated"] += stats["windows"] - files  # each of these sounds is one window
    store.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--indexers", type=int, choices=(1, 2), default=2)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--lance", action="store_true", help="libraries in LanceDB instead of SQLite")
    args = parser.parse_args()
    total: dict[str, int] = {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as aside:
        sounds = Path(aside, "sounds")
        write_sounds(sounds, args.files)
        for number in track(range(args.rounds), "rounds", console=Console(stderr=True)):
            found = one_round(
                Path(aside, f"library {number}{'.lance' * args.lance}"),
                sounds,
                args.files,
                args.kills,
                args.indexers,
                rng,
            )
            total = {name: total.get(name, 0) + value for name, value in found.items()}
    table = Table(*total, title=f"{args.rounds} rounds, {args.indexers} indexers at once, {args.files} files")
    table.add_row(*map(str, total.values()))
    Console().print(table)
    print(json.dumps(total))


if __name__ == "__main__":
    main()
