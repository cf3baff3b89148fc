"""Checkpoint files, or a configuration and random weights → what a `CLAP` is made of.

name or path ─ checkpoint, texts cut where the caller says ─┬─ backend ─ health: faults are warned of, or refused
configuration ─ torch module with random weights ───────────┘
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from openclap import backends
from openclap.backends.pe_audio import is_pe_audio, load_pe_audio
from openclap.checkpoints.health import Finding
from openclap.checkpoints.load import Checkpoint, describe_custom, load_checkpoint
from openclap.checkpoints.locate import locate
from openclap.checkpoints.plugged_models import PluggedModel, find_plugged
from openclap.checkpoints.presets import find_preset
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.clap.precision import Precision
from openclap.config import CLAPConfig, CustomModel
from openclap.errors import BadCheckpoint, ModelWarning, UsageError
from openclap.warn_caller import warn_caller

if TYPE_CHECKING:
    from openclap.backends import Backend
    from openclap.backends.torch_backend import TorchBackend
    from openclap.models.clap import CLAPModel

__all__ = ["lasting_name", "load_with_backend", "make_random", "report_findings"]

Name: TypeAlias = str | os.PathLike[str]


def load_with_backend(
    name: Name, *, backend: str, device: str, threads: int | None, precision: Precision, max_tokens: int | None
) -> tuple[Checkpoint, Backend]:
    """Load a checkpoint and choose what computes it; the arguments are those of `CLAP.from_pretrained`."""
    if precision not in get_args(Precision):
        raise UsageError(f"precision is {precision!r}; choose {', '.join(get_args(Precision))}")
    plugged = find_plugged(name)
    if plugged is not None:
        made = plugged.load(device=device, threads=threads)
        if isinstance(made, CustomModel):
            asked = {"backend": backend, "precision": precision, "max_tokens": max_tokens}
            return _run_custom(made, plugged, asked)
        checkpoint = load_checkpoint(made)
        checkpoint = replace(checkpoint, config=replace(checkpoint.config, name=plugged.name))
    elif is_pe_audio(folder := locate(name)):
        own = load_pe_audio(folder, name=os.fspath(name), device=device, threads=threads)
        asked = {"backend": backend.replace("torch", "auto"), "precision": precision, "max_tokens": max_tokens}
        return _run_custom(own, PluggedModel(os.fspath(name), "transformers"), asked)
    else:
        checkpoint = load_checkpoint(name)
    if max_tokens is not None:
        checkpoint = replace(checkpoint, config=checkpoint.config.with_max_tokens(max_tokens))
    half = precision if precision in ("bfloat16", "float16", "fast") else None
    return checkpoint, backends.choose_backend(checkpoint, backend=backend, device=device, threads=threads, half=half)


def _run_custom(model: CustomModel, plugged: PluggedModel, asked: Mapping[str, Any]) -> tuple[Checkpoint, Backend]:
    """Let a package compute its model; `asked` are options that only openclap's own backends take.

    Raises
    ------
    ModelError
        The package describes no model that can be.
    UsageError
        One of the options was given.
    """
    from openclap.backends.custom_backend import CustomBackend

    for option, value in asked.items():
        if value not in ("auto", "float32", "fast", None):
            raise UsageError(f"{plugged.name} is computed by {plugged.package}, which takes no {option}; leave it out")
    checkpoint = describe_custom(model, plugged)
    return checkpoint, CustomBackend(model, name=plugged.name, package=plugged.package)


def lasting_name(name: Name) -> str:
    """A name, or the absolute path of what lies here, that means the same to a process that works elsewhere."""
    preset = find_preset(os.fspath(name))
    is_packaged = preset is not None and preset.repo is None
    is_path = Path(name).exists() and not is_packaged and find_plugged(name) is None
    return str(Path(name).absolute()) if is_path else os.fspath(name)


def report_findings(name: Name, findings: Iterable[Finding], *, strict: bool) -> None:
    """Warn of the faults of a checkpoint; `strict` refuses the first."""
    for finding in findings:
        message = f"{os.fspath(name)}: {finding.what}; {finding.advice}"
        if strict:
            raise BadCheckpoint(message)
        warn_caller(message, ModelWarning)


def make_random(
    config: CLAPConfig | Mapping[str, Any], *, tokenizer: Name | None, seed: int, device: str, threads: int | None
) -> tuple[Checkpoint, TorchBackend, CLAPModel]:
    """Make a model with random weights; the arguments are those of `CLAP.from_config`."""
    backends.require_torch("a model with random weights is made by torch")
    import torch

    from openclap.backends.torch_backend import TorchBackend
    from openclap.models.clap import CLAPModel

    if not isinstance(config, CLAPConfig):
        config = CLAPConfig.from_dict(dict(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLAPModel(config).eval()
    file = None if tokenizer is None else Path(tokenizer)
    checkpoint = Checkpoint(config, Weights(entries_from_arrays(model.arrays())), file, f"random weights, seed {seed}")
    return checkpoint, TorchBackend(model, device=device, threads=threads), model
