"""Examines an installation and a checkpoint: versions, devices, and the health of a loaded model."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
import warnings
from typing import Any

from openclap.backends import native_halves
from openclap.checkpoints.health import Finding
from openclap.checkpoints.plugged_models import plugged_models
from openclap.checkpoints.presets import find_preset
from openclap.checkpoints.weights import count_parameters
from openclap.clap import CLAP
from openclap.confidence import confidence_curves, has_own_curves
from openclap.config import CLAPConfig
from openclap.errors import ModelWarning

__all__ = ["examine_installation"]

PACKAGES = (
    "openclap",
    "numpy",
    "openvino",
    "torch",
    "transformers",
    "soundfile",
    "soxr",
    "av",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
)


def examine_installation(model: str) -> dict[str, Any]:
    """Load a model; versions, devices and loading time, and the findings of the health check."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # its notes become findings below
        clap = CLAP.from_pretrained(model)
    seconds = time.perf_counter() - began
    config = clap.config
    installation = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        **{name: _version(name) for name in PACKAGES},
        "model": config.name,
        "from": clap.source,
        "towers": f"{config.audio.kind} + {config.text.kind}, fusion {config.fusion}, E = {config.embedding}",
        "front end": _describe_front_end(clap),
        "samples": _describe_rounding(config),
        "parameters": _describe_size(clap),
        "runs on": str(clap.backend.info),
        "precision fast": _describe_fast(model, clap),
        "tokenizer": _describe_tokenizer(clap),
        "confidence": _describe_calibration(clap),
        "loaded in": f"{seconds:.2f} s",
    }
    plugged = [f"{one.name} of {one.package}" + (f" ({one.note})" if one.note else "") for one in plugged_models()]
    if plugged:
        installation["models of packages"] = "; ".join(plugged)
    unstated = [Finding(note, "copy the file anew from where the model is published") for note in clap.checkpoint.notes]
    findings = [finding.to_dict() for finding in (*clap.examine(requested=model, fresh=True), *unstated)]
    return {"installation": installation, "findings": findings}


def _describe_size(clap: CLAP) -> str:
    if clap.checkpoint.package is not None:
        return f"known to {clap.checkpoint.package} alone"
    return f"{count_parameters(clap.checkpoint.weights) / 1e6:.1f} M"


def _describe_tokenizer(clap: CLAP) -> str:
    if clap.checkpoint.reads_texts and clap.checkpoint.package is not None:
        return f"of {clap.checkpoint.package}"
    return str(clap.checkpoint.tokenizer_file or "none: sounds only")


def _describe_front_end(clap: CLAP) -> str:
    front = clap.config.front_end
    if clap.checkpoint.package is not None:
        return f"{front.sampling_rate} Hz, clips of {front.clip_seconds:g} s, as waves"
    bank = f"{front.mel_scale} scale, {front.mel_norm or 'no'} norm"
    if front.mel_rate is not None:
        bank += f", made for {front.mel_rate} Hz"
    return (
        f"{front.sampling_rate} Hz, clips of {front.clip_seconds:g} s, {front.mel_bins} mels of"
        f" {front.f_min:g}-{front.f_max:g} Hz ({bank})"
    )


def _describe_rounding(config: CLAPConfig) -> str:
    """How decoded samples are rounded, in words, with advice where the model was saved without that setting."""
    if config.front_end.quantise is not None:
        return f"rounded to {config.front_end.quantise}, as the model was trained"
    if find_preset(f"{config.name.removesuffix('.pt')}.pt") is not None:
        return (
            "as decoded; LAION rounds those of this model to int16: load its .pt file and save it anew for the same"
            " numbers"
        )
    return "as decoded"


def _describe_fast(model: str, clap: CLAP) -> str:
    """What `precision="fast"` takes here, without building an int8 graph."""
    if clap.checkpoint.package is not None:
        return f"float32: {clap.checkpoint.package} says what it computes in"
    if clap.backend.info.engine == "openvino" and not native_halves():
        return "int8, with openclap's extra int8: this CPU multiplies neither bfloat16 nor float16"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        taken = CLAP.from_pretrained(model, precision="fast").backend.info.dtype
    return taken if taken != "float32" else "float32: with less, the vectors of this model would differ too much"


def _describe_calibration(clap: CLAP) -> str:
    """For which model the curves of the confidence were fitted, in words."""
    curves = confidence_curves(clap.config)
    if has_own_curves(clap):
        return f"fitted for this model: {curves.fitted_on}"
    of = "another model" if clap.config.confidence else "mini's third edition"
    return (
        f"fitted for {of} ({curves.fingerprint}), not for this one: the order of what is found holds, how large a"
        " confidence is is a guess"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
