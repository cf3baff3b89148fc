"""The embeddings of a teacher for sounds and texts: computed once, stored on disk, read from mapped files.

    recordings ─ 256 at a time, shared by the ranks ─ teacher ─ NAME.npy  vectors (W, E)   written first
                                                              NAME.json their keys       written last

Both files are written under another name and renamed, so a killed run goes on after the last whole part. The name of
the folder holds the fingerprint of the teacher, the window and the hop; a key holds name, size and time of a recording.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from openclap.atomic_write import atomic_write, write_json
from openclap.clap import CLAP
from openclap.data import Item
from openclap.errors import SoundError, TrainingError
from openclap.eval.embedding import embed_each
from openclap.normalization import normalize_rows
from openclap.regular_files import read_regular, require_regular
from openclap.results import Failure
from openclap.train.distributed import Ranks
from openclap.train.examples import Example

__all__ = ["Teacher", "TeacherEmbedding"]

FORMAT = {"format": "openclap teacher", "format_version": 1}
PART = 256  # recordings of a part, at most
SECONDS = 20.0  # of work in a part, about: a killed run has to do this much again
TEXTS = 4096  # texts of a part, at most

Vectors = npt.NDArray[np.float32]
Entry = tuple[tuple[float, ...], Vectors]  # starts in seconds (W,), vectors (W, E)


@dataclass(frozen=True)
class TeacherEmbedding:
    """The embeddings of one recording by the teacher.

    Attributes
    ----------
    starts
        Where the windows begin, in seconds.
    rows : (W, E)
        The embeddings of the windows.
    whole : (E,)
        The embedding of the whole recording.
    """

    starts: tuple[float, ...]
    rows: Vectors
    whole: Vectors


class Teacher:
    """A model with a store of the embeddings it has computed.

    Parameters
    ----------
    clap
        The model, on whatever backend is fastest here.
    folder
        Where its vectors are stored; all ranks must see this folder.
    window, hop
        Length and distance of the windows, in seconds.
    """

    def __init__(self, clap: CLAP, folder: Path, *, window: float, hop: float) -> None:
        self.clap = clap
        self.window, self.hop = window, hop
        self._folder = folder / clap.fingerprint
        self._windows = _VectorCache(self._folder / f"windows-{window:g}-{hop:g}")
        self._wholes = _VectorCache(self._folder / "wholes")
        self._texts = _VectorCache(self._folder / "texts")
        self._keys: dict[str, str] = {}
        self.unreadable: dict[str, Failure] = {}  # what cannot be read, by key

    def embed_sounds(self, examples: Sequence[Example], ranks: Ranks, *, whole: bool, progress: bool) -> None:
        """Embed all recordings that are not stored yet; those that cannot be read are noted in `unreadable`.

        Parameters
        ----------
        whole
            Recordings of several windows are also embedded as a whole.
        """
        items = {example.key: example.item for example in examples}
        self._keys.update({key: _recording_key(key, item) for key, item in items.items()})
        self._embed_missing(self._windows, items, ranks, self.window, "the teacher listens", progress)
        if whole:
            long = {k: i for k, i in items.items() if k not in self.unreadable and len(self.embedding_of(k).starts) > 1}
            self._embed_missing(self._wholes, long, ranks, None, "the teacher listens to the whole", progress)

    def embed_texts(self, texts: Iterable[str], ranks: Ranks, *, progress: bool) -> None:
        """Embed all texts that are not stored yet."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._texts]

        def embed_part(part: Sequence[str]) -> Iterator[tuple[str, Entry]]:
            for text, row in zip(part, self.clap.encode_text(part), strict=True):
                yield text, ((0.0,), row[None])

        self._fill_cache(self._texts, missing, TEXTS, embed_part, ranks, "the teacher reads", progress)

    def embedding_of(self, key: str) -> TeacherEmbedding:
        """The embeddings of a recording; where it was not embedded as a whole, `whole` is the mean of its windows."""
        recording_key = self._keys[key]
        starts, rows = self._windows[recording_key]
        if recording_key in self._wholes:
            return TeacherEmbedding(starts, rows, self._wholes[recording_key][1][0])
        return TeacherEmbedding(starts, rows, rows[0] if len(rows) == 1 else normalize_rows(rows.mean(0)))

    def text_embeddings(self, texts: Sequence[str]) -> Vectors:
        """The embeddings of texts (M, E), which must have been stored before."""
        return np.stack([self._texts[text][1][0] for text in texts])

    # -- inside --------------------------------------------------------------------------------------

    def _embed_missing(
        self, cache: _VectorCache, items: dict[str, Item], ranks: Ranks, window: float | None, what: str, progress: bool
    ) -> None:
        missing = [key for key in items if self._keys[key] not in cache and key not in self.unreadable]

        def embed_part(part: Sequence[str]) -> Iterator[tuple[str, Entry]]:
            found = embed_each(self.clap, [items[key] for key in part], window=window, hop=self.hop)
            for key, windows in zip(part, found, strict=True):
                if isinstance(windows, SoundError):
                    self.unreadable[key] = Failure(windows.name, windows.cause)
                else:
                    yield self._keys[key], (tuple(windows.start.tolist()), windows.embedding)

        self._fill_cache(cache, missing, PART, embed_part, ranks, what, progress)

    def _fill_cache(
        self,
        cache: _VectorCache,
        missing: Sequence[str],
        size: int,
        ask: Callable[[Sequence[str]], Iterator[tuple[str, Entry]]],
        ranks: Ranks,
        what: str,
        progress: bool,
    ) -> None:
        """Compute what is missing in parts, one for each rank at a time, so no rank waits longer than for one part."""
        parts = [missing[i : i + size] for i in range(0, len(missing), size)]

        def own_part(number: int) -> dict[str, Failure]:
            for done in _group_by_time(ask(parts[number])) if number < len(parts) else ():
                cache.write(done)
                bar.advance(task, ranks.world * len(done))
            return self.unreadable

        with Progress(console=Console(stderr=True), disable=not progress or not missing) as bar:
            task = bar.add_task(what, total=len(missing))
            for first in range(0, len(parts), ranks.world):
                for unreadable in ranks.all_ranks(partial(own_part, first + ranks.rank)):
                    self.unreadable.update(unreadable)
        cache.map_new_parts()


