"""How much of ten minutes of real clips, in a known order, the timeline names right.

usage: python bench/timeline.py DATA [--model mini] [--folds 4] [--seeds 0,1,2] [--picture timeline.png]

DATA holds esc10/metadata.csv (file, label; the fold is the first digit of the file's name). Clips follow each other with pauses of
half a second to six seconds over quiet pink noise (-62 dB of full scale, clips at -24 dB); silence that pads a clip is cut off. The truth
is the label where a clip is, and nothing between clips; it is compared with the timeline's labels every 50 ms. With a model of one fold of runs/mini.sh and
--folds, only clips that the model never heard. The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
from rich.console import Console
from rich.table import Table

from openclap import CLAP
from openclap.audio.load import load
from openclap.describe import Describer, timeline
from openclap.results import Span

RATE, SECONDS, STEP = 32_000, 600, 0.05
LEVEL, BED = 0.06, 0.0008  # RMS
Truth = list[tuple[float, float, str]]


def pink(rng: np.random.Generator, samples: int) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0))
    wave = np.fft.irfft(spectrum, samples)
    quiet: np.ndarray = (BED * wave / wave.std()).astype(np.float32)
    return quiet


def recording(folder: Path, rows: list[dict[str, str]], rng: np.random.Generator) -> tuple[np.ndarray, Truth]:
    wave, truth, at = pink(rng, SECONDS * RATE), [], 2.0
    for i in rng.permutation(len(rows)):
        sound = load(folder / rows[i]["file"], RATE)
        loud = np.flatnonzero(np.abs(sound) > 1e-4)
        if not len(loud) or at > SECONDS - 8:
            continue
        sound = sound[loud[0] : loud[-1] + 1]
        start = round(at * RATE)
        wave[start : start + len(sound)] += LEVEL * sound / max(float(np.sqrt((sound**2).mean())), 1e-6)
        truth.append((at, at + len(sound) / RATE, rows[i]["label"]))
        at += len(sound) / RATE + rng.uniform(0.5, 6.0)
    return np.clip(wave, -1, 1), truth


def told(spans: Truth | list[tuple[float, float, str | None]], names: list[str]) -> np.ndarray:
    """The number of the label at every step, -1 for nothing."""
    middle = (np.arange(round(SECONDS / STEP)) + 0.5) * STEP
    found = np.full(len(middle), -1)
    for start, end, label in spans:
        found[(middle >= start) & (middle < end)] = names.index(label) if label in names else -1
    return found


def scores(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    right = truth == said
    return {
        "right": round(float(right.mean()), 3),
        "of the clips": round(float(right[truth >= 0].mean()), 3),
        "of the pauses": round(float(right[truth < 0].mean()), 3),
        "always nothing": round(float((truth < 0).mean()), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--folds", default="1234", help="which clips: the first digits of their names")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--picture", type=Path, help="draw the first recording")
    parser.add_argument("--title", default="")
    parser.add_argument("--from", dest="begin", type=float, default=0.0, help="seconds where the picture begins")
    parser.add_argument("--to", dest="end", type=float, default=SECONDS)
    args = parser.parse_args()
    folder = args.data / "esc10"
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if Path(row["file"]).name[0] in args.folds]
    names = sorted({row["label"] for row in rows})
    describer = Describer(CLAP.from_pretrained(args.model), names)
    table = Table("seed", "clips", "right", "of the clips", "of the pauses", "always nothing", "spans", "seconds", title=f"{args.model}, folds {args.folds}")  # fmt: skip
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as aside:
        for seed in (int(seed) for seed in args.seeds.split(",")):
            wave, truth = recording(folder, rows, np.random.default_rng(seed))
            path = Path(aside, f"{seed}.flac")
            sf.write(path, wave, RATE)
            begin = time.perf_counter()
            spans = timeline(describer, path)
            took = time.perf_counter() - begin
            found.append(scores(told(truth, names), told([(s.start, s.end, s.label) for s in spans], names)))
            table.add_row(str(seed), str(len(truth)), *(f"{value:.3f}" for value in found[-1].values()), str(len(spans)), f"{took:.1f}")  # fmt: skip
            if args.picture is not None and len(found) == 1:
                title = args.title or f"Ten sounds in ten minutes: named right for {found[0]['right']:.0%} of the time"
                draw(path, spans, truth, title, args)
    Console().print(table)
    print(json.dumps({"model": args.model, **{key: round(float(np.mean([one[key] for one in found])), 3) for key in found[0]}}))  # fmt: skip


def draw(path: Path, spans: list[Span], truth: Truth, title: str, args: argparse.Namespace) -> None:
    from openclap.describe.picture import draw_timeline

    played = [Span(start, end, label, 1.0) for start, end, label in truth]
    draw_timeline(path, spans, args.picture, title=title, begin=args.begin, end=args.end, truth=played)


if __name__ == "__main__":
    main()
