"""A long recording, span by span. Knows of a model only what `Ears` says.

    windows  [  ][  ]            of 2 s every half second: which label fits best, and how far the others lie behind
               [  ][  ]
    levels   ▁▁▇▆▇▁▁▁▅▅▅▁        of 50 ms: is there anything above the recording's floor
    cells    ··aaa···bbb·        of 1/4 s: the most likely sequence (Viterbi), where every change costs `change`
    spans    ─┤ a ├─┤ b ├─       neighbours of one family are one; named by what is surest there, where it reaches the threshold

Which label fits is a comparison between labels, so the path follows cosines; what a span is called, and whether it is
there at all, is asked of the level and of the calibrated confidence. Levels are needed because a model that normalises
loudness names hiss as surely as rain: what is within some decibels of the floor is a state of its own, and named only
where it is loud enough to be heard as something (`QUIET`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.audio.levels import FRAME_SECONDS, HISS_DB, levels
from openclap.describe.describer import Describer, make_rereadable
from openclap.describe.english import SILENCE
from openclap.errors import UsageError
from openclap.results import Span, Tag, Windows

__all__ = ["CHANGE", "HOP", "WINDOW", "most_likely_path", "spans_of", "timeline"]

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

WINDOW, HOP = 2.0, 0.5  # seconds
CELL = 0.25  # seconds
CHANGE = 4.0  # nats that a change of label costs
STATES = 200  # labels that may be on the path: the surest
ABOVE, WITHIN = 10.0, 3.0  # dB above the floor where there is as likely something as nothing, and until it is clear
GATE = 3.0  # nats that the level weighs, a half second
NOTHING = -0.5  # nats of "nothing" against the best label, where the level says neither
# nats that a label can lie behind: where the level says that there is something, the last label stays, or another comes
FARTHEST = -3.0
FLAT = 12.0  # dB between the quiet and the loud parts; below, a recording has no floor: all of it is one sound
QUIET = -50.0  # dB of full scale: what lies at the floor and below this is not named
NO_SOUND = -80.0  # dB: nothing at all
APART = 2.0  # a cosine that no two labels have
UNSURE = "\0"  # a label was the most likely, but not likely


def timeline(
    describer: Describer,
    sound: Any,
    *,
    window: float = WINDOW,
    hop: float = HOP,
    change: float = CHANGE,
) -> list[Span]:
    """What is heard when: spans that follow each other from the recording's start to its end.

    Parameters
    ----------
    describer
        The vocabulary and its threshold. With AudioSet's labels neighbouring spans of one family are one span; one's
        own labels are all told apart.
    sound
        A recording, read twice; memory grows by its windows' vectors alone.
    window, hop
        Seconds that are heard at once, and between windows.
    change
        How much more likely another label must be, in nats, before a new span begins; larger, fewer spans.

    Raises
    ------
    SoundError
        The recording cannot be used.
    UsageError
        A number out of its range.
    """
    _check(change)
    sound = make_rereadable(sound)
    windows = describer.clap.encode_windows(sound, window=window, hop=hop)
    return spans_of(describer, windows, levels(sound), change=change)


def spans_of(describer: Describer, windows: Windows, level: Vectors, *, change: float = CHANGE) -> list[Span]:
    """The same where the windows are embedded already and the level of every 50 ms is known (`audio.levels`); no sound is read."""
    _check(change)
    heard = _Recording.of(describer, windows, level)
    path = most_likely_path(heard.emissions(describer.clap.logit_scale), change)
    return describer.translate_spans(heard.spans(path))


def _check(change: float) -> None:
    if not 0 <= change < float("inf"):
        raise UsageError(f"change is {change!r}; it must be a number, 0 or more")


def most_likely_path(emissions: Vectors, change: float) -> Ints:
    """Viterbi over (T, K) log-likelihoods, where to stay is free and any other state costs `change` → the states (T,)."""
    value = emissions[0].astype(np.float64)
    came = np.zeros(emissions.shape, np.int32)
    own = np.arange(emissions.shape[1])
    for t in range(1, len(emissions)):
        best = int(value.argmax())
        stays = value >= value[best] - change
        came[t] = np.where(stays, own, best)
        value = np.where(stays, value, value[best] - change) + emissions[t]
    path = np.zeros(len(emissions), np.intp)
    path[-1] = value.argmax()
    for t in range(len(emissions) - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path


@dataclass(frozen=True, eq=False)
class _Recording:
    """A recording in cells: windows, the loudest frame of each cell in dB, the floor or None, and the labels on the path."""

    describer: Describer
    windows: Windows
    level: Vectors  # (T,)
    floor: float | None
    sure: Vectors  # (L,), of all labels
    candidates: Ints  # (K,), of the vocabulary, the surest first

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
        if loudest.max() < HISS_DB:  # all of it: a pause that is as quiet is nothing only beside what is louder
            loudest[:] = -120.0
        sure, _ = describer.vocabulary.best_confidences(windows.embedding)
        return cls(describer, windows, loudest, floor, sure, np.argsort(-sure, kind="stable")[:STATES])

    def emissions(self, scale: float) -> Vectors:
        """(T, K + 1): how far each label lies behind the best, and last how likely there is nothing."""
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
        return np.concatenate([labels, (NOTHING - GATE * self._something())[:, None]], axis=1) * np.float32(CELL / HOP)

    def _something(self) -> Vectors:
        """Whether the level says that something is heard, in [-1, 1] (T,); far below where there is no sound at all."""
        above = np.ones(len(self.level), np.float32)
        if self.floor is not None:
            above = np.clip((self.level - self.floor - ABOVE) / WITHIN, -1, 1)
        return np.where(self.level <= NO_SOUND, -100.0, above).astype(np.float32)

    def spans(self, path: Ints) -> list[Span]:
        """Runs of a path → spans, named and merged."""
        nothing = len(self.candidates)
        family = np.arange(nothing + 1)
        if not self.describer.own:
            for group in self.describer.vocabulary.families(self.candidates.tolist(), self.sure, self.describer.alike):
                places = np.flatnonzero(np.isin(self.candidates, group))
                family[places] = places[0]
        runs = [
            (f, [t for t, _ in cells]) for f, cells in groupby(enumerate(path), key=lambda cell: int(family[cell[1]]))
        ]
        found = [self._span(cells[0], cells[-1] + 1, state != nothing) for state, cells in runs]
        found = _merge_unsure(found, float(self.windows.end[0] - self.windows.start[0]))
        merged = [list(some) for _, some in groupby(found, key=lambda span: span.label)]
        return [some[0] if len(some) == 1 else self._join_spans(some) for some in merged]

    def _join_spans(self, some: list[Span]) -> Span:
        best = max(some, key=lambda span: span.score)
        return Span(some[0].start, some[-1].end, best.label, best.score, best.tags)

    def _span(self, first: int, last: int, named: bool) -> Span:
        """Name the cells from first to last by what is heard there; where they lie at the floor, if it is sure enough."""
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
        """What is heard in the windows of a span, the surest first: the path says where it ends, not what it is called.

        Of AudioSet's many names some is always sure in a single window; one's own are few, and all told apart.
        """
        describer, vocabulary = self.describer, self.describer.vocabulary
        if describer.own:
            return vocabulary.tags(inside, threshold=describer.threshold, top=describer.top, alike=APART)
        sure, where = vocabulary.throughout(inside)
        return vocabulary.named(
            inside, sure, where, threshold=describer.threshold, top=describer.top, alike=describer.alike
        )

    def _inside(self, start: float, end: float) -> Vectors:
        """The windows whose middle lies in a span, or the nearest one."""
        middle = (self.windows.start + self.windows.end) / 2
        chosen = (middle >= start) & (middle < end)
        if not chosen.any():
            chosen[np.abs(middle - (start + end) / 2).argmin()] = True
        return self.windows.embedding[chosen]


def _merge_unsure(spans: list[Span], window: float) -> list[Span]:
    """Spans that are not sure of their label: shorter than a window, they are the edge of a named neighbour; longer, they are unnamed."""
    made: list[Span] = []
    for i, span in enumerate(spans):
        name = None
        if span.label == UNSURE and span.end - span.start < window:
            near = [*made[-1:], *spans[i + 1 : i + 2]]
            name = next((one for one in near if one.label not in (None, UNSURE, SILENCE)), None)
        if name is not None:
            made.append(Span(span.start, span.end, name.label, name.score, name.tags))
        else:
            made.append(Span(span.start, span.end, None, 0.0) if span.label == UNSURE else span)
    return made
