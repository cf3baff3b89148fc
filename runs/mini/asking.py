"""What a collection of strangers' sounds is asked for, and which of its sounds answer: the cases that confidence is fitted on and judged by.

Every question is put to collections of three sizes twice: with the sounds that answer it, and without them. Sounds are those of sheet.py;
questions are labels, captions as their authors wrote them, other words for both (queries.csv, paraphrases.csv), and of mixtures the
sound that lies in front. Sounds are questions as well: other recordings that are called alike are right.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from development import HERE
from sheet import LEVELS, NEW, DevSound

__all__ = ["HERE", "Case", "Question", "cases", "cases_by_sounds", "questions"]

SIZES = (60, 200, 600)  # sounds of a collection
# said of many sounds, or how loud, long and many: no sign that two are one thing
LITTLE = """a an the of on in with and for to at is its it sound sounds noise instrument loop short long heavy small soft hard big little old modern
 electric loud speaking talking playing being someone somebody group one up down off out b c d e game fail kill cute wet yes no"""
# words of which each may answer the other: such a sound is neither right nor wrong
ALIKE = (
    """man woman child voice singing speech male female hello radio announcement baby cry crying scream moan laugh laughter aww yey yeah song joke bruh wow whoops
 access danger shot time message nope haters hell please thank bye what who beautiful correct dude love eyes mmm confused hallelujah yeet robot""",  # said by voices
    """piano organ guitar bass string brass woodwind flute violin fiddle sitar kalimba theremin music didgeridoo tambourine harmonica song jingle drum orchestral trombone bugle gong
 dramatic bg reveille timpani""",
    "gong bell bells church chimes doorbell bicycle telephone ding phone",
    "rain water sea wave waves ocean toilet sprinkler stream shower gargling",
    "explosion gun gunshot rifle pistol bomb thunder fireworks fireball blast",
    "siren police alarm ambulance horn train car vehicle",
    "drill shaver vacuum dryer chainsaw sawing saw motorboat engine motor compressor helicopter",
    "chewing eating munch bite crunch gargling",
    "bird chicken rooster duck quacking parrot seagull peacock canary",
    "goat sheep cow lamb camel horse",
    "snoring snort pig growl snarl roar moan",
    "fly bee bumble mosquito cicada cricket crickets buzzer",
    "footsteps walking walk steps step knock gallop",
    "tearing paper rip cloth zipper scrape scratch",
    "clock tick camera shutter cock",
    "applause clap clapping audience crowd",
)
SAID_OF_MANY = set(LITTLE.split())
GROUPS = tuple({word.rstrip("s") for word in group.split()} for group in ALIKE)


@dataclass(frozen=True)
class Question:
    """Words, and the concept they stand for; questions of one concept are never both fitted on and judged by."""

    text: str
    concept: str
    kind: str  # label, caption, paraphrase, mixture


@dataclass(frozen=True)
class Case:
    """A question, or a sound, put to some of the sounds; `answers` are those of them that are right, none where it is asked without."""

    question: int
    there: bool
    collection: npt.NDArray[np.intp]
    answers: npt.NDArray[np.bool_]


def questions(sounds: Sequence[DevSound]) -> list[Question]:
    """All questions to these sounds, in a fixed order."""
    found = []
    for kind in ("concept", "fold", "family", "speaker", "singer"):
        found += [Question(name, name, "label") for name in sorted({s.asked for s in sounds if s.set == kind})]
    found += [
        Question(s.asked, s.asked, "caption") for s in _firsts([s for s in sounds if s.set in ("source", "take")])
    ]
    asked = {question.concept for question in found}
    for file in ("queries.csv", "paraphrases.csv"):
        with (HERE / file).open(encoding="utf-8", newline="") as lines:
            found += [
                Question(r["query"], r["label"], "paraphrase") for r in csv.DictReader(lines) if r["label"] in asked
            ]
    mixed = sorted({s.asked for s in sounds if s.set.startswith("mixture")})
    return [*found, *(Question(name, name, "mixture") for name in mixed)]


def cases(sounds: Sequence[DevSound], asked: Sequence[Question]) -> Iterator[Case]:
    """Every question to collections with and without what answers it; the same for every model."""
    rng = np.random.default_rng(17)
    words = [words_of(s.asked) | ({"music"} if s.set == "family" else set()) for s in sounds]
    groups = [_groups(some) for some in words]
    names = [s.asked for s in sounds]
    levels = np.array([int(s.set.split()[1]) if s.set.startswith("mixture") else 99 for s in sounds])
    plain, kinds = np.flatnonzero(levels == 99), {level: np.flatnonzero(levels == level) for level in LEVELS}
    for number, question in enumerate(asked):
        own, alike = words_of(question.concept), _groups(words_of(question.concept))
        right = np.array([n == question.concept or bool(own & w) for n, w in zip(names, words, strict=True)])
        unclear = ~right & np.array([bool(alike & g) for g in groups])
        for size, level in zip(SIZES, rng.permutation(LEVELS), strict=False):
            pool = np.concatenate([kinds[level], plain]) if question.kind == "mixture" else plain
            theirs = kinds[level] if question.kind == "mixture" else plain
            others = rng.permutation(pool[~right[pool] & ~unclear[pool]])[:size]
            yield Case(number, False, others, np.zeros(len(others), bool))
            answers = rng.permutation(theirs[right[theirs]])[: max(1, size // 60)]
            if len(answers):
                some = np.concatenate([answers, others])
                yield Case(number, True, some, np.arange(len(some)) < len(answers))


def cases_by_sounds(sounds: Sequence[DevSound]) -> Iterator[Case]:
    """Every sound that is no mixture as a question to others, with and without those that are called alike."""
    rng = np.random.default_rng(17)
    plain = np.array([i for i, s in enumerate(sounds) if not s.set.startswith("mixture")])
    names, words = [s.asked for s in sounds], [words_of(s.asked) - {"instrument"} for s in sounds]
    groups = [_groups(some) for some in words]
    for number in plain:
        others = plain[plain != number]
        right = np.array([names[i] == names[number] or bool(words[i] & words[number]) for i in others])
        unclear = ~right & np.array([bool(groups[i] & groups[number]) for i in others])
        for size in SIZES:
            away = rng.permutation(others[~right & ~unclear])[:size]
            yield Case(int(number), False, away, np.zeros(len(away), bool))
            answers = rng.permutation(others[right])[: max(1, size // 60)]
            if len(answers):
                some = np.concatenate([answers, away])
                yield Case(int(number), True, some, np.arange(len(some)) < len(answers))


def words_of(text: str) -> set[str]:
    """What it is about, without plural."""
    return {word.rstrip("s") for word in re.findall(r"[a-z]+", text.lower()) if word not in SAID_OF_MANY}


def unheard_by_the_third_edition(sound: DevSound) -> bool:
    """Whether mini's third edition was not trained on it either."""
    return sound.folder in (*NEW, "instruments", "voices")


def _groups(words: set[str]) -> set[int]:
    return {number for number, group in enumerate(GROUPS) if group & words}


def _firsts(sounds: Sequence[DevSound]) -> list[DevSound]:
    """One of each caption."""
    return list({s.asked: s for s in sounds}.values())
