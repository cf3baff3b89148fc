"""Train mini on everything, or without one ESC-10 fold to judge it.

usage: python runs/mini/recipe.py all     all recordings → OPENCLAP_MINI/model
       python runs/mini/recipe.py FOLD    without that fold and without one take of each effect → OPENCLAP_MINI/foldN

Six runs of mini.yaml, each from the weights of the one before: the second with half the learning rate, the others with
stronger variation, silence, and recordings of any length through the fusion, the fifth with more captions, the sixth with other sounds
under most clips. The fifth and the sixth begin and end halfway: what they teach costs something else, and the mean of the weights before and
after keeps most of both (LOG.md). Needs the variables of runs/mini.sh.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import yaml

from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.train import train

HERE = Path(__file__).parent
DATA = Path(os.environ["OPENCLAP_DATA"])
WORK = Path(os.environ["OPENCLAP_MINI"])
SILENCE = ("silence", "no sound at all", "nothing to hear", "dead air")
RUNS = ("first", "second", "third", "fourth", "fifth", "sixth")
HALFWAY = ("fifth", "sixth")
SECOND: dict[str, Any] = {"epochs": 80, "learning_rate": 0.001}
THIRD: dict[str, Any] = {
    "epochs": 200,
    "learning_rate": 0.002,
    "augment": {"stretch": 0.35, "pitch_bins": 4.0, "equaliser_db": 5.0, "noise_share": 0.35, "mix_share": 0.2},
    "longer_share": 0.15,
    "longer_from": 1.05,
    "lengthen": 6.0,
}


def rows(folder: str) -> list[dict[str, str]]:
    with (DATA / folder / "metadata.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def held_takes(fold: int) -> list[dict[str, str]]:
    """One take of each effect that has several: another one in each fold where there are enough."""
    takes = defaultdict(list)
    for row in rows("effects"):
        takes[row["caption"]].append(row)
    return [found[(fold - 1) % len(found)] for found in takes.values() if len(found) > 1]


def sources(fold: int | None) -> list[dict[str, Any]]:
    """Those of mini.yaml; of a fold's model, without what it is judged on."""
    found: list[dict[str, Any]] = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))["sources"]
    if fold is None:
        return found
    for source in found:
        if source["folder"].endswith("/esc10"):
            source["exclude"] = [f"{fold}-*"]
        if source["folder"].endswith("/effects"):
            source["exclude"] = [Path(row["file"]).name for row in held_takes(fold)]
    return found


def silence() -> dict[str, Any]:
    """A folder with ten seconds of nothing: levelled, it is unlike any sound, and must not pass for one."""
    folder = WORK / "silence"
    folder.mkdir(parents=True, exist_ok=True)
    sf.write(folder / "silence.wav", np.zeros(320_000), 32_000)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([("file", "caption"), *(("silence.wav", words) for words in SILENCE)])
    return {"folder": str(folder), "repeat": 6}


def main(what: str) -> None:
    fold = None if what == "all" else int(what)
    name = "model" if fold is None else f"fold{fold}"
    seed = fold or 0
    show = sys.stderr.isatty()
    third = {**THIRD, "sources": [*sources(fold), silence()]}
    fifth = {**third, "epochs": 120, "phrases": ["captions.csv", "more_captions.csv"], "own_share": 0.25}
    sixth = {
        **fifth,
        "longer_share": 0.25,
        "augment": {**THIRD["augment"], "under_share": 0.6, "under_snr_db": [-9.0, 15.0]},
    }
    runs: tuple[dict[str, Any], ...] = ({}, SECOND, third, {**third, "epochs": 160}, fifth, sixth)
    before = None
    for number, (run, changes) in enumerate(zip(RUNS, runs, strict=True)):
        out = WORK / run / name
        start: dict[str, Any] = {} if before is None else {"init": str(before / "model.safetensors")}
        if not (out / "config.json").exists():
            settings = {"sources": sources(fold), "seed": seed + 10 * number, **changes, **start}
            train(HERE / "mini.yaml", out=str(out), progress=show, **settings)
        if run in HALFWAY and before is not None:
            target = WORK / name if run == RUNS[-1] else WORK / f"half-{run}" / name
            halfway(before, out, target)
            out = target
        before = out


def halfway(one: Path, other: Path, out: Path) -> None:
    """The model whose weights are the mean of two others'."""
    first, second = load_checkpoint(one), load_checkpoint(other)
    mean = {
        name: ((first.weights[name].astype(np.float64) + second.weights[name]) / 2).astype(np.float32)
        for name in second.weights
    }
    save_pretrained(second.config, Weights(entries_from_arrays(mean)), second.tokenizer_file, out)


if __name__ == "__main__":
    main(sys.argv[1])
