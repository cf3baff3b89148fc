"""Fit a model's curves of confidence and its "nothing here" on sounds it was not trained on, judge them, and write them into its config.json.

usage: python runs/mini/confidence.py SOUNDS MODEL            what the curves it has are worth, and what fitted ones are
       python runs/mini/confidence.py SOUNDS MODEL --write    the same, and MODEL/config.json gets the fitted ones

SOUNDS is what gather.py made; what of it is asked for, and how: asking.py. A question whose best hit is right is a yes; the best hit of
one whose answers were left out is a no; both weigh the same, so a confidence supposes even odds beforehand. The same with sounds as
questions. Everything that is reported of fitted curves is of concepts that they were not fitted on (five parts). The threshold is where
silence in place of a right hit, of at most 6 % (10 % by sounds), and an answer where there is none, of at most 20 %, are kept best; words
and sounds have one each. Pairs of recordings are shown besides: copies, takes of one thing, and strangers. `--new`: only sounds that
mini's third edition had not heard either. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
from asking import HERE, cases, cases_by_sounds, questions, unheard_by_the_third_edition, words_of
from gather import RATE, Wave
from rich.console import Console
from rich.table import Table
from sheet import DevSound, Rows, dev_sounds, embedded
from sklearn.linear_model import LogisticRegression

from openclap import CLAP
from openclap.atomic_write import write_json
from openclap.confidence import ReferenceBank, confidence_curves, reference_bank
from openclap.config import ConfidenceCurves
from openclap.labels import labels

__all__ = ["Judged", "Observed", "evidence_of", "fitted", "judged", "observed_by_sounds", "observed_by_words", "show"]

PARTS = 5
COPIED = 12  # every so many sounds, for pairs of copies
HEARD = 0.5  # confidence from which a name counts as heard
RARELY = 0.02  # share of unrelated sounds: heard in so many, a name needs 0.7 more
LEAST = 0.1  # of a logit: less is not worth a line of config.json
SILENT, SILENT_SOUNDS, FOUND = (
    0.06,
    0.10,
    0.20,
)  # at most, of right hits (in words, by sounds) and of questions without an answer
STEP = 0.01  # of the threshold
EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Observed:
    """Best hits: features (N, F), whether the answer was in the collection, whether the hit is it, the part of its concept; and of what kind."""

    features: Floats
    there: Bools
    right: Bools
    part: npt.NDArray[np.intp]
    kind: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Judged:
    """Confidences, seen against what was so. Shares in [0, 1]; `silent` of right hits, `missed` of all questions with an answer there."""

    questions: int
    right: float  # of the best hits, where the answer is there
    auc: float  # a right hit is surer than one without an answer
    threshold: float
    silent: float
    missed: float
    found: float  # of questions without an answer
    table: list[tuple[float, float, int, float, float]]  # from, to, how many, said, true


def observed_by_words(usual: ReferenceBank, clap: CLAP, sounds: Sequence[DevSound], rows: Rows) -> Observed:
    """Every question in words, with and without its answers."""
    asked = questions(sounds)
    texts = clap.encode_text([question.text for question in asked])
    fits = rows @ texts.T
    names = sorted({question.concept for question in asked})
    made = []
    for case in cases(sounds, asked):
        best = int(fits[case.collection, case.question].argmax())
        question = asked[case.question]
        features = usual.features(texts[case.question], rows[case.collection[best]], words=True)
        made.append(
            (features, case.there, bool(case.answers[best]), names.index(question.concept) % PARTS, question.kind)
        )
    return _observed(made)


def observed_by_sounds(usual: ReferenceBank, sounds: Sequence[DevSound], rows: Rows) -> Observed:
    """Every sound as a question to others, with and without those that are called alike."""
    numbers = {name: number for number, name in enumerate(sorted({s.asked for s in sounds}))}
    fits = rows @ rows.T
    made = []
    for case in cases_by_sounds(sounds):
        asked, best = sounds[case.question], int(fits[case.question, case.collection].argmax())
        features = usual.features(rows[case.question], rows[case.collection[best]], words=False)
        made.append((features, case.there, bool(case.answers[best]), numbers[asked.asked] % PARTS, asked.set))
    return _observed(made)


def _observed(made: Sequence[tuple[tuple[float, ...], bool, bool, int, str]]) -> Observed:
    features, there, right, part, kind = zip(*made, strict=True)
    return Observed(np.array(features), np.array(there), np.array(right), np.array(part), np.array(kind))


def fitted(seen: Observed) -> tuple[float, ...]:
    """The curve: where it begins, and a slope a feature, none below 0: a feature that tells nothing by itself is left out."""
    use = seen.right | ~seen.there
    kept = list(range(seen.features.shape[1]))
    while True:
        model = LogisticRegression(C=1000, class_weight="balanced").fit(seen.features[use][:, kept], seen.right[use])
        slopes = model.coef_[0]
        if slopes.min() > 0 or len(kept) == 1:
            break
        kept.remove(kept[int(slopes.argmin())])
    curve = np.zeros(seen.features.shape[1])
    curve[kept] = np.maximum(slopes, 0.01)
    return tuple(round(float(x), 3) for x in (model.intercept_[0], *curve))


def evidence_of(sure: Vectors, own: Bools, concepts: Sequence[str]) -> Floats:
    """How much more evidence each name needs, as logits (L,): by how many recordings that are called otherwise it is heard in.

    Confidences (N, L), whether a name is one of a recording's own, and what recordings are called: concepts weigh the same, however many
    takes they have. Of a bank of synthesised sounds such shares tell nothing (LOG.md).
    """
    weight = np.array([1 / concepts.count(name) for name in concepts])[:, None] * ~own
    share = (weight * (sure >= HEARD)).sum(0) / np.maximum(weight.sum(0), 1e-9)
    more: Floats = np.log((share + RARELY) / RARELY)
    return np.where(more >= LEAST, more, 0.0)


def named(sure: Vectors, own: Bools, concepts: Sequence[str]) -> list[tuple[float, float]]:
    """Share of recordings whose surest name, and one of the five surest, is their own: as it is, and with the evidence of other concepts."""
    logits = np.log(np.maximum(sure, 1e-9)) - np.log1p(-np.minimum(sure.astype(float), 1 - 1e-9))
    numbers = {name: number for number, name in enumerate(sorted(set(concepts)))}
    part = np.array([numbers[name] % PARTS for name in concepts])
    more = np.zeros_like(logits)
    for number in range(PARTS):
        others = np.flatnonzero(part != number)
        more[part == number] = evidence_of(sure[others], own[others], [concepts[int(i)] for i in others])
    found = []
    for by in (logits, logits - more):
        right = np.take_along_axis(own, np.argsort(-by, 1, kind="stable")[:, :5], 1)
        found.append((float(right[:, 0].mean()), float(right.any(1).mean())))
    return found


def names_needing_more(
    console: Console, clap: CLAP, usual: ReferenceBank, sounds: Sequence[DevSound], rows: Rows
) -> dict[str, float]:
    """Evidence by AudioSet's names, where recordings of other concepts are named better with it; else none."""
    some = [i for i, s in enumerate(sounds) if s.set in ("concept", "fold")]
    names, concepts = labels("audioset"), [sounds[i].asked for i in some]
    sure = usual.confidences(clap.encode_text(names), rows[some])
    with (HERE / "names.csv").open(encoding="utf-8", newline="") as file:
        theirs = {row["label"]: row["names"] for row in csv.DictReader(file)}
    said = [words_of(name) for name in names]
    called = {name: words_of(f"{name} {theirs.get(name, '')}") for name in set(concepts)}
    own = np.array([[bool(called[name] & words) for words in said] for name in concepts])
    (plain, five), (better, of_five) = named(sure, own, concepts)
    console.print(f"AudioSet's names of {len(some)} recordings: the surest is their own in {plain:.3f}, one of five in {five:.3f}; with more evidence for some {better:.3f}, {of_five:.3f}")  # fmt: skip
    if better < plain or of_five < five:
        return {}
    more = evidence_of(sure, own, concepts)
    return {name: round(float(less), 2) for name, less in zip(names, more, strict=True) if less}


