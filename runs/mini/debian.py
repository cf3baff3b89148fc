"""Sounds of Debian packages whose own copyright file puts them under CC0, CC BY or the public domain: file by file.

usage: python runs/mini/debian.py OUT [--packages FOLDER]
  OUT        gets one folder a package with the chosen sounds as they lie in it, and metadata.csv (file, caption, label, author, license, source)
  FOLDER     of .deb files; without it, `apt-get download` brings them

A package's copyright file (DEP 5) is read as Debian means it: of its paragraphs, the last whose pattern matches a file holds for it. A
sound whose paragraph names another licence, or several that all must hold, or that matches only "Files: *" of another, stays out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import subprocess
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["FREE", "PACKAGES", "Paragraph", "free_licence", "main", "paragraphs"]

PACKAGES = (
    "asterisk-core-sounds-ru-wav", "asterisk-core-sounds-it-wav", "naev-data", "minetest-data", "hydrogen-drumkits", "supertuxkart-data",
    "sound-theme-freedesktop",
)  # fmt: skip
SOUNDS = {".wav", ".ogg", ".flac", ".oga", ".opus", ".mp3"}
FREE = re.compile(r"(cc0(-1\.0)?|cc-by-[1-4]\.0|pd|public-domain)", re.IGNORECASE)
MOVED = tuple(
    (re.compile(installed), source)
    for installed, source in (
        (r".*/asterisk/sounds/(..)_[^/]*/(.*/)?([^/]+)$", r"\1-\3"),
        (r".*/games/minetest_game/mods/", "mtg/mods/"),
        (r".*/hydrogen/data/drumkits/([^/]+)/.*", r"drumkits/\1.h2drumkit"),
    )
)


@dataclass(frozen=True)
class Paragraph:
    """One "Files:" paragraph of a copyright file."""

    patterns: tuple[str, ...]
    copyright: str
    licence: str  # its first line

    def holds_for(self, path: str) -> bool:
        """Patterns are of the source; packages install under another folder, so the end of a path decides."""
        return any(fnmatchcase(path, p) or fnmatchcase(path, f"*/{p.removeprefix('./')}") for p in self.patterns)


def paragraphs(text: str) -> list[Paragraph]:
    """All "Files:" paragraphs, in order."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + "\n" + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if "Files" in fields:
            licence = fields.get("License", "").strip().splitlines()
            holder = " ".join(fields.get("Copyright", "").split())
            found.append(Paragraph(tuple(fields["Files"].split()), holder, licence[0] if licence else ""))
    return found


def free_licence(licence: str) -> str | None:
    """The licence by which a sound may be learnt from, where it may: "GPL-3 or CC-BY-3.0" gives a choice, "and" does not."""
    if " and " in licence or "," in licence:
        return None
    return next((one.strip() for one in licence.split(" or ") if FREE.fullmatch(one.strip())), None)


def chosen(folder: Path) -> list[tuple[Path, Paragraph, str]]:
    """The sounds of an unpacked package that may be learnt from."""
    text = ""
    for file in sorted(folder.glob("usr/share/doc/*/copyright*")):
        text += (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode(
            "utf-8", "replace"
        ) + "\n\n"
    rules = paragraphs(text)
    found = []
    for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS and p.is_file()):
        name = file.relative_to(folder).as_posix()
        rule = next((r for r in reversed(rules) if r.holds_for(_source_name(name))), None)
        licence = None if rule is None or rule.patterns == ("*",) else free_licence(rule.licence)
        if rule is not None and licence is not None:
            found.append((file, rule, licence))
    return found


def _source_name(path: str) -> str:
    """Where a file lay in its source, which the patterns speak of."""
    for installed, source in MOVED:
        if installed.search(path):
            return installed.sub(source, path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packages", type=Path)
    args = parser.parse_args()
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as scratch:
            where = args.packages
            if where is None or not list(where.glob(f"{package}_*.deb")):
                where = Path(scratch)
                subprocess.run(["apt-get", "download", "-qq", package], check=True, cwd=where)
            unpacked = Path(scratch) / "unpacked"
            subprocess.run(["dpkg-deb", "-x", next(iter(where.glob(f"{package}_*.deb"))), unpacked], check=True)
            print(f"{package}: {keep(unpacked, args.out / package, package)} sounds", flush=True)


def keep(unpacked: Path, out: Path, package: str) -> int:
    """Copy what may be learnt from, with a table of whose it is."""
    rows = []
    out.mkdir(parents=True, exist_ok=True)
    for file, rule, licence in chosen(unpacked):
        name = file.relative_to(unpacked).as_posix().replace("/", "__")
        (out / name).write_bytes(file.read_bytes())
        words = re.sub(r"[^a-z]+", " ", file.stem.lower()).strip()
        rows.append((name, words, words, rule.copyright, licence, f"Debian package {package}"))
    with (out / "metadata.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "caption", "label", "author", "license", "source"))
        writer.writerows(rows)
    return len(rows)


if __name__ == "__main__":
    main()
