"""A query → the moments of a recording, or of a library, in which it is heard: a coarse look, then a finer one.

    coarse  [  ][  ][  ][  ]  windows of 1 s: the best of them, and what lies beside them, may hold the sound
    fine      ▁▁▂▇▇▇▂▁▁       windows of 1 s every quarter of a second: where in them it begins and ends

Of sounds planted in noise, windows of 10 s find half, windows of 1 s nine of ten (LOG.md). So moments are ranked by the
finer windows. The coarse windows of a library are the long ones that it holds; those of a recording are kept
(`window_cache`), so that it is listened to once. Windows in which nothing is heard hold no moment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import limit, split_limits
from openclap.audio.load import Sound, sound_name
from openclap.clap import CLAP
from openclap.confidence import ReferenceBank, confidence_curves, has_own_curves, reference_bank
from openclap.config.checks import check_count
from openclap.detector import Detector
from openclap.errors import SoundError, UsageError
from openclap.library.query import Query, embed_query, has_words, is_unknown, texts_of
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.results import Moment, Ranked, Windows
from openclap.store import SearchFilter, Store
from openclap.window_cache import FINE_WINDOW, WindowCache, user_cache

__all__ = [
    "Judge",
    "find_moments",
    "judge_of",
    "merge_windows",
    "moments_in",
    "moments_of_each",
    "rank_moments",
    "take_best",
]

Seconds = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]
Judge = Callable[[Vector], Vector]  # windows (W, E) → the confidence that each holds what is looked for (W,)

LEAST_HOP = 0.05  # seconds; a minute of sound is 1 200 windows then
FEWEST = 20  # of a recording's windows of 1 s get the finer look, at least,
BESIDE = 1.0  # with so many seconds before and after them
CANDIDATES = 0.05  # share of longer windows that get it,
FEW_LONG = 10  # and at least this many
FINE_SECONDS = 600.0  # of one recording that get the finer look, the best windows first
LOOKED_INTO = 4  # windows that get the finer look, for each moment that is wanted
PAUSE = 1.0  # seconds without the sound that do not end a moment


def moments_in(
    clap: CLAP,
    sound: Sound,
    query: Query,
    k: int = 5,
    *,
    window: float = 1.0,
    hop: float = 1.0,
    fine: bool = True,
    track: int | None = None,
    cache: WindowCache | None = None,
) -> Ranked[Moment]:
    """Find the moments of one recording that fit a query, best first.

    `window` and `hop` are those of the coarse look, in seconds. With `fine`, the best windows are read again in windows
    of 1 s every quarter of a second, which finds short sounds and exact edges. `track` chooses one of several tracks of
    sound, counted from 1. What was listened to is kept in `cache`, by default that of the user (`window_cache`), so
    that the next question about this recording listens only where it has to look closer.
    """
    (found,) = moments_of_each(clap, sound, [query], k, window=window, hop=hop, fine=fine, track=track, cache=cache)
    return found


def moments_of_each(
    clap: CLAP,
    sound: Sound,
    queries: Sequence[Query],
    k: int = 5,
    *,
    window: float = 1.0,
    hop: float = 1.0,
    fine: bool = True,
    track: int | None = None,
    cache: WindowCache | None = None,
) -> list[Ranked[Moment]]:
    """Find the moments of one recording for each of several queries → for each what `moments_in` gives.

    The recording is listened to once for all of them.
    """
    check_count(k, "k")
    if hop < LEAST_HOP:
        raise UsageError(f"hop is {hop!r} s; it must be {LEAST_HOP:g} s or more")
    heard = user_cache() if cache is None else cache
    vectors = [embed_query(clap, query) for query in queries]
    sound, (source, _) = limit(sound, track=track), split_limits(sound)
    every = heard.windows(clap, sound, window=window, hop=hop)
    spans = every.audible()
    if not len(spans):
        return [rank_moments(clap, query, ()) for query in queries]
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else sound_name(source)
    bank = reference_bank(clap)
    looks = [_Look(vector, judge_of(bank, query, vector), name) for query, vector in zip(queries, vectors, strict=True)]
    if not fine:
        found = [look.merge(spans) for look in looks]
    else:
        known = every if window == FINE_WINDOW else None
        found = refine_moments(clap, sound, [(look, look.choose(spans, k)) for look in looks], heard, known)
    return [rank_moments(clap, query, take_best(some, k)) for query, some in zip(queries, found, strict=True)]


def rank_moments(clap: CLAP, query: Query, moments: Sequence[Moment], left_out: int = 0) -> Ranked[Moment]:
    """Moments, best first, with what is said of all of them; each says whether it lies below the model's threshold."""
    least = confidence_curves(clap.config).least(words=has_words(query))
    if is_unknown(clap, query):
        moments = [replace(moment, confidence=0.0) for moment in moments]
    judged = [replace(m, unlikely=m.confidence is not None and m.confidence < least) for m in moments]
    calibrated = isinstance(query, Detector) or has_own_curves(clap)
    texts = texts_of(query)
    unknown, understood = clap.unknown_words(texts), clap.understood(texts)
    return Ranked(judged, left_out, calibrated=calibrated, unknown=unknown, understood=understood)


