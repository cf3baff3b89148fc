"""A small classifier on top of frozen embeddings, in numpy, and its file (.safetensors); `probe` trains it.

    embedding (E,) ─ [linear ─ ReLU] ─ linear ─ softmax (one label) or sigmoid (any number of labels)

The file holds its format and version, the labels, E, and the name and fingerprint of the model whose embeddings it was
trained on. Embeddings of another model mean something else, so the head refuses them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.presets import maker_display_name, use_maker
from openclap.errors import HeadError, HeadMismatch, Hint, SoundError
from openclap.head_files import HeadFormat, embeddings_of
from openclap.results import Scores
from openclap.scores import logistic, softmax

if TYPE_CHECKING:
    from openclap.audio.load import Sound
    from openclap.clap import CLAP

__all__ = ["FORMAT", "VERSION", "Head", "classify_with_head", "load_head"]

FORMAT, VERSION = "openclap-head", "1"
FILE = HeadFormat(FORMAT, VERSION, "classification head", HeadError, Hint("train_head"), largest=1 << 28)
Floats = npt.NDArray[np.float32]


class HeadLabel(NamedTuple):
    """A label and its probability in [0, 1], which sum to 1 over all labels unless the head is multi-label."""

    label: str
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        return self._asdict()


@dataclass(frozen=True, eq=False)
class Head:
    """A classifier: layers of (weight (outputs, inputs), bias (outputs,)) with ReLU between them, and its labels."""

    layers: tuple[tuple[Floats, Floats], ...]
    labels: tuple[str, ...]
    multi_label: bool
    model: str
    fingerprint: str

    @property
    def size(self) -> int:
        """E: how many numbers an embedding has."""
        return int(self.layers[0][0].shape[1])

    def logits(self, embeddings: npt.ArrayLike) -> Floats:
        """Embeddings (N, E) → logits (N, C), before softmax or sigmoid.

        Raises
        ------
        HeadMismatch
            The embeddings have another size.
        """
        x = embeddings_of(embeddings, self.size, "this head", HeadMismatch)
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight.T + bias, 0)  # (N, H)
        weight, bias = self.layers[-1]
        return x @ weight.T + bias

    def probabilities(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Embeddings (N, E) → probabilities (N, C); rows sum to 1, unless the head is multi-label."""
        logits = self.logits(embeddings).astype(np.float64)
        return logistic(logits) if self.multi_label else softmax(logits)

    def classify(self, embedding: npt.ArrayLike) -> list[HeadLabel]:
        """Classify one embedding (E,): labels with probabilities, the best first."""
        row = self.probabilities(np.asarray(embedding, np.float32)[None])[0]
        return [HeadLabel(self.labels[i], float(row[i])) for i in np.argsort(-row, kind="stable")]

    def check(self, clap: CLAP) -> None:
        """Refuse a model whose embeddings it was not trained on.

        Raises
        ------
        HeadMismatch
            The head was trained on another model; the error names both.
        """
        if clap.fingerprint != self.fingerprint:
            facts = self.model, self.fingerprint, clap.name
            raise HeadMismatch(
                f"this head was trained on {maker_display_name(*facts)} ({self.fingerprint}), not on {clap.name}"
                f" ({clap.fingerprint})",
                use_maker(*facts),
                Hint("train_head"),
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the head as one .safetensors file.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        facts = {
            "labels": json.dumps(self.labels),
            "embedding": str(self.size),
            "model": self.model,
            "fingerprint": self.fingerprint,
            "task": "multi-label" if self.multi_label else "single-label",
        }
        arrays = {}
        for i, (weight, bias) in enumerate(self.layers):
            arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"] = weight, bias
        FILE.write(Path(path), arrays, facts)


def load_head(path: str | os.PathLike[str]) -> Head:
    """Read a head that `Head.save` or `openclap eval probe --save` has written.

    Raises
    ------
    HeadError
        There is no file, or it is no head, has another version, or is broken.
    """
    facts, arrays = FILE.read(Path(path))
    try:
        labels = tuple(json.loads(facts["labels"]))
        layers = tuple((arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"]) for i in range(len(arrays) // 2))
        head = Head(layers, labels, facts["task"] == "multi-label", facts["model"], facts["fingerprint"])
        fits = head.logits(np.zeros((1, int(facts["embedding"])), np.float32)).shape == (1, len(labels))
    except (KeyError, ValueError, IndexError, HeadMismatch) as error:
        raise HeadError(f"{os.fspath(path)}: is broken ({error}); train it again") from error
    if not fits:
        raise HeadError(
            f"{os.fspath(path)}: is broken (its layers and its {len(labels)} labels differ); train it again"
        )
    return head


def classify_with_head(clap: CLAP, sound: Sound, head: Head) -> Scores[HeadLabel]:
    """Classify one sound by a head: labels with probabilities, the best first; in silence all are 0.

    Raises
    ------
    HeadMismatch
        The head belongs to another model.
    SoundError
        The sound cannot be used.
    """
    head.check(clap)
    (found,) = clap.encode_each([sound])
    if isinstance(found, SoundError):
        raise found
    labels = head.classify(found.embedding[0])
    if found.is_silent:
        labels = [label._replace(probability=0.0) for label in labels]
    return Scores(labels, silent=found.is_silent)
