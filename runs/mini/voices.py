"""Voices by espeak-ng: many languages, ages, moods, whispers, robots; alone and several at once. Debian's espeak-ng."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gather import RATE, Made, Wave

from openclap.audio.load import load

__all__ = ["LANGUAGES", "MEN", "WOMEN", "voices"]

LANGUAGES = [
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-us-nyc",
    "en-029",
    "af",
    "ar",
    "bg",
    "bn",
    "ca",
    "cs",
    "cy",
    "da",
    "de",
    "el",
    "es",
    "es-419",
    "et",
    "eu",
    "fa",
    "fi",
    "fr-fr",
    "fr-be",
    "ga",
    "gd",
    "gu",
    "he",
    "hi",
    "hr",
    "hu",
    "hy",
    "id",
    "is",
    "it",
    "ja",
    "ka",
    "ko",
    "la",
    "lt",
    "lv",
    "mk",
    "ml",
    "mr",
    "ms",
    "nb",
    "ne",
    "nl",
    "pa",
    "pl",
    "pt",
    "pt-br",
    "ro",
    "ru",
    "sk",
    "sl",
    "sq",
    "sr",
    "sv",
    "sw",
    "ta",
    "te",
    "th",
    "tr",
    "uk",
    "ur",
    "vi",
    "yue",
    "cmn",
    "eo",
]
MEN = [
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "adam",
    "antonio",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "ed",
    "edward",
    "gene",
    "henrique",
    "hugo",
    "iven",
    "jacky",
    "john",
    "lee",
    "marco",
    "michael",
    "mike",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "travis",
    "victor",
    "zac",
    "grandpa",
]
WOMEN = [
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "alicia",
    "andrea",
    "anika",
    "annie",
    "aunty",
    "belinda",
    "linda",
    "shelby",
    "steph",
    "grandma",
]
ODD = [
    "whisper",
    "whisperf",
    "croak",
    "robosoft",
    "robosoft3",
    "unirobot",
    "demonic",
    "klatt",
    "klatt4",
    "tweaky",
    "kaukovalta",
]
NAMES = {p.name.lower(): p.name for p in Path("/usr/lib/x86_64-linux-gnu/espeak-ng-data/voices/!v").glob("*")}
SENTENCES = (
    "the train to the coast leaves at seven from platform two",
    "could you please tell me how to get to the station",
    "oh no, I have forgotten my keys again",
    "good evening and welcome to the news at ten",
    "one two three four five six seven eight nine ten",
    "I really do not think that this is a good idea",
    "come here! quick! look at that!",
    "once upon a time, in a small house by the river, there lived an old man with his three daughters",
    "hello, how are you today",
    "stop! stop! get out of here!",
    "yes", "no", "hello", "help me", "thank you very much",
    "the quick brown fox jumps over the lazy dog",
    "ladies and gentlemen, the doors are closing, please mind the gap",
    "mister speaker, the government must answer for this",
    "happy birthday to you, happy birthday to you",
    "a b c d e f g h i j k l m n o p",
    "mama, mama, can I have some ice cream, please please please",
    "ha ha ha ha ha", "ah ah ah ah", "la la la la la la la", "mmmmmm", "shhhhhh", "aaaaaah", "ooooooh",
)  # fmt: skip
NUMBERS = "1 2 3 4 5 6 7 8 9 10 11 12 13 1984 2500 317"


def voices(seed: int = 4, count: int = 1500) -> Iterator[Made]:
    """Sentences in many voices; every eighth, several at once."""
    rng = np.random.default_rng(seed)
    kept: list[Wave] = []
    for number in range(count):
        language = "en-us" if rng.random() < 0.3 else str(rng.choice(LANGUAGES))
        text = str(rng.choice(SENTENCES)) if language.startswith("en") or rng.random() < 0.5 else NUMBERS
        who = str(rng.choice(["man", "woman", "child", "odd"], p=[0.36, 0.36, 0.18, 0.10]))
        variant = str(rng.choice({"man": MEN, "woman": WOMEN, "child": WOMEN, "odd": ODD}[who]))
        pitch = int(rng.integers(80, 100)) if who == "child" else int(rng.integers(20, 75))
        speed = int(rng.integers(110, 260))
        wave = spoken(text, language, variant, pitch, speed, int(rng.integers(60, 180)))
        if len(wave) < RATE // 20:
            continue
        kept = [*kept[-40:], wave]
        if number % 8 == 7 and len(kept) > 12:
            crowd = _crowd(kept, int(rng.integers(3, 12)), rng)
            yield Made(f"crowd_{number:04d}", crowd, "many voices at once", "crowd")
        yield Made(f"{number:04d}_{language}_{variant}", wave, f"a {who} speaking", f"{who} {variant} {language}")


def spoken(text: str, language: str, variant: str, pitch: int, speed: int, loud: int) -> Wave:
    """By espeak-ng, at its own rate and then ours."""
    name = NAMES.get(variant, variant)
    command = [
        "espeak-ng",
        "-v",
        f"{language}+{name}",
        "-p",
        str(pitch),
        "-s",
        str(speed),
        "-a",
        str(loud),
        "--stdout",
        text,
    ]
    done = subprocess.run(command, check=False, capture_output=True)
    return load(done.stdout, RATE) if len(done.stdout) > 100 else np.zeros(0, np.float32)


def _crowd(waves: list[Wave], count: int, rng: np.random.Generator) -> Wave:
    total = np.zeros(6 * RATE, np.float32)
    for _ in range(count * 2):
        wave = waves[int(rng.integers(len(waves)))][: len(total)]
        at = int(rng.integers(max(len(total) - len(wave), 1)))
        total[at : at + len(wave)] += wave * np.float32(rng.uniform(0.1, 1))
    return total / np.float32(max(float(np.abs(total).max()), 1e-3))
