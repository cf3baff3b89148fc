"""Memory and speed over a recording of hours: the front end alone, and windows embedded by mini.

usage: python bench/long_recording.py [--hours 3] [--format flac] [--folder FOLDER]

Writes its own recording (44.1 kHz stereo, 16 bits: 1.9 GB as WAV for 3 h) into a temporary folder, second by
second. The last line is JSON.
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
from child_processes import exit_on_sigterm
from rich.console import Console
from rich.table import Table

RATE = 44_100
WAYS = ("windows", "fusion", "head", "embedded by mini")


def written(path: Path, hours: float) -> Path:
    """Write a recording in which every minute differs a little."""
    rng = np.random.default_rng(0)
    t = np.arange(RATE) / RATE
    with sf.SoundFile(path, "w", RATE, 2) as file:  # 16 bits, or Vorbis
        for second in range(round(hours * 3600)):
            tone = 0.2 * np.sin(2 * np.pi * (100 + second // 60) * t) * (t % 1 < 0.5)
            file.write(np.stack([tone, 0.5 * tone], axis=1) + 0.01 * rng.standard_normal((len(t), 2)))
    return path


def measure(way: str, path: Path) -> dict[str, float]:
    """Measure the peak memory in MiB, how much of it beyond the imports, seconds, and count what came out."""
    import resource

    from openclap import CLAP
    from openclap.audio.clips import make_clip, make_windows
    from openclap.config import FrontEnd

    front_end = FrontEnd()
    mini = CLAP.from_pretrained("mini") if way == "embedded by mini" else None
    make_clip((np.zeros(RATE, np.float32), RATE), front_end, long="head")  # imports and constants

    def peak() -> float:
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20

    before, start = peak(), time.perf_counter()
    if mini is not None:
        made = len(mini.encode_windows(path))
    elif way == "windows":
        made = sum(len(window.mel) for window in make_windows(path, front_end))
    else:
        made = len(make_clip(path, front_end, long="fusion" if way == "fusion" else "head").mel)
    seconds = time.perf_counter() - start
    return {"grown": peak() - before, "peak": peak(), "seconds": seconds, "made": made}


def again(options: list[str]) -> str:
    """Run this script in a process of its own; give back what it prints."""
    return subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    """Write the recording, then run every way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--format", default="flac", choices=["flac", "wav", "ogg"])
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--measure", choices=("nothing", *WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure == "nothing":
        written(args.file, args.hours)
        return
    if args.measure:
        print(json.dumps(measure(args.measure, args.file)))
        return
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as aside:
        path = Path(aside) / f"long.{args.format}"
        # A process starts with the peak of the one that started it, so this one must stay small.
        again(["--measure", "nothing", "--hours", str(args.hours), "--file", str(path)])
        size = path.stat().st_size
        for way in WAYS:
            results[way] = json.loads(again(["--measure", way, "--file", str(path)]))
    table = Table(title=f"{args.hours:g} h of stereo {args.format} at {RATE} Hz, {size / 2**20:.0f} MiB")
    for column in ("what", "made", "peak MiB", "of which grown", "seconds", "× real time"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for way, found in results.items():
        speed = args.hours * 3600 / found["seconds"] if way != "head" else float("nan")
        numbers = [f"{found['peak']:.0f}", f"{found['grown']:.0f}", f"{found['seconds']:.2f}", f"{speed:.0f}"]
        table.add_row(way, f"{found['made']:.0f}", *numbers)
    Console().print(table)
    rounded = {way: {k: round(v, 2) for k, v in found.items()} for way, found in results.items()}
    print(json.dumps({"hours": args.hours, "format": args.format, **rounded}))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