@dataclass(frozen=True, eq=False)
class _Look:
    """What is looked for in one recording: the query's vector (E,), what judges windows, the recording's name."""

    vector: Vector
    judge: Judge
    path: str

    def scores(self, windows: Windows) -> Vector:
        """The cosines (W,) of windows with the query."""
        return np.clip(windows.embedding @ self.vector, -1.0, 1.0)

    def merge(self, windows: Windows) -> list[Moment]:
        """The moments of windows, by these windows alone."""
        return merge_windows(self.path, windows.start, windows.end, self.scores(windows), self.judge(windows.embedding))

    def choose(self, windows: Windows, k: int) -> list[Moment]:
        """The best windows, joined: where a closer look is worth it.

        Windows as short as the fine ones rank as these do, so a few are enough, with what lies beside them.
        """
        score = self.scores(windows)
        short = bool((windows.end - windows.start).max() <= FINE_WINDOW + 1e-6)
        count = max(FEWEST, LOOKED_INTO * k) if short else max(FEW_LONG, round(CANDIDATES * len(score)))
        chosen = np.zeros(
            len(score), np.bool_
        )  # of equal ones, as in a steady tone, the first: a closer look costs time
        chosen[np.argsort(-score, kind="stable")[:count]] = True
        if not short:
            chosen |= score >= (score.mean() + score.max()) / 2
        beside = BESIDE if short else 0.0
        start = np.maximum(windows.start[chosen] - beside, 0.0)
        end = np.minimum(windows.end[chosen] + beside, windows.end[-1])
        return join_windows(self.path, start, end, score[chosen], self.judge(windows.embedding[chosen]))


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
    cache = user_cache() if opened is None else WindowCache(0, 0)  # what others may hand out is not kept
    count = max(FEWEST, LOOKED_INTO * k) if fine else k
    rows, away = nearest_reachable(store, vector, count, where=where, per_file=not fine, missing=missing)
    found: list[Moment] = []
    if not fine:
        for row in rows:  # one window a file is enough: no moment is better than its file's best window
            recording = store.recording(row.path)
            if recording is not None and (heard := recording.heard).any():
                rows_of_file = recording.embedding[heard]
                score = np.clip(rows_of_file @ vector, -1.0, 1.0)
                start, end = recording.start[heard], recording.end[heard]
                found += merge_windows(row.path, start, end, score, judge(rows_of_file))
    else:
        for path, group in groupby(sorted(rows, key=lambda row: (row.path, row.start)), key=lambda row: row.path):
            some = list(group)
            start, end, score = (np.array([getattr(row, name) for row in some]) for name in ("start", "end", "score"))
            spans = join_windows(path, start, end, score, judge(np.stack([row.embedding for row in some])))
            look = _Look(vector, judge, path)
            try:
                with nullcontext(path) if opened is None else opened(path) as sound:
                    found += refine_moments(clap, limit(sound, stop=stop), [(look, spans)], cache)[0]
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


def refine_moments(
    clap: CLAP,
    sound: Sound,
    looks: Sequence[tuple[_Look, Sequence[Moment]]],
    heard: WindowCache,
    known: Windows | None = None,
) -> list[list[Moment]]:
    """Read moments of one recording again, in finer windows → for each look the exact moments; one may become several.

    Raises
    ------
    SoundError
        The recording is not there any more.
    """
    chosen = []
    for _, moments in looks:
        near = take_best(moments, len(moments))
        lengths = np.cumsum([moment.end - moment.start for moment in near])
        chosen.append((near, max(1, int(np.searchsorted(lengths, FINE_SECONDS, side="right")))))
    spans = [(moment.start, moment.end) for near, count in chosen for moment in near[:count]]
    fine = iter(heard.fine_windows(clap, sound, spans, known))
    found = []
    for (look, _), (near, count) in zip(looks, chosen, strict=True):
        made = list(near[count:])
        for moment in near[:count]:
            windows = next(fine)
            if windows is None:  # the file is shorter now
                made.append(moment)
            elif len(loud := windows.audible()):
                made += _refine_moment(moment, look, loud)
        found.append(made)
    return found


def _refine_moment(moment: Moment, look: _Look, windows: Windows) -> list[Moment]:
    """The parts of a moment, to a quarter of a second, that score above half-way between its least and its best.

    `windows` are its finer ones in which something is heard.
    """
    start, end, score, sure = windows.start, windows.end, look.scores(windows), look.judge(windows.embedding)
    edges = np.unique(np.concatenate([start, end]))
    if len(edges) < 2:  # shorter than a millisecond
        return [moment]
    middle = (edges[:-1] + edges[1:]) / 2
    covered = (start[None] <= middle[:, None]) & (middle[:, None] < end[None])
    some = covered.any(1)  # between two windows may be silence
    begins, ends, covered = edges[:-1][some], edges[1:][some], covered[some]
    level = (covered * score[None]).sum(1) / covered.sum(1)
    best = np.where(covered, score[None], -2.0).argmax(1)
    heard = level >= (level.min() + level.max()) / 2
    runs = join_windows(moment.path, begins[heard], ends[heard] + PAUSE, score[best][heard], sure[best][heard])
    return [
        replace(run, start=round(moment.start + run.start, 3), end=round(moment.start + run.end - PAUSE, 3))
        for run in runs
    ]
