"""Checks of a run before its first steps: its folder, the length of a crop, and whether the memory suffices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from openclap.config import CLAPConfig
from openclap.errors import Hint, TrainingError
from openclap.train.run_state import STATE_FILE
from openclap.train.settings import Settings

__all__ = ["RESULTS", "check_crop", "check_folder", "delete_results", "explain_out_of_memory", "lock_folder"]

LOCK = ".lock"

# files that are written beside a model and describe it
RESULTS = ("training.json", "head.safetensors", "finetune.json", "distill.json", "prune.json")


def check_folder(settings: Settings, *, resume: bool) -> None:
    """Check that the folder of a run may be written to; folders made for the check are removed again.

    Raises
    ------
    TrainingError
        The folder holds a finished model, a model that no run has made, or the model that the run starts from; or it
        cannot be written to.
    """
    out = settings.resolve(settings.out)
    if settings.init is not None and settings.resolve(settings.init) in (out, out / "model.safetensors"):
        raise TrainingError(f"out and init are both {out}; choose another folder (out)")
    if resume and not (out / STATE_FILE).exists():
        if (out / "training.json").exists():
            raise TrainingError(f"{out} holds a finished model", Hint("restart"), "choose another folder (out)")
        if (out / "config.json").exists() and not (out / "log.csv").exists():  # a run writes its log first
            raise TrainingError(
                f"{out} holds a model of another making", "choose another folder (out)", Hint("restart")
            )
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    probe = out / f"writable.{os.getpid()}.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
        for folder in made:
            folder.rmdir()
    except OSError as error:
        raise TrainingError(f"{out} cannot be written to ({error.strerror}); choose another folder (out)") from error


@contextmanager
def lock_folder(settings: Settings) -> Iterator[None]:
    """Keep other runs out of the folder of this run while it goes on; the folder is made where it is missing.

    Raises
    ------
    TrainingError
        Another run trains into it.
    """
    out = settings.resolve(settings.out)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise TrainingError(
            f"{out}: another run trains into it; wait for its end, or choose another folder (out)"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows cannot remove a lock that is held
            (out / LOCK).unlink()
        lock.release()
        with suppress(OSError):  # a folder that holds files stays
            for folder in made:
                folder.rmdir()


def check_crop(settings: Settings, config: CLAPConfig) -> None:
    """Refuse crops of a length that the audio tower cannot take.

    Raises
    ------
    TrainingError
        The message gives the lengths it takes.
    """
    front, audio = config.front_end, config.audio
    frames = round(settings.crop_seconds * front.sampling_rate) // front.hop + 1
    least, most = audio.frames(front)
    if frames < least or (most is not None and frames > most):
        second = front.hop / front.sampling_rate
        allowed = f"{(least - 1) * second:.3g} s or more" if most is None else f"at most {(most - 1) * second:.4g} s"
        raise TrainingError(f"crop_seconds is {settings.crop_seconds:g}; the audio tower takes {allowed}")


def delete_results(out: Path) -> None:
    """Remove the files that describe the model a folder held before; other files stay."""
    for name in RESULTS:
        if (out / name).is_file():
            (out / name).unlink()


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn the errors of too little memory into one sentence that says what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise TrainingError(
            "the memory is too small for a step; set pieces (the gradient stays that of the whole batch), or lower"
            " batch_size or crop_seconds"
        ) from error
