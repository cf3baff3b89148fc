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

import numpy as np

from openclap.aside import aside
from openclap.checkpoints.tokens import read_fast
from openclap.checkpoints.weights import Entry, Weights, read_safetensors
from openclap.config import CLAPConfig
from openclap.errors import BadCheckpoint, UsageError

__all__ = ["is_compact", "is_native", "read_json", "read_native", "save_pretrained"]

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


def is_native(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is openclap's."""
    return config.get("format") == "openclap"


def is_compact(path: str | os.PathLike[str]) -> bool:
    """Whether a folder or a .safetensors file holds its table of words as int8."""
    file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
    return file.suffix == ".safetensors" and file.is_file() and SCALE in read_safetensors(file)


def read_native(config: dict[str, Any], weights: Path) -> tuple[CLAPConfig, dict[str, Entry]]:
    """Configuration and weights of a folder in openclap's format."""
    entries = read_safetensors(weights)
    if SCALE in entries:
        entries[TABLE] = _widened(entries[TABLE], entries.pop(SCALE).read())
    return CLAPConfig.from_dict(config), entries


def _widened(table: Entry, scale: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Entry:
    """Rows of int8 with a scale each, as float32."""
    assert table.rows is not None
    whole, some = table.read, table.rows
    return Entry(
        table.shape,
        lambda: whole().astype(np.float32) * scale[:, None],
        lambda index: some(index).astype(np.float32) * scale[index][..., None],
    )


def save_pretrained(
    config: CLAPConfig,
    weights: Weights,
    tokenizer: Path | None,
    folder: str | os.PathLike[str],
    *,
    compact: bool = False,
) -> None:
    """Write a checkpoint that `CLAP.from_pretrained(folder)` reloads bit for bit (but for a compact table)."""
    from safetensors import SafetensorError

    target = Path(os.path.expanduser(folder))
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; give a folder to save the model in")
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(config, weights, tokenizer, target, compact=compact)
    except (OSError, SafetensorError) as error:  # safetensors wraps what a full disk says
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{target} cannot be written to ({why}); choose another folder") from error


def _write(config: CLAPConfig, weights: Weights, tokenizer: Path | None, target: Path, *, compact: bool) -> None:
    from safetensors.numpy import save_file

    state = {name: np.asarray(weights[name], order="C") for name in weights}
    if compact:
        if TABLE not in state:
            raise UsageError("compact is for models with a words tower; this one has none")
        scale = np.maximum(np.abs(state[TABLE]).max(1) / 127, 1e-12).astype(np.float32)
        state[TABLE], state[SCALE] = (state[TABLE] / scale[:, None]).round().astype(np.int8), scale
    with aside(target / "model.safetensors", own=True) as part:
        save_file(state, part, metadata={"format": "openclap"})
        part.chmod(0o644)  # safetensors makes it private; a packaged model must be readable by everyone
    if tokenizer is None:
        (target / "tokenizer.json").unlink(missing_ok=True)  # another model's would give wrong vectors
    elif tokenizer.resolve() != (target / "tokenizer.json").resolve():
        with aside(target / "tokenizer.json", own=True) as part:
            if tokenizer.name == "vocab.json":
                read_fast(tokenizer).save(str(part))
            else:
                shutil.copyfile(tokenizer, part)
    with aside(target / "config.json", own=True) as part:
        part.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
