"""Fit a model's curve of a watch on the half "tune" of `bench/watch.py`, judge it there, and write it into its config.json.

usage: python runs/mini/watching.py DATA MODEL            what a watch finds as it is, and with a fitted curve
       python runs/mini/watching.py DATA MODEL --write    the same, and MODEL/config.json gets the fitted one

DATA as in `bench/watch.py`, whose half "report" judges what comes out. Recordings of an hour (`--hours`), one a seed, with sixty events
each, are embedded once. How much each distance weighs (`openclap.watch.calibrated_scorer`) is the mix of a small grid that finds most at one
to six false alarms an hour: likelihoods are made by what is missed anyway, and such mixes find less. How steep the curve is says a
logistic regression over the best windows of events and of twenty seconds without; where it begins, how many false alarms are wanted.
MODEL must have confidences of its own (confidence.py). Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from openclap import CLAP
from openclap.atomic_write import write_json
from openclap.confidence import ReferenceBank, reference_bank
from openclap.options import WatchOptions
from openclap.watch import Event, Rules
from openclap.watch.calibrated_scorer import CalibratedAlertScorer, alert_scorer
from openclap.watch.hysteresis import Hysteresis
from openclap.watch.loop import BATCH
from openclap.watch.sliding_windows import SlidingWindows

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "bench"))

from watch import ALERTS, NEAR, RATE, Planted, judged, recording

__all__ = ["ALERTS", "Heard", "Planted", "Recorded", "Rules", "begun", "bests", "fitted", "heard", "judged", "told"]

OWN = (0.0, 0.01, 0.02, 0.04)  # weights beside 1 for rise
NEW = (0.0, 0.5, 1.0, 1.5, 2.0)
RATES = (1.0, 2.0, 3.0, 4.0, 6.0)  # false alarms an hour at which mixes are compared
WANTED = 3.0  # false alarms an hour, at most
RARER = 20.0  # events an hour of the bench: here there are more, so that other words are told for one more often
FIRST = (-5.0, 0.3, 10.0, 10.0)  # a curve to begin with: what has been learnt as usual depends on it a little
STARTS = np.arange(-4.0, 6.0, 0.1)  # added to where the curve begins
WINDOW, HOP, WARMUP = WatchOptions.window, WatchOptions.hop, WatchOptions.warmup  # seconds
APART = round(20 / HOP)  # windows of which the best counts as one false alarm
WARM = round(WARMUP / HOP)  # windows
Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Curve = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Recorded:
    """Embeddings (W, E) of a recording's windows, and what was planted in it."""

    rows: Vectors
    planted: list[Planted]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (len(self.rows) - 1) * HOP + WINDOW


@dataclass(frozen=True, eq=False)
class Heard:
    """What a watch makes of windows: distances (W, F, A) and confidences (W, A)."""

    features: Floats
    sure: Floats


def recorded(clap: CLAP, data: Path, half: str, seconds: float, seed: int) -> Recorded:
    """Make a recording and embed its windows, as a watch does."""
    rows: list[Vectors] = []
    sliding = SlidingWindows(RATE, WINDOW, HOP)
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside, "recording.wav")
        planted = recording(path, data, half, seconds, seed)
        for block in sf.blocks(path, round(BATCH * HOP * RATE), dtype="float32"):
            spans = sliding.feed(block)
            if spans:
                rows.append(clap.encode_audio([(span.wave, RATE) for span in spans], batch_size=BATCH))
    return Recorded(np.concatenate(rows), planted)


def heard(rows: Vectors, queries: Vectors, banks: ReferenceBank, curve: Curve) -> Heard:
    """What a watch with this curve makes of windows (W, E); an empty curve: what it makes of them without one of its own."""
    banks = replace(banks, curves=replace(banks.curves, watch=curve))
    own = alert_scorer(queries, banks, warmup=WARM, hop=HOP)
    features, sure = [], []
    for row in rows:
        confidence, cosine = own.score(row)
        if isinstance(own, CalibratedAlertScorer):
            features.append(own.features(cosine, row))
        own.learn(row, cosine, confidence >= Rules.off)
        sure.append(confidence)
    return Heard(np.array(features), np.stack(sure))


def told(sure: Floats, rules: Rules) -> list[Event]:
    """Confidences (W, A) → the events that a watch tells of them."""
    hysteresis, changes = Hysteresis(sure.shape[1], rules), []
    for i, row in enumerate(sure):
        changes += hysteresis.step(max(0, i - 1) * HOP, i * HOP + WINDOW, row, row)
    changes += hysteresis.finish()
    ended = [one for one in changes if not one.began]
    return [Event(ALERTS[e.which], e.start, e.end, e.peak, e.score, e.confidence, e.decided - e.start) for e in ended]


