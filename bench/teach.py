"""How much a few examples add to the words: mean average precision over classes, against the words alone.

usage: python bench/teach.py DATA [--model MODEL] [--folds FOLDER] [--only effects|unheard|esc10] [--seeds 20] [--keep FILE] [--picture FILE]

DATA holds effects/ and esc10/, each with a metadata.csv (file, label). A class of effects is a group of labels with at least eight takes and
the words that a user would type (GROUPS, written before anything was measured); one of esc10 is its label.

For each class, number of examples n and seed: n takes of the class are marked yes; n of the fifteen best wrong results of a search
for the words are marked no, as a user would who goes down the list. Everything else is ranked, by the words alone and by the detector, and
the average precision of each is taken. Ways:

    marked           yes and no
    marked, library  yes, no and counter-examples drawn from the folder, as `openclap teach --library` does
    library          yes, and counter-examples drawn from the folder
    yes alone        yes, and the synthesised sounds that come with openclap

    effects          all takes, model MODEL (mini heard all of them while it was trained)
    effects, unheard the takes that a fold's model never heard are ranked; examples are drawn from all others    (--folds)
    ESC-10           the fold that a fold's model never heard                                                   (--folds)

Folders fold3 and fold4 are those of runs/mini.sh; the numbers of the fit were chosen with fold1 and fold2. --keep gathers the results of several runs, from which the picture is drawn. The spread is over seeds (of the mean over classes) and over classes (of the mean over seeds).
The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from openclap import CLAP
from openclap.scores import average_precision
from openclap.teach.fitting import FitProblem, Prior, TrainingSet, make_prior
from openclap.teach.suggestions import ALIKE, synthetic_negatives

Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

GROUPS = {
    "gunshot": "ar burst, ar fire, pistol fire, rifle fire, rifle small fire, rifle fire cock, shotgun fire pump, ricochet",
    "loading a gun": "pistol cock, pistol reload, rifle cock, shotgun pump, pistol fire dry, rifle fire dry",
    "footsteps": "footsteps on hard, footsteps on ice, footsteps on metal, footsteps on sand, footsteps on snow, footsteps on water",
    "digging": "dig choppy, dig cracky, dig gravel, dig ice, dig metal, dig snappy, dug glass, dug gravel, dug ice",
    "a big cat growling": "leopard growl, leopard roar, leopard saw, leopard snarl, leopard snort, jaguar saw, lion bellow, tiger roar, tiger snarl",
    "an insect": "bee, bees, bumble bee, cicada, cricket, grasshopper",
    "a bird": "bird, canary, chicken, crow caw, duck quack, goose, owl hoot, parrot, parrot chirp, parrot whistle, peacock, penguin, pigeon, quail, rooster, seagull, seagulls, turkey gobble, vulture, woodpecker peck",
    "a farm animal": "cow moo, goat bleat, sheep baa, lamb, pig snort, pig squeal, horse neigh, horse snort, chicken, duck quack, goose, rooster, turkey gobble",
    "an engine": "car motor, motorbike idle, vehicle motor idle, compressor motor, airplane prop, helicopter, jet ambience, jet flyby, jet land",
    "a monster": "undead moan, zombie damage, zombie death, zombie growl, skeleton bones",
    "a door": "door close, door creak, door knock, door open, doorbell",
    "a bell or a horn": "bicycle bell, bicycle horn, church bells, doorbell, vehicle horn, train whistle",
    "an explosion": "explosion, explosion scifi, fireball, fireworks, balloon pop",
    "something burning": "fire crackle, fireball, fireworks, fuse, fuse short, match ignite",
    "a science fiction weapon": "laser, plasma shot, explosion scifi",
    "scraping or scratching": "scrape, chalk screech, chalk write, pencil erase, pencil write",
    "a small animal chattering": "squirrel, raccoon chatter, raccoon chatter baby, mouse, bat",
}
COUNTS = (1, 2, 3, 5, 10)
WAYS = {"marked": COUNTS, "marked, library": COUNTS, "library": (1, 5), "yes alone": (1, 5)}
HARD = 15  # wrong results that a user may see
FOLDS = (3, 4)  # the numbers of the fit were chosen with the models of 1 and 2
LEFT = 2  # of a class, at least, are ranked


@dataclass(frozen=True, eq=False)
class Case:
    """A class in a collection: embeddings (N, E), which are of the class, and which may be examples and are ranked (N,)."""

    collection: str
    words: str
    rows: Vectors
    heard: npt.NDArray[np.bool_]
    examples: npt.NDArray[np.bool_]
    ranked: npt.NDArray[np.bool_]
    prior: Prior
    alone: Vectors  # cosines with the words (N,)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def effects(data: Path, clap: CLAP, unheard: int | None = None) -> Iterator[Case]:
    """All takes; or ranked, one of each label that has several, those that fold `unheard` was not trained on."""
    rows = rows_of(data / "effects")
    takes = defaultdict(list)
    for i, row in enumerate(rows):
        takes[row["label"]].append(i)
    ranked, examples = np.ones(len(rows), bool), np.ones(len(rows), bool)
    if unheard is not None:
        held = [some[(unheard - 1) % len(some)] for some in takes.values() if len(some) > 1]
        ranked[:] = False
        ranked[held] = True
        examples = ~ranked
    vectors = clap.encode_audio([data / "effects" / row["file"] for row in rows], long="windows")
    for words, labels in GROUPS.items():
        of = set(labels.split(", "))
        assert of <= set(takes), of - set(takes)
        heard = np.array([row["label"] in of for row in rows])
        assert heard.sum() >= 8
        yield Case(
            "effects" if unheard is None else "effects, unheard",
            words,
            vectors,
            heard,
            examples,
            ranked,
            make_prior(clap, words),
            vectors @ clap.encode_text([words])[0],
        )


def esc10(data: Path, clap: CLAP, fold: int) -> Iterator[Case]:
    rows = [row for row in rows_of(data / "esc10") if Path(row["file"]).name.startswith(f"{fold}-")]
    vectors = clap.encode_audio([data / "esc10" / row["file"] for row in rows], long="windows")
    every = np.ones(len(rows), bool)
    for label in sorted({row["label"] for row in rows}):
        heard = np.array([row["label"] == label for row in rows])
        yield Case(
            "ESC-10",
            label,
            vectors,
            heard,
            every,
            every,
            make_prior(clap, label),
            vectors @ clap.encode_text([label])[0],
        )


def tried(case: Case, n: int, way: str, seed: int) -> list[float] | None:
    """Average precision, precision and recall at 0.5 of the words alone, and of the detector; None, too few takes."""
    random = np.random.default_rng(seed)
    yes = np.flatnonzero(case.heard & case.examples)
    if len(yes) < n or (case.heard & case.ranked).sum() - (n if (case.examples & case.ranked).any() else 0) < LEFT:
        return None
    wrong = np.flatnonzero(~case.heard & case.examples)
    seen = wrong[np.argsort(-case.alone[wrong], kind="stable")][:HARD]
    yes, no = random.choice(yes, n, replace=False), random.choice(seen, min(n, len(seen)), replace=False)
    marked: Places = np.concatenate([yes, no])
    alike = (case.rows @ case.rows[yes].T).max(1) >= ALIKE
    library = np.flatnonzero(~alike)[np.unique(np.linspace(0, (~alike).sum() - 1, 200).astype(int))]
    drawn = (
        case.rows[library]
        if "library" in way
        else synthetic_negatives(case.prior, case.rows[yes])
        if way == "yes alone"
        else ()
    )
    size = case.rows.shape[1]
    examples = TrainingSet.of(case.rows[yes], case.rows[no] if way.startswith("marked") else (), drawn, size)
    problem = FitProblem(case.prior, examples, alone=way == "yes alone")
    weight, bias = problem.as_linear(problem.solve())
    ranked = case.ranked.copy()
    ranked[marked] = False
    heard = case.heard[ranked]
    found: list[float] = []
    for logit in (case.prior.word_logits(case.rows[ranked]), case.rows[ranked].astype(np.float64) @ weight + bias):
        right = float((heard & (logit >= 0)).sum())
        found += [average_precision(logit, heard), right / max((logit >= 0).sum(), 1), right / heard.sum()]
    return found


def measured(cases: Sequence[Case], n: int, way: str, seeds: int) -> dict[str, float] | None:
    """Means and spreads over classes and seeds, of classes that have enough takes."""
    by_class: dict[str, list[list[list[float]]]] = defaultdict(list)
    for case in cases:
        found = [tried(case, n, way, seed) for seed in range(seeds)]
        some = [pair for pair in found if pair is not None]
        if some:
            by_class[case.words].append(some)
    if not by_class:
        return None
    # (classes, seeds, 6); a class that several folds have is their mean
    table = np.array([np.mean(np.array(folds), axis=0) for folds in by_class.values()])
    gain = table[..., 3] - table[..., 0]
    random = np.random.default_rng(0)
    means = gain.mean(1)[random.integers(len(gain), size=(2000, len(gain)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    words, words_precision, words_recall, taught, precision, recall = table.mean((0, 1))
    return {
        "classes": len(table), "words": words, "words_over_seeds": table[..., 0].mean(0).std(), "words_over_classes": table[..., 0].mean(1).std(),
        "taught": taught, "taught_over_seeds": table[..., 3].mean(0).std(), "taught_over_classes": table[..., 3].mean(1).std(),
        "gain": gain.mean(), "gain_low": low, "gain_high": high, "seeds_worse": (gain.mean(0) < 0).mean(), "classes_worse": (gain.mean(1) < 0).mean(),
        "words_precision": words_precision, "words_recall": words_recall, "precision": precision, "recall": recall,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mini", help="for all of effects")
    parser.add_argument("--folds", type=Path, help="a folder with fold1 … fold4")
    parser.add_argument("--only", choices=("effects", "unheard", "esc10"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    cases = defaultdict(list)
    if args.only in (None, "effects"):
        cases["effects"] = list(effects(args.data, CLAP.from_pretrained(args.model)))
    for fold in FOLDS if args.folds else ():
        clap = CLAP.from_pretrained(args.folds / f"fold{fold}")
        if args.only in (None, "unheard"):
            cases["effects, unheard"] += effects(args.data, clap, fold)
        if args.only in (None, "esc10"):
            cases["ESC-10"] += esc10(args.data, clap, fold)
    view = Table(
        "ranked",
        "way",
        "n",
        "classes",
        "words alone",
        "taught",
        "gain",
        "95 % of classes",
        "worse: seeds",
        "classes",
        "words: precision, recall",
        "taught: precision, recall",
    )
    made = []
    for collection, some in cases.items():
        for way, counts in WAYS.items():
            for n in counts:
                found = measured(some, n, way, args.seeds)
                if found is None:
                    continue
                f = {key: round(float(value), 4) for key, value in found.items()}
                view.add_row(
                    collection, way, str(n), str(int(f["classes"])), f"{f['words']:.3f} ± {f['words_over_seeds']:.3f} ({f['words_over_classes']:.3f})",
                    f"{f['taught']:.3f} ± {f['taught_over_seeds']:.3f} ({f['taught_over_classes']:.3f})", f"{f['gain']:+.3f}",
                    f"{f['gain_low']:+.3f} to {f['gain_high']:+.3f}", f"{f['seeds_worse']:.0%}", f"{f['classes_worse']:.0%}",
                    f"{f['words_precision']:.2f}, {f['words_recall']:.2f}", f"{f['precision']:.2f}, {f['recall']:.2f}",
                )  # fmt: skip
                made.append({"ranked": collection, "way": way, "examples": n, **f})
    Console(width=210).print(view)
    Console().print("mean average precision ± spread over seeds (spread over classes)")
    if args.keep is not None:
        before = json.loads(args.keep.read_text()) if args.keep.exists() else []
        made = [row for row in before if row["ranked"] not in cases] + made
        args.keep.write_text(json.dumps(made, indent=1) + "\n")
    if args.picture is not None:
        draw(made, args.picture)
    print(json.dumps({"seeds": args.seeds, "found": made}))


def draw(made: list[dict[str, object]], picture: Path) -> None:
    """Mean average precision over the number of examples, where all classes have enough takes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    collections = [name for name in ("effects", "effects, unheard", "ESC-10") if any(row["ranked"] == name for row in made)]  # fmt: skip
    figure, axes = plt.subplots(1, len(collections), figsize=(3.6 * len(collections), 3.6), sharey=True, squeeze=False)
    for axis, collection in zip(axes[0], collections, strict=True):
        rows = [row for row in made if row["ranked"] == collection]
        classes = max(int(str(row["classes"]).split(".")[0]) for row in rows)

        def line(way: str, rows: list[dict[str, object]] = rows, classes: int = classes) -> dict[str, npt.NDArray[np.float64]]:  # fmt: skip
            some = [row for row in rows if row["way"] == way and row["classes"] == classes]
            return {key: np.array([row[key] for row in some], float) for key in ("examples", "words", "words_over_seeds", "taught", "taught_over_seeds")}  # fmt: skip

        for way, colour, label in (("marked", "#2a7f3f", "yes and no marked"), ("marked, library", "#1f5fa8", "… and a library's counter-examples")):  # fmt: skip
            found = line(way)
            axis.errorbar(found["examples"] + (0.06 if way == "marked" else -0.06), found["taught"], found["taught_over_seeds"], fmt="o-", color=colour, capsize=3, label=label)  # fmt: skip
        axis.errorbar(found["examples"], found["words"], found["words_over_seeds"], fmt="--", color="black", capsize=3, label="words alone")  # fmt: skip
        axis.set_title(f"{collection}: {classes} classes")
        axis.set_xlabel("yes and no marked, each")
        axis.set_xticks(found["examples"])
        axis.grid(alpha=0.25)
    axes[0][0].set_ylabel("mean average precision ± spread over seeds")
    axes[0][-1].legend(loc="lower right", frameon=False, fontsize="small")
    figure.tight_layout()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
