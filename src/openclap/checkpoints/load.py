"""One door for every checkpoint: name, Hub id, folder or file → model in eval mode, checked.

name ─ locate ─┬─ folder, config.json of openclap ──── native
               ├─ folder, config.json of transformers ─ huggingface
               ├─ .safetensors (config.json beside it) ─ either
               └─ .pt ────────────────────────────────── laion
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from openclap.checkpoints import huggingface, laion, native
from openclap.checkpoints.health import Finding, examine_model
from openclap.checkpoints.locate import locate
from openclap.checkpoints.presets import find_preset
from openclap.checkpoints.tokens import Tokenizer
from openclap.config import CLAPConfig
from openclap.errors import BadCheckpoint, ModelNotHere, ModelWarning
from openclap.models.clap import CLAPModel

__all__ = ["Checkpoint", "examine", "load_checkpoint", "load_weights", "tokenizer_of"]

# where the tokenizer of a LAION .pt, which carries none, may already be
TOKENIZERS = {
    "roberta": (
        "laion/clap-htsat-unfused",
        "laion/clap-htsat-fused",
        "roberta-base",
        "FacebookAI/roberta-base",
    ),
    "bert": ("bert-base-uncased", "google-bert/bert-base-uncased"),
    "clip": ("openai/clip-vit-base-patch32",),
}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model: its configuration, its module in eval mode, its tokenizer file if it has one, where it is from."""

    config: CLAPConfig
    model: CLAPModel
    tokenizer_file: Path | None
    source: str


def load_checkpoint(name_or_path: str | os.PathLike[str], *, strict: bool = False) -> Checkpoint:
    """Load any CLAP checkpoint.

    Raises
    ------
    UnknownModel, ModelNotHere
        See `openclap.checkpoints.locate`.
    BadCheckpoint
        Weights that are missing, left over (both listed), mis-shaped or broken; under `strict` any fault the
        health check finds.
    """
    name = os.fspath(name_or_path)
    path = locate(name_or_path)
    config, weights, folder = _read(path)
    if find_preset(name) is not None:
        config = replace(config, name=name)
    with _NoInitialisation():
        model = CLAPModel(config)
    load_weights(model, weights, str(path))
    checkpoint = Checkpoint(config, model.eval(), _tokenizer_file(config, folder), str(path))
    for finding in examine(checkpoint, requested=name):
        message = f"{name}: {finding.what}; {finding.advice}"
        if strict:
            raise BadCheckpoint(message)
        warnings.warn(message, ModelWarning, stacklevel=3)
    return checkpoint


def _read(path: Path) -> tuple[CLAPConfig, Mapping[str, Tensor], Path]:
    if path.is_file() and path.suffix != ".safetensors":
        config, weights = laion.read_laion(path)
        return config, weights, path.parent
    folder = path if path.is_dir() else path.parent
    file = folder / "config.json"
    if not file.is_file():
        raise BadCheckpoint(
            f"{folder}: no config.json, so the architecture cannot be told; give a folder saved by openclap or transformers, or a LAION .pt"
        )
    data = native.read_json(file)
    if not native.is_native(data):
        return *huggingface.read_huggingface(folder, data), folder
    return *native.read_native(data, path if path.is_file() else folder / "model.safetensors"), folder


def load_weights(model: CLAPModel, weights: Mapping[str, Tensor], where: str) -> None:
    """Put weights into a model, all of them and no others.

    Raises
    ------
    BadCheckpoint
        Lists what is missing, left over or of another shape.
    """
    own = model.state_dict()
    given = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    counters = {
        key: value for key, value in own.items() if key.endswith("num_batches_tracked")
    }  # of no use to inference
    faults = {
        "missing": sorted(set(own) - set(given) - set(counters)),
        "left over": sorted(set(given) - set(own)),
        "of another shape": sorted(k for k in set(own) & set(given) if own[k].shape != given[k].shape),
    }
    if any(faults.values()):
        told = "; ".join(
            f"{len(keys)} {what}: {', '.join(keys[:10])}{', …' if len(keys) > 10 else ''}"
            for what, keys in faults.items()
            if keys
        )
        raise BadCheckpoint(
            f"{where}: the weights do not fit the architecture ({told}); the file is incomplete or of another model"
        )
    model.load_state_dict({**counters, **given}, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def examine(checkpoint: Checkpoint, *, requested: str = "") -> list[Finding]:
    """The health check: broken weights, texts that collapse to one vector, copies known to be bad."""
    encode: Callable[[Sequence[str]], Tensor] | None = None
    if checkpoint.tokenizer_file is not None:
        tokenizer = tokenizer_of(checkpoint)

        def encode(texts: Sequence[str]) -> Tensor:
            ids, mask = tokenizer(texts)
            with torch.inference_mode():
                return checkpoint.model.encode_text(torch.from_numpy(ids), torch.from_numpy(mask))

    return examine_model(checkpoint.model, {requested, checkpoint.config.name}, encode)


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer:
    """The tokenizer, or ModelNotHere with what to do."""
    if checkpoint.tokenizer_file is None:
        kind = checkpoint.config.text.kind
        source = TOKENIZERS.get(kind, ("the model",))[0]
        raise ModelNotHere(
            f"{checkpoint.config.name} came without a tokenizer, so it can embed sounds but no texts; put the tokenizer.json of {source} "
            f"beside {checkpoint.source}, or run  openclap pull {source}"
        )
    return Tokenizer(checkpoint.tokenizer_file, checkpoint.config.text)


def _tokenizer_file(config: CLAPConfig, folder: Path) -> Path | None:
    file = folder / "tokenizer.json"
    if file.is_file():
        return file
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return _from_vocabulary(folder)
    from huggingface_hub import try_to_load_from_cache

    for repo in TOKENIZERS.get(config.text.kind, ()):
        found = try_to_load_from_cache(repo, "tokenizer.json")
        if isinstance(found, str):
            return Path(found)
    return None


def _from_vocabulary(folder: Path) -> Path | None:
    """A tokenizer.json made from RoBERTa's vocab.json and merges.txt, in a folder of its own."""
    import tempfile

    from tokenizers import ByteLevelBPETokenizer

    made = Path(tempfile.mkdtemp(prefix="openclap-")) / "tokenizer.json"
    ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save(str(made))
    return made


class _NoInitialisation(TorchFunctionMode):
    """Leave out random initialisation: the weights are about to be replaced (seconds, for a RoBERTa)."""

    RANDOM = frozenset({torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.RANDOM:
            return args[0]
        return func(*args, **(kwargs or {}))
