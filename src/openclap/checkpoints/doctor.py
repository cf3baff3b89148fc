"""Is this installation sound, and this checkpoint: versions, devices, a model loaded and examined."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
import warnings
from typing import Any

from openclap.checkpoints.load import examine, load_checkpoint
from openclap.errors import ModelWarning

__all__ = ["examine_installation"]

PACKAGES = (
    "openclap",
    "torch",
    "transformers",
    "numpy",
    "soundfile",
    "soxr",
    "av",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
)


def examine_installation(model: str) -> dict[str, Any]:
    """Versions and devices, how long the model takes to load, and what the health check finds."""
    import torch

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # told below
        checkpoint = load_checkpoint(model)
    seconds = time.perf_counter() - began
    config = checkpoint.config
    installation = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "cuda": f"{torch.cuda.device_count()} devices" if torch.cuda.is_available() else "none",
        "model": config.name,
        "from": checkpoint.source,
        "towers": f"{config.audio.kind} + {config.text.kind}, fusion {config.fusion}, E = {config.embedding}",
        "parameters": f"{sum(p.numel() for p in checkpoint.model.parameters()) / 1e6:.1f} M",
        "tokenizer": str(checkpoint.tokenizer_file or "none: sounds only"),
        "loaded in": f"{seconds:.2f} s",
    }
    findings = [finding.to_dict() for finding in examine(checkpoint, requested=model)]
    return {"installation": installation, "findings": findings}
