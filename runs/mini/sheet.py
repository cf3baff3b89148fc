"""The numbers of the development sheet: what training never heard, asked for by words, of any checkpoint (evaluate.py) and any tagger (judge.py).

Which recordings these are: development.csv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from development import held_made, read_rules
from gather import RATE, Sounds, Wave
from rich.console import Console
from rich.table import Table

from openclap import CLAP

__all__ = [
    "LEVELS",
    "NEW",
    "TEMPLATE",
    "DevSound",
    "Figure",
    "Rows",
    "Scores",
    "dev_sounds",
    "embedded",
    "figures",
    "of_rows",
    "show",
]

TEMPLATE = "This is a sound of {}."
LEVELS = (-6, 0, 6, 12)  # dB of a sound over another
LONGEST = 30  # seconds of a recording
NEW = ("berklee", "things")  # folders that mini's third edition has not heard either
DRAWS = 1000  # of the bootstrap
FAMILIES = {0: "piano", 2: "organ", 3: "guitar", 4: "bass guitar", 5: "string instrument", 7: "brass instrument", 8: "woodwind instrument", 9: "flute"}  # fmt: skip
SPEAKERS = {"man": "a man speaking", "woman": "a woman speaking", "child": "a child speaking"}
SUNG = {"malevoice": "a man singing", "femalevoice": "a woman singing"}
Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]  # unit rows (N, E)
Scores = Callable[[Sequence["DevSound"], Sequence[str]], Array]  # sounds (N,), texts (M,) → how well each fits (N, M)


@dataclass(frozen=True)
class DevSound:
    """One recording kept aside; `asked` is what it is asked for by."""

    set: str  # concept, fold, source, take, mixture at a level, family, speaker
    folder: str
    name: str
    asked: str
    wave: Wave


@dataclass(frozen=True)
class Figure:
    """A share between 0 and 1, the bounds of its 95 % interval, and of how many."""

    value: float
    low: float
    high: float
    count: int


def dev_sounds(sounds: Path) -> list[DevSound]:
    """All that development.csv keeps aside, what was rendered and kept aside, and mixtures; in a fixed order."""
    rules, found = read_rules(), []
    for folder in ("berklee", "things", "effects", "esc10", "music", "long"):
        source = Sounds(sounds, folder)
        for i, row in enumerate(source.rows):
            rule = next((r for r in rules if r.matches(folder, row.name, row.caption)), None)
            if rule is not None and row.samples > RATE // 100:
                asked = rule.label or (row.label if rule.set == "fold" else row.caption)
                found.append(DevSound(rule.set, folder, row.name, asked, source.wave(i, 0, LONGEST * RATE)))
    return [*found, *_mixtures(found), *_made(sounds)]


def _mixtures(sounds: Sequence[DevSound]) -> Iterable[DevSound]:
    """Every fourth sound of the held-out concepts over one of the fold, at four levels."""
    concepts = [s for s in sounds if s.set == "concept" and s.folder in NEW][::4]
    under = [s for s in sounds if s.set == "fold"]
    rng = np.random.default_rng(11)
    for sound in concepts:
        other = _five_seconds(under[int(rng.integers(len(under)))].wave)
        wave = _five_seconds(sound.wave)
        loud = float(np.sqrt((sound.wave[: 5 * RATE] ** 2).mean())) + 1e-6
        for decibel in LEVELS:
            below = other * np.float32(loud / (np.sqrt((other**2).mean()) + 1e-6) * 10 ** (-decibel / 20))
            yield DevSound(f"mixture {decibel} dB", sound.folder, sound.name, sound.asked, wave + below)


def _five_seconds(wave: Wave) -> Wave:
    return np.pad(wave[: 5 * RATE], (0, max(0, 5 * RATE - len(wave))))


def _made(sounds: Path) -> Iterable[DevSound]:
    """Instruments and voices that were rendered, but not to be trained on; and voices that people sang."""
    for source in ("instruments", "voices", "berklee"):
        if not (sounds / f"{source}.csv").is_file():
            continue
        store = Sounds(sounds, source)
        taken: dict[str, int] = {}
        for i, row in enumerate(store.rows):
            first = row.label.split()[0] if row.label else ""
            if source == "berklee":
                kind, asked = "singer", next((a for n, a in SUNG.items() if row.caption.startswith(n)), None)
            elif not held_made(source, row.label):
                continue
            elif source == "instruments":
                kind, asked = "family", FAMILIES.get(int(row.label.split()[-1]) // 8)
            else:
                kind, asked = "speaker", SPEAKERS.get(first)
            taken[str(asked)] = taken.get(str(asked), 0) + 1
            if asked is not None and row.samples > RATE // 2 and taken[asked] <= 40:
                yield DevSound(kind, source, row.name, asked, store.wave(i, 0, 10 * RATE))


def figures(sounds: Sequence[DevSound], scores: Scores) -> dict[str, Figure]:
    """Every number of the sheet."""
    strange = [s for s in sounds if s.set == "concept" and s.folder in NEW]
    labels = sorted({s.asked for s in strange})
    prompts = [TEMPLATE.format(label) for label in labels]
    fits = scores(strange, prompts)
    wanted = np.array([labels.index(s.asked) for s in strange])
    right = (fits.argmax(1) == wanted).astype(float)
    short = np.array([len(s.wave) < RATE for s in strange])
    found = {
        "concepts never heard": _figure(right, wanted),
        "  less what is usual": _figure((fits - fits.mean(0)).argmax(1) == wanted, wanted),
        "  among the first three": _figure((np.argsort(-fits, 1)[:, :3] == wanted[:, None]).any(1), wanted),
        "  under a second": _figure(right[short]),
    }
    for name, kind, texts in (
        ("ESC-10, a fold never heard", "fold", None),
        ("instrument families", "family", None),
        ("man, woman, child speaking", "speaker", None),
        ("man, woman singing", "singer", None),
    ):
        some = [s for s in sounds if s.set == kind]
        if some:
            found[name] = _named(some, scores, texts)
    for decibel in LEVELS:
        some = [s for s in sounds if s.set == f"mixture {decibel} dB"]
        at = np.array([labels.index(s.asked) for s in some])
        best = np.argsort(-scores(some, prompts), 1)[:, :3]
        found[f"  at {decibel} dB, among the first three"] = _figure((best == at[:, None]).any(1), at)
    for name, kind in (("a source never heard, R@5", "source"), ("takes never heard, R@5", "take")):
        found[name] = _retrieved([s for s in sounds if s.set == kind], scores)
    return found


def _named(sounds: Sequence[DevSound], scores: Scores, labels: Sequence[str] | None) -> Figure:
    names = sorted({s.asked for s in sounds}) if labels is None else list(labels)
    fits = scores(sounds, [TEMPLATE.format(name) for name in names])
    return _figure(np.array([names[i] for i in fits.argmax(1)]) == np.array([s.asked for s in sounds]))


def _retrieved(sounds: Sequence[DevSound], scores: Scores) -> Figure:
    """Share of names with one of their recordings among the five best."""
    names = sorted({s.asked for s in sounds})
    fits = scores(sounds, names)
    own = np.array([[s.asked == name for name in names] for s in sounds])
    best = np.argsort(-fits, axis=0, kind="stable")[:5]
    return _figure(np.take_along_axis(own, best, 0).any(0))


def _figure(right: npt.ArrayLike, groups: npt.NDArray[np.intp] | None = None) -> Figure:
    """The mean; its interval by drawing groups anew where there are some (a concept's takes are much alike), else sounds."""
    values = np.asarray(right, float)
    rng = np.random.default_rng(0)
    if groups is None:
        groups = np.arange(len(values))
    numbers, group = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group)
    drawn = rng.integers(len(numbers), size=(DRAWS, len(numbers)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Figure(round(float(values.mean()), 4), round(float(low), 4), round(float(high), 4), len(values))


def embedded(clap: CLAP, sounds: Sequence[DevSound]) -> Rows:
    """A row a sound, as a library hears them: windows for what is longer than a clip."""
    return clap.encode_audio([(s.wave, RATE) for s in sounds], long="windows")


def of_rows(clap: CLAP, sounds: Sequence[DevSound], embeddings: Rows) -> Scores:
    """Cosines of sounds that are embedded already."""
    rows = dict(zip(map(id, sounds), embeddings, strict=True))

    def scores(some: Sequence[DevSound], texts: Sequence[str]) -> Array:
        return np.stack([rows[id(s)] for s in some]) @ clap.encode_text(list(texts)).T

    return scores


def show(tables: dict[str, dict[str, Figure]]) -> None:
    """Models beside each other."""
    table = Table(title="what training never heard, asked for by words")
    table.add_column("")
    for name in tables:
        table.add_column(name, justify="right")
    table.add_column("of", justify="right")
    for line in next(iter(tables.values())):
        cells = (f"{f.value:.3f} ({f.low:.2f}-{f.high:.2f})" for f in (found[line] for found in tables.values()))
        table.add_row(line, *cells, str(next(iter(tables.values()))[line].count))
    Console().print(table)
