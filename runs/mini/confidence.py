"""Fit and judge the confidence of search, on recordings that a model had never heard.

usage: python runs/mini/confidence.py     the curves of confidence.py, their reliability, false alarms and misses

For each fold's model and each query (48 paraphrases, 10 labels, the captions of held-out takes): once with the fold's clips and
held-out takes, once without those that answer it. In the first case the best hit, where it is right, is a yes; in the second any best
hit is a no. The same with each clip as the query. Needs the folders of runs/mini.sh, and scikit-learn.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from recipe import DATA, HERE, WORK, held_takes, rows
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from openclap import CLAP
from openclap.confidence import SOUNDS, WORDS, background_of

FOLDS = (1, 2, 3, 4)
LITTLE = {"a", "an", "the", "of", "on", "in", "with", "and"}
Case = tuple[bool, int, bool, tuple[float, ...]]  # by words, fold, is it there, features


def cases(fold: int) -> list[Case]:
    clap = CLAP.from_pretrained(WORK / f"fold{fold}")
    usual = background_of(clap)
    clips = [row for row in rows("esc10") if Path(row["file"]).name.startswith(f"{fold}-")]
    held = held_takes(fold)
    names = np.array([row["label"] for row in clips] + [row["caption"] for row in held])
    audio = clap.encode_audio(
        [DATA / "esc10" / r["file"] for r in clips] + [DATA / "effects" / r["file"] for r in held]
    )
    with (HERE / "queries.csv").open(encoding="utf-8") as file:
        queries = [(row["query"], row["label"]) for row in csv.DictReader(file)]
    queries += [(name, name) for name in sorted(set(names))]
    found: list[Case] = []
    for (_, name), vector in zip(queries, clap.encode_text([query for query, _ in queries]), strict=True):
        words = {word.rstrip("s") for word in name.lower().split()} - LITTLE
        answers = np.array([other == name or any(word in other.lower() for word in words) for other in names])
        found += judged(usual, vector, audio, answers, fold, words=True)
    for i in range(len(clips)):
        others = np.arange(len(clips)) != i
        found += judged(usual, audio[i], audio[: len(clips)][others], (names[: len(clips)] == names[i])[others], fold, words=False)  # fmt: skip
    return found


def judged(usual, vector, audio, answers, fold, *, words) -> list[Case]:  # type: ignore[no-untyped-def]
    found: list[Case] = []
    for there in (True, False):
        of = audio if there else audio[~answers]
        best = int((of @ vector).argmax())
        if not there or answers[best]:
            found.append((words, fold, there, usual.features(vector, of[best], words=words)))
    return found


def main() -> None:
    everything = [case for fold in FOLDS for case in cases(fold)]
    console = Console(width=110)
    for words in (True, False):
        some = [case for case in everything if case[0] == words]
        x, y, fold = np.array([c[3] for c in some]), np.array([c[2] for c in some]), np.array([c[1] for c in some])
        chance = np.zeros(len(y))
        for out in FOLDS:
            model = LogisticRegression(C=1000).fit(x[fold != out], y[fold != out])
            chance[fold == out] = model.predict_proba(x[fold == out])[:, 1]
        model = LogisticRegression(C=1000).fit(x, y)
        above = (chance[y][:, None] > chance[~y][None]).mean()
        console.print(f"[bold]{'words' if words else 'sounds'}[/bold]: logit = {model.intercept_[0]:.2f} + {model.coef_[0].round(2)} · features; {len(y)} cases, AUC {above:.3f}")  # fmt: skip
        tell(console, "fitted on the other folds", chance, y)
        start, *slopes = WORDS if words else SOUNDS
        tell(console, "as confidence.py has it", 1 / (1 + np.exp(-(start + x @ np.array(slopes)))), y)


def tell(console: Console, what: str, chance: np.ndarray, y: np.ndarray) -> None:
    """How often it was there, by what the confidence said."""
    table = Table("confidence", "cases", "said", "true", title=what)
    for low in np.arange(0, 1, 0.2):
        there = (chance >= low) & (chance < low + 0.2)
        table.add_row(f"{low:.1f}-{low + 0.2:.1f}", str(there.sum()), f"{chance[there].mean():.2f}", f"{y[there].mean():.2f}")  # fmt: skip
    console.print(table)
    for least in (0.2, 0.25, 0.3, 0.5):
        console.print(f"below {least} “nothing here”: wrongly silent {(chance[y] < least).mean():.3f}, wrongly found {(chance[~y] >= least).mean():.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
