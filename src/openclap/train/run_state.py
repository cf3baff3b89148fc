"""The state of a stopped run on disk: written whole or not at all, and read only by the run it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from openclap.atomic_write import atomic_write
from openclap.errors import Hint, TrainingError
from openclap.regular_files import require_regular

__all__ = ["STATE_FILE", "digest", "load_state", "run_digest", "save_state"]

STATE_FILE = "training_state.pt"
FORMAT = 1


def run_digest(*facts: Any) -> str:
    """A digest of what decides a run; two runs with the same digest give the same weights."""
    return hashlib.sha256(json.dumps([FORMAT, *facts], sort_keys=True).encode()).hexdigest()


def digest(files: Iterable[Path]) -> list[str]:
    """The SHA-256 of the content of each file; "" for a file that is missing."""
    return [hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "" for file in files]


def save_state(folder: Path, identity: str, state: dict[str, Any]) -> None:
    """Write the state of a run, whole or not at all.

    Raises
    ------
    TrainingError
        The disk is full; the state that was saved before is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / STATE_FILE
    try:
        with atomic_write(file, own=True, sync=True) as part, part.open("wb") as opened:
            torch.save({"format": FORMAT, "run": identity, **state}, opened)
    except (OSError, RuntimeError) as error:  # a full disk; torch wraps what the disk says
        if isinstance(error.__context__, KeyboardInterrupt):  # torch then fails on its half-written file
            raise error.__context__ from None
        raise TrainingError(
            f"{file} cannot be written ({error}); make room and run it again: it goes on from the last state that was"
            " kept"
        ) from error


def load_state(folder: Path, identity: str) -> dict[str, Any] | None:
    """Read the state that a stopped run left, on the CPU; None without one.

    Raises
    ------
    TrainingError
        The state is broken, or belongs to another run.
    """
    file = folder / STATE_FILE
    if not file.exists():
        return None
    try:
        require_regular(file)
        state: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # a cut pickle or zip raises a dozen kinds
        raise TrainingError(f"{file} is broken ({error})", Hint("restart")) from error
    if state.get("format") != FORMAT:
        raise TrainingError(
            f"{file} was written by another version of openclap (format {state.get('format')}, this one reads"
            f" {FORMAT})",
            "finish it there",
            Hint("restart"),
        )
    if state["run"] != identity:
        raise TrainingError(
            f"{file} is the state of another configuration", Hint("restart"), "choose another folder (out)"
        )
    return state
