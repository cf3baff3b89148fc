"""A sound that a user has taught, as one small file: a direction, a bias, and how well it did. numpy alone.

    embedding (E,) ─ weight · x + bias ─ logistic ─ probability ─ heard, from `threshold` on

A linear head is a query, too: ranking by probability is ranking by the cosine with `direction`. The file names its
format and version and the model (name and fingerprint) whose embeddings it was taught on: those of another model mean
something else, so it is refused for them. It holds no paths, and no embedding of any example: what it was taught by
stays in the user's own folder (`kept_examples`), found by its `key`. Knows nothing of how it was taught.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from platformdirs import user_data_path

from openclap import example_store
from openclap.checkpoints.presets import find_preset, maker_display_name, name_to_load
from openclap.config import CLAPConfig
from openclap.errors import DetectorError, DetectorMismatch, UsageError
from openclap.head_files import HeadFormat, embeddings_of
from openclap.normalization import normalize_rows
from openclap.results import Failure
from openclap.scores import logistic

__all__ = [
    "FORMAT",
    "VERSION",
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
# one of `mini` has 4,000 bytes
FILE = HeadFormat(
    FORMAT, VERSION, "detector", DetectorError, "teach one:  openclap teach NAME --yes FILE…", largest=1 << 24
)
JOINERS = "\u200c\u200d"  # unseen signs that writing needs
Floats = npt.NDArray[np.float32]


class Maker(Protocol):
    """What a detector asks of a model."""

    @property
    def name(self) -> str:
        """The checkpoint's name."""

    @property
    def fingerprint(self) -> str:
        """What tells two models apart."""

    @property
    def config(self) -> CLAPConfig:
        """How many numbers its embeddings have."""


@dataclass(frozen=True, eq=False)
class Detector:
    """What `openclap.teach` makes of a few examples.

    Attributes
    ----------
    name : str
        What it is called; also an alert's and a file's name.
    text : str or None
        The words that it began from; None, it began from none.
    weight : float32 (E,)
    bias : float
        Log-odds of an embedding x: weight · x + bias.
    model, fingerprint : str
        Whose embeddings it takes.
    threshold : float
        The probability from which it says "heard".
    examples : mapping
        How many it was taught by: "yes", "no", and "drawn", which nobody has marked.
    report : mapping
        How well it did on examples left out, see `openclap.teach.judge`; {} where nothing was judged.
    place : Path or None
        The file that it was read from.
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
        """16 hex digits that tell it from other detectors: where its examples are kept (`openclap.example_store`)."""
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
        return normalize_rows(self.weight.astype(np.float64))  # whose squares overflow nowhere

    def logit(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Embeddings (N, E) → log-odds (N,).

        Raises
        ------
        DetectorMismatch
            Embeddings of another size.
        """
        x = embeddings_of(embeddings, self.size, f"the detector {self.name!r}", DetectorMismatch)
        found: npt.NDArray[np.float64] = x.astype(np.float64) @ self.weight.astype(np.float64) + self.bias
        return found

    def probability(self, embeddings: npt.ArrayLike) -> Floats:
        """Embeddings (N, E) → how likely each holds the sound, in [0, 1] (N,).

        No more than so few examples can tell: after n yes at most (n + 1) / (n + 2), Laplace's rule of succession. One
        half stays one half, and what is below it as it is.
        """
        logit = self.logit(embeddings)
        taught = self.examples.get("yes", 0)
        if taught > 0:
            most = math.log(taught + 1)
            logit = np.where(logit > 0, most * np.tanh(logit / most), logit)
        return logistic(logit).astype(np.float32)

    def check(self, clap: Maker) -> None:
        """Refuse a model whose embeddings it was not taught on.

        Raises
        ------
        DetectorMismatch
            It names both models, the one that it was taught on as it can be loaded today, and says how to go on; or
            both sizes.
        """
        if clap.fingerprint != self.fingerprint:
            raise self._mismatch(clap)
        if clap.config.embedding != self.size:
            raise DetectorMismatch(
                f"the detector {self.name!r} takes embeddings of {self.size} numbers, and {clap.name} has"
                f" {clap.config.embedding}; teach it again"
            )

    def _mismatch(self, clap: Maker) -> DetectorMismatch:
        facts = self.model, self.fingerprint, clap.name
        name, loads = maker_display_name(*facts), name_to_load(*facts)
        before = f"use --model {loads}" if loads else "use --model with that one"
        refit = self.refit_command(clap) if example_store.count_examples(self.key) else None
        again = (
            f"teach it anew by the examples that were kept:  {refit}"
            if refit
            else "teach it again, as none of its examples were kept"
        )
        error = DetectorMismatch(
            f"the detector {self.name!r} was taught on {name} ({self.fingerprint}), not on {clap.name}"
            f" ({clap.fingerprint}); {before}, or {again}"
        )
        error.detector, error.maker, error.refit = self.name, name, refit
        return error

    def refit_command(self, clap: Maker) -> str:
        """The command that teaches it anew for a model by the examples that were kept."""
        own = self.place is None or self.place == detectors_folder() / f"{self.name}{SUFFIX}"
        what = shlex.quote(self.name if own else str(self.place))
        if clap.name == "mini":
            return f"openclap teach {what} --refit"
        return f"openclap teach {what} --refit --model {clap.name if find_preset(clap.name) else 'MODEL'}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`; without the weights."""
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
        """Write one .safetensors file, aside and renamed; by default among the user's detectors, under its name.

        Raises
        ------
        UsageError
            The name cannot be a file's, or the place cannot be written to.
        """
        target = detector_path(self.name) if path is None else _at(path)
        about = json.dumps({**self.to_dict(), "bias": self.bias})
        FILE.write(target, {"weight": self.weight}, {"detector": about}, make_folder=True)
        return target

    @classmethod
    def load(cls, path_or_name: str | os.PathLike[str]) -> Detector:
        """Read a detector: a file, or the name of one of the user's own.

        Raises
        ------
        DetectorError
            Nothing there, no detector, of another version, or broken.
        """
        path = _resolve_path(path_or_name)
        facts, arrays = FILE.read(path)
        return replace(_build_detector(facts, arrays.get("weight"), path), place=path)


