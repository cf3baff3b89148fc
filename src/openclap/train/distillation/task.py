"""Distillation: a small student learns to give the embeddings of a teacher; sounds need no labels.

    recording ─┬─ teacher, clean ───────────── vector ─┐
               └─ augmented ─ student's tower ─ vector ─┴─ 1 - cosine, relations to texts and to other clips
    text tower: the teacher's own, copied and at rest; one of another shape learns from texts in the same way

This follows tinyCLAP (arXiv 2311.14517), which prunes and distils the audio tower alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from openclap.atomic_write import write_json
from openclap.clap import CLAP
from openclap.config import CLAPConfig
from openclap.errors import OpenClapError, TrainingError
from openclap.models.clap import CLAPModel
from openclap.train.batches import Batches
from openclap.train.configuration import read_settings
from openclap.train.distillation.agreement import Agreement, measure_agreement
from openclap.train.distillation.distill_batches import DistillBatches, TextSampler
from openclap.train.distillation.loss import DistillStep
from openclap.train.distillation.settings import DistillSettings, check
from openclap.train.distillation.teacher import Teacher
from openclap.train.distributed import same_outcome
from openclap.train.examples import Example, read_examples
from openclap.train.held_out import hold_out_by_name
from openclap.train.initial_model import training_device
from openclap.train.loop import run
from openclap.train.mel_cache import MelCache
from openclap.train.run_state import digest
from openclap.train.skipped import refuse_too_many_unreadable, warn_of_skipped
from openclap.train.step import autocast_dtype, make_tokenize
from openclap.train.task import Report, RunContext, Task

__all__ = ["DistillReport", "Distillation", "distill"]

TEXT = ("text.", "text_projection.")
MEASURED_TEXTS = 1000
FILE = "distill.json"


@dataclass(frozen=True)
class DistillReport(Report):
    """What a distillation did, and how well the student agrees with its teacher, which only the first process knows."""

    agreement: Agreement | None = None


def distill(
    path: str | os.PathLike[str], *, resume: bool = True, progress: bool = True, **changes: Any
) -> DistillReport:
    """Teach a student the embeddings of a teacher, as a YAML file describes, and write it as a checkpoint.

    Parameters
    ----------
    path
        The configuration: that of `openclap.train.train` with `teacher` and `distill`; `changes` replace its top-level
        values.
    resume
        Go on where a stopped run of the same configuration left off; the result is that of an uninterrupted run.

    Returns
    -------
    What the run did, and how well the student agrees with the teacher on held-out recordings (also in `distill.json`).

    Raises
    ------
    TrainingError
        Before the first step, when data, teacher or configuration is wrong.
    """
    with same_outcome():
        settings = read_settings(Path(path), DistillSettings, **changes)
        task = Distillation(settings, progress=progress)
    report = run(task, resume=resume, progress=progress)
    return DistillReport(**vars(report), agreement=task.agreement)


class Distillation(Task):
    """The task of `openclap distill`.

    Raises
    ------
    TrainingError
        The configuration cannot be used, or the teacher cannot be found.
    """

    def __init__(self, settings: DistillSettings, *, progress: bool = False) -> None:
        check(settings)
        clap = _load_teacher(settings)
        given = clap.config.to_dict()
        if settings.model:
            inherited: tuple[str, ...] = ("text", "embedding", "front_end", "fusion")
            if clap.checkpoint.package is not None:
                inherited = _inherited_of_package(clap, settings.model)
            model = {**{k: given[k] for k in inherited}, **settings.model}
            settings = replace(settings, model=model)
        self.copies_text = _shares_text_tower(settings, settings.config(), clap)
        if self.copies_text and clap.checkpoint.tokenizer_file is not None:
            settings = replace(settings, tokenizer=str(clap.checkpoint.tokenizer_file))
        files = digest(settings.resolve(file) for file in settings.distill.texts)
        self.settings: DistillSettings = settings
        self.facts = {"told": [clap.fingerprint, *files]}  # digests of the teacher and of the texts
        self._parts = settings.distill
        self.extra_module = nn.Module()
        cache = settings.resolve(settings.distill.cache or f"{settings.out}/teacher")
        hop = settings.distill.hop_seconds or settings.crop_seconds / 2
        self.teacher = Teacher(clap, cache, window=settings.crop_seconds, hop=hop)
        self._progress = progress
        self.agreement: Agreement | None = None

    def examples(self) -> list[Example]:
        """The sounds to learn from, with or without captions; the held-out ones are not among them."""
        found = read_examples(self.settings, described=False)
        self._held = hold_out_by_name(found, self._parts.held_out)
        self._texts = TextSampler(self.settings, self._parts.texts, found)
        keys = {example.key for example in self._held}
        return [example for example in found if example.key not in keys]

    def begin(self, context: RunContext) -> None:
        """Copy the logit scale and perhaps the text tower of the teacher, and prepare the step."""
        model, parts, settings = context.model, self._parts, self.settings
        rest = ("logit_scale", *(TEXT if self.copies_text else ()))
        _copy_weights(model, self.teacher.clap, rest)
        for name, parameter in model.named_parameters():
            if name.startswith(rest):
                parameter.requires_grad_(False)
        trained = [name for name, p in model.named_parameters() if p.requires_grad]
        if not trained:
            raise TrainingError("freeze and train_only leave nothing to learn; leave something out")
        learns_text = parts.text > 0 and any(name.startswith(TEXT) for name in trained)
        self._uses_text_tower = not self.copies_text and (learns_text or parts.relations > 0)  # its own text tower runs
        self._uses_texts = learns_text or parts.relations > 0
        if self._uses_texts and not self._texts.texts:
            raise TrainingError(
                "there is no text to learn from: name files in distill.texts, describe sounds, or take the teacher's"
                " text tower and relations 0"
            )
        tokens = make_tokenize(context.tokenizer() if self._uses_text_tower else None)
        self._context = context
        dtype = autocast_dtype(settings.precision)
        parts = parts if learns_text else replace(parts, text=0.0)
        self._step = DistillStep(
            tokens, settings.augment, context.ranks, dtype, settings.pieces, parts, scale_loss=context.scale_loss
        )

    def batches(self, examples: Sequence[Example], mels: MelCache) -> Batches:
        """Ask the teacher for all embeddings, then make the batches."""
        settings, context = self.settings, self._context
        progress = self._progress and context.ranks.first
        whole = context.config.fusion is not None and settings.longer_share > 0
        self.teacher.embed_sounds([*examples, *self._held], context.ranks, whole=whole, progress=progress)
        texts = self._texts.all if self._uses_texts else []
        self.teacher.embed_texts([*texts, *self._texts_to_compare()], context.ranks, progress=progress)
        unreadable, keys = self.teacher.unreadable, {e.key for e in (*examples, *self._held)}
        refuse_too_many_unreadable(unreadable.values(), len(keys), settings.most_broken)
        warn_of_skipped(unreadable.values())
        self._held = [example for example in self._held if example.key not in unreadable]
        heard = [example for example in examples if example.key not in unreadable]
        said = self._texts if self._uses_texts else None
        return DistillBatches(heard, mels, settings, context.config, context.ranks, self.teacher, said)

    def save(self, out: Path) -> None:
        """Write distill.json: how well the student agrees with its teacher."""
        student = CLAP.from_pretrained(out, device=str(self._context.device), threads=self.settings.threads)
        self.agreement = measure_agreement(
            student, self.teacher, self._held, self._texts_to_compare(), progress=self._progress
        )
        write_json(out / FILE, self.agreement.to_dict(), own=True, sync=True)

    def _texts_to_compare(self) -> list[str]:
        """The texts that teacher and student are compared with; none where one of them cannot embed texts."""
        readable = self.teacher.clap.checkpoint.reads_texts and (self.copies_text or self._uses_text_tower)
        return self._texts.texts[:MEASURED_TEXTS] if readable else []


def _inherited_of_package(clap: CLAP, model: Mapping[str, Any]) -> tuple[str, ...]:
    """What a student takes from a teacher that a package computes: its towers and its mels are the student's own."""
    missing = [part for part in ("text", "front_end") if part not in model]
    if missing:
        raise TrainingError(
            f"the teacher {clap.name} is computed by {clap.checkpoint.package}, which hands out no"
            f" {' and no '.join(missing)}; give {' and '.join(missing)} of the student under model"
        )
    return ("embedding",)


