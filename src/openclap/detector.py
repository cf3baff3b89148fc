"""A detector of a sound that a user has taught: a linear head on embeddings, stored as one small file.

    embedding (E,) ─ weight · x + bias ─ logistic ─ probability ─ heard, from `threshold` on

A linear head is also a query: ranking by probability is ranking by the cosine with `direction`. The file names its
format and version, and the model (name and fingerprint) whose embeddings it was taught on; embeddings of another model
mean something else, so they are refused. It holds no paths and no embeddings of examples: the examples stay in the
user's own folder (`example_store`), found by the `key` of the detector.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from platformdirs import user_data_path

from openclap import example_store
from openclap.checkpoints.presets import find_preset, maker_display_name, use_maker
from openclap.config import CLAPConfig
from openclap.errors import DetectorError, DetectorMismatch, Hint, UsageError
from openclap.head_files import HeadFormat, embeddings_of
from openclap.normalization import normalize_rows
from openclap.results import Failure, Result
from openclap.scores import logistic

__all__ = [
    "Detection",
    "Detector",
    "apply_detectors",
    "delete_detector",
    "detector_path",
    "detectors_folder",
    "list_detectors",
]

FORMAT, VERSION = "openclap-detector", "1"
SUFFIX = ".safetensors"
LONGEST_NAME, LONGEST_BYTES = 100, 200  # a file system takes 255 bytes
# a detector of `mini` has 4,000 bytes
FILE = HeadFormat(FORMAT, VERSION, "detector", DetectorError, Hint("teach"), largest=1 << 24)
JOINERS = "\u200c\u200d"  # invisible characters that some languages need
Floats = npt.NDArray[np.float32]


class NamedModel(Protocol):
    """What a detector needs to know of a model."""

    @property
    def name(self) -> str:
        """The name of the checkpoint."""

    @property
    def fingerprint(self) -> str:
        """What tells two models apart."""

    @property
    def config(self) -> CLAPConfig:
        """How many numbers its embeddings have."""


@dataclass(frozen=True, eq=False)
class Detector:
    """What `openclap.teach` makes of a few examples: a linear head with a threshold.

    Attributes
    ----------
    name : str
        Its name, which is also that of alerts and of its file.
    text : str or None
        The words that the teaching began with; None without any.
    weight : float32 (E,)
    bias : float
        Log-odds of an embedding x: weight · x + bias.
    model, fingerprint : str
        The model whose embeddings it takes.
    threshold : float
        The probability from which the sound counts as heard.
    examples : mapping
        How many examples it was taught by: "yes", "no", and "drawn", which nobody has marked.
    report : mapping
        How well it did on held-out examples (see `openclap.teach.evaluation.cross_validate`); {} where not measured.
    place : Path or None
        The file it was read from.
    """

    name: str
    text: str | None
    weight: Floats
    bias: float
    model: str
    fingerprint: str
    threshold: float = 0.5
    examples: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    place: Path | None = None

    @property
    def key(self) -> str:
        """16 hex digits that tell it from other detectors; its examples are stored under them (`example_store`)."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.weight, "<f4").tobytes(), digest_size=8)
        digest.update(json.dumps([self.name, self.bias, self.fingerprint]).encode())
        return digest.hexdigest()

    @property
    def size(self) -> int:
        """E: how many numbers an embedding has."""
        return len(self.weight)

    @property
    def direction(self) -> Floats:
        """The unit vector (E,) whose cosine ranks as the probability does."""
        return normalize_rows(self.weight.astype(np.float64))  # in float64, where squares cannot overflow

    def logit(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Embeddings (N, E) → log-odds (N,).

        Raises
        ------
        DetectorMismatch
            Embeddings of another size.
        """
        x = embeddings_of(embeddings, self.size, f"the detector {self.name!r}", DetectorMismatch)
        return x.astype(np.float64) @ self.weight.astype(np.float64) + self.bias

    def probability(self, embeddings: npt.ArrayLike) -> Floats:
        """Embeddings (N, E) → how likely each holds the sound, in [0, 1] (N,).

        Few examples do not allow certainty: after n "yes" it is at most (n + 1) / (n + 2), Laplace's rule of
        succession. Probabilities up to one half stay as they are.
        """
        logit = self.logit(embeddings)
        taught = self.examples.get("yes", 0)
        if taught > 0:
            most = math.log(taught + 1)
            logit = np.where(logit > 0, most * np.tanh(logit / most), logit)
        return logistic(logit).astype(np.float32)

    def check(self, clap: NamedModel) -> None:
        """Refuse a model whose embeddings it was not taught on.

        Raises
        ------
        DetectorMismatch
            The model or the size of its embeddings differs. The message names both models and says how to go on.
        """
        if clap.fingerprint != self.fingerprint:
            raise self._mismatch(clap)
        if clap.config.embedding != self.size:
            raise DetectorMismatch(
                f"the detector {self.name!r} takes embeddings of {self.size} numbers, and {clap.name} has"
                f" {clap.config.embedding}; teach it again"
            )

    def _mismatch(self, clap: NamedModel) -> DetectorMismatch:
        facts = self.model, self.fingerprint, clap.name
        name, kept = maker_display_name(*facts), example_store.count_examples(self.key)
        is_saved_by_name = self.place is None or self.place == detectors_folder() / f"{self.name}{SUFFIX}"
        what, model = self.name if is_saved_by_name else str(self.place), find_preset(clap.name)
        error = DetectorMismatch(
            f"the detector {self.name!r} was taught on {name} ({self.fingerprint}), not on {clap.name}"
            f" ({clap.fingerprint}){'' if kept else ', and none of its examples were kept'}",
            use_maker(*facts),
            Hint("refit", name=what, model=model.name if model else "MODEL") if kept else Hint("teach"),
        )
        error.detector, error.maker = self.name, name
        return error

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, ready for `json.dumps`; without the weights."""
        return {
            "name": self.name,
            "text": self.text,
            "threshold": self.threshold,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "examples": dict(self.examples),
            "report": dict(self.report),
        }

    # -- on disk -------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write one .safetensors file; by default into the folder of the user's detectors, under its name.

        Raises
        ------
        UsageError
            The name cannot be that of a file, or the place cannot be written to.
        """
        target = detector_path(self.name) if path is None else _expand_path(path)
        about = json.dumps({**self.to_dict(), "bias": self.bias})
        FILE.write(target, {"weight": self.weight}, {"detector": about}, make_folder=True)
        return target

    @classmethod
    def load(cls, path_or_name: str | os.PathLike[str]) -> Detector:
        """Read a detector from a file, or by the name of one of the user's detectors.

        Raises
        ------
        DetectorError
            The file is missing, is no detector, is of another version, or is broken.
        """
        path = _resolve_path(path_or_name)
        facts, arrays = FILE.read(path)
        return replace(_build_detector(facts, arrays.get("weight"), path), place=path)


@dataclass(frozen=True)
class Detection(Result):
    """The answer of a detector to a sound: the probability of its best window, and whether it reaches the threshold."""

    detector: str
    probability: float
    heard: bool


def apply_detectors(
    windows: npt.ArrayLike, detectors: Sequence[Detector], heard: npt.NDArray[np.bool_] | None = None
) -> list[Detection]:
    """Apply detectors to the windows (W, E) of a sound → their answers, in the order of the detectors.

    `heard` (W,) says in which windows there is any sound (`Windows.heard`): in others no detector hears anything.

    Raises
    ------
    DetectorMismatch
        Embeddings of another size.
    """
    sounding = True if heard is None else heard
    found = []
    for one in detectors:
        likely = float(np.where(sounding, one.probability(windows), 0.0).max())
        found.append(Detection(one.name, likely, bool(np.any(sounding)) and likely >= one.threshold))
    return found


# -- the user's detectors ------------------------------------------------------------------------------


def detectors_folder() -> Path:
    """The folder of the user's detectors, where they are saved when no place is given."""
    return user_data_path("openclap") / "detectors"


def detector_path(name: str) -> Path:
    """The file of one of the user's detectors.

    Raises
    ------
    UsageError
        The name cannot be that of a file: it is empty, hidden or too long, or has a slash or an invisible character.
    """
    is_refused = (
        not name.strip()
        or name != name.strip()
        or name.startswith(".")
        or len(name) > LONGEST_NAME
        or len(name.encode("utf-8", "replace")) > LONGEST_BYTES
        or any(character in '/\\:*?"<>|' or _is_invisible(character) for character in name)
    )
    if is_refused:
        raise UsageError(
            f"{name[:LONGEST_NAME]!a} cannot be a detector's name; give a word or some, without / \\ : * ? \" < > | and"
            " not beginning with a dot"
        )
    return detectors_folder() / f"{name}{SUFFIX}"


def list_detectors() -> tuple[list[Detector], list[Failure]]:
    """Read the user's detectors, sorted by name, and list the files that cannot be read."""
    found: list[Detector] = []
    failed: list[Failure] = []
    for path in sorted(detectors_folder().glob(f"*{SUFFIX}")):
        try:
            found.append(Detector.load(path))
        except DetectorError as error:
            failed.append(Failure(str(path), str(error.args[0]).removeprefix(f"{path}: ")))
    return found, failed


def delete_detector(name: str) -> Path:
    """Remove one of the user's detectors and its examples → the file that was removed.

    Raises
    ------
    DetectorError
        There is no detector of this name, or it cannot be removed.
    """
    path = detector_path(name)
    try:
        example_store.delete_examples(Detector.load(path).key)
    except DetectorError:  # the file is broken
        if os.path.lexists(path):
            example_store.delete_examples_named(name)
    try:
        path.unlink()
    except FileNotFoundError:
        raise _not_found(name) from None
    except OSError as error:
        raise DetectorError(f"{path}: cannot be removed ({error.strerror or error}); remove it by hand") from error
    return path


def _resolve_path(path_or_name: str | os.PathLike[str]) -> Path:
    """The file of a detector: what looks like a path is one, any other string is a name."""
    given = os.fspath(path_or_name)
    is_path = not isinstance(path_or_name, str) or given.endswith(SUFFIX) or os.sep in given or "/" in given
    path = _expand_path(given) if is_path else detector_path(given)
    if not os.path.isfile(path):  # noqa: PTH113 -- Path.is_file raises where a name is too long for a file
        raise (
            DetectorError(f"{given}: no such file; check the path, or give the name of a detector")
            if is_path
            else _not_found(given)
        )
    return path


def _expand_path(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))  # Path.expanduser raises where there is no such user


