"""How equal the steps of a journey are, beside taking the nearest recording to each point of the way.

usage: python bench/journey.py SOUNDS [--pairs 20] [--library DIR]

A library of SOUNDS, and random pairs of its recordings as ends. Longest: the longest step (an angle) as a multiple of the mean one.
Backwards: steps that lead back. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library
from openclap.library.journey import points_between


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--library", type=Path, help="one that holds them already, or is to be kept")
    args = parser.parse_args()
    table = Table("recordings", "way", "longest", "longest, radians", "backwards", "ms")
    made = []
    with tempfile.TemporaryDirectory() as aside:
        library = Library.open(args.library or Path(aside, "library"), model=CLAP.from_pretrained("mini"))
        library.add([args.sounds])
        paths = list(library.paths())
        rows = np.array([library.embedding(path) for path in paths])
        pairs = [np.random.default_rng(i).choice(len(paths), 2, replace=False) for i in range(args.pairs)]
        for n in (6, 12, 24):
            for way in ("nearest", "journey"):
                begin = time.perf_counter()
                if way == "nearest":
                    chains = [nearest(rows, first, last, n) for first, last in pairs]
                else:
                    found = [library.journey(Path(paths[a]), Path(paths[b]), n) for a, b in pairs]
                    chains = [[paths.index(step.path) for step in steps] for steps in found]
                took = 1000 * (time.perf_counter() - begin) / len(pairs)
                figures = np.mean([measure(rows[chain]) for chain in chains], axis=0).tolist()
                table.add_row(str(n), way, *(f"{x:.2f}" for x in figures), f"{took:.0f}")
                made.append({"n": n, "way": way, "longest": round(figures[0], 3), "radians": round(figures[1], 3), "backwards": round(figures[2], 2)})  # fmt: skip
        library.close()
    Console().print(table)
    print(json.dumps({"recordings": len(paths), "pairs": len(pairs), "journeys": made}))


def nearest(rows: np.ndarray, first: int, last: int, n: int) -> list[int]:
    """Each point of the way takes the nearest recording that is not used yet."""
    taken = [first]
    for point in points_between(rows[first], rows[last], n)[1:-1]:
        cosine = rows @ point
        cosine[[*taken, last]] = -2
        taken.append(int(cosine.argmax()))
    return [*taken, last]


def measure(rows: np.ndarray) -> tuple[float, float, float]:
    """Of recordings (n, E) in order: the longest step by the mean one, the longest, and how many steps lead back."""
    steps = np.arccos(np.clip((rows[1:] * rows[:-1]).sum(1), -1, 1))
    across = rows[-1] - (rows[-1] @ rows[0]) * rows[0]
    position = np.arctan2(rows @ across / np.linalg.norm(across), rows @ rows[0])
    return float(steps.max() / steps.mean()), float(steps.max()), float((np.diff(position) < -1e-5).sum())


if __name__ == "__main__":
    main()
