"""Whether an exported graph gives what it should: sounds and texts with openclap's own vectors for them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from openclap.audio.load import load
from openclap.backends.onnx.session import OnnxSession
from openclap.checkpoints.load import Checkpoint
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.config import FrontEnd
from openclap.embedder import Embedder
from openclap.labels import labels
from openclap.normalization import Vectors
from openclap.synth import synthesise

if TYPE_CHECKING:
    from openclap.backends import Backend

__all__ = ["EXACT", "WORST_COSINE", "ExportableModel", "OnnxCheck", "calibration_waves", "to_numbers"]

EXACT = 1e-5  # largest difference of a number from openclap's own, in float32
WORST_COSINE = 0.98  # of int8, over sounds and texts it was not calibrated with
CHECK_EVERY = 3  # every third synthesised sound checks int8, the others calibrate it
SOUNDS = ("dog bark", "rain", "church bells")
TEXTS = ("a dog barking", "heavy rain on a tin roof", "church bells ringing far away at night")
SECONDS, RATE = 0.7, 32_000
FULL_SCALE = 32767  # of 16 bits


class ExportableModel(Embedder, Protocol):
    """The members of a CLAP that its export uses."""

    name: str
    front_end: FrontEnd
    checkpoint: Checkpoint

    @property
    def backend(self) -> Backend:
        """What computes embeddings."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Texts to ids."""


def calibration_waves(clap: ExportableModel, sounds: Sequence[tuple[Vectors, int]]) -> list[Vectors]:
    """Waves (1, S) of at most a clip, by which the ranges of int8 are chosen: two thirds of the sounds."""
    front = clap.front_end
    chosen = [sound for i, sound in enumerate(sounds) if i % CHECK_EVERY]
    return [load(sound, front.sampling_rate, seconds=front.clip_seconds)[None] for sound in chosen]


@dataclass(frozen=True)
class OnnxCheck:
    """Sounds, as 16-bit samples at the model's rate, and texts, with what openclap gives for them."""

    waves: list[npt.NDArray[np.int16]]
    sizes: list[int]  # samples; a wave is repeated up to its size
    sounds: Vectors  # (N, E)
    texts: list[str]
    ids: list[list[int]]
    words: Vectors  # (M, E)

    @classmethod
    def of(cls, clap: ExportableModel) -> OnnxCheck:
        """Short sounds, one that is longer than a clip, and texts, for everybody who runs the files."""
        rate, clip = clap.front_end.sampling_rate, clap.front_end.clip_samples
        made = (synthesise(kind, np.random.default_rng(0), rate=RATE, seconds=SECONDS)[0] for kind in SOUNDS)
        takes = [load((wave, RATE), rate) for wave in made]
        return cls._made(clap, takes, [*map(len, takes[:-1]), clip + clip // 4], list(TEXTS))

    @classmethod
    def of_int8(cls, clap: ExportableModel, tower: str, sounds: Sequence[tuple[Vectors, int]]) -> OnnxCheck:
        """The sounds, or texts, that int8 was not calibrated with."""
        if tower == "text":
            return cls._made(clap, [], [], list(labels("audioset")[::4]))
        rate = clap.front_end.sampling_rate
        takes = [load(sound, rate) for sound in sounds[::CHECK_EVERY]]
        return cls._made(clap, takes, [*map(len, takes)], [])

    @classmethod
    def _made(cls, clap: ExportableModel, takes: list[Vectors], sizes: list[int], texts: list[str]) -> OnnxCheck:
        waves = [(take * FULL_SCALE).round().astype(np.int16) for take in takes]
        sounds = [
            (_repeated(wave, size), clap.front_end.sampling_rate) for wave, size in zip(waves, sizes, strict=True)
        ]
        ids = [clap.tokenizer([text])[0][0].tolist() for text in texts]
        return cls(waves, sizes, clap.encode_audio(sounds), texts, ids, clap.encode_text(texts))

    def compare(self, file: Path, tower: str) -> tuple[float, float]:
        """The largest difference of a number, and the worst cosine, of what a file gives from what it should."""
        run = OnnxSession(file)
        if tower == "audio":
            expected = self.sounds
            rows = [run(_repeated(wave, size)[None]) for wave, size in zip(self.waves, self.sizes, strict=True)]
        else:
            expected = self.words
            rows = [run(row, np.ones_like(row)) for row in (np.array([ids], np.int64) for ids in self.ids)]
        made = np.concatenate(rows)
        if not np.isfinite(made).all():
            return float("inf"), -1.0
        return float(np.abs(made - expected).max()), float((made * expected).sum(1).min())

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file: samples of 16 bits, little-endian, in base64."""
        pcm = [base64.b64encode(wave.astype("<i2").tobytes()).decode() for wave in self.waves]
        sounds = zip(SOUNDS, pcm, self.sizes, self.sounds, strict=True)
        return {
            "sounds": [
                {"name": name, "pcm16": coded, "samples": size, "embedding": to_numbers(row)}
                for name, coded, size, row in sounds
            ],
            "texts": [
                {"text": text, "input_ids": ids, "embedding": to_numbers(row)}
                for text, ids, row in zip(self.texts, self.ids, self.words, strict=True)
            ],
            "float32": {"largest_difference": EXACT},
            "int8": {"worst_cosine": WORST_COSINE},
        }


def _repeated(wave: npt.NDArray[np.int16], size: int) -> Vectors:
    """A wave as floats in [-1, 1], repeated up to a number of samples."""
    return np.resize(wave.astype(np.float32) / np.float32(FULL_SCALE), size)


def to_numbers(rows: Vectors) -> Any:
    """Vectors as they stand in JSON files: seven digits after the point."""
    return np.round(rows.astype(np.float64), 7).tolist()