def _not_found(name: str) -> DetectorError:
    names = [path.stem for path in sorted(detectors_folder().glob(f"*{SUFFIX}"))]
    there = (
        f"there is {', '.join(names[:10])}{' …' if len(names) > 10 else ''}" if names else "none has been taught yet"
    )
    choose = ("choose one of these",) if names else ()
    return DetectorError(f"no detector is called {name!r} ({there})", *choose, Hint("teach"))


def _build_detector(facts: Mapping[str, str], weight: Floats | None, path: Path) -> Detector:
    """Make a detector of what was read, and check that nothing is missing or impossible."""
    try:
        about = json.loads(facts["detector"])
        json.dumps(about, allow_nan=False)
        bias, threshold = float(about["bias"]), float(about["threshold"])
        if weight is None or weight.ndim != 1 or not len(weight) or not np.isfinite(weight).all():
            raise ValueError("its weight is no row of finite numbers")
        if not math.isfinite(bias) or not 0 <= threshold <= 1:
            raise ValueError("its bias or threshold is no such number")
        if (
            not all(isinstance(about[name], str) for name in ("name", "model", "fingerprint"))
            or not about["name"].strip()
        ):
            raise ValueError("it has no name, or names no model")
        if any(_is_invisible(character) for character in about["name"]):
            raise ValueError("its name holds signs that are not seen")
        examples = {str(kind): int(count) for kind, count in about["examples"].items()}
        return Detector(
            about["name"],
            None if about["text"] is None else str(about["text"]),
            weight,
            bias,
            about["model"],
            about["fingerprint"],
            threshold,
            examples,
            _parse_report(about["report"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise DetectorError(f"{path}: is broken ({error}); teach it again") from error


def _parse_report(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parts of a report of `openclap.teach.evaluation.cross_validate` that are shown."""
    if given.get("judged"):
        shares = [
            given[name][of] for name in ("precision", "recall", "average_precision") for of in ("value", "low", "high")
        ]
        if not all(share is None or isinstance(share, int | float) for share in shares):
            raise ValueError("its report is none")
    return dict(given)


def _is_invisible(character: str) -> bool:
    return character not in JOINERS and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
