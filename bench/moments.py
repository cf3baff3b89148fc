"""Ten sounds planted in ten minutes of quiet noise: are they found by their words, and how exact are the edges.

usage: python bench/moments.py FOLDER [--recordings 3]

FOLDER holds sounds and a metadata.csv (file, caption, …). Each recording takes ten of them, at random places and 26 dB above pink
noise; for each, its caption is the query, the best moment the answer. The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile as sf
from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library
from openclap.audio.load import load
from openclap.library import moments_of_each
from openclap.window_cache import WindowCache

RATE = 32_000
SECONDS = 600
PLANTED = 10
NEAR = 5.0  # seconds from its start that a moment may begin


def pink(rng: np.random.Generator, samples: int) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0))
    wave = np.fft.irfft(spectrum, samples)
    quiet: np.ndarray = (0.003 * wave / wave.std()).astype(np.float32)
    return quiet


def recording(folder: Path, rows: list[dict[str, str]], rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[str, float, float]]]:  # fmt: skip
    wave = pink(rng, SECONDS * RATE)
    planted = []
    for slot, row in enumerate(rows):
        sound = load(folder / row["file"], RATE, seconds=8.0)
        sound = 0.06 * sound / max(float(np.sqrt((sound**2).mean())), 1e-6)
        place = slot * SECONDS / PLANTED + rng.uniform(1, SECONDS / PLANTED - 10)
        start = round(place * RATE)
        wave[start : start + len(sound)] += sound
        planted.append((row["caption"], place, place + len(sound) / RATE))
    return np.clip(wave, -1, 1), planted


def choose(folder: Path, rows: list[dict[str, str]], rng: np.random.Generator) -> list[dict[str, str]]:
    """Ten sounds by chance, none of them silent; only these are read."""
    by_chance = (rows[i] for i in rng.permutation(len(rows)))
    return list(islice((row for row in by_chance if load(folder / row["file"], RATE).std() > 1e-4), PLANTED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recordings", type=int, default=3)
    args = parser.parse_args()
    clap = CLAP.from_pretrained("mini")
    with (args.folder / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(0)
    ways = ("coarse", "long", "fine", "library")
    found: dict[str, list[bool]] = {way: [] for way in ways}
    start_error: dict[str, list[float]] = {way: [] for way in ways}
    end_error: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as aside:
        for number in range(args.recordings):
            chosen = choose(args.folder, rows, rng)
            wave, planted = recording(args.folder, chosen, rng)
            path = Path(aside, f"{number}.flac")
            sf.write(path, wave, RATE)
            library = Library.open(Path(aside, f"library {number}"), model=clap)
            library.add(path)
            captions, cache = [caption for caption, _, _ in planted], WindowCache()  # listened to once
            coarse = moments_of_each(clap, path, captions, 1, fine=False, cache=cache)
            long = moments_of_each(clap, path, captions, 1, window=2.0, cache=cache)  # from windows of 2 s
            fine = moments_of_each(clap, path, captions, 1, cache=cache)
            for i, (caption, start, end) in enumerate(planted):
                answers = {
                    "coarse": coarse[i][0],
                    "long": long[i][0],
                    "fine": fine[i][0],
                    "library": library.moments(caption, 1)[0],
                }
                for way, moment in answers.items():
                    hit = abs(moment.start - start) <= NEAR
                    found[way].append(hit)
                    if hit:
                        start_error[way].append(abs(moment.start - start))
                        end_error[way].append(abs(moment.end - end))
    table = Table("way", "found", "mean error of the start, s", "of the end, s", title=f"{args.recordings} × {PLANTED} sounds in {SECONDS} s each")  # fmt: skip
    for way in ways:
        table.add_row(way, f"{sum(found[way])} of {len(found[way])}", f"{np.mean(start_error[way]):.2f}", f"{np.mean(end_error[way]):.2f}")  # fmt: skip
    Console().print(table)
    print(json.dumps({way: {"found": sum(found[way]), "of": len(found[way]), "start_error": round(float(np.mean(start_error[way])), 2), "end_error": round(float(np.mean(end_error[way])), 2)} for way in ways}))  # fmt: skip


if __name__ == "__main__":
    main()
