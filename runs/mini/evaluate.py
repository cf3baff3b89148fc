"""The development sheet: all that training never heard, asked for by words, and what confidences are worth; for any checkpoint.

usage: python runs/mini/evaluate.py SOUNDS MODEL [MODEL …]     checkpoints beside each other, with 95 % intervals
       python runs/mini/evaluate.py SOUNDS --json MODEL …      one JSON line each

SOUNDS is what gather.py made; MODEL whatever CLAP.from_pretrained takes, also released weights. Which recordings these are: development.csv;
what each line is: sheet.py. Confidences are judged by the curves and the threshold that a model brings (confidence.py fits them).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from confidence import confidences, judged, observed_by_sounds, observed_by_words
from confidence import show as show_confidence
from rich.console import Console
from sheet import dev_sounds, embedded, figures, of_rows, show

from openclap import CLAP
from openclap.confidence import confidence_curves, has_own_curves, reference_bank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    sounds, tables, sure = dev_sounds(args.sounds), {}, {}
    for name in args.models:
        clap = CLAP.from_pretrained(name, threads=1)
        rows, curves, usual = embedded(clap, sounds), confidence_curves(clap.config), reference_bank(clap)
        tables[name] = figures(sounds, of_rows(clap, sounds, rows))
        words, by_sounds = observed_by_words(usual, clap, sounds, rows), observed_by_sounds(usual, sounds, rows)
        own = "its own curve" if has_own_curves(clap) else "a curve fitted for another"
        sure[name] = {
            f"words, by {own}": judged(words, confidences(words, curves.words), curves.unlikely),
            f"sounds, by {own}": judged(by_sounds, confidences(by_sounds, curves.sounds), curves.least(words=False)),
        }
        if args.json:
            line = {key.strip(): vars(figure) for key, figure in tables[name].items()}
            print(
                json.dumps({"model": name, **line, "confidence": {k: vars(v) for k, v in sure[name].items()}}),
                flush=True,
            )
    if args.json:
        return
    show(tables)
    console = Console(width=140)
    for name, found in sure.items():
        for what, made in found.items():
            show_confidence(console, f"{name}, {what}", made)


if __name__ == "__main__":
    main()
