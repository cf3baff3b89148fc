"""Sounds and words that are liked, and others that are not → which recordings of a library to hear next.

    like, unlike ─ unit vectors ─ the store's nearest to each ─ relevance ─┐
    variety ───────────────────────────────────────────────────────────────┴─ picked one after the other, by
        (1 - variety) · relevance - variety · likeness to what was picked before

Maximal marginal relevance (Carbonell & Goldstein 1998). The relevance of a recording is how many standard deviations it
is nearer to the nearest liked part than everyday sounds are, less half of the same for the nearest disliked part. In
this unit words and sounds, whose cosines differ by far, have the same weight. Words are compared with the best window
of a recording, sounds with the recording as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from openclap.audio.content_hash import content_hash
from openclap.clap import CLAP
from openclap.confidence import ReferenceBank, has_own_curves
from openclap.errors import SoundError, UsageError
from openclap.library.query import PUSH, Query, embed_query, has_words, refuse_silent
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.library.scan import absolute_path
from openclap.normalization import Vectors, normalize_rows
from openclap.results import Hit, Ranked
from openclap.store import ScoredWindow, SearchFilter, Store

__all__ = ["pick_diverse", "recommend"]


POOL, FEWEST = 10, 200  # recordings that are looked at: for each wanted one, and at least
ENOUGH = 3  # times as many as are wanted are chosen from
SAME = 0.9995  # cosine from which a recording is taken for the sound that was given


@dataclass(frozen=True, eq=False)
class _Wish:
    """One liked or disliked part: its vector (E,), and whether it is words."""

    vector: Vectors
    words: bool


def recommend(
    store: Store,
    clap: CLAP,
    bank: ReferenceBank,
    like: Sequence[Query],
    unlike: Sequence[Query],
    k: int,
    *,
    variety: float,
    where: SearchFilter | None,
    missing: bool = False,
) -> Ranked[Hit]:
    """Pick `k` recordings to hear next, in the order in which they should be heard; see `Library.recommend`."""
    if not 0 <= variety <= 1:
        raise UsageError(
            f"variety is {variety!r}; it lies between 0, only what is wanted, and 1, only what is different"
        )
    if not like:
        raise UsageError("say what you like: a sound, or words; unlike alone tells nothing to look for")
    wanted, unwanted = ([_wish(store, clap, part) for part in parts] for parts in (like, unlike))
    rows, left_out = _pool(store, wanted, max(FEWEST, POOL * k), where, missing)
    given = _given_paths(store, [*like, *unlike])
    sounds = np.array([wish.vector for wish in (*wanted, *unwanted) if not wish.words])
    tracks = store.tracks({row.path for row in rows} - given)
    rows = [
        row for row in rows if row.path in tracks and not (len(sounds) and (sounds @ tracks[row.path]).max() >= SAME)
    ]
    if not rows:
        return Ranked((), left_out)
    windows, wholes = np.array([row.embedding for row in rows]), np.array([tracks[row.path] for row in rows])
    near = _nearness(bank, wanted, windows, wholes)  # (N, wishes)
    relevance = near.max(1)
    if unwanted:
        relevance = relevance - PUSH * np.maximum(_nearness(bank, unwanted, windows, wholes).max(1), 0)
    best: dict[str, int] = {}  # path → the row of its most relevant window
    for i in np.argsort(-relevance, kind="stable"):
        best.setdefault(rows[i].path, int(i))
    chosen = np.array(sorted(best.values()))
    order = chosen[pick_diverse(relevance[chosen], wholes[chosen], k, variety)]
    hits = [_hit(rows[i], tracks[rows[i].path], wanted[int(near[i].argmax())], bank) for i in order]
    if missing:
        hits = [replace(hit, missing=not is_reachable(hit.path)) for hit in hits]
    return Ranked(hits, left_out, calibrated=has_own_curves(clap))


def pick_diverse(relevance: Vectors, vectors: Vectors, k: int, variety: float) -> list[int]:
    """Pick rows of (N, E) one after the other, each with the best of relevance (N,) and unlikeness to those before.

    The `3 k` most relevant rows are chosen from. Both relevance and likeness (cosine) are scaled to [0, 1] among these,
    so that variety means the same for a model that finds all rain alike and for one that does not. Of ties the first
    is picked.
    """
    fit = np.argsort(-relevance, kind="stable")[: ENOUGH * k]
    high, low = float(relevance[fit[0]]), float(relevance[fit[-1]])
    worth = (1 - variety) * (relevance - low) / max(high - low, 1e-6)
    least = float((vectors[fit] @ vectors[fit].T).min())
    nearest = np.zeros(len(vectors), np.float32)
    left = np.ones(len(vectors), bool)
    order: list[int] = []
    for _ in range(min(k, len(vectors))):
        best = int(np.where(left, worth - variety * nearest, -np.inf).argmax())
        order.append(best)
        left[best] = False
        nearest = np.maximum(nearest, (vectors @ vectors[best] - least) / max(1 - least, 1e-6))
    return order


def _wish(store: Store, clap: CLAP, part: Query) -> _Wish:
    """The vector of a part; a sound of the library has one already, that of the whole recording."""
    if isinstance(part, os.PathLike):
        recording = store.recording(absolute_path(part))
        if recording is not None:
            refuse_silent(recording.file.path, recording.heard)
            return _Wish(recording.track, False)
    return _Wish(embed_query(clap, part), has_words(part))


def _pool(
    store: Store, wanted: Sequence[_Wish], count: int, where: SearchFilter | None, missing: bool
) -> tuple[list[ScoredWindow], int]:
    """The nearest windows to each wish and to all together, one a recording; and how many files cannot be reached."""
    middle = normalize_rows(np.sum([wish.vector for wish in wanted], axis=0))
    vectors = [wish.vector for wish in wanted] + ([middle] if len(wanted) > 1 else [])
    found: dict[tuple[str, float], ScoredWindow] = {}
    left_out: set[str] = set()
    for vector in vectors:
        rows, away = nearest_reachable(store, vector, count, where=where, missing=missing)
        left_out |= {row.path for row in away}
        for row in rows:
            found.setdefault((row.path, row.start), row)
    return [found[key] for key in sorted(found)], len(left_out)


def _given_paths(store: Store, parts: Sequence[Any]) -> set[str]:
    """Paths of the given sounds, and of their copies in the library."""
    paths = {absolute_path(part) for part in parts if isinstance(part, os.PathLike)}
    known = store.find_files(paths)
    hashes = {file.hash for file in known.values()}
    for path in paths - set(known):
        try:
            hashes.add(content_hash(Path(path)))
        except (SoundError, OSError):
            continue
    copies = [file.path for files in store.find_by_hash(hashes).values() for file in files] if hashes else []
    return paths | set(copies)


def _nearness(bank: ReferenceBank, wishes: Sequence[_Wish], windows: Vectors, wholes: Vectors) -> Vectors:
    """How many standard deviations cosines lie above those of everyday sounds: (N, wishes).

    Words are compared with `windows` (N, E), sounds with the recordings of these as a whole, `wholes` (N, E).
    """
    each = []
    for wish in wishes:
        everyday, vectors = bank.sounds @ wish.vector, windows if wish.words else wholes
        each.append((vectors @ wish.vector - everyday.mean()) / max(float(everyday.std()), 1e-6))
    return np.stack(each, axis=1).astype(np.float32)


def _hit(row: ScoredWindow, track: Vectors, wish: _Wish, bank: ReferenceBank) -> Hit:
    compared = row.embedding if wish.words else track
    score = float(np.clip(compared @ wish.vector, -1.0, 1.0))
    likely = bank.confidence(wish.vector, compared, words=wish.words)
    unlikely = likely < bank.curves.least(words=wish.words)
    return Hit(row.path, row.start, row.end, score, likely, unlikely=unlikely)
