"""The cosine of a query and a window → how likely it is that the window holds what was asked for.

A cosine means little by itself: it depends on the model, on the words, and on how much a window resembles everything.
Two fixed banks give reference values:

    texts   132 names of everyday sounds (every fourth AudioSet label): what else could this window be called?
    sounds  56 synthesised sounds, one of each kind: how near are these words to any sound at all?

For words, the distances of the cosine from the means of both banks, in standard deviations, go through a logistic
curve. For a sound, the curve takes two other numbers: `share`, how far the cosine lies between the mean cosine of these
two sounds with the bank (0) and 1 (1); and how many decades `1 - share` has shrunk: 0 at that mean, 1 where a tenth is
left, 3 for the same recording. The curves are the model's (`CLAPConfig.confidence`), fitted by
`runs/mini/confidence.py` on recordings that it had never heard. Source of the labels: AudioSet's ontology (Gemmeke et
al. 2017, CC BY 4.0).
"""

from __future__ import annotations

import contextlib
import math
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from openclap.atomic_write import atomic_write
from openclap.config import CLAPConfig, ConfidenceCurves
from openclap.embedder import Embedder
from openclap.errors import OpenClapError, SoundError, UsageError
from openclap.labels import labels
from openclap.normalization import Vectors
from openclap.regular_files import open_regular

__all__ = [
    "DEFAULT_CURVES",
    "UNLIKELY",
    "ReferenceBank",
    "confidence_curves",
    "embed_banks",
    "has_own_curves",
    "packaged_bank",
    "reference_bank",
    "save_banks",
]


VERSION = 1  # of the banks
# a guess for models without curves of their own: those of mini's third edition
DEFAULT_CURVES = ConfidenceCurves(
    words=(-9.54, 0.66, 2.0),
    sounds=(-15.9, 19.2),
    fingerprint="86b7c91662cc86f7",
    fitted_on=(
        "48 paraphrases, labels and captions of ESC-10 and of sound effects, asked of models of its training that had"
        " not heard them"
    ),
)
UNLIKELY = (
    DEFAULT_CURVES.unlikely
)  # below it a search says "nothing here sounds like that"; a model may have its own threshold
A_NAME = 5.0  # deviations of a cosine that a file gains which is called by all words of a query (`bench/hybrid.py`)
ALMOST = 1e-3  # `1 - share` from which two sounds count as the same recording
LEAST = 3  # rows of a bank: of fewer there is no usual cosine
REMEMBERED = 4  # models whose banks stay in memory


@dataclass(frozen=True, eq=False)
class ReferenceBank:
    """The reference embeddings of a model, `texts` (B, E) and `sounds` (N, E) with unit rows, and its curves."""

    texts: Vectors
    sounds: Vectors
    curves: ConfidenceCurves = DEFAULT_CURVES

    def features(self, query: Vectors, window: Vectors, *, words: bool) -> tuple[float, ...]:
        """What the curves take: the cosine of two unit vectors (E,), seen against the banks."""
        return self._features_of(query, words=words)(window)

    def confidence(self, query: Vectors, window: Vectors, *, words: bool) -> float:
        """How likely it is, in [0, 1], that a window (E,) holds what words or a sound (E,) ask for."""
        return self.judge(query, words=words)(window)

    def judge(self, query: Vectors, *, words: bool) -> Callable[[Vectors], float]:
        """The `confidence` of a query (E,) in any window (E,); what needs no window is computed once."""
        start, *slopes = self.curves.words if words else self.curves.sounds
        features = self._features_of(query, words=words)

        def confidence(window: Vectors) -> float:
            seen = features(window)
            logit = start + sum(
                slope * x for slope, x in zip(slopes, seen, strict=False)
            )  # older curves have one slope
            return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))

        return confidence

    def _features_of(self, query: Vectors, *, words: bool) -> Callable[[Vectors], tuple[float, ...]]:
        sounds = self.sounds @ query
        usual, spread = float(sounds.mean()), float(sounds.std())

        def of_words(window: Vectors) -> tuple[float, ...]:
            cosine, names = float(query @ window), self.texts @ window
            return _z_score(cosine, usual, spread), _z_score(cosine, float(names.mean()), float(names.std()))

        def of_sounds(window: Vectors) -> tuple[float, ...]:
            mean = (usual + float((self.sounds @ window).mean())) / 2
            share = (float(query @ window) - mean) / max(1 - mean, 1e-6)
            return share, -math.log10(max(1 - share, 0.0) + ALMOST)

        return of_words if words else of_sounds

    def relevance(self, query: Vectors, cosines: Vectors, named: Vectors) -> Vectors:
        """How well files fit words by their sound and by what they are called, in [0, 1] (N,).

        `cosines` (N,) are those of the query (E,) with the best window of each file; `named` (N,) is the share of the
        query's words that the file is called by, less that of unwanted ones. The order of equal shares is that of the
        cosines: where names mean nothing, it is the order by sound.
        """
        reference = self.sounds @ query
        deviations = (cosines - reference.mean()) / max(float(reference.std()), 1e-6)
        start, *slopes = self.curves.words
        logit = start + sum(slopes) * (deviations + A_NAME * named)
        return (1 / (1 + np.exp(-np.clip(logit, -30.0, 30.0)))).astype(np.float32)

    def confidences(self, texts: Vectors, windows: Vectors) -> Vectors:
        """The `confidence` of every text (M, E) in every window (W, E) → float32 (W, M), in a few numpy calls."""
        cosine = windows @ texts.T
        sounds, names = self.sounds @ texts.T, windows @ self.texts.T  # (N, M), (W, B)
        by_sounds = (cosine - sounds.mean(0)) / np.maximum(sounds.std(0), 1e-6)
        by_names = (cosine - names.mean(1, keepdims=True)) / np.maximum(names.std(1, keepdims=True), 1e-6)
        start, *slopes = self.curves.words
        logit = np.clip(start + slopes[0] * by_sounds + slopes[1] * by_names, -30.0, 30.0)
        return (1 / (1 + np.exp(-logit))).astype(np.float32)


