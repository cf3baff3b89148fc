"""Questions about a recording of an hour: the first one, the next ones, several at once, and those of another process.

usage: python bench/questions.py FOLDER [--minutes 60] [--format flac] [--model mini]

Joins recordings of FOLDER, in an order by chance, to one of so many minutes (44.1 kHz, stereo, 16 bits) and asks where words
are heard in it. Seconds are without the start of Python and the loading of the model; CPU seconds are those of all
threads. The windows are kept in a temporary folder. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf
from child_processes import exit_on_sigterm
from rich.console import Console
from rich.table import Table

RATE = 44_100
FIRST, SECOND = "a dog barking", "a violin"
SEVERAL = ("rain", "a creaky door", "glass breaking", "an engine starting", "footsteps")


def join(folder: Path, path: Path, seconds: float) -> None:
    """Write recordings one after the other until there are so many seconds."""
    from openclap.audio.load import load
    from openclap.library.scan import find_sounds

    files, rng = find_sounds([folder]).files, np.random.default_rng(0)
    left = round(seconds * RATE)
    with sf.SoundFile(path, "w", RATE, 2) as out:
        while left:
            for i in rng.permutation(len(files)):
                wave = load(files[i], RATE)[:left]
                out.write(np.stack([wave, 0.8 * wave], axis=1))
                left -= len(wave)


def measure(path: Path, model: str, kept: Path) -> dict[str, dict[str, float]]:
    """Wall and CPU seconds of each question, and the peak memory of this process so far, in MiB."""
    import resource

    from openclap import CLAP
    from openclap.confidence import reference_bank
    from openclap.library import moments_of_each
    from openclap.window_cache import WindowCache

    clap = CLAP.from_pretrained(model)
    clap.encode_audio((np.zeros(RATE, np.float32), RATE))
    reference_bank(clap)
    cache = WindowCache(file=kept)
    found: dict[str, dict[str, float]] = {}

    def timed(name: str, call: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        found[name] = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": peak}

    def ask(*queries: str, fine: bool = True) -> Callable[[], object]:
        return lambda: moments_of_each(clap, path, queries, fine=fine, cache=cache)

    timed("first", ask(FIRST))
    timed("the same again", ask(FIRST))
    timed("another", ask(SECOND))
    timed("another, coarse", ask("thunder", fine=False))
    timed("five at once", ask(*SEVERAL))
    return found


def main() -> None:
    """Write the recording, then ask in one process and in another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--format", default="flac", choices=["flac", "wav", "ogg"])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--kept", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kept:
        print(json.dumps(measure(args.folder, args.model, args.kept)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as aside:
        path, kept = Path(aside, f"long.{args.format}"), Path(aside, "kept", "windows.sqlite")
        join(args.folder, path, 60 * args.minutes)
        for process in ("first process", "next process"):
            command = [sys.executable, __file__, str(path), "--model", args.model, "--kept", str(kept)]
            results[process] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        size = kept.stat().st_size / 2**20
    table = Table("process", "question", "seconds", "CPU s", "peak MiB", title=f"{args.minutes:g} minutes of {args.format}, {size:.1f} MiB kept")  # fmt: skip
    for process, found in results.items():
        for name, one in found.items():
            table.add_row(process, name, f"{one['seconds']:.2f}", f"{one['cpu']:.2f}", f"{one['peak']:.0f}")
    Console().print(table)
    rounded = {p: {n: {k: round(v, 3) for k, v in one.items()} for n, one in found.items()} for p, found in results.items()}  # fmt: skip
    print(json.dumps({"minutes": args.minutes, "format": args.format, "kept": round(size, 1), **rounded}))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