def _part(seen: Observed, some: Bools) -> Observed:
    return Observed(*(getattr(seen, name)[some] for name in ("features", "there", "right", "part", "kind")))


def confidences(seen: Observed, curve: Sequence[float] | None = None) -> Floats:
    """By one curve, or each part by a curve fitted on the others."""
    made = np.zeros(len(seen.there))
    for part in range(PARTS):
        own = seen.part == part
        start, *slopes = curve or fitted(_part(seen, ~own))
        logit = start + seen.features[own][:, : len(slopes)] @ np.array(slopes)
        made[own] = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
    return made


def judged(seen: Observed, sure: Floats, threshold: float | None = None, *, silent_at_most: float = SILENT) -> Judged:
    """What confidences are worth; at the best threshold where none is given."""
    yes, no, all_there = sure[seen.right], sure[~seen.there], sure[seen.there]
    if threshold is None:
        steps = np.arange(STEP, 1, STEP)
        worst = [max(float((yes < t).mean()) / silent_at_most, float((no >= t).mean()) / FOUND) for t in steps]
        threshold = round(float(steps[int(np.argmin(worst))]), 2)
    used, sure_of = seen.right | ~seen.there, sure[seen.right | ~seen.there]
    weight = np.where(seen.right[used], 0.5 / max(len(yes), 1), 0.5 / max(len(no), 1))
    table = []
    for low, high in pairwise(EDGES):
        here = (sure_of >= low) & ((sure_of < high) | (high == 1))
        if here.any():
            said, so = (float(np.average(x[here], weights=weight[here])) for x in (sure_of, seen.right[used]))
            table.append((low, high, int(here.sum()), round(said, 3), round(so, 3)))
    auc = float(np.mean(yes[:, None] > no[None]) + np.mean(yes[:, None] == no[None]) / 2)
    right, auc, silent, missed, found = (
        round(float(x), 3)
        for x in (seen.right[seen.there].mean(), auc, (yes < threshold).mean(), (all_there < threshold).mean(), (no >= threshold).mean())
    )  # fmt: skip
    return Judged(len(seen.there), right, auc, threshold, silent, missed, found, table)


