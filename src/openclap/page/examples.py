"""Sounds that the examples of the page use, synthesised once a machine into the user's cache. Knows nothing of gradio."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf
from platformdirs import user_cache_path

from openclap.page.strings import TABLE, Language
from openclap.synth import synthesise, write_library

__all__ = ["LONG_TRIED", "LONG_WORDS", "QUERIES", "SINGLE", "TRIED", "Examples", "words_for"]

RATE = 32_000
SECONDS = 6.0

# key of the table → the kind that is synthesised, texts to match it with, labels to choose from
SINGLE: dict[str, tuple[str, str, str]] = {
    "example.dog": (
        "dog bark",
        "a dog barking\na cat meowing\nheavy rain\nsomeone plays the piano",
        "dog, cat, cow, rooster, rain",
    ),
    "example.rooster": (
        "rooster",
        "a rooster crowing\na baby crying\na police siren",
        "rooster, baby crying, helicopter, church bells",
    ),
    "example.rain": (
        "rain",
        "rain falling\nwind blowing\napplause\na crackling fire",
        "rain, wind, sea waves, applause, train",
    ),
    "example.siren": (
        "siren",
        "a police siren\na rooster crowing\na telephone ringing",
        "siren, telephone, alarm clock, vehicle horn",
    ),
    "example.bells": (
        "church bells",
        "church bells\na doorbell\na piano playing",
        "church bells, telephone, footsteps, thunder",
    ),
}
# the same in Chinese
SPOKEN: dict[str, tuple[str, str]] = {
    "example.dog": ("狗叫\n猫叫\n大雨\n钢琴", "狗，猫，牛，公鸡，雨"),
    "example.rooster": ("公鸡打鸣\n婴儿哭声\n警笛", "公鸡，婴儿哭声，直升机，教堂钟声"),
    "example.rain": ("下雨\n风声\n鼓掌\n火焰噼啪声", "雨，风，海浪，鼓掌，火车"),
    "example.siren": ("警笛\n公鸡打鸣\n电话铃声", "警笛，电话，闹钟，汽车喇叭"),
    "example.bells": ("教堂钟声\n门铃\n钢琴", "教堂钟声，电话，脚步声，雷声"),
}
TRIED = ("try.puppy", "try.bells", "try.knock", "try.applause", "try.waves")  # keys of the table: words to search by
QUERIES = tuple(TABLE[key][0] for key in TRIED)
LONG = ((8.0, "dog bark"), (22.0, "siren"), (38.0, "church bells"), (50.0, "rooster"))  # seconds, kind
LONG_TAKES = {"siren": 38}  # seeds, where the first take is not heard in the wind
LONG_SECONDS = 60.0
LONG_TRIED = ("try.dog", "try.siren", "try.bells", "try.rooster")
LONG_WORDS = tuple(TABLE[key][0] for key in LONG_TRIED)


# of the library that is searched before there is one of one's own
KINDS = (
    "rain",
    "wind",
    "sea waves",
    "stream",
    "thunder",
    "fire crackling",
    "bird",
    "frog",
    "dog bark",
    "cat meow",
    "rooster",
    "cow moo",
    "baby cry",
    "siren",
    "church bells",
    "doorbell",
    "telephone ringing",
    "helicopter",
    "train",
    "footsteps on hard",
    "door knock",
    "applause",
    "glass breaking",
    "guitar",
    "piano",
    "flute",
    "organ",
    "electronic drum beat",
)
VERSION = 2  # counts up when what is made changes


def words_for(key: str, language: Language) -> tuple[str, str]:
    """Texts to match an example with, one a line, and labels to choose from, in a language."""
    return SINGLE[key][1:] if language == "en" else SPOKEN[key]


class Examples:
    """A folder of examples; what is there is not made again. Whatever is made is whole or not there."""

    def __init__(self) -> None:
        self.folder = user_cache_path("openclap") / f"examples-{VERSION}"
        self._locks: dict[str, threading.Lock] = {}

    def prepare(self) -> None:
        """Make all of them."""
        for key in SINGLE:
            self.single(key)
        self.long()
        self.library()

    def single(self, key: str) -> Path:
        """One sound of some seconds."""
        kind = SINGLE[key][0]
        number = list(SINGLE).index(key)

        def write(aside: Path) -> None:
            _write(aside, synthesise(kind, np.random.default_rng((11, number)), rate=RATE, seconds=SECONDS)[0])

        return self._made(self.folder / f"{kind.replace(' ', '_')}.wav", write)

    def long(self) -> Path:
        """A minute of wind, in which four things are heard."""

        def write(aside: Path) -> None:
            wave = 0.05 * synthesise("wind", np.random.default_rng((12, 0)), rate=RATE, seconds=LONG_SECONDS)[0]
            for number, (at, kind) in enumerate(LONG, 1):
                some, _ = synthesise(
                    kind, np.random.default_rng((12, LONG_TAKES.get(kind, number))), rate=RATE, seconds=5.0
                )
                begin = round(at * RATE)
                wave[begin : begin + len(some)] += some[: len(wave) - begin]
            _write(aside, 0.9 * wave / np.abs(wave).max())

        return self._made(self.folder / "a_minute_outdoors.wav", write)

    def library(self) -> Path:
        """A folder with a sound of every kind."""
        return self._made(self.folder / "library", lambda aside: write_library(aside, seed=7, rate=RATE, kinds=KINDS))

    def _made(self, place: Path, write: Callable[[Path], object]) -> Path:
        with self._locks.setdefault(place.name, threading.Lock()):
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                aside = place.with_name(
                    f".{os.urandom(8).hex()}-{place.name}"
                )  # in containers every process has one number
                write(aside)
                try:
                    aside.rename(place)
                except OSError:  # another process was quicker
                    shutil.rmtree(aside, ignore_errors=True)
        return place


def _write(file: Path, wave: npt.NDArray[np.floating[Any]]) -> None:
    sf.write(file, wave, RATE, format="WAV", subtype="PCM_16")
