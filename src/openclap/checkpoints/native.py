"""openclap's own format: a folder of config.json, model.safetensors and tokenizer.json; config.json is written last.

`compact=True` stores the text tower as rows of int8 with a scale each, `half=True` stores matrices and convolutions as
float16: see `checkpoints/compact.py`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from openclap.atomic_write import atomic_write
from openclap.checkpoints import compact as packing
from openclap.checkpoints.tokenizer import load_fast_tokenizer
from openclap.checkpoints.weights import Array, Entry, Weights, read_safetensors
from openclap.config import CLAPConfig
from openclap.errors import BadCheckpoint, UsageError
from openclap.regular_files import read_regular

__all__ = ["is_compact", "read_json", "read_native", "save_pretrained"]


def read_json(path: Path) -> dict[str, Any]:
    """Read a file with a JSON object; BadCheckpoint where it holds none."""
    try:
        data = json.loads(read_regular(path).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise BadCheckpoint(
            f"{path}: cannot be read as JSON ({getattr(error, 'strerror', None) or error}); copy it anew from the model's folder"
        ) from error
    if not isinstance(data, dict):
        raise BadCheckpoint(f"{path}: a JSON object is expected, not {type(data).__name__}")
    return data


def is_compact(path: str | os.PathLike[str]) -> bool:
    """Whether a folder or a .safetensors file stores its text tower as int8."""
    file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
    return file.suffix == ".safetensors" and file.is_file() and packing.is_packed(read_safetensors(file))


def read_native(config: dict[str, Any], weights: Path) -> tuple[CLAPConfig, dict[str, Entry]]:
    """Configuration and weights of a model in openclap's format."""
    return CLAPConfig.from_dict(config), packing.unpack(read_safetensors(weights))


def save_pretrained(
    config: CLAPConfig,
    weights: Weights,
    tokenizer: Path | None,
    folder: str | os.PathLike[str],
    *,
    compact: bool = False,
    half: bool = False,
) -> None:
    """Write a folder that `CLAP.from_pretrained` reloads bit for bit, except for what `compact` and `half` round."""
    from safetensors import SafetensorError

    target = Path(os.path.expanduser(folder))
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; give a folder to save the model in")
    try:
        target.mkdir(parents=True, exist_ok=True)
        state = {name: np.asarray(weights[name], order="C") for name in weights}
        state = packing.pack(state, config.text.kind) if compact else state
        _write(config, packing.to_float16(state) if half else state, tokenizer, target)
    except (OSError, SafetensorError) as error:  # safetensors wraps the error of a full disk
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{target} cannot be written to ({why}); choose another folder") from error


def _write(config: CLAPConfig, state: dict[str, Array], tokenizer: Path | None, target: Path) -> None:
    from safetensors.numpy import save_file

    with atomic_write(target / "model.safetensors", own=True) as part:
        save_file(state, part, metadata={"format": "openclap"})
        part.chmod(0o644)  # safetensors makes it private; a packaged model must be readable by everyone
    if tokenizer is None:
        (target / "tokenizer.json").unlink(missing_ok=True)  # another model's would give wrong vectors
    elif tokenizer.resolve() != (target / "tokenizer.json").resolve():
        with atomic_write(target / "tokenizer.json", own=True) as part:
            if tokenizer.name == "vocab.json":
                load_fast_tokenizer(tokenizer).save(str(part))
            else:
                shutil.copyfile(tokenizer, part)
    with atomic_write(target / "config.json", own=True) as part:
        part.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