class _VectorCache:
    """Vectors by key, stored in a folder as parts of two files each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._entries: dict[str, tuple[Vectors, int, tuple[float, ...]]] = {}
        self.map_new_parts()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __getitem__(self, key: str) -> Entry:
        part, first, starts = self._entries[key]
        return starts, np.array(part[first : first + len(starts)])

    def map_new_parts(self) -> None:
        """Map the parts that are new in the folder."""
        for file in sorted(self._folder.glob("*.json")):
            if file.name in self._read:
                continue
            self._read.add(file.name)
            try:
                require_regular(file.with_suffix(".npy"))
                head = json.loads(read_regular(file).decode())
                rows = np.load(file.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
                if {k: head[k] for k in FORMAT} != FORMAT:
                    raise TrainingError(f"{file} was written by another version of openclap; remove {self._folder}")
                first = 0
                for key, starts in head["rows"].items():
                    self._entries[key] = (rows, first, tuple(starts))
                    first += len(starts)
                if first != len(rows):
                    raise ValueError(f"{len(rows)} rows of {first}")
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                raise TrainingError(f"{file} is broken ({error}); remove it: what it held is computed again") from error

    def write(self, entries: dict[str, Entry]) -> None:
        """Write a part."""
        if not entries:
            return
        name = hashlib.sha256("\0".join(entries).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        head: dict[str, Any] = {**FORMAT, "rows": {key: starts for key, (starts, _) in entries.items()}}
        vectors = np.concatenate([rows for _, rows in entries.values()])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._folder / f"{name}.npy", sync=True) as part, part.open("wb") as file:
                np.save(file, vectors)
            write_json(self._folder / f"{name}.json", head, indent=None, sync=True)
        except OSError as error:
            raise TrainingError(
                f"{self._folder} cannot be written ({error.strerror or error}); make room and run it again: it goes on"
                " where it was"
            ) from error


def _group_by_time(found: Iterator[tuple[str, Entry]]) -> Iterator[dict[str, Entry]]:
    """Group entries into parts of about `SECONDS` of work."""
    began, some = time.monotonic(), dict[str, Entry]()
    for key, entry in found:
        some[key] = entry
        if time.monotonic() - began > SECONDS:
            yield some
            began, some = time.monotonic(), {}
    yield some


def _recording_key(key: str, item: Item) -> str:
    """The key of a recording's embeddings: its name with size and time of its file, or with a hash of its bytes."""
    if isinstance(item.sound, bytes):
        return f"{key}|{hashlib.sha256(item.sound).hexdigest()}"
    return "|".join([key, *map(str, item.file_facts)])