def confidence_curves(config: CLAPConfig) -> ConfidenceCurves:
    """The model's own curves and threshold, or the default ones as a guess."""
    return config.confidence or DEFAULT_CURVES


def has_own_curves(clap: Embedder) -> bool:
    """Whether the curves were fitted for this very model; otherwise only the order of confidences can be trusted."""
    return confidence_curves(clap.config).fingerprint == clap.fingerprint


def reference_bank(clap: Embedder) -> ReferenceBank:
    """The banks of a model, made once and kept, by its fingerprint, in memory and in the user's cache folder."""
    key = clap.fingerprint
    with _lock:
        found = _remembered.get(key)
        if found is None:
            found = _load_or_embed_banks(clap)
            while len(_remembered) >= REMEMBERED:
                del _remembered[next(iter(_remembered))]
            _remembered[key] = found
    return replace(found, curves=confidence_curves(clap.config))  # the same weights may come with other curves


_remembered: dict[str, ReferenceBank] = {}  # needed where the cache folder cannot be written to
_lock = threading.Lock()  # so that one thread makes the banks, and the others wait


def _load_or_embed_banks(clap: Embedder) -> ReferenceBank:
    place = user_cache_path("openclap") / "background" / f"{clap.fingerprint}-{VERSION}.npz"
    found = _load_banks(packaged_bank(clap.fingerprint), clap) or _load_banks(place, clap)
    if found is None:
        found = embed_banks(clap)
        save_banks(place, found)
    return found


def packaged_bank(fingerprint: str) -> Path:
    """The file of a model that comes with openclap: made anew, its banks would delay the first search by seconds."""
    return Path(str(files("openclap") / "weights" / "banks" / f"{fingerprint}-{VERSION}.npz"))


def _load_banks(place: Path, clap: Embedder) -> ReferenceBank | None:
    """The banks in a file; None where it is not there, or damaged."""
    try:
        with open_regular(place) as file, np.load(file, allow_pickle=False) as saved:
            found = ReferenceBank(saved["texts"], saved["sounds"])
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    width = clap.config.embedding
    fits = all(x.ndim == 2 and x.shape[1] == width and np.isfinite(x).all() for x in (found.texts, found.sounds))
    return found if fits else None


def embed_banks(clap: Embedder) -> ReferenceBank:
    """Make the banks of a model: some seconds for mini, a minute for a large one."""
    from openclap.synth import synthesise_all  # made once for each model, and kept on disk

    texts = _embed_usable(clap.encode_text, labels("audioset")[::4], UsageError)
    return ReferenceBank(texts, _embed_usable(partial(clap.encode_audio, long="windows"), synthesise_all(), SoundError))


def _embed_usable(embed: Callable[[list[Any]], Vectors], given: list[Any], error: type[OpenClapError]) -> Vectors:
    """The rows of what a model can embed: one of a package may have no vector for some of it, which nobody asked for."""
    try:
        return embed(given)
    except error as first:
        rows = []
        for one in given:
            with contextlib.suppress(error):
                rows.append(embed([one]))
        if len(rows) < LEAST:
            raise first
        return np.concatenate(rows)


def save_banks(place: Path, made: ReferenceBank) -> None:
    """Write banks to a file, or do nothing where it cannot be written."""
    with contextlib.suppress(OSError):  # in a read-only home every process makes them anew
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as part, part.open("wb") as file:
            np.savez(file, texts=made.texts, sounds=made.sounds)


def _z_score(cosine: float, mean: float, deviation: float) -> float:
    """The distance of a cosine from the mean of reference cosines, in standard deviations."""
    return (cosine - mean) / max(deviation, 1e-6)
