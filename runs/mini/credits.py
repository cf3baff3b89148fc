"""Who made the recordings that mini was trained on, file by file → CREDITS.csv of a checkpoint's folder.

usage: python runs/mini/credits.py SOUNDS OUT.csv --data DATA --debian DEBIAN

SOUNDS is what gather.py made, DATA and DEBIAN what it was made of. What development.csv keeps aside was not trained on and is left out;
what programs made is a row a source (sources.csv).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from development import HERE
from hear import SHARES, open_sources

__all__ = ["credits_of"]

FIELDS = ("recording", "label", "author", "licence", "source")
MADE = ("instruments", "drums", "pieces", "voices", "synth")  # by programs
UNKNOWN = ("", "N/A", "[↓](#authors)")  # in the tables of some sources
Row = tuple[str, ...]


def credits_of(sounds: Path, data: Path, debian: Path) -> Iterator[Row]:
    """Rows of FIELDS: recordings by folder and file, then what was made."""
    known = _authors(data, debian)
    for source, numbers, _ in open_sources(sounds, everything=False):
        if source.source in MADE:
            continue
        for number in numbers:
            row = source.rows[number]
            author, licence, where = known[source.source, row.name]
            yield f"{source.source}/{row.name}", row.label, author, licence, where
    with (HERE / "sources.csv").open(encoding="utf-8", newline="") as file:
        for made in csv.DictReader(file):
            if made["source"] in MADE:
                yield made["source"], made["what"], made["credit"], made["licence"], made["how"]


def _authors(data: Path, debian: Path) -> dict[tuple[str, str], Row]:
    """(source, name) → author, licence, where it is from."""
    found: dict[tuple[str, str], Row] = {}
    for table in sorted([*data.glob("*/metadata.csv"), *debian.glob("*/metadata.csv")]):
        folder = table.parent.name
        source = folder if folder in SHARES else "prompts" if folder.startswith("asterisk") else "debian"
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                licence = row.get("license") or row["licence"]
                author = row["author"] if row["author"] not in UNKNOWN else "not recorded; see the source"
                found[source, row["file"]] = (author, licence, row["source"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--debian", type=Path, required=True)
    args = parser.parse_args()
    rows = list(credits_of(args.sounds, args.data, args.debian))
    with args.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(rows)
    print(f"{args.out}: {len(rows)} rows")


if __name__ == "__main__":
    main()
