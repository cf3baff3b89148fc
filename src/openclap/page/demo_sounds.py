"""Sounds that are synthesised for those who bring none, each when it is first asked for. Knows nothing of gradio."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf

from openclap.atomic_write import atomic_write
from openclap.page.strings import Language
from openclap.synth import synthesise

__all__ = ["EXAMPLES", "KINDS", "QUERIES", "DemoSounds", "example_words"]

RATE = 32_000
SECONDS = 6.0
# of the demo sounds in which anybody may search, each with its name in 中文
KINDS = {
    "dog bark": "狗叫", "rooster": "公鸡打鸣", "rain": "下雨", "siren": "警笛", "church bells": "教堂钟声", "wind": "风", "sea waves": "海浪",
    "thunder": "雷声", "fire crackling": "火焰噼啪", "bird": "鸟鸣", "frog": "蛙鸣", "cat meow": "猫叫", "baby cry": "婴儿哭", "doorbell": "门铃",
    "helicopter": "直升机", "train": "火车", "door knock": "敲门", "applause": "掌声", "guitar": "吉他", "piano": "钢琴",
}  # fmt: skip
# key of the table → its kind; texts to match it with and labels to choose from, in English and 中文
EXAMPLES: dict[str, tuple[str, tuple[str, str], tuple[str, str]]] = {
    "example.dog": (
        "dog bark",
        ("a dog barking\na cat meowing\nheavy rain\nsomeone plays the piano", "狗叫\n猫叫\n大雨\n钢琴"),
        ("dog, cat, cow, rooster, rain", "狗，猫，牛，公鸡，雨"),
    ),
    "example.rooster": (
        "rooster",
        ("a rooster crowing\na baby crying\na police siren", "公鸡打鸣\n婴儿哭声\n警笛"),
        ("rooster, baby crying, helicopter, church bells", "公鸡，婴儿哭声，直升机，教堂钟声"),
    ),
    "example.rain": (
        "rain",
        ("rain falling\nwind blowing\napplause\na crackling fire", "下雨\n风声\n鼓掌\n火焰噼啪声"),
        ("rain, wind, sea waves, applause, train", "雨，风，海浪，鼓掌，火车"),
    ),
    "example.siren": (
        "siren",
        ("a police siren\na rooster crowing\na telephone ringing", "警笛\n公鸡打鸣\n电话铃声"),
        ("siren, telephone, alarm clock, vehicle horn", "警笛，电话，闹钟，汽车喇叭"),
    ),
    "example.bells": (
        "church bells",
        ("church bells\na doorbell\na piano playing", "教堂钟声\n门铃\n钢琴"),
        ("church bells, telephone, footsteps, thunder", "教堂钟声，电话，脚步声，雷声"),
    ),
}
QUERIES: tuple[tuple[str, str], ...] = (
    ("a puppy yapping", "小狗叫"),
    ("someone knocks at the door", "有人敲门"),
    ("an audience claps", "观众鼓掌"),
    ("waves at the beach", "海浪声"),
    ("rain + wind -thunder", "雨 + 风 -雷声"),
)
# what is heard in a minute of wind: seconds, kind, and the seed of a take that is heard in the wind
OUTDOORS = ((8.0, "dog bark", 1), (22.0, "siren", 38), (38.0, "church bells", 3), (50.0, "rooster", 4))
OUTDOORS_SECONDS = 60.0


def example_words(key: str, language: Language) -> tuple[str, str]:
    """Texts to match an example with, one a line, and labels to choose from."""
    _, texts, labels = EXAMPLES[key]
    return (texts[0], labels[0]) if language == "en" else (texts[1], labels[1])


class DemoSounds:
    """A folder that fills with sounds; each is the same every time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def sound(self, kind: str) -> Path:
        """One of `KINDS`, some seconds of it."""
        seed = (11, list(KINDS).index(kind))
        return self._write(kind, lambda: synthesise(kind, np.random.default_rng(seed), rate=RATE, seconds=SECONDS)[0])

    def outdoors(self) -> Path:
        """A minute of wind, in which other things are heard."""

        def mix() -> npt.NDArray[np.floating[Any]]:
            wave = 0.05 * synthesise("wind", np.random.default_rng((12, 0)), rate=RATE, seconds=OUTDOORS_SECONDS)[0]
            for at, kind, seed in OUTDOORS:
                some, _ = synthesise(kind, np.random.default_rng((12, seed)), rate=RATE, seconds=5.0)
                begin = round(at * RATE)
                wave[begin : begin + len(some)] += some[: len(wave) - begin]
            return 0.9 * wave / np.abs(wave).max()

        return self._write("a minute outdoors", mix)

    def _write(self, name: str, make: Any) -> Path:
        place = self._folder / f"{name}.wav"
        with self._lock:
            if not place.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic_write(place) as part:
                    sf.write(part, make(), RATE, format="WAV", subtype="PCM_16")
        return place