def _load_teacher(settings: DistillSettings) -> CLAP:
    """Load the teacher on the fastest backend here, and check that it takes a whole crop at once."""
    path = settings.resolve(settings.teacher)
    name = str(path) if path.exists() else settings.teacher
    if path == settings.resolve(settings.out):
        raise TrainingError(f"out and teacher are both {path}; choose another folder (out)")
    try:
        clap = CLAP.from_pretrained(name, device=str(training_device(settings)), threads=settings.threads)
    except OpenClapError as error:
        raise TrainingError(f"teacher: {error.args[0]}", *error.args[1:]) from error
    longest = clap.front_end.clip_seconds
    if settings.crop_seconds > longest:
        raise TrainingError(
            f"crop_seconds is {settings.crop_seconds:g}; the teacher hears at most {longest:g} s at once"
        )
    return clap


def _copy_weights(model: CLAPModel, teacher: CLAP, prefixes: tuple[str, ...]) -> None:
    """Copy those weights of the teacher whose names begin with one of these prefixes, bit for bit."""
    weights = teacher.checkpoint.weights
    given = {k: torch.from_numpy(np.array(weights[k])).float() for k in weights if k.startswith(prefixes)}
    left = model.load_state_dict(given, strict=False)
    assert not left.unexpected_keys, left


def _shares_text_tower(settings: DistillSettings, config: CLAPConfig, clap: CLAP) -> bool:
    """Whether the student takes the text tower of the teacher."""
    wanted, parts, given = settings.distill.copy_text, settings.distill, clap.config
    if config.embedding != given.embedding and (parts.audio or parts.text or parts.contrast):
        raise TrainingError(
            f"the student's embedding has {config.embedding} numbers, the teacher's {given.embedding}, and a cosine"
            f" needs as many: set embedding of the model to {given.embedding}, or learn distill.relations alone, with"
            " audio, text and contrast 0"
        )
    fits = config.embedding == given.embedding and _text_shape(config) == _text_shape(given)
    if wanted and not fits:
        raise TrainingError(
            "distill.copy_text: the student's text tower is not of the teacher's shape; leave text out of the model"
        )
    copies_text = fits if wanted is None else wanted
    if (
        copies_text
        and settings.lora is not None
        and any(p.startswith(part[: len(p)]) for p in settings.lora.parts for part in TEXT)
    ):
        raise TrainingError(
            "lora has parts of the text tower, which is the teacher's; give it parts [audio.], or set distill.copy_text"
            " false"
        )
    return copies_text


def _text_shape(config: CLAPConfig) -> dict[str, Any]:
    return {k: v for k, v in vars(config.text).items() if k != "dropout"}