def show(console: Console, what: str, made: Judged) -> None:
    """A line of shares, and the table of reliability."""
    console.print(
        f"[bold]{what}[/bold]: {made.questions} questions, best hit right {made.right:.3f}, AUC {made.auc:.3f}; below {made.threshold:.2f} “nothing here”: "
        f"of right hits {made.silent:.3f}, of all that are there {made.missed:.3f}; an answer where there is none {made.found:.3f}"
    )
    table = Table("confidence", "hits", "said", "true (even odds)")
    for low, high, count, said, so in made.table:
        table.add_row(f"{low:.2f}-{high:.2f}", str(count), f"{said:.2f}", f"{so:.2f}")
    console.print(table)


def pairs(console: Console, clap: CLAP, usual: ReferenceBank, curves: dict[str, ConfidenceCurves], sounds: Sequence[DevSound], rows: Rows) -> None:  # fmt: skip
    """Two recordings at a time, whatever else is there: how sure each curve is of them, and how many lie above its threshold."""
    plain = [i for i, s in enumerate(sounds) if not s.set.startswith("mixture")]
    kinds: dict[str, tuple[list[tuple[float, ...]], str]] = {}
    names, words = [sounds[i].asked for i in plain], [words_of(sounds[i].asked) for i in plain]
    copied = plain[::COPIED]
    copies = [copies_of(sounds[i].wave) for i in copied]
    for name in copies[0]:
        made = clap.encode_audio([(copy[name], RATE) for copy in copies], long="windows")
        kinds[name] = [usual.features(rows[i], row, words=False) for i, row in zip(copied, made, strict=True)], "above"
    of = [usual.features(rows[plain[i]], rows[plain[j]], words=False) for i, j in combinations(range(len(plain)), 2) if names[i] == names[j]]  # fmt: skip
    kinds["two takes of one thing"] = of, "above"
    rng = np.random.default_rng(5)
    drawn = [rng.choice(len(plain), 2, replace=False) for _ in range(4 * len(plain))]
    of = [usual.features(rows[plain[i]], rows[plain[j]], words=False) for i, j in drawn if not words[i] & words[j]]
    kinds["strangers"] = of, "below"
    table = Table("a recording and", "pairs", *(f"{what}, the curve {name}" for name in curves for what in ("5 %, half, 95 % of confidences", "right of its threshold")))  # fmt: skip
    for kind, (features, side) in kinds.items():
        cells = []
        for one in curves.values():
            start, *slopes = one.sounds
            sure = 1 / (1 + np.exp(-(start + np.array(features)[:, : len(slopes)] @ np.array(slopes))))
            low, half, high = np.quantile(sure, (0.05, 0.5, 0.95))
            above = float((sure >= one.least(words=False)).mean())
            cells += [f"{low:.3f} {half:.3f} {high:.3f}", f"{above if side == 'above' else 1 - above:.3f} {side}"]
        table.add_row(kind, str(len(features)), *cells)
    console.print(table)