def bests(levels: Floats, planted: Sequence[Planted]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Of levels (W, A), the best window of every planted event and of every 20 seconds without one, of every alert: (window, alert)."""
    start = np.arange(len(levels)) * HOP
    yes, no = [], []
    for a, alert in enumerate(ALERTS):
        free = start >= WARMUP + HOP
        for one in planted:
            near = (start < one.end + NEAR) & (start + WINDOW > one.start - NEAR) & (start >= WARMUP + HOP)
            if one.alert == alert and near.any():
                yes.append((int(np.where(near, levels[:, a], -np.inf).argmax()), a))
                free &= ~near
        for first in range(0, len(levels), APART):
            here = np.flatnonzero(free[first : first + APART]) + first
            if len(here):
                no.append((int(here[levels[here, a].argmax()]), a))
    return yes, no


def found_at(levels: Floats, one: Recorded) -> float:
    """Events found at the false alarms an hour of RATES, their mean."""
    yes, no = bests(levels, one.planted)
    alarms = np.sort([levels[place] for place in no])[::-1]
    limits = [alarms[min(round(rate * one.seconds / 3600), len(alarms) - 1)] for rate in RATES]
    return float(np.mean([sum(levels[place] > limit for place in yes) for limit in limits]))


def fitted(recordings: Sequence[Recorded], queries: Vectors, banks: ReferenceBank, wanted: float = WANTED) -> Curve:
    """The curve: the mix that finds most, as steep as evidence is, with `wanted` false alarms an hour at most."""
    curve: Curve = FIRST
    for _ in range(2):
        made = [heard(one.rows, queries, banks, curve).features for one in recordings]
        mixes = [np.array([own, 1.0, new]) for own, new in product(OWN, NEW)]
        worth = [
            sum(found_at(np.einsum("f,wfa->wa", mix, x), one) for x, one in zip(made, recordings, strict=True))
            for mix in mixes
        ]
        mix = np.mean([mixes[i] for i in np.argsort(worth)[::-1][:3]], axis=0)  # of three, as the best alone is luck
        levels = [np.einsum("f,wfa->wa", mix, x) for x in made]
        curve = begun(recordings, levels, mix, _steepness(recordings, levels), wanted)
    return tuple(round(float(x), 3) for x in curve)


def _steepness(recordings: Sequence[Recorded], levels: Sequence[Floats]) -> float:
    values: list[float] = []
    right: list[bool] = []
    for level, one in zip(levels, recordings, strict=True):
        for places, is_there in zip(bests(level, one.planted), (True, False), strict=True):
            values += [float(level[place]) for place in places]
            right += [is_there] * len(places)
    scale = float(np.std(values))
    return float(LogisticRegression(C=10).fit(np.array(values)[:, None] / scale, right).coef_[0, 0]) / scale


def begun(recordings: Sequence[Recorded], levels: Sequence[Floats], mix: Floats, steep: float, wanted: float) -> Curve:
    """The curve with the least start of those above which more than `wanted` false alarms an hour are told."""
    hours = sum(one.seconds for one in recordings) / 3600
    middle = -steep * float(np.quantile(np.concatenate([x.ravel() for x in levels]), 0.999))
    best = middle + float(STARTS[0])
    for start in middle + STARTS:
        alarms = 0.0
        for one, level in zip(recordings, levels, strict=True):
            sure = 1 / (1 + np.exp(-np.clip(start + steep * level, -30, 30)))
            sure[:WARM] = 0
            line, more = judged(told(sure, Rules()), one.planted, one.seconds), 3600 * len(one.planted) / one.seconds
            confused = line["of_these_wrong_words_for_a_planted_event"]
            alarms += (line["false_alarms_an_hour"] - confused + confused * min(1.0, RARER / more)) * one.seconds / 3600
        if alarms / hours > wanted:
            break
        best = float(start)
    return (best, *(float(x) for x in steep * mix))


def write(folder: Path, curve: Curve) -> None:
    """Put the curve among the model's own; nothing else of it changes."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", {**config, "confidence": {**config["confidence"], "watch": curve}}, indent=1)
    CLAP.from_pretrained(folder, strict=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--wanted", type=float, default=WANTED, help="false alarms an hour, at most")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    clap = CLAP.from_pretrained(args.model, threads=1)
    if clap.config.confidence is None:
        parser.error(f"{args.model} has no confidence of its own; run runs/mini/confidence.py --write first")
    queries, banks = clap.encode_text(list(ALERTS)), reference_bank(clap)
    recordings = [recorded(clap, args.data, "tune", 3600 * args.hours, int(seed)) for seed in args.seeds.split(",")]
    curve = fitted(recordings, queries, banks, args.wanted)
    table = Table("curve", "found", "false alarms/h", title=f"half “tune”, seeds {args.seeds}, {args.hours:g} h each")
    for one in ((), banks.curves.watch, curve):
        lines = [
            judged(told(heard(r.rows, queries, banks, one).sure, Rules()), r.planted, r.seconds) for r in recordings
        ]
        alarms = float(np.mean([line["false_alarms_an_hour"] for line in lines]))
        table.add_row(str(one or "none of its own"), " + ".join(f"{line['found']} of {line['of']}" for line in lines), f"{alarms:.1f}")  # fmt: skip
    Console(width=120).print(table)
    print(json.dumps({"watch": curve}))
    if args.write:
        write(Path(args.model), curve)


if __name__ == "__main__":
    main()
