"""Loads every checkpoint: name, Hub id, folder or file → configuration, weights, tokenizer.

name ─ locate ─┬─ folder, config.json of openclap ────── native
               ├─ folder, config.json of transformers ── huggingface
               ├─ .safetensors (config.json beside it) ─ native or huggingface
               └─ .pt, .pth, .bin ── torch_formats (needs torch): laion, msclap or wavcaps

A name of the entry point `openclap.models` is one of these, or a `CustomModel`, of which there are no files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from openclap.checkpoints import huggingface, native, torch_formats
from openclap.checkpoints.locate import locate
from openclap.checkpoints.plugged_models import PluggedModel, find_plugged
from openclap.checkpoints.presets import find_preset
from openclap.checkpoints.tokenizer import CharacterTokenizer, Tokenizer
from openclap.checkpoints.weight_shapes import check_fit
from openclap.checkpoints.weights import Entry, Weights, entries_from_arrays
from openclap.config import FORMAT_NAME, TEXT, CLAPConfig, CustomModel
from openclap.errors import BadCheckpoint, Hint, ModelError, ModelNotHere, ModelWarning, UsageError
from openclap.warn_caller import warn_caller

__all__ = ["Checkpoint", "describe_custom", "load_checkpoint", "load_tokenizer"]


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk or in memory: configuration, weights, tokenizer file if it has one, and where it comes from."""

    config: CLAPConfig
    weights: Weights
    tokenizer_file: Path | None
    source: str
    folder: Path | None = None  # of its files; None for a model that is not on disk
    notes: tuple[str, ...] = ()  # values that its files do not state, and what is used instead
    package: str | None = None  # that computes the model, of which there are no weights here: a `CustomModel`

    @property
    def reads_texts(self) -> bool:
        """Whether it can embed texts."""
        return self.tokenizer_file is not None or self.config.text.reads_characters


def load_checkpoint(name_or_path: str | os.PathLike[str]) -> Checkpoint:
    """Open any CLAP checkpoint. Each weight is read when it is used.

    Raises
    ------
    UnknownModel, ModelNotHere
        See `openclap.checkpoints.locate`.
    BadCheckpoint
        Weights are missing, left over or of a wrong shape (the message lists them), or a file cannot be read.
    MissingExtra
        It is a .pt or .bin file, and torch is not installed.
    UsageError
        It is the model of a package that computes it by itself.

    Warns
    -----
    ModelWarning
        Values that matter are not stated in its files; the warning names the defaults that are used.
    """
    name = os.fspath(name_or_path)
    path = locate(name_or_path)
    config, entries, folder, notes = _read(path)
    if find_preset(name) is not None or find_plugged(name_or_path) is not None:
        config = replace(config, name=name)
    weights = Weights(entries)
    check_fit(config, {key: weights.shape(key) for key in weights}, str(path))
    for note in notes:
        warn_caller(f"{path}: {note}", ModelWarning)
    return Checkpoint(config, weights, _tokenizer_file(config, folder), str(path), folder, tuple(notes))


def _read(path: Path) -> tuple[CLAPConfig, dict[str, Entry], Path, list[str]]:
    if path.is_file() and path.suffix != ".safetensors":
        return *torch_formats.read_torch_file(path), path.parent, []
    folder = path if path.is_dir() else path.parent
    file = folder / "config.json"
    if not file.is_file():
        raise BadCheckpoint(
            f"{folder}: no config.json, so the architecture cannot be told; give a folder saved by openclap or"
            " transformers, or a .pt or .pth of LAION, Microsoft, WavCaps or AudioSetCaps"
        )
    data = native.read_json(file)
    if data.get("format") != FORMAT_NAME:
        read, entries, notes = huggingface.read_huggingface(folder, data, None if path.is_dir() else path)
        return read, entries, folder, notes
    return *native.read_native(data, path if path.is_file() else folder / "model.safetensors"), folder, []


def describe_custom(model: CustomModel, plugged: PluggedModel) -> Checkpoint:
    """A model that a package computes by itself, as a checkpoint without weights.

    Raises
    ------
    ModelError
        It cannot be as the package describes it.
    """
    try:
        config = model.config(plugged.name)
    except UsageError as error:
        raise ModelError(
            f"the model {plugged.name!r} of {plugged.package} cannot be: {error}; update that package"
        ) from error
    weights = Weights(entries_from_arrays({"logit_scale": np.array(np.log(model.logit_scale), np.float32)}))
    return Checkpoint(config, weights, None, plugged.package, package=plugged.package)


def load_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """The tokenizer of a checkpoint; ModelNotHere, with advice, where it has none.

    Raises
    ------
    UsageError
        The model is an audio tower alone.
    """
    if checkpoint.config.text.is_missing:
        raise UsageError(str(checkpoint.config.missing_tower()))
    if checkpoint.config.text.reads_characters:
        return CharacterTokenizer(checkpoint.config.text)
    file = checkpoint.tokenizer_file
    if file is None:
        source = (*TEXT[checkpoint.config.text.kind].tokenizers, "the model")[0]
        raise ModelNotHere(
            f"{checkpoint.config.name} came without a tokenizer, so it can embed sounds but no texts",
            f"put the tokenizer.json of {source} beside {checkpoint.source}",
            Hint("pull", name=source),
        )
    return Tokenizer(file, checkpoint.config.text)


def _tokenizer_file(config: CLAPConfig, folder: Path) -> Path | None:
    file = folder / "tokenizer.json"
    if config.text.is_missing:
        return None
    if file.is_file():
        return file
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return folder / "vocab.json"
    for repo in TEXT[config.text.kind].tokenizers:  # a copy may be on this machine
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repo, "tokenizer.json")
        if isinstance(found, str):
            return Path(found)
    return None
