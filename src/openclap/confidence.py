"""How likely it is that a window holds what was asked for: the cosine, seen against what else there is.

A cosine means little by itself: it depends on the model, on the words, on how much a window resembles everything. Two
fixed banks tell what is usual:

    texts   132 names of everyday sounds (every fourth AudioSet label): what else could this window be called?
    sounds  56 synthesised sounds, one of each kind: how near are these words to any sound at all?

The cosine's distance from each bank's mean, in standard deviations, goes through a logistic curve. For a query by sound
it is how far the cosine lies on the way from what is usual for these two, among the sounds, to 1, and how little of
that way is left, in decades: none of it at what is usual, one where a tenth is left, three for the same recording. The
curves are the model's (`CLAPConfig.confidence`), fitted by `runs/mini/confidence.py` on recordings that it had never
heard. Source of the labels: AudioSet's ontology (Gemmeke et al. 2017, CC BY 4.0). Knows of a model only what `Ears`
says.
"""

from __future__ import annotations

import contextlib
import math
import threading
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from openclap.atomic_write import atomic_write
from openclap.config import CLAPConfig, ConfidenceCurves
from openclap.embedder import Embedder
from openclap.labels import labels
from openclap.synth import synthesise_all

__all__ = ["DEFAULT_CURVES", "UNLIKELY", "ReferenceBank", "confidence_curves", "has_own_curves", "reference_bank"]

Vectors = npt.NDArray[np.float32]

VERSION = 1  # of the banks
# of a model that brings none: those of mini's third edition, as a guess
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
)  # below, "nothing here sounds like that"; a model may have its own: `curves_of(config).least`
ALMOST = 1e-3  # of the way from what is usual to 1: what is nearer is the same recording
REMEMBERED = 4  # models whose banks are in memory


@dataclass(frozen=True, eq=False)
class ReferenceBank:
    """What is usual for a model: `texts` (B, E) and `sounds` (N, E), unit rows; and its curves."""

    texts: Vectors
    sounds: Vectors
    curves: ConfidenceCurves = DEFAULT_CURVES

    def features(self, query: Vectors, window: Vectors, *, words: bool) -> tuple[float, ...]:
        """What the confidence follows from: the cosine of two unit vectors (E,), seen against the banks."""
        cosine = float(query @ window)
        if words:
            return _z_scores(cosine, self.sounds @ query), _z_scores(cosine, self.texts @ window)
        usual = float((self.sounds @ query).mean() + (self.sounds @ window).mean()) / 2
        share = (cosine - usual) / max(1 - usual, 1e-6)
        return share, -math.log10(max(1 - share, 0.0) + ALMOST)

    def confidence(self, query: Vectors, window: Vectors, *, words: bool) -> float:
        """In [0, 1]: how likely a window (E,) holds what was asked for, in words or by a sound (E,)."""
        start, *slopes = self.curves.words if words else self.curves.sounds
        logit = start + sum(  # an older curve of sounds has one slope
            slope * feature for slope, feature in zip(slopes, self.features(query, window, words=words), strict=False)
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))

    def confidences(self, texts: Vectors, windows: Vectors) -> Vectors:
        """`confidence` of every text (M, E) in every window (W, E) → float32 (W, M); a numpy call a bank, not one a pair."""
        cosine = windows @ texts.T
        sounds, names = self.sounds @ texts.T, windows @ self.texts.T  # (N, M), (W, B)
        near = (cosine - sounds.mean(0)) / np.maximum(sounds.std(0), 1e-6)
        called = (cosine - names.mean(1, keepdims=True)) / np.maximum(names.std(1, keepdims=True), 1e-6)
        start, by_sounds, by_texts = self.curves.words
        logit = np.clip(start + by_sounds * near + by_texts * called, -30.0, 30.0)
        sure: Vectors = (1 / (1 + np.exp(-logit))).astype(np.float32)
        return sure


def confidence_curves(config: CLAPConfig) -> ConfidenceCurves:
    """The model's own curves and threshold, or what is usual as a guess."""
    return config.confidence or DEFAULT_CURVES


def has_own_curves(clap: Embedder) -> bool:
    """Whether its curves were fitted for this very model; else the order of confidences holds, their size is a guess."""
    return confidence_curves(clap.config).fingerprint == clap.fingerprint


def reference_bank(clap: Embedder) -> ReferenceBank:
    """The banks as a model hears them; made once, and kept in memory and in the user's cache by the model's fingerprint."""
    key = clap.fingerprint
    with _one_makes_them:
        found = _remembered.get(key)
        if found is None:
            found = _load_or_embed_banks(clap)
            while len(_remembered) >= REMEMBERED:
                del _remembered[next(iter(_remembered))]
            _remembered[key] = found
    return replace(found, curves=confidence_curves(clap.config))  # the same weights may come with other curves


# a home that cannot be written to has them made once a process, not once a call
_remembered: dict[str, ReferenceBank] = {}
_one_makes_them = threading.Lock()


def _load_or_embed_banks(clap: Embedder) -> ReferenceBank:
    place = user_cache_path("openclap") / "background" / f"{clap.fingerprint}-{VERSION}.npz"
    try:
        with np.load(place, allow_pickle=False) as kept:
            found = ReferenceBank(kept["texts"], kept["sounds"])
        if all(
            x.ndim == 2 and x.shape[1] == clap.config.embedding and np.isfinite(x).all()
            for x in (found.texts, found.sounds)
        ):
            return found
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):  # not there yet, or damaged
        pass
    made = ReferenceBank(clap.encode_text(labels("audioset")[::4]), clap.encode_audio(synthesise_all(), long="windows"))
    _save_banks(place, made)
    return made


def _save_banks(place: Path, made: ReferenceBank) -> None:
    with contextlib.suppress(OSError):  # a read-only home: made anew each time
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as part, part.open("wb") as file:
            np.savez(file, texts=made.texts, sounds=made.sounds)


def _z_scores(cosine: float, usual: Vectors) -> float:
    return (cosine - float(usual.mean())) / max(float(usual.std()), 1e-6)
