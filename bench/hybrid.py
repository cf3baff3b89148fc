"""Search by sound, by names and by both, over recordings whose names are kept and over the same with numbers for names.

usage: python bench/hybrid.py SOUNDS [--model mini] [--store sqlite|lance] [--library FOLDER] [--json]

SOUNDS are folders with a metadata.csv (file, caption). Asked are the captions themselves, and the queries of own_words.csv, which a
user would type; there a hit is right where its caption fits the pattern. Recall at 1 and 5 and the mean reciprocal rank (MRR), for
each group and over all. The numbered files are links in a temporary folder, which the library knows by their content. Exit code 1 where
"both" is worse than the sound alone over numbers, or not better over names.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library
from openclap.library.search import By

WAYS: tuple[By, ...] = ("sound", "names", "both")
DEPTH = 50  # hits that are looked at; a right one below them counts as none
GROUPS = {
    "effects": "effects",
    "music": "drums and music",
    "long": "ambiences",
    "things": "things",
    "berklee": "things",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--store", choices=("sqlite", "lance"), default="sqlite")
    parser.add_argument("--library", type=Path, help="made there, and used again")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = args.library or Path(scratch) / ("library.lance" if args.store == "lance" else "library")
        library = Library.open(place, model=CLAP.from_pretrained(args.model))
        captions = read_captions(args.sounds)
        numbered = number(captions, Path(scratch) / "numbers")
        library.add([args.sounds, Path(scratch) / "numbers"], progress=True)
        found = {
            "names": measure(library, captions, args.sounds),
            "numbers": measure(library, numbered, Path(scratch) / "numbers"),
        }
    print(json.dumps(found)) if args.json else show(found)
    own = {names: {way: found[names][f"own words, all · {way}"] for way in WAYS} for names in found}
    ok = own["numbers"]["both"] >= own["numbers"]["sound"] and own["names"]["both"][2] > own["names"]["sound"][2]
    sys.exit(not ok)


def read_captions(sounds: Path) -> dict[str, tuple[str, str]]:
    """Path → its group and caption."""
    found = {}
    for table in sorted(sounds.glob("*/metadata.csv")):
        group = GROUPS.get(table.parent.name, "")  # others are only there to be confused with
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[str(table.parent / row["file"])] = group, row["caption"]
    return found


def number(captions: dict[str, tuple[str, str]], folder: Path) -> dict[str, tuple[str, str]]:
    """Links with numbers for names → what `read_captions` gives, for these."""
    folder.mkdir()
    found = {}
    for i, (path, what) in enumerate(captions.items()):
        link = folder / f"{i:05d}{Path(path).suffix}"
        os.link(path, link) if Path(path).stat().st_dev == folder.stat().st_dev else link.write_bytes(
            Path(path).read_bytes()
        )
        found[str(link)] = what
    return found


def measure(
    library: Library, captions: dict[str, tuple[str, str]], within: Path
) -> dict[str, tuple[float, float, float]]:
    """Recall at 1 and 5, and MRR, by kind of query, group and way."""
    ranks: dict[str, list[int]] = defaultdict(list)
    for kind, group, query, right in questions(captions):
        for way in WAYS:
            hits = [hit.path for hit in library.search(query, DEPTH, by=way, within=within)]
            rank = next((i for i, path in enumerate(hits, 1) if path in right), 0)
            for name in (group, "all"):
                ranks[f"{kind}, {name} · {way}"].append(rank)
    return {name: summary(some) for name, some in ranks.items()}


def questions(captions: dict[str, tuple[str, str]]) -> list[tuple[str, str, str, set[str]]]:
    """Kind, group, query, and the paths that are right."""
    by_caption: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, what in captions.items():
        by_caption[what].add(path)
    asked = [("captions", group, caption, right) for (group, caption), right in by_caption.items() if group]
    with Path(__file__).with_name("own_words.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            right = {path for path, (_, caption) in captions.items() if re.fullmatch(row["pattern"], caption)}
            asked.append(("own words", row["group"], row["query"], right))
    return asked


def summary(ranks: list[int]) -> tuple[float, float, float]:
    """Recall at 1, recall at 5, mean reciprocal rank; 0 is no rank."""
    count = len(ranks)
    return (
        sum(rank == 1 for rank in ranks) / count,
        sum(0 < rank <= 5 for rank in ranks) / count,
        sum(1 / rank for rank in ranks if rank) / count,
    )


def show(found: dict[str, dict[str, tuple[float, float, float]]]) -> None:
    console = Console(width=120)
    for names, rows in found.items():
        table = Table("queries", *[f"{way} R@1/R@5/MRR" for way in WAYS], title=f"files are called by {names}")
        for kind in dict.fromkeys(name.split(" · ")[0] for name in rows):
            table.add_row(kind, *["/".join(f"{x:.2f}" for x in rows[f"{kind} · {way}"]) for way in WAYS])
        console.print(table)


if __name__ == "__main__":
    main()
