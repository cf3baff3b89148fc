"""The health of a checkpoint: its fingerprint, and faults that show that a copy is broken.

Both need every weight, which takes a second for a large model. The result is stored in the user's cache folder, and
holds as long as the files do not change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from openclap.atomic_write import write_json
from openclap.checkpoints.load import Checkpoint
from openclap.checkpoints.presets import KNOWN_BAD
from openclap.config import CLAPConfig
from openclap.errors import ModelError, UsageError
from openclap.plurals import count_noun
from openclap.regular_files import read_regular
from openclap.results import Result

__all__ = ["Encode", "Finding", "Health", "examine_checkpoint"]

VERSION = 2  # of the stored result
UNRELATED_TEXTS = (
    "a dog barking",
    "heavy rain",
    "a violin solo",
    "an engine starting",
    "people laughing",
    "glass breaking",
)
FRONT_END_FIELDS = (
    "sampling_rate",
    "clip_seconds",
    "n_fft",
    "hop",
    "f_min",
    "f_max",
    "mel_scale",
    "mel_norm",
    "padding",
    "dynamic_range",
)
COLLAPSED = 0.99  # cosine; the broken copy of larger_clap_music has 0.9993 between unrelated texts

Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Finding(Result):
    """A fault of a checkpoint, and what to do about it."""

    what: str
    advice: str


@dataclass(frozen=True)
class Health:
    """`fingerprint`: 16 hex digits that differ between models; `findings`: all faults, the worst first."""

    fingerprint: str
    findings: tuple[Finding, ...]


def examine_checkpoint(
    checkpoint: Checkpoint, encode: Encode | None, *, requested: str = "", fresh: bool = False
) -> Health:
    """The health of a checkpoint: from its weights, or from the cache where the same files were examined before.

    Parameters
    ----------
    encode
        Texts → unit rows; None for a model without a tokenizer.
    requested
        The name that the user gave, to compare with copies known to be broken.
    fresh
        Examine the weights even where a result is stored.
    """
    file = _memory_file(checkpoint)
    health = None if fresh else _recall(file)
    if health is None:
        fingerprint, broken = _fingerprint_weights(checkpoint)
        health = Health(fingerprint, tuple(_find_faults(broken, encode)))
        _remember(file, health)
    known_faults = [
        Finding("this copy is known to be broken", f"use {KNOWN_BAD[name]} instead")
        for name in sorted({requested, checkpoint.config.name} & set(KNOWN_BAD))
    ]
    return Health(health.fingerprint, (*known_faults, *health.findings))


def _fingerprint_weights(checkpoint: Checkpoint) -> tuple[str, list[str]]:
    """The fingerprint, and the names of weights with NaN or infinite values; each weight is read once."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps(_facts(checkpoint.config), sort_keys=True).encode())
    broken = []
    for name in sorted(checkpoint.weights):
        array = np.ascontiguousarray(checkpoint.weights.read_once(name))
        digest.update(name.encode())
        digest.update(array.data)
        if not np.isfinite(array).all():
            broken.append(name)
    return digest.hexdigest(), broken


def _facts(config: CLAPConfig) -> dict[str, Any]:
    """All of a configuration that changes embeddings but not the names and shapes of the weights.

    A new field of the configuration must not change the fingerprint of an old model: add it here only where it differs
    from its default.
    """
    front, audio, text = config.front_end, config.audio, config.text
    facts: dict[str, Any] = {name: getattr(front, name) for name in FRONT_END_FIELDS}
    facts |= {"fusion": config.fusion, "audio": audio.kind, "text": text.kind}
    if front.mel_rate is not None:
        facts["mel_rate"] = front.mel_rate
    return facts | audio.facts() | text.facts()


def _find_faults(broken: list[str], encode: Encode | None) -> list[Finding]:
    """Faults of the weights; where they are finite, faults of the vectors of texts."""
    if broken:
        what = (
            f"{count_noun(len(broken), 'weight holds', 'weights hold')} NaN or infinite values"
            f" ({', '.join(broken[:3])}{', …' if len(broken) > 3 else ''})"
        )
        return [Finding(what, "download it again or use another checkpoint")]
    if encode is None:
        return []
    try:
        vectors = encode(UNRELATED_TEXTS)
    except ModelError as error:  # sounds alone can still be embedded
        return [Finding(f"it cannot embed texts: {error.args[0]}", "sounds can be embedded all the same")]
    except UsageError:  # a package's model that was taught few words: they mean nothing to it
        return []
    cosines = (vectors @ vectors.T)[~np.eye(len(UNRELATED_TEXTS), dtype=bool)]
    if float(cosines.min()) <= COLLAPSED:
        return []
    what = f"unrelated texts get nearly the same vector (cosine {float(cosines.min()):.4f})"
    return [Finding(what, "its text tower is broken or untrained: use another copy of the model")]


def _memory_file(checkpoint: Checkpoint) -> Path | None:
    """The cache file for the health of exactly these files; None for a model that is not on disk."""
    if checkpoint.folder is None:
        return None
    files = [Path(checkpoint.source)] if Path(checkpoint.source).is_file() else _files(checkpoint.folder)
    try:
        facts = [_signature(file) for file in files]
    except OSError:
        return None
    key = hashlib.blake2b(repr((VERSION, str(checkpoint.tokenizer_file), facts)).encode(), digest_size=16).hexdigest()
    return user_cache_path("openclap") / "health" / f"{key}.json"


def _signature(file: Path) -> tuple[object, ...]:
    """Facts that change when a file is written or replaced, even by tools that restore its time."""
    stat = file.stat()
    return str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _files(folder: Path) -> list[Path]:
    endings = (".json", ".safetensors", ".bin", ".txt")
    return sorted(file for file in folder.iterdir() if file.suffix in endings)


def _recall(file: Path | None) -> Health | None:
    if file is None:
        return None
    try:
        data = json.loads(read_regular(file))
        return Health(str(data["fingerprint"]), tuple(Finding(**finding) for finding in data["findings"]))
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged: examine again
        return None


def _remember(file: Path | None, health: Health) -> None:
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(health), indent=None)
    except OSError:
        pass  # a read-only home: the next run examines again
