"""The settings of a fine-tuning beside those of every training: labels, head and judged sounds; and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from openclap.errors import TrainingError
from openclap.train.configuration import read_yaml, settings_of
from openclap.train.rules import refuse_unused, require
from openclap.train.settings import Settings

__all__ = ["DEFAULTS", "SupervisedSettings", "Supervision", "check", "supervised_settings"]

# settings that concern captions, which fine-tuning does not use
UNUSED = ("loss", "extra_texts", "families", "own_share", "phrases", "templates")
# defaults for a small set of sounds and a trained model; a configuration replaces them one by one
DEFAULTS: dict[str, Any] = {
    "init": "mini",
    "epochs": 15,
    "learning_rate": 1e-4,
    "warmup_share": 0.1,
    "weight_decay": 0.01,
    "clip_gradient": 1.0,
    "freeze": ("text", "logit_scale"),
    "freeze_norms": True,
    "template_share": 0.0,
    "most_broken": 0.05,
    "trackers": (),
    "augment": {"stretch": 0.1, "pitch_bins": 1.0, "equaliser_db": 1.0},
}


@dataclass(frozen=True)
class Supervision:
    """What `openclap finetune` learns beside the weights of the model: which labels, in which head, judged on what."""

    multi_label: bool | None = None  # whether a sound may have several labels; left out, as in the data
    head: Literal["linear", "mlp"] = "linear"  # one layer, or two with a hidden one between
    start: Literal["probe", "zeroshot", "random"] = "probe"  # first weights of the head
    head_rate: float = 10.0  # the head's learning rate, as a multiple of the model's
    # judged sounds are not learnt from: files where they are given, else folds, else a split, else a share
    test_split: str | None = None  # the split that is judged
    test_folds: tuple[str, ...] = ()  # the folds that are judged
    test_files: tuple[str, ...] = ()  # patterns on the file name
    test_share: float | None = None  # share of every label, drawn by `seed`; 0: no sound is judged
    templates: tuple[str, ...] = ("This is a sound of {}.",)  # prompts of labels
    draws: int = 1000  # resamples for the intervals


@dataclass(frozen=True)
class SupervisedSettings(Settings):
    """One fine-tuning."""

    supervised: Supervision = field(default_factory=Supervision)  # labels, the head, who is judged


def supervised_settings(given: Any, changes: dict[str, Any]) -> tuple[SupervisedSettings, set[str]]:
    """Checked settings, and the names of those that were given."""
    path = None if isinstance(given, Mapping) else Path(given)
    values = dict(given) if path is None else read_yaml(path)
    where, folder = ("settings", Path()) if path is None else (str(path), path.resolve().parent)
    parts = [part.get("supervised") or {} for part in (values, changes)]
    if all(isinstance(part, Mapping) for part in parts):
        supervised = {**parts[0], **parts[1]}
        folds = supervised.get("test_folds", ())
        supervised["test_folds"] = [str(f) for f in (folds if isinstance(folds, list | tuple) else [folds])]
        changes = {**changes, "supervised": supervised}
    elif not isinstance(parts[0], Mapping):  # an error in the file is reported, whatever changes are given
        changes = {**changes, "supervised": parts[0]}
    settings = settings_of({**DEFAULTS, **values, **changes}, folder, where, SupervisedSettings)
    refuse_unused(settings, UNUSED, "finetune")
    if settings.average is not None:
        raise TrainingError(f"{where}: average is {settings.average}; leave it out, the head keeps no average")
    if not settings.model:  # a changed model gets a name of its own
        named = replace(settings.config(), name=settings.resolve(settings.out).name)
        settings = replace(settings, model=named.to_dict())
    return settings, {*values, *changes}


def check(supervision: Supervision) -> None:
    """Refuse values that no fine-tuning can have.

    Raises
    ------
    TrainingError
        The message names the setting and what is allowed.
    """
    rules = {
        "head_rate": (supervision.head_rate > 0, "more than 0"),
        "test_share": (supervision.test_share is None or 0 <= supervision.test_share < 1, "from 0 to below 1"),
        "draws": (supervision.draws >= 0, "0 or more"),
    }
    require(rules, supervision, "supervised.")