@dataclass(frozen=True)
class Detection:
    """What a detector says of a sound: the probability of the best of its windows, and whether that reaches the threshold."""

    detector: str
    probability: float
    heard: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return asdict(self)


def apply_detectors(windows: npt.ArrayLike, detectors: Sequence[Detector]) -> list[Detection]:
    """What detectors say of a sound's windows (W, E), in their order.

    Raises
    ------
    DetectorMismatch
        Embeddings of another size.
    """
    best = [float(one.probability(windows).max()) for one in detectors]
    return [Detection(one.name, likely, likely >= one.threshold) for one, likely in zip(detectors, best, strict=True)]


# -- the user's own ----------------------------------------------------------------------------------


def detectors_folder() -> Path:
    """Where detectors are kept when no place is given."""
    return user_data_path("openclap") / "detectors"


def detector_path(name: str) -> Path:
    """The file of one of the user's detectors.

    Raises
    ------
    UsageError
        A name that cannot be a file's: empty, hidden, with a slash or a sign that is not seen, or too long.
    """
    wrong = (
        not name.strip()
        or name != name.strip()
        or name.startswith(".")
        or len(name) > LONGEST_NAME
        or len(name.encode("utf-8", "replace")) > LONGEST_BYTES
        or any(_is_unfit(sign) for sign in name)
    )
    if wrong:
        raise UsageError(
            f"{name[:LONGEST_NAME]!a} cannot be a detector's name; give a word or some, without / \\ : * ? \" < > | and"
            " not beginning with a dot"
        )
    return detectors_folder() / f"{name}{SUFFIX}"


def list_detectors() -> tuple[list[Detector], list[Failure]]:
    """The user's detectors by name, and files among them that cannot be read."""
    found: list[Detector] = []
    failed: list[Failure] = []
    for path in sorted(detectors_folder().glob(f"*{SUFFIX}")):
        try:
            found.append(Detector.load(path))
        except DetectorError as error:
            failed.append(Failure(str(path), str(error).removeprefix(f"{path}: ")))
    return found, failed


def delete_detector(name: str) -> Path:
    """Remove one of the user's detectors, and the examples that were kept of it → the file that it was.

    Raises
    ------
    DetectorError
        There is none of this name, or it cannot be removed.
    """
    path = detector_path(name)
    try:
        example_store.delete_examples(Detector.load(path).key)
    except DetectorError:  # a file that is none any more
        if os.path.lexists(path):
            example_store.delete_examples_named(name)
    try:
        path.unlink()
    except FileNotFoundError:
        raise DetectorError(_not_found_message(name)) from None
    except OSError as error:
        raise DetectorError(f"{path}: cannot be removed ({error.strerror or error}); remove it by hand") from error
    return path


def _resolve_path(path_or_name: str | os.PathLike[str]) -> Path:
    """The file meant: what looks like a path is one, any other string a name."""
    given = os.fspath(path_or_name)
    is_path = not isinstance(path_or_name, str) or given.endswith(SUFFIX) or os.sep in given or "/" in given
    path = _at(given) if is_path else detector_path(given)
    if not os.path.isfile(path):  # noqa: PTH113 -- Path.is_file raises where a name is too long for a file
        raise DetectorError(
            f"{given}: no such file; check the path, or give the name of a detector"
            if is_path
            else _not_found_message(given)
        )
    return path


def _at(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))  # Path.expanduser raises where there is no such user


def _not_found_message(name: str) -> str:
    names = [path.stem for path in sorted(detectors_folder().glob(f"*{SUFFIX}"))]
    there = (
        f"there is {', '.join(names[:10])}{' …' if len(names) > 10 else ''}" if names else "none has been taught yet"
    )
    do = "choose one of these, or teach it" if names else "teach it first"
    return f"no detector is called {name!r} ({there}); {do}:  openclap teach NAME --yes FILE…"


def _build_detector(facts: Mapping[str, str], weight: Floats | None, path: Path) -> Detector:
    """What was read, once it is clear that nothing of it is missing or absurd."""
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
        if any(_is_unseen(sign) for sign in about["name"]):
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
    """What `openclap.teach.judge` has made, as far as it is shown."""
    if given.get("judged"):
        shares = [
            given[name][of] for name in ("precision", "recall", "average_precision") for of in ("value", "low", "high")
        ]
        if not all(share is None or isinstance(share, int | float) for share in shares):
            raise ValueError("its report is none")
    return dict(given)


def _is_unfit(sign: str) -> bool:
    return sign in '/\\:*?"<>|' or _is_unseen(sign)


def _is_unseen(sign: str) -> bool:
    return sign not in JOINERS and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")
