"""Compare a model before and after pruning: parameters, bytes, speed measured in turns, and how alike they hear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound
from openclap.checkpoints.weights import count_parameters
from openclap.clap import CLAP, DEFAULT_TEMPLATE
from openclap.data import Item
from openclap.errors import SoundError
from openclap.eval.embedding import embed_each
from openclap.progress import with_progress
from openclap.results import Failure, Result
from openclap.train.pruning.calibration_sounds import Sounds, make_clips
from openclap.train.timing import time_alternating

__all__ = ["PruneReport", "PrunedModel", "compare"]

Vectors = npt.NDArray[np.float32]

SECONDS = 6.0  # of a measurement of speed
TIMED = 8  # clips
TEXTS = 16  # a batch, where the speed of texts is measured


@dataclass(frozen=True)
class PrunedModel:
    """One of the two models; the accuracy is zero-shot, on labelled sounds that it was not calibrated with."""

    name: str
    parameters: int
    bytes: int  # of the weights' file
    clips_per_second: float
    texts_per_second: float | None  # in batches of 16; None without a tokenizer
    accuracy: float | None = None


@dataclass(frozen=True)
class PruneReport(Result):
    """What pruning did, measured on sounds and texts that it was not calibrated with.

    Attributes
    ----------
    speed, text_speed
        Median over turns of (time before / time after): 2 is twice as fast.
    cosine, text_cosine
        Mean cosine between the embeddings of both models, of sounds and of texts.
    agreement
        Share of the sounds for which both models put the same label first; None without a tokenizer.
    """

    out: str
    keep: dict[str, Any]
    importance: str
    tuned: bool
    before: PrunedModel
    after: PrunedModel
    speed: float
    text_speed: float | None
    cosine: float
    text_cosine: float | None
    agreement: float | None
    judged_on: str
    runs_on: str
    notes: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()


def compare(
    before: CLAP, after: CLAP, sizes: tuple[int, int], sounds: Sounds, *, progress: bool = False, **facts: Any
) -> PruneReport:
    """Measure both models on the same machine, in turns.

    `sizes` are the bytes of their files; `facts` go into the report.
    """
    judged, rows, failed = _embed_with_both((before, after), sounds.judged, progress=progress)
    agreement = text_cosine = text_speed = None
    accuracy: tuple[float | None, ...] = (None, None)
    texts: tuple[float | None, ...] = (None, None)
    if before.checkpoint.tokenizer_file is not None:
        said = [clap.encode_text(sounds.judged_texts) for clap in (before, after)]
        text_cosine = _mean_cosine(*said)
        prompts = [DEFAULT_TEMPLATE.format(label) for label in sounds.labels]
        first = [
            clap.similarity(r, clap.encode_text(prompts)).argmax(1)
            for clap, r in zip((before, after), rows, strict=True)
        ]
        agreement = float((first[0] == first[1]).mean())
        if sounds.labelled:
            accuracy = tuple(_accuracy(judged, best, sounds.labels) for best in first)
        some = sounds.judged_texts[:TEXTS]
        text_speed, texts = _compare_speed([partial(clap.encode_text, some) for clap in (before, after)], len(some))
    clips, _ = make_clips(sounds.judged[:TIMED], before.front_end, fused=before.config.fusion is not None)
    batches = [(clip.mel[None], np.array([clip.longer])) for clip in clips]
    speed, rates = _compare_speed([partial(_encode_batches, clap, batches) for clap in (before, after)], len(batches))
    sides = [
        PrunedModel(clap.name, count_parameters(clap.checkpoint.weights), size, rate, text, right)
        for clap, size, rate, text, right in zip((before, after), sizes, rates, texts, accuracy, strict=True)
    ]
    return PruneReport(
        before=sides[0],
        after=sides[1],
        speed=speed,
        text_speed=text_speed,
        cosine=_mean_cosine(*rows),
        text_cosine=text_cosine,
        agreement=agreement,
        judged_on=sounds.what,
        runs_on=str(after.backend.info),
        failed=tuple(failed),
        **facts,
    )


def _encode_batches(clap: CLAP, batches: Sequence[tuple[Any, Any]]) -> None:
    for mel, longer in batches:
        clap.backend.encode_audio(mel, longer)


def _embed_with_both(
    claps: tuple[CLAP, CLAP], sounds: Sequence[Item | Sound], *, progress: bool
) -> tuple[list[Item | Sound], list[Vectors], list[Failure]]:
    """Embed sounds with both models → the sounds that can be used, their rows by each model, and those that cannot."""
    used: list[Item | Sound] = []
    rows: list[list[Vectors]] = [[], []]
    failed: list[Failure] = []
    found = zip(*(embed_each(clap, sounds) for clap in claps), strict=True)
    bar = with_progress(found, "comparing", len(sounds), show=progress)
    for sound, results in zip(sounds, bar, strict=True):
        wrong = next((result for result in results if isinstance(result, SoundError)), None)
        if wrong is not None:
            failed.append(Failure(_name(sound, wrong), wrong.cause))
            continue
        used.append(sound)
        for row, result in zip(rows, results, strict=True):
            row.append(result.embedding[0])
    if not used:
        raise SoundError(failed[0].path if failed else "the sounds", "none of the sounds to compare with can be used")
    return used, [np.stack(row) for row in rows], failed


def _name(sound: Item | Sound, error: SoundError) -> str:
    return sound.key if isinstance(sound, Item) else error.name


def _accuracy(sounds: Sequence[Item | Sound], best: npt.NDArray[np.intp], labels: Sequence[str]) -> float:
    """The share of labelled sounds whose best label is one of their own."""
    right = [
        labels[i] in sound.labels
        for sound, i in zip(sounds, best, strict=True)
        if isinstance(sound, Item) and sound.labels
    ]
    return float(np.mean(right))


def _mean_cosine(a: Vectors, b: Vectors) -> float:
    return float((a * b).sum(1).mean())


def _compare_speed(calls: Sequence[Callable[[], object]], count: int) -> tuple[float, tuple[float, float]]:
    """How many times faster the second call is, and how many things per second each does; medians over turns."""
    took = time_alternating(calls, SECONDS)
    rates = count / np.median(took, axis=0)
    return float(np.median(took[:, 0] / took[:, 1])), (float(rates[0]), float(rates[1]))
