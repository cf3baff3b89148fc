"""Train mini on everything, or without one ESC-10 fold to judge it.

usage: python runs/mini/recipe.py all     all recordings → OPENCLAP_MINI/model
       python runs/mini/recipe.py FOLD    without that fold and without one take of each effect → OPENCLAP_MINI/foldN

Two runs of mini.yaml, the second from the weights of the first with half the learning rate. Needs the variables of
runs/mini.sh.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from openclap.train import train

HERE = Path(__file__).parent
DATA = Path(os.environ["OPENCLAP_DATA"])
WORK = Path(os.environ["OPENCLAP_MINI"])
SECOND = {"epochs": 80, "learning_rate": 0.001}


def rows(folder: str) -> list[dict[str, str]]:
    with (DATA / folder / "metadata.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def held_takes(fold: int) -> list[dict[str, str]]:
    """One take of each effect that has several: another one in each fold where there are enough."""
    takes = defaultdict(list)
    for row in rows("effects"):
        takes[row["caption"]].append(row)
    return [found[(fold - 1) % len(found)] for found in takes.values() if len(found) > 1]


def kept_out(fold: int) -> list[dict[str, Any]]:
    """The sources of mini.yaml without what this fold's model is judged on."""
    sources: list[dict[str, Any]] = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))["sources"]
    for source in sources:
        if source["folder"].endswith("/esc10"):
            source["exclude"] = [f"{fold}-*"]
        if source["folder"].endswith("/effects"):
            source["exclude"] = [Path(row["file"]).name for row in held_takes(fold)]
    return sources


def main(what: str) -> None:
    changes: dict[str, Any] = {} if what == "all" else {"sources": kept_out(int(what)), "seed": int(what)}
    name = "model" if what == "all" else f"fold{what}"
    show = sys.stderr.isatty()
    first = train(HERE / "mini.yaml", out=str(WORK / "first" / name), progress=show, **changes)
    weights = str(Path(first.out) / "model.safetensors")
    train(HERE / "mini.yaml", out=str(WORK / name), progress=show, **{**changes, **SECOND, "init": weights})


if __name__ == "__main__":
    main(sys.argv[1])
