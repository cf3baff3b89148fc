"""Prune a checkpoint: write a smaller one, train it further where that is asked for, and report on both.

A folder with the name of the result and ".part" holds the work: `cut/` the pruned model, `tuned/` the training,
`model/` the trained model. The result is renamed when all is done; a stopped call goes on with this folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from openclap.atomic_write import write_json
from openclap.checkpoints.load import Checkpoint, load_checkpoint, load_tokenizer
from openclap.checkpoints.native import is_compact, read_json, save_pretrained
from openclap.checkpoints.weights import Weights, count_parameters, entries_from_arrays
from openclap.clap import CLAP
from openclap.config import AUDIO, TEXT, CLAPConfig
from openclap.errors import ModelError, UsageError
from openclap.models.clap import CLAPModel
from openclap.plurals import count_noun
from openclap.progress import with_progress
from openclap.results import Failure
from openclap.train.configuration import read_settings
from openclap.train.contrastive import train
from openclap.train.preflight import RESULTS
from openclap.train.pruning.calibration_sounds import Sounds, choose_sounds, clip_batches, make_clips, text_batches
from openclap.train.pruning.cut_weights import cut_weights
from openclap.train.pruning.importance import Batch, UnitStatistics, choose_units, collect_statistics
from openclap.train.pruning.norms import inner_norms, match_norms
from openclap.train.pruning.report import PruneReport, compare
from openclap.train.pruning.units import Index, Keep, Units, smaller, units_of
from openclap.train.run_state import STATE_FILE, digest

__all__ = ["prune"]

Importance = Literal["taylor", "norm"]

REPORT = "prune.json"
VERSION = 1  # of how a model is cut: the work of another version is not continued
# the files of a checkpoint, which --force may replace
OURS = frozenset({"config.json", "model.safetensors", "tokenizer.json", "log.csv", *RESULTS})
FEWEST = 8  # clips to calibrate with, at least


def prune(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    keep: Keep | float = 0.5,
    data: str | os.PathLike[str] | None = None,
    tune: str | os.PathLike[str] | None = None,
    importance: Importance = "taylor",
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> PruneReport:
    """Write a smaller checkpoint without the least important heads, MLP rows and channels.

    `CLAP.from_pretrained` loads it as any other, and it needs less memory and time.

    Parameters
    ----------
    model
        Any checkpoint that `CLAP.from_pretrained` takes.
    out
        A new or an empty folder.
    keep
        The share of all units that stays, or `Keep` with a share for each kind.
    data
        Sounds to calibrate with and to judge by: a folder of sounds, or whatever `openclap.data.open_manifest` takes.
        With labels, the report has zero-shot accuracies. Synthesised sounds are used when omitted.
    tune
        A training configuration (YAML) for `openclap.train.train`; its `model`, `init` and `out` are replaced by the
        pruned model.
    importance
        How units are chosen. "taylor": by how much the embeddings of calibration sounds change without a unit; the
        units that stay then replace the others as far as they can. "norm": by the norms of the weights, without sounds.
    force
        Replace a checkpoint that is in `out`.
    device, threads
        Used for importance and for the comparison; see `openclap.backends.choose_backend`.

    Raises
    ------
    UsageError
        A share is impossible, the folder is taken, or there is nothing to prune.
    ModelError, DataError, TrainingError
        `model`, `data` or `tune` cannot be used.
    """
    shares = keep if isinstance(keep, Keep) else Keep(keep, keep, keep)
    if importance not in ("taylor", "norm"):
        raise UsageError(f"importance is {importance!r}; choose taylor or norm")
    checkpoint = load_checkpoint(model)
    target = _check_target(Path(os.path.expanduser(out)), checkpoint, force=force)
    if tune is not None and not Path(tune).is_file():
        raise UsageError(f"{os.fspath(tune)}: no such file; give a training configuration (YAML)")
    if tune is not None:  # refuse a wrong configuration before anything is cut
        read_settings(Path(tune), out=str(target))
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed is {seed}; it must be from 0 to below 2**63")
    before = CLAP.from_pretrained(model, device=device, threads=threads)
    sounds = choose_sounds(data)
    tuned = None if tune is None else [os.path.abspath(tune), *digest([Path(tune)])]
    source = None if data is None else os.path.abspath(data)
    part = _open_workplace(target, [before.fingerprint, asdict(shares), importance, source, tuned, seed, VERSION])
    compact = is_compact(checkpoint.source)
    small, notes, failed = _cut_units(checkpoint, shares, sounds, importance, device, seed, progress=progress)
    if (Path(checkpoint.source) / "head.safetensors").is_file():
        notes.append("its head of labels is of the whole model and is not taken along: finetune the pruned one")
    save_pretrained(small.config, small.weights, checkpoint.tokenizer_file, part / "cut", compact=compact)
    result = part / "cut"
    if tune is not None:
        result = _tune(small.config, checkpoint, Path(tune), part, compact=compact, progress=progress)
    after = CLAP.from_pretrained(result, device=device, threads=threads)
    report = compare(
        before,
        after,
        (_weights_size(checkpoint), _weights_size(load_checkpoint(result))),
        sounds,
        progress=progress,
        out=str(target),
        keep=asdict(shares),
        importance=importance,
        tuned=tune is not None,
        notes=tuple(notes),
    )
    report = replace(report, failed=(*failed, *report.failed))
    write_json(result / REPORT, report.to_dict(), own=True, sync=True)
    _replace(target, result, part / "replaced")
    shutil.rmtree(part)
    return report


# -- cutting -----------------------------------------------------------------------------------------


def _cut_units(
    checkpoint: Checkpoint, keep: Keep, sounds: Sounds, importance: str, device: str, seed: int, *, progress: bool
) -> tuple[Checkpoint, list[str], list[Failure]]:
    """Make the pruned model, notes for the report on how it was made, and the list of sounds that could not be used."""
    config = smaller(checkpoint.config, keep)
    units = [group for group in units_of(checkpoint.config, config) if group.kept < group.count]
    notes = []
    if not units:
        notes.append("nothing was cut: everything was to be kept, or what was not is not in this model")
    asked = [AUDIO[config.audio.kind]] * keep.audio + [TEXT[config.text.kind]] * keep.text
    notes += [f"nothing of the encoder {one.kind!r} can be cut: it stays whole" for one in asked if one.units is None]
    weights = checkpoint.weights
    if importance == "norm" or not units:
        if units:
            notes.append(
                "units were chosen by the norms of their weights alone, and nothing was made good: no sound was"
                " listened to"
            )
        kept = choose_units(units, weights, {})
        return _pruned_checkpoint(checkpoint, config, cut_weights(weights, units, kept, {})), notes, []
    where = _choose_device(device)
    whole = CLAPModel.from_arrays(checkpoint.config, {name: np.array(weights[name]) for name in weights}).to(where)
    clips, failed = make_clips(
        sounds.calibrated, checkpoint.config.front_end, fused=checkpoint.config.fusion is not None
    )
    if len(clips) < FEWEST:
        raise UsageError(
            f"{count_noun(len(clips), 'sound that can be used is', 'sounds that can be used are')} too few to calibrate"
            f" with; give {FEWEST} or more"
        )
    heard = clip_batches(clips, where)
    statistics = _collect(whole, units, heard, seed, text=False, progress=progress)
    no_text = checkpoint.tokenizer_file is None
    spoken = [] if no_text else text_batches(sounds.texts, load_tokenizer(checkpoint), where)
    texts = _collect(whole, units, spoken, seed, text=True, progress=progress)
    if any(group.reader.startswith("text.") for group in units) and not texts:
        notes.append(
            "it came without a tokenizer, so units of its text tower were chosen by the norms of their weights"
        )
    statistics |= texts
    kept = choose_units(units, weights, statistics)
    arrays = cut_weights(weights, units, kept, statistics)
    model = CLAPModel.from_arrays(config, arrays).to(where)
    if inner_norms(model):
        match_norms(whole, model, with_progress(heard, "batch norms", len(heard), show=progress), _by_norm(units, kept))
        arrays = model.arrays()
    notes.append(
        f"calibrated with {count_noun(len(clips), 'sound')} and {count_noun(len(sounds.texts) if texts else 0, 'text')}"
    )
    return _pruned_checkpoint(checkpoint, config, arrays), notes, failed


def _pruned_checkpoint(checkpoint: Checkpoint, config: CLAPConfig, arrays: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(config, Weights(entries_from_arrays(arrays)), checkpoint.tokenizer_file, config.name)


def _collect(
    whole: CLAPModel, units: list[Units], batches: list[Batch], seed: int, *, text: bool, progress: bool
) -> dict[str, UnitStatistics]:
    """Collect the statistics of the units of the text tower, or of all others."""
    mine = [group for group in units if group.reader.startswith("text.") is text]
    encode, what = (whole.encode_text, "reading") if text else (whole.encode_audio, "listening")
    bar = with_progress(batches, what, len(batches), show=progress) if mine else ()
    return collect_statistics(whole, encode, mine, bar, torch.Generator().manual_seed(seed))


def _by_norm(units: list[Units], kept: Mapping[str, Index]) -> dict[str, Index]:
    """The channels that stay, by the batch norm they pass through."""
    end = ".running_mean"
    return {
        part.name.removesuffix(end): kept[group.reader]
        for group in units
        for part in group.cut
        if part.name.endswith(end)
    }


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


# -- tuning ------------------------------------------------------------------------------------------


def _tune(config: CLAPConfig, checkpoint: Checkpoint, tune: Path, part: Path, *, compact: bool, progress: bool) -> Path:
    """Train the pruned model → the folder of the result; a stopped training goes on, a finished one is not repeated."""
    place = part / "tuned"
    if not (place / "training.json").exists() or (place / STATE_FILE).exists():
        changes: dict[str, Any] = {
            "out": str(place.resolve()),
            "init": str((part / "cut").resolve()),
            "model": {name: value for name, value in config.to_dict().items() if not name.startswith("format")},
        }
        if checkpoint.tokenizer_file is not None:
            changes["tokenizer"] = str((part / "cut" / "tokenizer.json").resolve())
        train(tune, progress=progress, **changes)
    tuned = load_checkpoint(place)
    save_pretrained(tuned.config, tuned.weights, tuned.tokenizer_file, part / "model", compact=compact)
    for name in ("training.json", "log.csv"):
        shutil.copyfile(place / name, part / "model" / name)
    return part / "model"


# -- folders -----------------------------------------------------------------------------------------


def _check_target(target: Path, checkpoint: Checkpoint, *, force: bool) -> Path:
    """Check that the result may be written to this folder → its absolute path."""
    target = Path(os.path.abspath(target))
    source = Path(checkpoint.source).resolve()
    if target.resolve() in (source, *source.parents):
        raise UsageError(f"{target} holds the model that is to be pruned; choose another folder")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return target
    if not target.is_dir():
        raise UsageError(f"{target} is a file; give a folder to save the model in")
    if not _is_checkpoint(target):
        raise UsageError(f"{target} holds something that is no openclap checkpoint; choose another folder")
    others = sorted(entry.name for entry in target.iterdir() if entry.name not in OURS)
    if others:
        raise UsageError(f"{target} holds more than a checkpoint, such as {others[0]}; choose another folder")
    if not force:
        raise UsageError(f"{target} holds a checkpoint; choose another folder, or replace it (force)")
    return target


def _is_checkpoint(folder: Path) -> bool:
    try:
        return read_json(folder / "config.json").get("format") == "openclap"
    except ModelError:
        return False


def _open_workplace(target: Path, facts: list[Any]) -> Path:
    """The folder for the work: the one that a stopped call with the same facts left, or a new one."""
    part = target.with_name(f"{target.name}.part")
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    note = part / "asked"
    if part.exists():
        if not note.is_file():
            raise UsageError(f"{part} is in the way and not ours; remove it, or choose another folder")
        if note.read_text(encoding="utf-8") == key:
            return part
        shutil.rmtree(part)
    try:
        part.mkdir(parents=True)
        note.write_text(key, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{part} cannot be written to ({error.strerror or error}); choose another folder") from error
    return part


def _replace(target: Path, made: Path, old: Path) -> None:
    """Rename the finished folder to its final name; a folder that was there before is moved away."""
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
    os.replace(made, target)


def _weights_size(checkpoint: Checkpoint) -> int:
    """The size of the file of weights; for a .pt, which may also hold an optimiser, that of the weights as float32."""
    file = Path(checkpoint.source)
    file = file if file.is_file() else file / "model.safetensors"
    if file.suffix == ".safetensors" and file.is_file():
        return file.stat().st_size
    return 4 * count_parameters(checkpoint.weights)
