"""What tests of libraries share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile as sf

if TYPE_CHECKING:  # `conftest` imports this before there is a home for openclap
    from openclap import CLAP

RATE = 16_000


@pytest.fixture(params=["lib", "lib.lance"], ids=["sqlite", "lance"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a library of each store is made; `conftest` has it for every test."""
    found: Path = tmp_path / request.param
    return found


def noise(number: int, seed: int = 0) -> np.ndarray:
    """A quarter of a second, another one for each number."""
    wave: np.ndarray = (np.random.default_rng([seed, number]).standard_normal(RATE // 4) * 0.1).astype(np.float32)
    return wave


def fill(
    folder: Path, count: int = 4, seed: int = 0, *, name: str = "{}.wav", wave: Callable[[int, int], Any] = noise
) -> Path:
    """So many sounds in a folder: `wave` of their numbers and the seed → the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        sf.write(folder / name.format(number), wave(number, seed), RATE)
    return folder


class Counted:
    """A CLAP that counts what it is asked to embed."""

    def __init__(self, clap: CLAP) -> None:
        self._clap = clap
        self.sounds: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._clap, name)

    def encode_each(self, sounds: list[str], **options: object) -> object:
        self.sounds += [Path(sound).name for sound in sounds]
        return self._clap.encode_each(sounds, **options)  # type: ignore[arg-type]