def copies_of(wave: Wave) -> dict[str, Wave]:
    """A recording again, as it may lie in another folder."""
    rng = np.random.default_rng(0)
    loud = float(np.sqrt((wave.astype(np.float64) ** 2).mean())) + 1e-6
    mp3 = io.BytesIO()
    sf.write(mp3, np.clip(wave, -1, 1), RATE, format="MP3")
    mp3.seek(0)
    return {
        "itself": wave,
        "it at a quarter of its level": wave / 4,
        "it as MP3": sf.read(mp3, dtype="float32")[0],
        "it without its first fifth": wave[min(len(wave) // 5, RATE // 2) :],
        "it with noise 30 dB below": wave + (loud * 10**-1.5) * rng.standard_normal(len(wave)).astype(np.float32),
    }


def write(folder: Path, curves: ConfidenceCurves) -> None:
    """Put curves into a checkpoint; nothing else of it changes."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", {**config, "confidence": vars(curves)}, indent=1)
    CLAP.from_pretrained(folder, strict=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("model")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--new", action="store_true")
    args = parser.parse_args()
    console, clap = Console(width=140), CLAP.from_pretrained(args.model, threads=1)
    sounds = [s for s in dev_sounds(args.sounds) if not args.new or unheard_by_the_third_edition(s)]
    usual, rows, own = reference_bank(clap), embedded(clap, sounds), confidence_curves(clap.config)
    words, by_sounds = observed_by_words(usual, clap, sounds, rows), observed_by_sounds(usual, sounds, rows)
    show(console, "words, by the curve it has", judged(words, confidences(words, own.words), own.unlikely))
    show(
        console,
        "sounds, by the curve it has",
        judged(by_sounds, confidences(by_sounds, own.sounds), own.least(words=False)),
    )
    sure = confidences(words)
    made = judged(words, sure)
    show(console, "words, fitted on other concepts", made)
    for kind in sorted(set(words.kind)):
        some = words.kind == kind
        show(console, f"  {kind}", judged(_part(words, some), sure[some], made.threshold))
    heard = confidences(by_sounds)
    of_sounds = judged(by_sounds, heard, silent_at_most=SILENT_SOUNDS)
    show(console, "sounds, fitted on other concepts", of_sounds)
    curve = fitted(words)
    fresh = replace(usual, curves=replace(usual.curves, words=curve))
    evidence = names_needing_more(console, clap, fresh, sounds, rows)
    what = f"{made.questions} questions in words, {len(by_sounds.there)} by sounds to {len(sounds)} sounds kept aside (runs/mini/development.csv)"
    curves = replace(
        own, words=curve, sounds=fitted(by_sounds), fingerprint=clap.fingerprint, fitted_on=what,
        unlikely=made.threshold, evidence=evidence, unlikely_sounds=of_sounds.threshold,
    )  # fmt: skip
    pairs(console, clap, usual, {"it has": own, "fitted": curves}, sounds, rows)
    print(json.dumps(vars(curves)))
    if args.write:
        write(Path(args.model), curves)


if __name__ == "__main__":
    main()
