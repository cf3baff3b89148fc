"""All sounds that mini learns from, gathered into one folder: one flat file of samples a source, and a table of what they are.

usage: python runs/mini/gather.py OUT --data DATA [--debian DEBIAN] [--only SOURCE …]
  OUT      gets SOURCE.npy (int16, 32 kHz, mono, all sounds one after another) and SOURCE.csv (name, begin, samples, caption, …)
  DATA     folders with a metadata.csv (file, caption, label, author, license, source)
  DEBIAN   unpacked packages, as `debian.py` makes them

What each source is, under which licence, whom to credit and how a stranger gets it: sources.csv. A source that is there is
not made again. Needs fluidsynth, fluid-soundfont-gm and espeak-ng (Debian).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openclap.audio.load import load
from openclap.errors import SoundError
from openclap.synth import KINDS, synthesise

__all__ = ["RATE", "Sound", "Sounds", "Wave", "main", "write"]

RATE = 32_000  # Hz
FOLDERS = ("esc10", "effects", "music", "long", "berklee", "things")
TAKES = 12  # of each synthesised kind
LONGEST = 180.0  # seconds of a recording that are kept
Wave = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """What is known of one sound of a source; its samples are SOURCE.npy[begin : begin + samples]."""

    name: str
    begin: int
    samples: int
    caption: str
    label: str


@dataclass(frozen=True)
class Made:
    """A sound on its way into a source."""

    name: str
    wave: Wave
    caption: str
    label: str


class Sounds:
    """A gathered source, mapped: `len`, `wave(i)`, `rows`."""

    def __init__(self, folder: Path, source: str) -> None:
        self.source = source
        self._samples = np.load(folder / f"{source}.npy", mmap_mode="r")
        with (folder / f"{source}.csv").open(encoding="utf-8", newline="") as file:
            self.rows = [
                Sound(r["name"], int(r["begin"]), int(r["samples"]), r["caption"], r["label"])
                for r in csv.DictReader(file)
            ]

    def __len__(self) -> int:
        return len(self.rows)

    def wave(self, number: int, begin: int = 0, samples: int | None = None) -> Wave:
        """Some samples of a sound, in [-1, 1]."""
        row = self.rows[number]
        end = row.samples if samples is None else min(begin + samples, row.samples)
        return np.asarray(self._samples[row.begin + begin : row.begin + end], np.float32) / np.float32(32768)


def write(folder: Path, source: str, made: Iterable[Made]) -> int:
    """Store a source; it is there when it is whole. How many sounds it has."""
    rows: list[Sound] = []
    begin = 0
    raw = folder / f"{source}.raw"
    with raw.open("wb") as file:
        for sound in made:
            wave = np.clip(np.round(sound.wave * 32767), -32768, 32767).astype("<i2")
            if not len(wave):
                continue
            file.write(wave.tobytes())
            rows.append(Sound(sound.name, begin, len(wave), sound.caption, sound.label))
            begin += len(wave)
    flat = np.memmap(raw, "<i2", "r") if begin else np.zeros(0, "<i2")
    np.save(folder / f"{source}.npy", flat)
    raw.unlink()
    aside = folder / f"{source}.csv.part"
    with aside.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [f.name for f in fields(Sound)])
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    aside.rename(folder / f"{source}.csv")
    return len(rows)


def recordings(folder: Path) -> Iterator[Made]:
    """A folder with a metadata.csv, as recorded."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                wave = load(folder / row["file"], RATE)
            except SoundError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            yield Made(row["file"], wave[: round(LONGEST * RATE)], row["caption"], row["label"])


def sources(data: Path, debian: Path | None) -> dict[str, Callable[[], Iterable[Made]]]:
    """What can be gathered, by name."""
    found: dict[str, Callable[[], Iterable[Made]]] = {
        folder: lambda folder=folder: recordings(data / folder)  # type: ignore[misc]
        for folder in FOLDERS
        if (data / folder / "metadata.csv").is_file()
    }
    from instruments import drums, instruments, pieces
    from voices import voices

    if debian is not None:
        found |= {
            "prompts": lambda: _packages(debian, prompts=True),
            "debian": lambda: _packages(debian, prompts=False),
        }
    found |= {"instruments": instruments, "drums": drums, "pieces": pieces, "voices": voices, "synth": synthesised}
    return found


def _packages(folder: Path, *, prompts: bool) -> Iterator[Made]:
    """What debian.py chose: recorded prompts, or all else."""
    for package in sorted(p for p in folder.iterdir() if (p / "metadata.csv").is_file()):
        if package.name.startswith("asterisk") == prompts:
            yield from recordings(package)


def synthesised() -> Iterator[Made]:
    """What openclap.synth makes, several takes of each kind."""
    for number, kind in enumerate(KINDS):
        for take in range(TAKES):
            wave, caption = synthesise(kind, np.random.default_rng((2000, number, take)), rate=RATE)
            yield Made(f"{kind.replace(' ', '_')}_{take:02d}", wave, caption, kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--debian", type=Path)
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, made in sources(args.data, args.debian).items():
        if (args.only and name not in args.only) or (args.out / f"{name}.csv").is_file():
            continue
        print(f"{name}: {write(args.out, name, made())} sounds", flush=True)


if __name__ == "__main__":
    main()
