"""Class by class: how many recordings kept aside a model names right, beside others and beside the teacher.

usage: python runs/mini/classes.py SOUNDS MODEL [MODEL …] [--teacher WORK] [--markdown]
  WORK  where judge.py keeps the teacher's answers and questions; with it, what the first model misses that the teacher hears comes first

SOUNDS is what gather.py made. A recording of a held-out concept is asked for by the names of all 40, one of ESC-10's fold by those ten.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sheet import NEW, TEMPLATE, DevSound, Scores, dev_sounds, embedded, of_rows

from openclap import CLAP

__all__ = ["right_by_class"]


def right_by_class(sounds: Sequence[DevSound], scores: Scores) -> dict[str, tuple[int, int]]:
    """Concept → how many were named right, of how many."""
    found: dict[str, tuple[int, int]] = {}
    for some in (
        [s for s in sounds if s.set == "concept" and s.folder in NEW],
        [s for s in sounds if s.set == "fold"],
    ):
        names = sorted({s.asked for s in some})
        best = scores(some, [TEMPLATE.format(name) for name in names]).argmax(1)
        right = np.array([names[i] for i in best]) == np.array([s.asked for s in some])
        for name in names:
            own = right[[s.asked == name for s in some]]
            found[name] = (int(own.sum()), len(own))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    sounds = dev_sounds(args.sounds)
    columns: dict[str, dict[str, tuple[int, int]]] = {}
    for name in args.models:
        clap = CLAP.from_pretrained(name, threads=1)
        columns[Path(name).name] = right_by_class(sounds, of_rows(clap, sounds, embedded(clap, sounds)))
    first = next(iter(columns.values()))
    order = sorted(first, key=lambda name: (-first[name][0] / first[name][1], name))
    if args.teacher is not None:
        columns["teacher"] = right_by_class(sounds, _teacher(args.teacher, sounds))
        share = {name: (columns["teacher"][name][0] - first[name][0]) / first[name][1] for name in first}
        order = sorted(first, key=lambda name: (-share[name], name))
    rows = [(name, str(first[name][1]), *(str(found[name][0]) for found in columns.values())) for name in order]
    if args.markdown:
        print("\n".join("| " + " | ".join(row) + " |" for row in [("", "of", *columns), ("---",) * (2 + len(columns)), *rows]))  # fmt: skip
        return
    table = Table("", "of", *columns)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _teacher(work: Path, sounds: Sequence[DevSound]) -> Scores:
    """What judge.py kept: answers to these very sounds, and vectors of texts."""
    from judge import of_answers
    from texts import weights_of

    stored = np.load(work / "questions.npz")
    vectors = dict(zip(stored["texts"].tolist(), stored["vectors"], strict=True))
    names = stored["texts"].tolist()[:527]  # the classes came first
    answers = np.load(work / "teacher_answers.npy")
    return of_answers(
        sounds,
        answers,
        lambda texts: weights_of(np.stack([vectors[t] for t in texts]), np.stack([vectors[n] for n in names])),
    )


if __name__ == "__main__":
    main()
