"""A query → the moments of a recording, or of a library, in which it is heard: a coarse look, then a finer one.

    coarse  ──[    ]──        windows of some seconds: the best of them may hold the sound
              [    ]
                [    ]
    fine       ▁▁▂▇▇▇▂▁▁      windows of 1 s every quarter of a second: where in them it begins and ends

A short sound hardly shows in a long window (of sounds planted in noise, windows of 10 s find half, windows of 1 s nine
of ten: LOG.md), but that window is nearly always among the best 5 %. So these are read again, and moments are ranked by
the finer windows. The coarse windows of a library are those it holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import DecodeLimits, LimitedSound, limit, split_limits
from openclap.audio.load import Sound, cut, sound_name
from openclap.clap import CLAP
from openclap.confidence import ReferenceBank, confidence_curves, has_own_curves, reference_bank
from openclap.config.checks import check_count
from openclap.detector import Detector
from openclap.errors import SoundError, UsageError
from openclap.library.query import Query, embed_query, has_words, texts_of
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.results import Moment, Ranked
from openclap.store import SearchFilter, Store

__all__ = [
    "Judge",
    "find_moments",
    "judge_of",
    "merge_windows",
    "moments_in",
    "rank_moments",
    "take_best",
]

Seconds = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]
Judge = Callable[[Vector], Vector]  # windows (W, E) → the confidence that each holds what is looked for (W,)

FINE_WINDOW, FINE_HOP = 1.0, 0.25  # seconds
LEAST_HOP = 0.05  # seconds; a minute of sound is 1 200 windows then
CANDIDATES = 0.05  # share of the coarse windows that get the finer look,
FEWEST = 10  # and at least this many
FINE_SECONDS = 600.0  # of one recording that get the finer look, the best windows first
LOOKED_INTO = 4  # windows of a library that get the finer look, for each moment that is wanted
PAUSE = 1.0  # seconds without the sound that do not end a moment


def moments_in(
    clap: CLAP,
    sound: Sound,
    query: Query,
    k: int = 5,
    *,
    window: float = 2.0,
    hop: float = 1.0,
    fine: bool = True,
    track: int | None = None,
) -> Ranked[Moment]:
    """Find the moments of one recording that fit a query, best first.

    `window` and `hop` are those of the coarse look, in seconds. With `fine`, the best windows are read again in windows
    of 1 s every quarter of a second, which finds short sounds and exact edges. `track` chooses one of several tracks of
    sound, counted from 1.
    """
    check_count(k, "k")
    if hop < LEAST_HOP:
        raise UsageError(f"hop is {hop!r} s; it must be {LEAST_HOP:g} s or more")
    vector = embed_query(clap, query)
    sound, (source, _) = limit(sound, track=track), split_limits(sound)
    spans = clap.encode_windows(sound, window=window, hop=hop)
    score = np.clip(spans.embedding @ vector, -1.0, 1.0)
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else sound_name(source)
    judge = judge_of(reference_bank(clap), query, vector)
    if not fine:
        coarse = merge_windows(name, spans.start, spans.end, score, judge(spans.embedding))
        return rank_moments(clap, query, take_best(coarse, k))
    count = min(len(score), max(FEWEST, round(CANDIDATES * len(score))))
    chosen = score >= min((score.mean() + score.max()) / 2, np.sort(score)[-count])
    found = join_windows(name, spans.start[chosen], spans.end[chosen], score[chosen], judge(spans.embedding[chosen]))
    return rank_moments(clap, query, take_best(refine_moments(clap, sound, vector, found, judge), k))


def rank_moments(clap: CLAP, query: Query, moments: Sequence[Moment], left_out: int = 0) -> Ranked[Moment]:
    """Moments, best first, with what is said of all of them; each says whether it lies below the model's threshold."""
    least = confidence_curves(clap.config).least(words=has_words(query))
    judged = [replace(m, unlikely=m.confidence is not None and m.confidence < least) for m in moments]
    calibrated = isinstance(query, Detector) or has_own_curves(clap)
    return Ranked(judged, left_out, calibrated=calibrated, unknown=clap.unknown_words(texts_of(query)))


