"""Files and windows of a library → the vectors that were made of them when they were indexed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from openclap.errors import LibraryError
from openclap.library.scan import absolute_path, size_and_time
from openclap.normalization import Vectors
from openclap.results import Hit
from openclap.store import Recording, SearchFilter, Store

__all__ = ["embedding_of_file", "spread_recordings", "vectors_of_hits"]

SAME = 1e-3  # seconds between the times of a window and those that are asked for


def vectors_of_hits(store: Store, hits: Sequence[Hit], size: int) -> Vectors:
    """The embeddings of windows that a search has found → float32 (N, E); E is `size` where there are no hits.

    Raises
    ------
    LibraryError
        A hit is of another library, or its file has been changed since.
    """
    rows = []
    for hit in hits:
        recording = store.recording(hit.path)
        at = np.flatnonzero(recording.start == hit.start) if recording is not None else np.zeros(0, int)
        if recording is None or not len(at):
            raise LibraryError(f"{store.place} holds no window of {hit.path} at {hit.start:g} s; search again")
        rows.append(recording.embedding[at[0]])
    return np.stack(rows) if rows else np.zeros((0, size), np.float32)


def embedding_of_file(
    store: Store, path: str | os.PathLike[str], window: tuple[float, float] | None = None
) -> Vectors | None:
    """The vector (E,) of a whole file (`silence.track_vector`), or of the window from a start to an end in seconds.

    None where it is not indexed, has changed since, or has no such window.
    """
    wanted = absolute_path(path)
    file = store.find_files([wanted]).get(wanted)
    if file is None or size_and_time(file.path) != (file.size, file.mtime_ns):
        return None
    if window is None:
        return store.tracks([wanted]).get(wanted)
    recording = store.recording(wanted)
    if recording is None:
        return None
    same = np.isclose(recording.start, window[0], atol=SAME) & np.isclose(recording.end, window[1], atol=SAME)
    return recording.embedding[np.argmax(same)] if same.any() else None


def spread_recordings(store: Store, most: int | None, where: SearchFilter | None = None) -> Iterator[Recording]:
    """Files with their windows, by path: all that a filter allows, or `most` that are evenly spread over the library."""
    if most is None:
        yield from store.scan(where)
        return
    count = store.stats()["files"]
    wanted = set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist())
    for number, file in enumerate(store.files()):
        recording = store.recording(file.path) if number in wanted else None
        if recording is not None:
            yield recording
