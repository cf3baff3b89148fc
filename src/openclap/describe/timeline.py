"""Describes a long recording span by span. Of a model it needs only what `Embedder` has.

    windows  [  ][  ]            of 2 s every half second: the best label, and how far the others lie behind it
               [  ][  ]
    levels   ▁▁▇▆▇▁▁▁▅▅▅▁        of 50 ms: is there anything above the recording's floor
    cells    ··aaa···bbb·        of 1/4 s: the most likely sequence (Viterbi), where every change costs `change`
    spans    ─┤ a ├─┤ b ├─       neighbours of one family are one span, with the label that is surest there

The path compares labels with each other, so it follows cosines. Whether there is something at all, and how it is
called, follows from the level and from the calibrated confidence. Levels are needed because a model that normalises
loudness names hiss as surely as rain: what lies within some decibels of the recording's floor is a state of its own,
and gets a label only where it is loud enough (`QUIET`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import limit
from openclap.audio.levels import FRAME_SECONDS
from openclap.describe.describer import Describer, make_rereadable
from openclap.describe.english import SILENCE
from openclap.normalization import Vectors
from openclap.options import TimelineKeywords, TimelineOptions, make_options
from openclap.results import Span, Tag, Windows
from openclap.silence import SILENT_DB
from openclap.window_cache import WindowCache, user_cache

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

__all__ = ["most_likely_path", "timeline", "timeline_of_windows"]

Ints = npt.NDArray[np.intp]

CELL = 0.25  # seconds
STATES = 200  # how many labels may be on the path, the surest ones
ABOVE, WITHIN = 10.0, 3.0  # dB above the floor where something is as likely as nothing, and how far until it is clear
GATE = 3.0  # nats for or against "nothing" by the level, for each half second
NOTHING = -0.5  # nats of "nothing" against the best label, where the level is in between
FARTHEST = -3.0  # nats, the most that a label can lie behind the best one
FLAT = 12.0  # dB between the quiet and the loud parts; below, a recording has no floor: all of it is one sound
QUIET = -50.0  # dB of full scale: what lies at the floor and below this is not named
NO_SOUND = -80.0  # dB of full scale, below which there is no sound at all
APART = 2.0  # a cosine that no two labels reach, so that none are of one family
UNSURE = "\0"  # stands for the label of a span where one was the most likely, but none was likely


def timeline(
    describer: Describer,
    sound: Any,
    *,
    cache: WindowCache | None = None,
    **options: Unpack[TimelineKeywords],
) -> list[Span]:
    """Describe what is heard when: spans that follow each other from the recording's start to its end.

    Parameters
    ----------
    describer
        The vocabulary and its threshold. With AudioSet's labels, neighbouring spans of one family are one span; your
        own labels are all kept apart.
    sound
        A recording, which is read twice; only the vectors of its windows are held in memory.
    cache
        Where its windows and levels are kept, so that the next timeline of it reads nothing; None: the user's.
    **options
        `window`, `hop`, `change`: fields of `openclap.options.TimelineOptions`.

    Raises
    ------
    SoundError
        The recording cannot be used.
    UsageError
        There is no such option, or a number is out of its range.
    """
    asked = make_options(TimelineOptions, options)
    sound = limit(make_rereadable(sound), track=describer.track)
    heard = user_cache() if cache is None else cache
    windows = heard.windows(describer.clap, sound, window=asked.window, hop=asked.hop)
    return timeline_of_windows(describer, windows, heard.levels(sound), change=asked.change)


def timeline_of_windows(
    describer: Describer, windows: Windows, level: Vectors, *, change: float = TimelineOptions.change
) -> list[Span]:
    """The timeline of embedded windows, where the level of every 50 ms (`audio.levels`) is known; no sound is read."""
    change = TimelineOptions(change=change).change
    recording = _Recording.of(describer, windows, level)
    path = most_likely_path(recording.emissions(describer.clap.logit_scale), change)
    return describer.translate_spans(recording.spans(path))


def most_likely_path(emissions: Vectors, change: float) -> Ints:
    """The most likely states (T,) for log-likelihoods (T, K), by Viterbi; going to another state costs `change`."""
    value = emissions[0].astype(np.float64)
    came_from = np.zeros(emissions.shape, np.int32)
    own = np.arange(emissions.shape[1])
    for t in range(1, len(emissions)):
        best = int(value.argmax())
        stays = value >= value[best] - change
        came_from[t] = np.where(stays, own, best)
        value = np.where(stays, value, value[best] - change) + emissions[t]
    path = np.zeros(len(emissions), np.intp)
    path[-1] = value.argmax()
    for t in range(len(emissions) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


@dataclass(frozen=True, eq=False)
class _Recording:
    """A recording in cells of 1/4 s, with the labels that may be on the path."""

    describer: Describer
    windows: Windows
    level: Vectors  # (T,) dB of the loudest frame in each cell
    floor: float | None  # dB; None where the recording has no quiet parts
    sure: Vectors  # (L,) confidences of all labels
    candidates: Ints  # (K,) places in the vocabulary, the surest first

    @classmethod
    def of(cls, describer: Describer, windows: Windows, level: Vectors) -> _Recording:
        sounding = level[level > NO_SOUND]
        floor: float | None = None
        if len(sounding):
            low, high = np.percentile(sounding, (10, 95))
            floor = float(low) if high - low >= FLAT else None
        cells = max(1, int(np.ceil(round(float(windows.end[-1]) / CELL, 6))))
        frames = round(CELL / FRAME_SECONDS)
        padded = np.full(cells * frames, -np.inf, np.float32)
        padded[: min(len(level), len(padded))] = level[: len(padded)]
        loudest = np.maximum(padded.reshape(cells, frames).max(1), -120.0)
        if loudest.max() < SILENT_DB:  # everywhere; in a louder recording, a pause of this level may still be something
            loudest[:] = -120.0
        sure, _ = describer.vocabulary.best_confidences(windows.embedding)
        return cls(describer, windows, loudest, floor, sure, np.argsort(-sure, kind="stable")[:STATES])

    def emissions(self, scale: float) -> Vectors:
        """Log-likelihoods (T, K + 1): how far each label lies behind the best; the last column is that of "nothing"."""
        cosines = self.windows.embedding @ self.describer.vocabulary.vectors[self.candidates].T
        behind = np.maximum(scale * (cosines - cosines.max(1, keepdims=True)), FARTHEST)
        middle = (self.windows.start + self.windows.end) / 2
        at = (np.arange(len(self.level)) + 0.5) * CELL
        after = (
            np.clip(np.searchsorted(middle, at), 1, max(1, len(middle) - 1))
            if len(middle) > 1
            else np.zeros(len(at), np.intp)
        )
        before = np.maximum(after - 1, 0)
        share = np.clip((at - middle[before]) / np.maximum(middle[after] - middle[before], 1e-6), 0, 1)[:, None]
        labels = (behind[before] * (1 - share) + behind[after] * share).astype(np.float32)
        nothing = NOTHING - GATE * self._level_evidence()
        return np.concatenate([labels, nothing[:, None]], axis=1) * np.float32(CELL / TimelineOptions.hop)

    def _level_evidence(self) -> Vectors:
        """How far the level speaks for a sound, in [-1, 1] (T,); far below -1 where there is none at all."""
        above = np.ones(len(self.level), np.float32)
        if self.floor is not None:
            above = np.clip((self.level - self.floor - ABOVE) / WITHIN, -1, 1)
        return np.where(self.level <= NO_SOUND, -100.0, above).astype(np.float32)

    def spans(self, path: Ints) -> list[Span]:
        """Turn the runs of a path into spans, with labels, and join neighbours with the same label."""
        nothing = len(self.candidates)
        family = np.arange(nothing + 1)
        if not self.describer.own:
            describer, candidates = self.describer, self.candidates.tolist()
            for group in describer.vocabulary.group_families(candidates, self.sure, describer.alike):
                places = np.flatnonzero(np.isin(self.candidates, group))
                family[places] = places[0]
        runs = [
            (f, [t for t, _ in cells]) for f, cells in groupby(enumerate(path), key=lambda cell: int(family[cell[1]]))
        ]
        spans = [self._span(cells[0], cells[-1] + 1, state != nothing) for state, cells in runs]
        spans = _merge_unsure(spans, float(self.windows.end[0] - self.windows.start[0]))
        merged = [list(run) for _, run in groupby(spans, key=lambda span: span.label)]
        return [run[0] if len(run) == 1 else self._join_spans(run) for run in merged]

    def _join_spans(self, run: list[Span]) -> Span:
        best = max(run, key=lambda span: span.score)
        return Span(run[0].start, run[-1].end, best.label, best.score, best.tags)

    def _span(self, first: int, last: int, named: bool) -> Span:
        """The span of the cells from first to last, with the label that is surest there, if any is sure enough.

        `named` says whether the path has a label there; otherwise the cells lie at the recording's floor.
        """
        start, end = round(first * CELL, 3), round(min(last * CELL, float(self.windows.end[-1])), 3)
        level = float(np.median(self.level[first:last]))
        if level <= NO_SOUND:
            return Span(start, end, SILENCE, 1.0, [Tag(SILENCE, 1.0, 0.0)])
        if not named and (self.floor is None or level < QUIET):
            return Span(start, end, None, 0.0)
        tags = self._tags(self._inside(start, end))
        if named and not tags:
            return Span(start, end, UNSURE, 0.0)
        if not tags or (not named and tags[0].confidence < 0.5):
            return Span(start, end, None, 0.0)
        return Span(start, end, tags[0].label, tags[0].confidence, tags)

    def _tags(self, inside: Vectors) -> list[Tag]:
        """The tags of a span's windows (W, E), the surest first.

        Among AudioSet's many labels one is always sure in a single window, so a quarter of the windows must agree. Your
        own labels are few and all kept apart, so the best window counts.
        """
        describer, vocabulary = self.describer, self.describer.vocabulary
        if describer.own:
            return vocabulary.tags(inside, threshold=describer.threshold, top=describer.top, alike=APART)
        sure, where = vocabulary.typical_confidences(inside)
        return vocabulary.choose_tags(
            inside, sure, where, threshold=describer.threshold, top=describer.top, alike=describer.alike
        )

    def _inside(self, start: float, end: float) -> Vectors:
        """The windows (W, E) whose middle lies in a span, or the nearest one."""
        middle = (self.windows.start + self.windows.end) / 2
        chosen = (middle >= start) & (middle < end)
        if not chosen.any():
            chosen[np.abs(middle - (start + end) / 2).argmin()] = True
        return self.windows.embedding[chosen]


def _merge_unsure(spans: list[Span], window: float) -> list[Span]:
    """Decide about unsure spans: one shorter than a window takes a neighbour's label, a longer one has none."""
    merged: list[Span] = []
    for i, span in enumerate(spans):
        name = None
        if span.label == UNSURE and span.end - span.start < window:
            near = [*merged[-1:], *spans[i + 1 : i + 2]]
            name = next((one for one in near if one.label not in (None, UNSURE, SILENCE)), None)
        if name is not None:
            merged.append(Span(span.start, span.end, name.label, name.score, name.tags))
        else:
            merged.append(Span(span.start, span.end, None, 0.0) if span.label == UNSURE else span)
    return merged
