"""What training never hears: whole concepts, a whole source, a fold of ESC-10, second takes. Read from development.csv.

A concept's pattern must match a whole caption, of any folder; the other sets' patterns a whole file name within their folder.
`label` is what a concept is asked for by, written down before any model of this edition was trained.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HERE", "Rule", "held", "held_made", "read_rules"]

HERE = Path(__file__).parent
GM_HELD = {3, 8, 12, 15, 19, 22, 26, 31, 35, 39, 43, 46, 51, 55, 58, 64, 71, 75, 82, 91, 105, 112}  # programmes, from 0
GM_CONCEPTS = {10, 40, 104, 108, 110, 124}  # music box, violin, sitar, kalimba, fiddle, telephone: held-out concepts
DRUM_CONCEPTS = {54}  # tambourine
VOICES_HELD = {"f3", "m5", "belinda", "andrea", "edward", "grandma", "victor", "annie"}  # variants of espeak-ng
LANGUAGES_HELD = {"it", "sv", "hi", "tr", "vi", "el"}
SYNTH_CONCEPTS = {
    "vehicle horn", "electric drill", "vacuum cleaner", "train", "explosion", "glass breaking", "siren", "police siren", "cow", "cow moo",
    "duck quack", "goat bleat", "church bells", "doorbell", "bicycle bell", "telephone", "phone ringing", "train whistle", "mosquito",
    "bee", "footsteps on hard", "footsteps on gravel", "coughing", "snoring", "wind chimes", "music box", "gong", "violin", "zipper",
    "typing", "sheep baa", "telephone ringing", "toilet flush",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One line of development.csv."""

    set: str
    folder: str
    pattern: re.Pattern[str]
    label: str

    def matches(self, folder: str, name: str, caption: str) -> bool:
        """Whether a sound is one of these."""
        if self.folder not in ("*", folder):
            return False
        return self.pattern.fullmatch(caption if self.set == "concept" else name) is not None


def read_rules() -> list[Rule]:
    """All lines."""
    with (HERE / "development.csv").open(encoding="utf-8", newline="") as file:
        return [Rule(r["set"], r["folder"], re.compile(r["pattern"]), r["label"]) for r in csv.DictReader(file)]


def held() -> Callable[[str, str, str], Rule | None]:
    """(folder, name, caption) → the rule by which a sound is kept aside; None, it may be trained on."""
    rules = read_rules()

    def rule_of(folder: str, name: str, caption: str) -> Rule | None:
        return next((rule for rule in rules if rule.matches(folder, name, caption)), None)

    return rule_of


def held_made(source: str, label: str) -> bool:
    """Whether a sound that was made, not recorded, is kept aside: a programme, a voice, a language, a kind."""
    if source == "instruments":
        return int(label.rsplit(maxsplit=1)[-1]) in GM_HELD | GM_CONCEPTS
    if source == "drums":
        return label.startswith("drum ") and label[5:].isdigit() and int(label[5:]) in DRUM_CONCEPTS
    if source == "voices":
        return bool(set(label.split()) & (VOICES_HELD | LANGUAGES_HELD))
    return source == "synth" and label in SYNTH_CONCEPTS
