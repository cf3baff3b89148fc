"""Distillation from taggers: a student learns what they hear in mixtures of sounds, and how texts name it.

A tagger knows fixed classes and no sentences. A table says which classes a text means; the cosine of a clip and a text
learns how much more than on average the taggers hear of these classes in the clip.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openclap.atomic_write import write_json
from openclap.audio.load import load
from openclap.clap import CLAP
from openclap.errors import SoundError
from openclap.train.batches import Batches
from openclap.train.configuration import read_settings
from openclap.train.examples import Example, read_examples
from openclap.train.held_out import hold_out_by_name
from openclap.train.loop import run
from openclap.train.mel_cache import MelCache
from openclap.train.run_state import digest
from openclap.train.step import autocast_dtype, make_tokenize
from openclap.train.tagging.class_texts import read_class_texts
from openclap.train.tagging.loss import Heads, TagStep
from openclap.train.tagging.settings import TagSettings, check
from openclap.train.tagging.tag_batches import TagBatches
from openclap.train.tagging.taggers import open_taggers
from openclap.train.task import Report, RunContext, Task

__all__ = ["TagAgreement", "TagReport", "Tagging", "learn_tags"]

FILE = "tags.json"
BEST = 5


@dataclass(frozen=True)
class TagAgreement:
    """How often the student, choosing among all classes by words, agrees with the teachers on held-out recordings.

    Attributes
    ----------
    recordings, classes
        How many recordings and classes.
    same
        Share of recordings for which student and teachers put the same class first.
    among_five
        Share for which the first class of the teachers is among the first five of the student.
    constant
        What `same` would be for a model that always names the most frequent class.
    """

    recordings: int
    classes: int
    same: float | None
    among_five: float | None
    constant: float | None


@dataclass(frozen=True)
class TagReport(Report):
    """What a distillation from taggers did, and how well the student names what the teachers hear."""

    understood: TagAgreement | None = None


def learn_tags(
    path: str | os.PathLike[str], *, resume: bool = True, progress: bool = True, **changes: Any
) -> TagReport:
    """Teach a student the answers of taggers, as a YAML file describes, and write it as a checkpoint.

    Parameters
    ----------
    path
        The configuration: that of `openclap.train.train` with `taggers`, `play` and `tags`; `changes` replace its
        top-level values.
    resume
        Go on where a stopped run of the same configuration left off; the result is that of an uninterrupted run.

    Raises
    ------
    TrainingError
        Before the first step, when data, a tagger or the configuration is wrong.
    """
    task = Tagging(read_settings(Path(path), TagSettings, **changes))
    report = run(task, resume=resume, progress=progress)
    return TagReport(**vars(report), understood=task.understood)


class Tagging(Task):
    """The task of a distillation from taggers.

    Raises
    ------
    TrainingError
        The configuration cannot be used, or a tagger cannot be found.
    """

    def __init__(self, settings: TagSettings) -> None:
        check(settings)
        config = settings.config()
        rate = config.front_end.sampling_rate
        self.settings: TagSettings = settings
        self._teacher = open_taggers(settings, settings.taggers, rate)
        files = [settings.resolve(file) for file in settings.tags.words]
        self._words = read_class_texts(files, self._teacher.classes, settings.templates)
        self.facts = {"told": [self._teacher.fingerprint, *digest(files)]}
        second = np.random.default_rng(0).standard_normal((1, round(settings.crop_seconds * rate))).astype(np.float32)
        said = self._teacher.answer(second / np.abs(second).max())
        width = None if said.embedding is None or not settings.tags.embedding else said.embedding.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.extra_module = self._heads = Heads(config.audio.output, len(self._teacher.classes), width)
        self.understood: TagAgreement | None = None

    def examples(self) -> list[Example]:
        """The sounds to learn from, with or without captions; the held-out ones are not among them."""
        found = read_examples(self.settings, described=False)
        self._held = hold_out_by_name(found, self.settings.tags.held_out)
        keys = {example.key for example in self._held}
        return [example for example in found if example.key not in keys]

    def begin(self, context: RunContext) -> None:
        """Remember the run, and check that the model has a tokenizer."""
        self._context = context
        context.tokenizer()

    def batches(self, examples: Sequence[Example], mels: MelCache) -> Batches:
        """Make the batches, compute the teachers' statistics, and prepare the step that needs them."""
        settings, context = self.settings, self._context
        batches = TagBatches(examples, mels, settings, context.config, context.ranks, self._teacher, self._words)
        if batches.steps:
            tokens = make_tokenize(context.tokenizer())
            dtype = autocast_dtype(settings.precision)
            self._step = TagStep(
                tokens,
                self._heads,
                batches.teacher_statistics(),
                settings.tags,
                settings.augment,
                dtype,
                scale_loss=context.scale_loss,
            )
        return batches

    def save(self, out: Path) -> None:
        """Write tags.json: how well the student names what the teachers hear."""
        student = CLAP.from_pretrained(out, device=str(self._context.device), threads=self.settings.threads)
        self.understood = self._measure(student)
        write_json(out / FILE, asdict(self.understood), own=True, sync=True)

    def _measure(self, student: CLAP) -> TagAgreement:
        rate = student.front_end.sampling_rate
        samples = round(self.settings.crop_seconds * rate)
        waves, answers = [], []
        for example in self._held:
            try:
                wave = load(example.item.read(), rate)[:samples]
            except SoundError:  # the run has named it already
                continue
            peak = float(np.abs(wave).max())
            padded = np.pad(wave / np.float32(max(peak, 1e-6)), (0, samples - len(wave)))
            waves.append((wave, rate))
            answers.append(self._teacher.answer(padded[None]).logits[0])
        classes = len(self._teacher.classes)
        if not waves:
            return TagAgreement(0, classes, None, None, None)
        first = np.stack(answers).argmax(1)
        names = student.encode_text([name.lower() for name in self._teacher.classes])
        order = np.argsort(-(student.encode_audio(waves) @ names.T), axis=1, kind="stable")
        found = order[:, :BEST] == first[:, None]
        most = float(np.bincount(first).max() / len(first))
        same, among = float(found[:, 0].mean()), float(found.any(1).mean())
        return TagAgreement(len(waves), classes, round(same, 4), round(among, 4), round(most, 4))
