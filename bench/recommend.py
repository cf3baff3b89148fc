"""How alike and how various what a library recommends is, at several settings of variety.

usage: python bench/recommend.py DATA [--k 10]

DATA holds esc10/ and effects/, each with a metadata.csv (file, label). For 40 ESC-10 clips, every eighth: ten recommendations for the
clip, and ten for it and one of another label together. Same label: the share that has the label of what was given. Likeness: the mean
cosine between the recommendations. Repeats: what was given among them. The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--k", type=int, default=10)
    args = parser.parse_args()
    label: dict[str, str] = {}
    clips: list[str] = []
    for name in ("esc10", "effects"):
        with (args.data / name / "metadata.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                path = str(args.data.resolve() / name / row["file"])
                label[path] = row["label"]
                clips += [path] if name == "esc10" else []
    clap = CLAP.from_pretrained("mini")
    given = clips[::8]
    pairs = [(a, b) for a, b in zip(given, given[len(given) // 2 :] + given, strict=False) if label[a] != label[b]]
    with tempfile.TemporaryDirectory() as aside:
        library = Library.open(Path(aside, "library"), model=clap)
        library.add([args.data / "esc10", args.data / "effects"])
        vectors = {r.file.path: r.embedding[0].copy() for r in library._store.scan()}
        table = Table("given", "variety", "same label", "labels", "likeness", "repeats", "ms")
        made = []
        for what, asked in (("one clip", [(a,) for a in given]), ("two clips", pairs)):
            for variety in (0.0, 0.3, 0.5, 0.7):
                begin = time.perf_counter()
                found = [[h.path for h in library.recommend([Path(p) for p in some], k=args.k, variety=variety)] for some in asked]  # fmt: skip
                took = 1000 * (time.perf_counter() - begin) / len(asked)
                same = np.mean([label[p] in {label[x] for x in some} for some, got in zip(asked, found, strict=True) for p in got])  # fmt: skip
                kinds = np.mean([len({label[p] for p in got}) for got in found])
                likeness = np.mean([vectors[a] @ vectors[b] for got in found for a, b in combinations(got, 2)])
                repeats = sum(p in some for some, got in zip(asked, found, strict=True) for p in got)
                table.add_row(what, f"{variety}", f"{same:.3f}", f"{kinds:.2f}", f"{likeness:.3f}", str(repeats), f"{took:.1f}")  # fmt: skip
                made.append({"given": what, "variety": variety, "same_label": round(float(same), 3), "labels": round(float(kinds), 2), "likeness": round(float(likeness), 3), "repeats": repeats})  # fmt: skip
    Console().print(table)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
