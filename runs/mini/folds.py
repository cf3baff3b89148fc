"""How well the third edition hears: cross-validation over the four ESC-10 folds, and takes of effects it never heard.

usage: python runs/mini/folds.py     the table of all trained folds, and OPENCLAP_MINI/report.json

A fold's model has never met the clips it is tested on. The queries (queries.csv) were written before any training.
Needs the variables of runs/mini.sh.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
from recipe import DATA, HERE, WORK, held_takes, rows
from rich.console import Console
from rich.table import Table

from openclap import CLAP
from openclap.audio.load import load

FOLDS = (1, 2, 3, 4)


def judge(clap: CLAP, fold: int) -> dict[str, float]:
    """The numbers of one held-out fold."""
    clips = [row for row in rows("esc10") if Path(row["file"]).name.startswith(f"{fold}-")]
    labels = sorted({row["label"] for row in clips})
    truth = np.array([row["label"] for row in clips])
    audio = clap.encode_audio([DATA / "esc10" / row["file"] for row in clips])
    prompts = clap.encode_text([f"This is a sound of {label}." for label in labels])
    guessed = np.array(labels)[(audio @ prompts.T).argmax(1)]
    numbers = {"zero-shot accuracy": float((guessed == truth).mean())}
    long = clap.encode_audio([repeated(DATA / "esc10" / row["file"]) for row in clips])
    guessed_long = np.array(labels)[(long @ prompts.T).argmax(1)]
    numbers["zero-shot accuracy, repeated to 23 s"] = float((guessed_long == truth).mean())
    with (HERE / "queries.csv").open(encoding="utf-8") as file:
        queries = list(csv.DictReader(file))
    for kind in ("plain", "odd"):
        chosen = [q for q in queries if q["kind"] == kind]
        scores = clap.encode_text([q["query"] for q in chosen]) @ audio.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :8]
        wanted = np.array([q["label"] for q in chosen])[:, None]
        hits = (truth[best] == wanted).mean(1)
        numbers[f"precision@8, {kind} paraphrases"] = float(hits.mean())
        if os.environ.get("OPENCLAP_VERBOSE"):
            print(kind, sorted((round(float(h), 2), q["query"]) for h, q in zip(hits, chosen, strict=True))[:10])
    held = held_takes(fold)
    takes = clap.encode_audio([DATA / "effects" / row["file"] for row in held])
    said = clap.encode_text([row["caption"] for row in held])
    ranks = np.argsort(np.argsort(-(said @ takes.T), axis=1), axis=1).diagonal()
    numbers["recall@1 of held-out takes"] = float((ranks < 1).mean())
    numbers["recall@5 of held-out takes"] = float((ranks < 5).mean())
    if os.environ.get("OPENCLAP_VERBOSE"):
        print("wrong", sorted(f"{t} as {g}" for t, g in zip(truth, guessed, strict=True) if t != g))
    return numbers


def repeated(path: Path, seconds: float = 23.0) -> tuple[np.ndarray, int]:
    """A recording again and again: what the fusion must hear as it hears the recording."""
    rate = 32_000
    wave = load(path, rate)
    return np.tile(wave, -(-round(seconds * rate) // len(wave)))[: round(seconds * rate)], rate


def breadth(clap: CLAP) -> dict[str, float]:
    """Of the effect and music concepts of the collection (heard in training): how many a caption tells apart."""
    files, captions = [], []
    for folder in ("effects", "music"):
        for row in rows(folder):
            files.append(DATA / folder / row["file"])
            captions.append(row["caption"])
    concepts = sorted(set(captions))
    scores = clap.encode_text(concepts) @ clap.encode_audio(files).T
    order = np.argsort(-scores, axis=1)
    first = np.array(captions)[order]
    own = first == np.array(concepts)[:, None]
    return {
        "concepts": len(concepts),
        "told apart (best hit)": int(own[:, 0].sum()),
        "told apart (5 best)": int(own[:, :5].any(1).sum()),
    }


def report() -> None:
    folds = {
        fold: judge(CLAP.from_pretrained(WORK / f"fold{fold}", threads=1), fold)
        for fold in FOLDS
        if (WORK / f"fold{fold}" / "config.json").exists()
    }
    table = Table(title="mini, each fold by a model that never heard it")
    table.add_column("")
    for fold in folds:
        table.add_column(f"fold {fold}", justify="right")
    table.add_column("mean ± spread", justify="right")
    summary = {}
    for name in next(iter(folds.values())):
        values = np.array([numbers[name] for numbers in folds.values()])
        summary[name] = {
            "mean": round(float(values.mean()), 4),
            "spread": round(float(values.std()), 4),
            "folds": values.round(4).tolist(),
        }
        table.add_row(name, *(f"{v:.3f}" for v in values), f"{values.mean():.3f} ± {values.std():.3f}")
    Console().print(table)
    if (WORK / "model" / "config.json").exists():
        summary["breadth"] = breadth(CLAP.from_pretrained(WORK / "model", threads=1))
        print(summary["breadth"])
    (WORK / "report.json").write_text(json.dumps(summary, indent=1))


if __name__ == "__main__":
    report()
