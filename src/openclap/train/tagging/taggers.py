"""The teachers: taggers that give logits of classes, and perhaps an embedding, for waves.

Settings name a file of OpenVINO or a Python function; any object with the members of `Tagger` will do.

Several taggers answer as one: the logit of a class is the mean over the taggers that know it, and their embeddings are
joined end to end.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from openclap.errors import TrainingError
from openclap.regular_files import read_regular
from openclap.textfiles import normalize_column_name, open_text_table, read_records
from openclap.train.settings import Settings
from openclap.train.tagging.settings import TaggerSettings
from openclap.train.text_files import as_training_error

__all__ = ["FileTagger", "Tagger", "TaggerEnsemble", "TaggerOutput", "open_taggers"]

Array = npt.NDArray[np.float32]
COLUMNS = ("display_name", "name", "class", "label")  # of a table of classes, the first that is there
LEAST = 1e-6  # the lowest probability that is turned into a logit


@dataclass(frozen=True)
class TaggerOutput:
    """The answer of a tagger to waves: logits (B, C), and an embedding (B, K) where it has one."""

    logits: Array
    embedding: Array | None = None


class Tagger(Protocol):
    """A teacher."""

    @property
    def classes(self) -> Sequence[str]:
        """The names of its C classes."""

    @property
    def rate(self) -> int:
        """The sampling rate of the waves it takes, in Hz."""

    @property
    def fingerprint(self) -> str:
        """What tells it from other taggers: with another fingerprint, a stopped run is not continued."""

    def answer(self, waves: Array) -> TaggerOutput:
        """Tag waves (B, S) with a peak of 1."""


class FileTagger:
    """A tagger in a file that OpenVINO reads, such as YAMNet's .tflite."""

    def __init__(self, file: Path, classes: Path, tagger_settings: TaggerSettings, threads: int | None = None) -> None:
        from openclap.backends.graphs.engine import ov

        self.classes = read_classes(classes)
        self.rate = tagger_settings.rate
        self._settings = tagger_settings
        try:
            self.fingerprint = hashlib.sha256(read_regular(file)).hexdigest()[:16]
            options = {} if threads is None else {"INFERENCE_NUM_THREADS": str(threads)}
            core = ov.Core()
            self._model: Any = core.compile_model(core.read_model(str(file)), "CPU", {**options, "NUM_STREAMS": "1"})
        except (OSError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise TrainingError(
                f"{file} cannot be read by OpenVINO ({why}); give a .xml, .onnx or .tflite file"
            ) from error
        self._batches = self._model.inputs[0].get_partial_shape().rank.get_length() > 1

    def answer(self, waves: Array) -> TaggerOutput:
        """Tag waves (B, S); longer ones are cut into windows, whose answers are averaged."""
        settings = self._settings
        size = waves.shape[1] if settings.window_seconds is None else round(settings.window_seconds * self.rate)
        waves = np.pad(waves, ((0, 0), (0, max(0, size - waves.shape[1]))))
        starts = np.arange(0, waves.shape[1] - size + 1, max(size // 2, 1))
        said = np.stack([self._run_model(np.ascontiguousarray(waves[:, s : s + size])) for s in starts]).mean(0)
        if said.shape[1:] != (len(self.classes),):
            raise TrainingError(
                f"{settings.file} gives {said.shape[-1]} numbers of a sound, {settings.classes} names"
                f" {len(self.classes)} classes; give the table that belongs to it, or another output"
            )
        if settings.logits:
            return TaggerOutput(said)
        probability = said.clip(LEAST, 1 - LEAST)
        return TaggerOutput(np.log(probability / (1 - probability)))

    def _run_model(self, waves: Array) -> Array:
        """Run the model: waves (B, S) → its output (B, C)."""
        if self._batches:
            return np.array(self._model(waves)[self._settings.output], np.float32).reshape(len(waves), -1)
        return np.stack([np.array(self._model(wave)[self._settings.output], np.float32).reshape(-1) for wave in waves])


class TaggerEnsemble:
    """Several taggers that answer as one, for waves of the given rate.

    Attributes
    ----------
    classes : tuple of str
        The classes that at least one of them knows.
    """

    def __init__(self, taggers: Sequence[Tagger], rate: int) -> None:
        self._taggers, self._rate = list(taggers), rate
        self.classes = tuple(dict.fromkeys(name for tagger in taggers for name in tagger.classes))
        self.fingerprint = "-".join(tagger.fingerprint for tagger in taggers)
        place = {name: i for i, name in enumerate(self.classes)}
        self._places = [np.array([place[name] for name in tagger.classes]) for tagger in taggers]

    def answer(self, waves: Array) -> TaggerOutput:
        """Tag waves (B, S) at `rate` → logits (B, C) of all classes, and the joined embeddings."""
        sums = np.zeros((len(waves), len(self.classes)), np.float32)
        known = np.zeros(len(self.classes), np.float32)
        embeddings = []
        for tagger, places in zip(self._taggers, self._places, strict=True):
            heard = waves
            if tagger.rate != self._rate:
                heard = soxr.resample(waves.T, self._rate, tagger.rate, "MQ").T
            said = tagger.answer(np.ascontiguousarray(heard, np.float32))
            np.add.at(sums.T, places, said.logits.T)
            np.add.at(known, places, 1.0)
            if said.embedding is not None:
                embeddings.append(said.embedding)
        return TaggerOutput(sums / known, np.concatenate(embeddings, 1) if embeddings else None)


def open_taggers(settings: Settings, tagger_settings: Sequence[TaggerSettings], rate: int) -> TaggerEnsemble:
    """Open the taggers of a configuration.

    Raises
    ------
    TrainingError
        A file is missing or cannot be read, or a function gives no tagger.
    """
    found: list[Tagger] = []
    for one in tagger_settings:
        if one.python is not None:
            found.append(_load_python_tagger(settings, one.python))
        else:
            assert one.file is not None
            assert one.classes is not None
            found.append(FileTagger(settings.resolve(one.file), settings.resolve(one.classes), one, settings.threads))
    return TaggerEnsemble(found, rate)


@as_training_error()
def read_classes(file: Path) -> tuple[str, ...]:
    """Read the names of classes from a table, in its order."""
    names = [
        normalize_column_name(name)
        for name in open_text_table(file, [normalize_column_name(column) for column in COLUMNS]).names
    ]
    column = next((column for column in COLUMNS if normalize_column_name(column) in names), None)
    if column is None:
        raise TrainingError(f"{file}: no column {', '.join(COLUMNS)}; a CSV with one class a line is expected")
    return tuple(row[column] for _, row in read_records(file, (column,)))


def _load_python_tagger(settings: Settings, where: str) -> Tagger:
    name, _, function = where.rpartition(":")
    file = settings.resolve(name)
    spec = importlib.util.spec_from_file_location(file.stem, file) if name and file.is_file() else None
    if spec is None or spec.loader is None:
        raise TrainingError(f"python: {where}; give FILE.py:NAME, a Python file that is there and a function of it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    make = getattr(module, function, None)
    tagger = make() if callable(make) else None
    lacking = [member for member in ("classes", "rate", "fingerprint", "answer") if not hasattr(tagger, member)]
    if tagger is None or lacking:
        raise TrainingError(f"{file}: {function}() must give an object with classes, rate, fingerprint and answer")
    return tagger
