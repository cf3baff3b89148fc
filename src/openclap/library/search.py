"""A query → the hits of a library, each with its confidence, best first: by sound, by what files are called, or both.

vector ─ nearest ──────── windows ─┐
├─ cosine, share of the words ─ relevance ─ hits
words ── match_words ─ nearest_in ─┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from openclap.clap import CLAP
from openclap.confidence import ReferenceBank, confidence_curves, has_own_curves
from openclap.detector import Detector
from openclap.library.query import Question, Vector, has_words, is_sound_alone, is_unknown
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.results import Hit, Ranked
from openclap.store import ScoredWindow, SearchFilter, Store, WordMatch

__all__ = ["By", "Per", "find_hits"]

Per = Literal["file", "window"]
By = Literal["sound", "names", "both"]
NAMED_LEAST, NAMED_EACH = 200, 4  # files that words find: at least so many, and so many for each hit asked for


def find_hits(
    store: Store,
    clap: CLAP,
    bank: Callable[[], ReferenceBank],
    asked: Question,
    vector: Vector,
    k: int,
    *,
    per: Per,
    by: By,
    missing: bool,
) -> Ranked[Hit]:
    """The `k` best hits for a query, whose unit vector is (E,); see `Library.search`.

    A detector says itself how sure it is; only for other queries `bank` is called, which takes seconds the first time.
    Windows in which nothing is heard are no hits: a model that normalises loudness finds anything in them. A silent file
    that is called by the words of the query is the last of them, since its name alone says so. Of words that the model
    was never taught, only names say anything.
    """
    where = None if asked.filter == SearchFilter() else asked.filter
    unknown = is_unknown(clap, asked.query)
    whole, per_file = per == "file" and is_sound_alone(asked.query), per == "file"
    rows, away = nearest_reachable(store, vector, k, where=where, per_file=per_file, whole=whole, missing=missing)
    named = _Names(store, asked, vector, where) if by != "sound" and asked.wanted.words else None
    left_out = {row.path for row in away}
    if named is not None:
        rows = named.ranked(
            () if by == "names" else rows, bank(), max(NAMED_LEAST, NAMED_EACH * k), by_name_alone=unknown
        )
        rows, gone = _first_reachable(rows, k, missing=missing)
        left_out |= gone
    query, words = asked.query, has_words(asked.query)
    least = confidence_curves(clap.config).least(words=words)
    confidence: Callable[[Vector], float]
    if isinstance(query, Detector):
        confidence = lambda window: float(query.probability(window[None])[0])
    else:
        confidence = bank().judge(vector, words=words)
    hits = []
    for row in rows:
        likely = 0.0 if row.silent or unknown else confidence(row.embedding)
        lost = missing and not is_reachable(row.path)
        hit = Hit(row.path, row.start, row.end, row.score, likely, lost, likely < least, silent=row.silent)
        hits.append(hit if named is None else named.judged(hit, least))
    calibrated = isinstance(query, Detector) or has_own_curves(clap)
    return Ranked(hits, len(left_out), calibrated=calibrated, by="sound" if named is None else by)


def _first_reachable(rows: Iterable[ScoredWindow], k: int, *, missing: bool) -> tuple[list[ScoredWindow], set[str]]:
    """The first `k` rows whose files can be reached, and the paths of those before them that cannot; or simply `k`."""
    good: list[ScoredWindow] = []
    gone: set[str] = set()
    for row in rows:
        if len(good) == k:
            break
        if missing or (row.path not in gone and is_reachable(row.path)):
            good.append(row)
        else:
            gone.add(row.path)
    return good, gone


class _Names:
    """What the words of a query say of files: which are called by them, and how relevant that makes each.

    Parameters
    ----------
    where
        The files that may be found.
    """

    def __init__(self, store: Store, asked: Question, vector: Vector, where: SearchFilter | None) -> None:
        self._store, self._asked, self._vector, self._where = store, asked, vector, where
        self._matches: dict[str, WordMatch] = {}
        self._relevance: dict[tuple[str, float], float] = {}  # by path and start

    def ranked(
        self, heard: Sequence[ScoredWindow], bank: ReferenceBank, most: int, *, by_name_alone: bool
    ) -> list[ScoredWindow]:
        """The windows that were `heard`, and the best ones of at most so many files that the words name, best first.

        With `by_name_alone`, the sound of a file that no word names makes it no more relevant.
        """
        words, known = self._asked.wanted.words, {row.path for row in heard}
        self._note(self._store.match_words(words, most, where=self._where))
        self._note(self._match_among(words, known - self._matches.keys()))
        rows = [*heard, *self._store.nearest_in(self._vector, self._matches.keys() - known)]
        against = {
            match.path: match.share
            for match in self._match_among(self._asked.unwanted.words, {row.path for row in rows})
        }
        shares = [self._share(row.path) - against.get(row.path, 0.0) for row in rows]
        scores = np.array([row.score for row in rows], np.float32)
        silent = np.array([row.silent for row in rows], np.bool_)
        unsaid = silent | (np.array(shares) <= 0) if by_name_alone else silent
        relevance = bank.relevance(self._vector, scores, np.array(shares, np.float32)) * ~unsaid
        self._relevance = {(row.path, row.start): float(x) for row, x in zip(rows, relevance, strict=True)}
        worth = [share if row.silent else row.score for row, share in zip(rows, shares, strict=True)]
        order = sorted(range(len(rows)), key=lambda i: (-relevance[i], -worth[i], rows[i].path, rows[i].start))
        return [rows[i] for i in order]

    def judged(self, hit: Hit, least: float) -> Hit:
        """A hit with its relevance, and the words that its file is called by."""
        relevance = self._relevance[hit.path, hit.start]
        match = self._matches.get(hit.path)
        named = () if match is None else tuple(self._asked.wanted.spelled.get(word, word) for word in match.matched)
        return replace(hit, relevance=relevance, named=named, unlikely=hit.silent or relevance < least)

    def _note(self, matches: Iterable[WordMatch]) -> None:
        self._matches |= {match.path: match for match in matches}

    def _share(self, path: str) -> float:
        return self._matches[path].share if path in self._matches else 0.0

    def _match_among(self, words: Sequence[str], paths: set[str]) -> list[WordMatch]:
        if not words or not paths:
            return []
        return self._store.match_words(words, len(paths), where=SearchFilter(within=tuple(sorted(paths))))
