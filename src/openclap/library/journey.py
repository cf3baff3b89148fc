"""Two sounds → recordings of a library that lead from one to the other by equal steps.

    A ●───────┼───────┼───────┼───────● B      points of the great circle between both, one for each step
       ╲    ○ │   ○   │  ○    │  ○   ╱
        ●─────●───────●───────●─────            recordings near them: each further on the way than the one before

Recordings are compared by the vectors of all of them. Those near the circle are put in the order in which they lie
along it, so that no step leads backwards. Dynamic programming first finds how long the longest step must be at least;
then the chain whose steps differ least from that length, and whose recordings lie nearest to their points.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.content_hash import content_hash
from openclap.clap import CLAP
from openclap.config.checks import check_count
from openclap.errors import SoundError, UsageError
from openclap.library.query import Query, embed_query, refuse_silent
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.library.scan import absolute_path, size_and_time
from openclap.normalization import Vectors, normalize_rows
from openclap.results import Hit, Ranked, Step
from openclap.store import File, SearchFilter, Store

__all__ = [
    "MOST_STEPS",
    "NEXT_BEST",
    "End",
    "check_steps",
    "choose_chain",
    "end_by_words",
    "end_of",
    "find_journey",
    "points_between",
]

Floats: TypeAlias = npt.NDArray[np.floating]

MOST_STEPS = 200  # recordings of a journey
NEXT_BEST = 5  # hits for words, as the best may be the other end
POINTS, NEAR = 16, 60  # points whose nearest windows are looked at, and how many files of each at least
CANDIDATES = 800  # recordings that are chosen from, at least
SAME = 0.9995  # cosine from which two recordings are the same
# the length that steps should have, as a share of what the longest must have; and the weight of lying near the points
# (bench/journey.py: with these the longest step is 1.1 to 1.2 times the mean one)
NEARLY, STRAIGHT = 0.85, 0.5
SLACK = 0.01  # radians by which a step may be longer than it must be
LEAST_ANGLE = 0.02  # radians between two ends, below which there is no way between them


@dataclass(frozen=True, eq=False)
class End:
    """One end of a journey: its vector (E,), and the file of the library that it is, if it is one.

    `unlikely`: it was asked for in words, and the library holds nothing that is likely to be that.
    """

    vector: Vectors
    file: File | None = None
    unlikely: bool = False


def end_of(store: Store, clap: CLAP, sound: Query) -> End:
    """A sound as an end: with the vector of the library, where it or a copy of it is there; refused where it is silent."""
    if isinstance(sound, os.PathLike):
        file = _file_of(store, absolute_path(sound))
        for recording in store.recordings([file.path]) if file is not None else ():
            refuse_silent(recording.file.path, recording.heard)
        vectors = store.tracks([file.path]) if file is not None else {}
        if file is not None and file.path in vectors:
            return End(vectors[file.path], file)
    return End(embed_query(clap, sound))


def end_by_words(store: Store, hits: Ranked[Hit], others: Sequence[End]) -> End | None:
    """The best of some hits as an end, unless it is another end already, then the next; None where there is none."""
    taken = {end.file.hash for end in others if end.file is not None}
    files = store.find_files(hit.path for hit in hits)
    for hit in hits:
        file = files.get(hit.path)
        if file is not None and file.hash not in taken:
            vector = store.tracks([file.path]).get(file.path)
            if vector is not None:
                return End(vector, file, hit.unlikely)
    return None


def find_journey(
    store: Store,
    start: End,
    end: End,
    n: int,
    *,
    where: SearchFilter | None = None,
    missing: bool = False,
) -> tuple[list[Step], int]:
    """The recordings of a journey, and how many near it cannot be reached now; see `Library.journey`."""
    points = points_between(start.vector, end.vector, n)
    near, left_out = _files_near(store, points, n, where, missing)
    ends = {one.file.path: one.file for one in (start, end) if one.file is not None}
    vectors = store.tracks([*ends, *(file.path for file in near)])
    vectors |= {one.file.path: one.vector for one in (start, end) if one.file is not None}
    files = [file for file in (ends | {file.path: file for file in near}).values() if file.path in vectors]
    rows = np.array([vectors[file.path] for file in files], np.float32).reshape(len(files), -1)
    kept = _without_copies(files, rows, len(ends), points)
    files, rows = [files[i] for i in kept], rows[kept]
    if len(files) < 2:
        return [], left_out
    at_end = None if end.file is None else len(ends) - 1
    first = 0 if start.file is not None else _nearest(rows, start.vector, but=at_end)
    last = _nearest(rows, end.vector, but=first) if at_end is None else at_end
    chain = choose_chain(rows, points, first, last)
    steps = _steps([files[i] for i in chain], rows[chain], start.vector, end.vector)
    for number, one in ((0, start), (-1, end)):
        if steps and one.unlikely:
            steps[number] = replace(steps[number], unlikely=True)
    if missing:
        steps = [replace(step, missing=not is_reachable(step.path)) for step in steps]
    return steps, left_out


def check_steps(n: int) -> None:
    """Refuse a number of recordings that is no journey."""
    check_count(n, "n")
    if not 2 <= n <= MOST_STEPS:
        raise UsageError(f"a journey of {n} recordings was asked for; it has 2 to {MOST_STEPS}")


def points_between(a: Vectors, b: Vectors, n: int) -> Vectors:
    """Points (n, E) on the great circle from one unit vector (E,) to another, at equal angles.

    Raises
    ------
    UsageError
        Both are the same, or opposite.
    """
    angle = float(np.arccos(np.clip(a @ b, -1.0, 1.0)))
    if not LEAST_ANGLE < angle < np.pi - LEAST_ANGLE:
        raise UsageError("both ends of the journey sound the same; give two sounds that differ")
    share = np.linspace(0, 1, n)[:, None]
    return normalize_rows(np.sin((1 - share) * angle) * a + np.sin(share * angle) * b)


def choose_chain(rows: Vectors, points: Vectors, first: int, last: int) -> list[int]:
    """Choose one of the rows (N, E) for each point (n, E), each further on the way than the one before → their numbers.

    The row `first` stands for the first point, `last` for the last one. Where too few rows lie between, there are fewer
    points, at equal angles again.
    """
    position = _position(rows, points[0], points[-1])
    inner = [i for i in np.argsort(position, kind="stable").tolist() if position[first] < position[i] < position[last]]
    order = np.array([first, *inner, last])
    n = min(len(points), len(order))
    points = points if n == len(points) else points_between(points[0], points[-1], n)
    rows = rows[order]
    step = np.where(np.tri(len(rows), dtype=bool), np.inf, _angles(rows, rows))  # from row to row, only onwards
    longest = _shortest_longest_step(step, n)
    cost = np.where(step <= longest + SLACK, (step - NEARLY * longest) ** 2, np.inf)
    apart = STRAIGHT * _angles(points, rows) ** 2  # (n, N)
    apart[0, 1:] = apart[-1, :-1] = np.inf
    total, before = apart[0], np.zeros((n, len(rows)), int)
    for number in range(1, n):
        paths = total[:, None] + cost
        before[number] = paths.argmin(0)
        total = paths.min(0) + apart[number]
    chain = [len(rows) - 1]
    for number in range(n - 1, 0, -1):
        chain.append(int(before[number, chain[-1]]))
    return [int(order[i]) for i in reversed(chain)]


def _shortest_longest_step(step: Floats, n: int) -> float:
    """The longest step of the chain of `n` rows, from the first to the last, whose longest step is shortest."""
    longest = np.full(len(step), np.inf)
    longest[0] = 0.0
    for _ in range(1, n):
        longest = np.maximum(longest[:, None], step).min(0)
    return float(longest[-1])


def _nearest(rows: Vectors, vector: Vectors, but: int | None) -> int:
    """The row (N, E) nearest to a vector (E,), another one than `but`."""
    cosine = rows @ vector
    if but is not None:
        cosine[but] = -np.inf
    return int(cosine.argmax())


def _angles(a: Vectors, b: Vectors) -> Floats:
    return np.arccos(np.clip(a.astype(np.float64) @ b.T.astype(np.float64), -1.0, 1.0))


def _position(rows: Vectors, a: Vectors, b: Vectors) -> Floats:
    """Where along the great circle from `a` (E,) to `b` (E,) rows (N, E) lie: 0 at `a`, 1 at `b` → (N,)."""
    across = normalize_rows(b - (a @ b) * a)
    return np.arctan2(rows @ across, rows @ a) / np.arctan2(b @ across, b @ a)


def _file_of(store: Store, path: str) -> File | None:
    """The file of a library at a path, unless it has another content now; else a copy of it that can be reached."""
    file = store.find_files([path]).get(path)
    now = size_and_time(path)
    if file is not None and now in (None, (file.size, file.mtime_ns)):
        return file
    try:
        copies = store.find_by_hash([content_hash(Path(path))])
    except (SoundError, OSError):
        return None
    found = [one for files in copies.values() for one in files]
    return next((one for one in found if one.path == path or is_reachable(one.path)), None)


def _files_near(
    store: Store, points: Vectors, n: int, where: SearchFilter | None, missing: bool
) -> tuple[list[File], int]:
    """The files nearest to some of the points, and how many cannot be reached."""
    some = points[np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).round().astype(int))]
    score: dict[str, float] = {}
    away: set[str] = set()
    for point in some:
        rows, gone = nearest_reachable(store, point, max(NEAR, 2 * n), where=where, missing=missing)
        away |= {row.path for row in gone}
        for row in rows:
            score[row.path] = max(row.score, score.get(row.path, -1.0))
    best = sorted(score, key=lambda path: (-score[path], path))[: max(CANDIDATES, 4 * n)]
    found = store.find_files(best)
    return [found[path] for path in best if path in found], len(away)


def _without_copies(files: Sequence[File], rows: Vectors, ends: int, points: Vectors) -> list[int]:
    """Numbers of rows (N, E), one of each content: the first ones, which are `ends`, then the nearest to the points."""
    near = (rows[ends:] @ points.T).max(1) if len(rows) > ends else np.zeros(0)
    hashes = {file.hash for file in files[:ends]}
    kept = list(range(ends))
    for i in (ends + np.argsort(-near, kind="stable")).tolist():
        if files[i].hash not in hashes and not (rows[kept] @ rows[i] >= SAME).any():
            kept.append(i)
            hashes.add(files[i].hash)
    return kept


def _steps(files: Sequence[File], rows: Vectors, a: Vectors, b: Vectors) -> list[Step]:
    """The files of a journey, with vectors (N, E), as steps from `a` (E,) to `b` (E,)."""
    points = points_between(a, b, len(files))
    score = np.clip((rows * points).sum(1), -1.0, 1.0)
    position = np.clip(_position(rows, a, b), 0.0, 1.0)
    like = [None, *np.clip((rows[1:] * rows[:-1]).sum(1), -1.0, 1.0).tolist()]
    return [
        Step(file.path, 0.0, file.seconds, float(score[i]), position=float(position[i]), similarity=like[i])
        for i, file in enumerate(files)
    ]
