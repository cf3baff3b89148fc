"""openclap's own format: config.json, model.safetensors, tokenizer.json. Written aside and renamed, config last.

With `compact=True` the table of a words tower is stored as int8 rows with one scale each (cosine of the vectors
>= 0.9999): `text.table.weight` int8 (V, D) and `text.table.scale` float32 (V,); the rest as float32.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from openclap.config import CLAPConfig
from openclap.errors import BadCheckpoint, UsageError
from openclap.models.clap import CLAPModel

__all__ = ["is_native", "load_safetensors", "read_json", "read_native", "save_pretrained"]

TABLE, SCALE = "text.table.weight", "text.table.scale"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or BadCheckpoint."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadCheckpoint(
            f"{path}: cannot be read as JSON ({error}); copy it anew from the model's folder"
        ) from error
    if not isinstance(data, dict):
        raise BadCheckpoint(f"{path}: a JSON object is expected, not {type(data).__name__}")
    return data


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name, or BadCheckpoint."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint(
            f"{path}: no safetensors file, or cut short ({error}); copy or download it again"
        ) from error


def is_native(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is openclap's."""
    return config.get("format") == "openclap"


def read_native(config: dict[str, Any], weights: Path) -> tuple[CLAPConfig, dict[str, Tensor]]:
    """Configuration and float32 weights of a folder in openclap's format."""
    state = load_safetensors(weights)
    if SCALE in state:
        state[TABLE] = state[TABLE].float() * state.pop(SCALE)[:, None]
    return CLAPConfig.from_dict(config), state


def save_pretrained(
    config: CLAPConfig,
    model: CLAPModel,
    tokenizer: Path | None,
    folder: str | os.PathLike[str],
    *,
    compact: bool = False,
) -> None:
    """Write a checkpoint that `CLAP.from_pretrained(folder)` reloads bit for bit (but for a compact table)."""
    target = Path(folder).expanduser()
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; give a folder to save the model in")
    target.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    if compact:
        if TABLE not in state:
            raise UsageError("compact is for models with a words tower; this one has none")
        scale = (state[TABLE].abs().amax(1) / 127).clamp(min=1e-12)
        state[TABLE], state[SCALE] = (state[TABLE] / scale[:, None]).round().to(torch.int8), scale
    aside = target / "model.safetensors.part"
    save_file(state, aside, metadata={"format": "openclap"})
    aside.chmod(0o644)  # safetensors makes it private; a packaged model must be readable by everyone
    os.replace(aside, target / "model.safetensors")
    if tokenizer is not None and tokenizer.resolve() != (target / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, target / "tokenizer.json.part")
        os.replace(target / "tokenizer.json.part", target / "tokenizer.json")
    aside = target / "config.json.part"
    aside.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
    os.replace(aside, target / "config.json")