def find_moments(
    store: Store,
    clap: CLAP,
    query: Query,
    vector: Vector,
    k: int,
    *,
    judge: Judge,
    fine: bool,
    where: SearchFilter | None = None,
    missing: bool = False,
    opened: Callable[[str], BinaryIO] | None = None,
    stop: threading.Event | None = None,
) -> Ranked[Moment]:
    """Find the moments of a whole library that fit a query, whose vector is (E,), best first; see `Library.moments`.

    `opened` opens the file at a path, where not every file may be read. `stop` ends what is decoded.
    """
    count = max(20, LOOKED_INTO * k) if fine else k
    rows, away = nearest_reachable(store, vector, count, where=where, per_file=not fine, missing=missing)
    found: list[Moment] = []
    if not fine:
        for row in rows:  # one window a file is enough: no moment is better than its file's best window
            recording = store.recording(row.path)
            if recording is not None:
                score = np.clip(recording.embedding @ vector, -1.0, 1.0)
                found += merge_windows(row.path, recording.start, recording.end, score, judge(recording.embedding))
    else:
        for path, group in groupby(sorted(rows, key=lambda row: (row.path, row.start)), key=lambda row: row.path):
            some = list(group)
            start, end, score = (np.array([getattr(row, name) for row in some]) for name in ("start", "end", "score"))
            spans = join_windows(path, start, end, score, judge(np.stack([row.embedding for row in some])))
            try:
                with nullcontext(path) if opened is None else opened(path) as sound:
                    found += refine_moments(clap, limit(sound, stop=stop), vector, spans, judge)
            except SoundError:  # the file is gone, or may not be read
                found += spans
    best = take_best(found, k)
    if missing:
        lost = {moment.path for moment in best if not is_reachable(moment.path)}
        best = [replace(moment, missing=moment.path in lost) for moment in best]
    return rank_moments(clap, query, best, len({row.path for row in away}))


def judge_of(bank: ReferenceBank, query: Query, vector: Vector) -> Judge:
    """A function that gives windows the confidences that hits for this query, with the vector (E,), would have."""
    if isinstance(query, Detector):
        return query.probability
    if has_words(query):
        return lambda windows: bank.confidences(vector[None], windows)[:, 0]
    sure = partial(bank.confidence, vector, words=False)
    return lambda windows: np.array([sure(window) for window in windows], np.float32)


def merge_windows(path: str, start: Seconds, end: Seconds, score: Vector, sure: Vector | None = None) -> list[Moment]:
    """The moments of one recording from its windows that score above half-way between the mean and the best."""
    good = score >= (score.mean() + score.max()) / 2
    return join_windows(path, start[good], end[good], score[good], None if sure is None else sure[good])


def join_windows(path: str, start: Seconds, end: Seconds, score: Vector, sure: Vector | None = None) -> list[Moment]:
    """Windows in order of time → moments: windows that overlap or touch are one, with the score of the best."""
    moments: list[Moment] = []
    for i, (a, b, value) in enumerate(zip(start, end, score, strict=True)):
        one = Moment(path, float(a), float(b), float(value), None if sure is None else float(sure[i]))
        if moments and one.start <= moments[-1].end:
            last = moments.pop()
            best = last if last.score >= one.score else one
            moments.append(replace(best, start=last.start, end=max(last.end, one.end)))
        else:
            moments.append(one)
    return moments


def take_best(moments: Sequence[Moment], k: int) -> list[Moment]:
    """The k best moments; ties are ordered by path and time."""
    return sorted(moments, key=lambda m: (-m.score, m.path, m.start))[:k]


def refine_moments(clap: CLAP, sound: Sound, vector: Vector, moments: Sequence[Moment], judge: Judge) -> list[Moment]:
    """Read moments of one recording again, in finer windows → their exact moments; one may become several.

    Raises
    ------
    SoundError
        The recording is not there any more.
    """
    near = take_best(moments, len(moments))
    lengths = np.cumsum([moment.end - moment.start for moment in near])
    looked = near[: max(1, int(np.searchsorted(lengths, FINE_SECONDS, side="right")))]
    rate, (_, limits) = clap.front_end.sampling_rate, split_limits(sound)
    waves = cut(sound, rate, [(moment.start, moment.end) for moment in looked])
    parts = [LimitedSound((wave, rate), DecodeLimits(stops=limits.stops)) for wave in waves]
    spans = clap.encode_each(parts, window=FINE_WINDOW, hop=FINE_HOP)
    made = list(near[len(looked) :])
    for moment, span in zip(looked, spans, strict=True):
        if isinstance(span, SoundError):  # the file is shorter now
            made.append(moment)
        else:
            score = np.clip(span.embedding @ vector, -1.0, 1.0)
            made += _refine_moment(moment, span.start, span.end, score, judge(span.embedding))
    return made


def _refine_moment(moment: Moment, start: Seconds, end: Seconds, score: Vector, sure: Vector) -> list[Moment]:
    """The parts of a moment, to a quarter of a second, that score above half-way between its least and its best."""
    edges = np.unique(np.concatenate([start, end]))
    middle = (edges[:-1] + edges[1:]) / 2
    covered = (start[None] <= middle[:, None]) & (middle[:, None] < end[None])
    level = (covered * score[None]).sum(1) / covered.sum(1)
    best = np.where(covered, score[None], -2.0).argmax(1)
    heard = level >= (level.min() + level.max()) / 2
    runs = join_windows(moment.path, edges[:-1][heard], edges[1:][heard] + PAUSE, score[best][heard], sure[best][heard])
    return [
        replace(run, start=round(moment.start + run.start, 3), end=round(moment.start + run.end - PAUSE, 3))
        for run in runs
    ]
