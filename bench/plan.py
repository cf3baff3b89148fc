"""What a very large library takes, from rates that were measured: the table of docs/scale.md, and yours.

usage: python bench/plan.py [--windows 1e8 1e9] [--cores 200 1000] [--rate float32=10.5 …]
       python bench/plan.py --measure-packing     how many seconds of sound a core packs in a second, on this machine

A rate that you have measured takes the place of ours: `openclap bench` gives windows a second, bench/search.py rows and searches.
Each row says how it is computed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class Rates:
    """What was measured on two shared AVX-512 cores; docs/scale.md and docs/benchmarks.md name the commands."""

    float32: float = 10.5  # windows a second a core, file → embedding, HTSAT-tiny
    bfloat16: float = 15.3  # 1.46 times that, on CPUs with AVX512-BF16 or AMX
    int8: float = 19.0
    mini3: float = 62.0  # mini's third edition
    packing: float = 180.0  # seconds of sound a second a core, any file → FLAC in tars
    flac: float = 50_000.0  # bytes a second of sound
    step: float = 5.0  # new seconds of sound a window: one every 5 s of a long recording
    commit: float = 512.0  # windows a commit: files of a shard, a window each
    row: float = 2_070.0  # bytes on disk, 512 numbers with their facts
    index: float = 550.0  # bytes of indexes a row
    building: float = 60.0  # seconds on two cores for the index of a million rows
    search: float = 27.0  # ms, p50, a million rows
    probed: float = 40.0  # of √n partitions of √n rows
    code: float = 512.0  # bytes of a row that a search looks at
    listed: float = 300.0  # bytes of the driver's memory a file


MILLION = 1e6
Row = tuple[str, str, Callable[[float, int], str]]


def rows(rates: Rates) -> list[Row]:
    """What, how it is computed, and the value for n windows and so many cores."""

    def looked_at(n: float) -> float:
        return rates.probed * n**0.5

    def embedding(what: str, rate: float) -> Row:
        def value(n: float, cores: int) -> str:
            hours = n / rate / 3600
            return f"{number(hours)} core-hours: {many(cores)} for {span(hours / cores)}"

        return f"embedding, {what}", f"windows ÷ {rate:g} a second a core", value

    def reading(n: float, cores: int) -> str:
        bits = cores * rates.float32 * rates.step * rates.flac * 8
        return f"{size(n * rates.step * rates.flac)}; {many(cores)} at float32 take {bits / 1e9:.1f} Gbit/s"

    def commits(n: float, cores: int) -> str:
        return f"{number(n / rates.commit)}, {cores * rates.float32 / rates.commit:.1f} a second with {many(cores)}"

    def packing(n: float, cores: int) -> str:
        hours = n * rates.step / rates.packing / 3600
        return f"{number(hours)} core-hours: {many(cores)} for {span(hours / cores)}"

    def building(n: float, cores: int) -> str:
        hours = rates.building * (n / MILLION) ** 1.5 / 3600
        return f"{span(hours)} on two cores, {span(hours * 2 / 32)} on thirty-two"

    return [
        embedding("HTSAT-tiny, float32", rates.float32),
        embedding("the same, bfloat16", rates.bfloat16),
        embedding("the same, int8", rates.int8),
        embedding("mini-3", rates.mini3),
        ("reading", f"windows × {rates.step:g} s × {rates.flac / 1e3:g} kB of FLAC", reading),
        ("packing, if it is not packed", f"windows × {rates.step:g} s ÷ {rates.packing:g} s a second a core", packing),
        ("commits", f"windows ÷ {rates.commit:g}", commits),
        ("vectors and facts", f"windows × {number(rates.row)} bytes", lambda n, _: size(n * rates.row)),
        ("indexes, in a reader's memory or on its disk", f"windows × {rates.index:g} bytes",
         lambda n, _: size(n * rates.index)),
        ("building the index", f"{rates.building:g} s for a million rows on two cores, by n^1.5", building),
        ("rows a search looks at", f"{rates.probed:g} × √n, of {rates.code:g} bytes",
         lambda n, _: f"{number(looked_at(n))}, {size(looked_at(n) * rates.code)}"),
        ("a search, the index in memory", f"{rates.search:g} ms for a million rows, by rows looked at",
         lambda n, _: f"{rates.search / 1e3 * looked_at(n) / looked_at(MILLION):.1f} s"),
        ("the driver's memory, a file a window", f"files × {rates.listed:g} bytes", lambda n, _: size(n * rates.listed)),
    ]  # fmt: skip


def number(value: float) -> str:
    """A number as people write it, two or three digits of it: 2 600, 195 000, 2 M."""
    for unit, letter in ((1e9, " B"), (1e6, " M")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    digits = max(0, len(str(int(value))) - 3)
    return f"{round(value / 10**digits) * 10**digits:,.0f}".replace(",", " ")


def many(cores: int) -> str:
    return "1 core" if cores == 1 else f"{number(cores)} cores"


def size(value: float) -> str:
    """Bytes: 207 GB."""
    unit, name = next(
        (unit, name) for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if value >= unit or name == "MB"
    )
    return f"{value / unit:.3g} {name}"


def span(hours: float) -> str:
    """Hours, or days where they are many."""
    return f"{hours:.2g} h" if hours < 100 else f"{hours / 24:.0f} days"


def table(rates: Rates, windows: list[float], cores: list[int]) -> str:
    """The plan in Markdown."""
    head = ["", "computed as", *(f"{number(n)} windows" for n in windows)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for what, how, value in rows(rates):
        cells = [what, how, *(value(n, count) for n, count in zip(windows, cores, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measure_packing() -> float:
    """Seconds of sound packed a second of processor time: OGG, FLAC and WAV of 44.1 kHz, synthesised."""
    from openclap.data import open_manifest
    from openclap.data.pack import pack
    from openclap.synth import write_library

    with tempfile.TemporaryDirectory() as aside:
        write_library(Path(aside) / "sounds", takes=2)
        manifest = open_manifest(Path(aside) / "sounds")
        begun = time.process_time()
        report = pack(manifest, Path(aside) / "tars")
        return report.hours * 3600 / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=float, nargs="+", default=[1e8, 1e9])
    parser.add_argument("--cores", type=int, nargs="+", default=[200, 1000], help="for each number of windows")
    parser.add_argument("--rate", action="append", default=[], metavar="NAME=NUMBER", help="one of ours, replaced")
    parser.add_argument("--measure-packing", action="store_true")
    args = parser.parse_args()
    if args.measure_packing:
        found = measure_packing()
        print(f"{found:.0f} s of sound a second a core\n" + json.dumps({"bench": "plan", "packing": round(found, 1)}))
        return
    if len(args.cores) != len(args.windows):
        parser.error("--cores: give one number for each of --windows")
    names = [field.name for field in fields(Rates)]
    given: dict[str, float] = {}
    for text in args.rate:
        name, _, value = text.partition("=")
        try:
            given[name] = float(value)
        except ValueError:
            parser.error(f"--rate {text}: write NAME=NUMBER")
        if name not in names or not given[name] > 0:
            parser.error(f"--rate {text}: a number above 0 for one of {', '.join(names)}")
    rates = replace(Rates(), **given)
    print(table(rates, args.windows, args.cores))
    print("\n" + json.dumps({"bench": "plan", "windows": args.windows, "cores": args.cores, "rates": asdict(rates)}))


if __name__ == "__main__":
    main()
