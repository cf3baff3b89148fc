"""Measure how well a student agrees with its teacher on held-out recordings, and what both cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from openclap.checkpoints.weights import count_parameters
from openclap.clap import CLAP
from openclap.errors import SoundError
from openclap.eval.embedding import embed_each
from openclap.progress import with_progress
from openclap.results import Failure, Result
from openclap.train.distillation.teacher import Teacher
from openclap.train.examples import Example
from openclap.train.skipped import warn_of_skipped
from openclap.train.timing import time_alternating

__all__ = ["Agreement", "Size", "measure_agreement"]

SECONDS = 2.0  # both embed a clip in turn for this long; the best time counts
AUDIO = ("audio.", "audio_projection.")
LOW = 5  # percentile


@dataclass(frozen=True)
class Size:
    """What a model costs: weights, those of audio tower and projection, megabytes, and clips per second here."""

    name: str
    weights: int
    audio_weights: int
    megabytes: float
    clips_per_second: float


@dataclass(frozen=True)
class Agreement(Result):
    """How alike student and teacher are on held-out recordings, embedded by the student as a user would.

    Attributes
    ----------
    recordings, clips
        How many recordings, and how many windows of them.
    cosine
        Mean over clips of the cosine of the two vectors; None where their widths differ or nothing is held out.
    low
        The 5th percentile of these cosines.
    constant
        The mean cosine of a model that gives the teacher's mean vector for every clip: `cosine` must be higher.
    same_text, texts
        The share of clips for which both are nearest to the same text, and how many texts; None without texts.
    """

    recordings: int
    clips: int
    cosine: float | None
    low: float | None
    constant: float | None
    same_text: float | None
    texts: int
    teacher: Size
    student: Size


def measure_agreement(
    student: CLAP, teacher: Teacher, examples: Sequence[Example], texts: Sequence[str], *, progress: bool = False
) -> Agreement:
    """Compare the embeddings of a student with those of its teacher, for these recordings and texts."""
    own, its = [], []
    unreadable: list[Failure] = []
    found = embed_each(student, [e.item for e in examples], window=teacher.window, hop=teacher.hop)
    bar = with_progress(found, "measuring", len(examples), show=progress)
    for example, windows in zip(examples, bar, strict=True):
        if isinstance(windows, SoundError):  # the file has gone while the student trained
            unreadable.append(Failure(windows.name, windows.cause))
            continue
        own.append(windows.embedding)
        its.append(teacher.embedding_of(example.key).rows)
    warn_of_skipped(unreadable)
    mine, yours = (np.concatenate(rows) if rows else np.zeros((0, 1), np.float32) for rows in (own, its))
    cosines = (mine * yours).sum(1) if mine.shape == yours.shape and len(mine) else None
    same = None
    if texts and len(mine):
        chosen, right = (
            (mine @ student.encode_text(texts).T).argmax(1),
            (yours @ teacher.text_embeddings(texts).T).argmax(1),
        )
        same = round(float(np.mean(chosen == right)), 4)
    mean = low = constant = None
    if cosines is not None:
        mean, low = float(cosines.mean()), float(np.percentile(cosines, LOW))
        constant = float(np.linalg.norm(yours.mean(0)))  # of unit rows: the mean cosine with the mean's direction
    mean, low, constant = (None if x is None else round(x, 4) for x in (mean, low, constant))
    return Agreement(len(own), len(mine), mean, low, constant, same, len(texts), *_sizes(teacher.clap, student))


def _sizes(*claps: CLAP) -> list[Size]:
    rng = np.random.default_rng(0)
    waves = [rng.standard_normal(clap.front_end.clip_samples).astype(np.float32) * 0.1 for clap in claps]
    calls = [
        partial(clap.encode_audio, (wave, clap.front_end.sampling_rate))
        for clap, wave in zip(claps, waves, strict=True)
    ]
    return [_size(clap, float(best)) for clap, best in zip(claps, time_alternating(calls, SECONDS).min(0), strict=True)]


def _size(clap: CLAP, seconds: float) -> Size:
    total, audio = (count_parameters(clap.checkpoint.weights, parts) for parts in (("",), AUDIO))
    return Size(clap.name, total, audio, round(total * 4 / 1e6, 1), round(1 / seconds, 1))
