"""More like these, less like those, and not the same again: which recordings of a library to hear next.

    like, unlike ─ unit vectors ─ the store's nearest to each ─ relevance ─┐
                                                                           ├─ one after the other: (1 - variety) · relevance
    variety ───────────────────────────────────────────────────────────────┘      - variety · likeness to what was picked

Maximal marginal relevance (Carbonell & Goldstein 1998). Relevance: how many standard deviations a window lies nearer to
the best of what is liked than everyday sounds do, less half of the same for the worst of what is not; in these units
words and sounds, whose cosines differ by far, weigh alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap.confidence import has_own_curves
from openclap.errors import SoundError, UsageError
from openclap.library.indexing import absolute_path, content_hash
from openclap.library.query import PUSH, Query, embed_query, has_words
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.normalization import normalize_rows
from openclap.results import Hit, Ranked

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.confidence import ReferenceBank
    from openclap.store import ScoredWindow, SearchFilter, Store

__all__ = ["pick_diverse", "recommend"]

Vectors = npt.NDArray[np.float32]

POOL, FEWEST = 10, 200  # recordings looked at for each wanted one, and at least
ENOUGH = 3  # times as many as are wanted still fit
SAME = 0.9995  # cosine from which a recording is the very sound that was given


@dataclass(frozen=True, eq=False)
class _Wish:
    """One of what was given: its vector (E,), and whether it was said in words."""

    vector: Vectors
    words: bool


def recommend(
    store: Store,
    clap: CLAP,
    usual: ReferenceBank,
    like: Sequence[Query],
    unlike: Sequence[Query],
    k: int,
    *,
    variety: float,
    where: SearchFilter | None,
    missing: bool = False,
) -> Ranked[Hit]:
    """The `k` recordings to hear next, in the order in which they were picked; see `Library.recommend`."""
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
    rows = [
        row for row in rows if row.path not in given and not (len(sounds) and (sounds @ row.embedding).max() >= SAME)
    ]
    if not rows:
        return Ranked((), left_out)
    vectors = np.array([row.embedding for row in rows])
    near = _nearness(usual, wanted, vectors)  # (N, wishes)
    relevance = near.max(1)
    if unwanted:
        relevance = relevance - PUSH * np.maximum(_nearness(usual, unwanted, vectors).max(1), 0)
    best: dict[str, int] = {}  # of two windows of one recording, the one that fits better
    for i in np.argsort(-relevance, kind="stable"):
        best.setdefault(rows[i].path, int(i))
    chosen = np.array(sorted(best.values()))
    order = chosen[pick_diverse(relevance[chosen], vectors[chosen], k, variety)]
    hits = [_hit(rows[i], wanted[int(near[i].argmax())], usual) for i in order]
    if missing:
        hits = [replace(hit, missing=not is_reachable(hit.path)) for hit in hits]
    return Ranked(hits, left_out, calibrated=has_own_curves(clap))


def pick_diverse(relevance: Vectors, vectors: Vectors, k: int, variety: float) -> list[int]:
    """Rows (N, E) one after the other, each the best trade of relevance (N,) against likeness to those before; ties by place.

    What fits is three times as many rows as are wanted, the most relevant. Both relevance and likeness (cosine) are
    brought to [0, 1] among these, so that variety means the same for a model that finds all rain alike and for one that
    does not.
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
    """The vector of a sound of the library is there already: the mean of its windows."""
    if isinstance(part, os.PathLike):
        recording = store.recording(absolute_path(part))
        if recording is not None:
            return _Wish(normalize_rows(recording.embedding.mean(0)), False)
    return _Wish(embed_query(clap, part), has_words(part))


def _pool(
    store: Store, wanted: Sequence[_Wish], count: int, where: SearchFilter | None, missing: bool
) -> tuple[list[ScoredWindow], int]:
    """The recordings nearest to each wish, a window each, and to all of them together; how many cannot be reached."""
    middle = normalize_rows(np.sum([wish.vector for wish in wanted], axis=0))
    vectors = [wish.vector for wish in wanted] + ([middle] if len(wanted) > 1 else [])
    found: dict[tuple[str, float], ScoredWindow] = {}
    left_out: set[str] = set()
    for vector in vectors:
        rows, away = (
            (store.nearest(vector, count, where=where), [])
            if missing
            else nearest_reachable(store, vector, count, where=where)
        )
        left_out |= {row.path for row in away}
        for row in rows:
            found.setdefault((row.path, row.start), row)
    return [found[key] for key in sorted(found)], len(left_out)


def _given_paths(store: Store, parts: Sequence[Any]) -> set[str]:
    """Paths of what was given, and of its copies."""
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


def _nearness(usual: ReferenceBank, wishes: Sequence[_Wish], vectors: Vectors) -> Vectors:
    """(N, wishes): deviations of the cosines from those of everyday sounds."""
    each = []
    for wish in wishes:
        bank = usual.sounds @ wish.vector
        each.append((vectors @ wish.vector - bank.mean()) / max(float(bank.std()), 1e-6))
    return np.stack(each, axis=1).astype(np.float32)


def _hit(row: ScoredWindow, wish: _Wish, usual: ReferenceBank) -> Hit:
    score = float(np.clip(row.embedding @ wish.vector, -1.0, 1.0))
    likely = usual.confidence(wish.vector, row.embedding, words=wish.words)
    unlikely = likely < usual.curves.least(words=wish.words)
    return Hit(row.path, row.start, row.end, score, likely, unlikely=unlikely)
