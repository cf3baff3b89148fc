"""Rows of sounds that were embedded before, in one SQLite file, so that an evaluation that was stopped goes on.

    item ─ name, size and time of its file; model, what computes it, how long sounds are heard ─ key ─ row (E,)

A sound that could not be used is tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from openclap.data.items import Item
from openclap.errors import DataError, SoundError
from openclap.eval.embedding import AT_ONCE, EmbeddedItems, embed_each, require_usable
from openclap.progress import with_progress
from openclap.regular_files import require_database
from openclap.results import Windows

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.clap.embed_audio import Long

__all__ = ["KeptRows", "item_facts"]

VERSION = 1
SCHEMA = "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, row BLOB NOT NULL)"


def item_facts(item: Item, folder: Path) -> list[object]:
    """What tells whether an item's sound is still the same: its path in a folder, and size and time of its file."""
    return [os.path.relpath(item.place, folder), *item.file_facts]


class KeptRows:
    """Embeds the items of a benchmark, and keeps their rows.

    Parameters
    ----------
    file
        The SQLite file; it is made where it is missing.
    folder
        The benchmark's, which may move without its sounds being embedded anew.
    long
        How sounds longer than a clip are heard, as in `CLAP.encode_audio`.
    """

    def __init__(self, file: Path, folder: Path, *, long: Long) -> None:
        self._file, self._folder, self._long = file, folder, long

    def embed(self, clap: CLAP, items: Sequence[Item], *, progress: bool, batch_size: int) -> EmbeddedItems:
        """As `embedding.embed_items`, without embedding what is kept.

        Raises
        ------
        UsageError
            No sound could be used.
        DataError
            The file cannot be written, or is no such file.
        """
        found = self._each(clap, items, batch_size)
        bar = with_progress(found, "embedding", len(items), show=progress)
        return require_usable(EmbeddedItems.of(items, bar), items)

    def _each(self, clap: CLAP, items: Sequence[Item], batch_size: int) -> Iterator[Windows | SoundError]:
        maker = [VERSION, clap.fingerprint, str(clap.backend.info), self._long]
        try:
            require_database(self._file)
        except OSError as error:
            raise DataError(f"{self._file}: cannot be used ({error.strerror}); choose another place") from None
        try:
            with contextlib.closing(sqlite3.connect(self._file)) as file:
                file.execute(SCHEMA)
                for first in range(0, len(items), AT_ONCE):
                    some = items[first : first + AT_ONCE]
                    keys = [self._key(maker, item) for item in some]
                    kept = {key: row for key in keys if (row := _find(file, key, clap.config.embedding)) is not None}
                    new = [item for item, key in zip(some, keys, strict=True) if key not in kept]
                    results = iter(list(embed_each(clap, new, long=self._long, batch_size=batch_size)) if new else [])
                    found = [kept[key] if key in kept else next(results) for key in keys]
                    with file:
                        file.executemany(
                            "INSERT OR REPLACE INTO rows VALUES (?, ?)",
                            [
                                (key, np.asarray(one.embedding[0], "<f4").tobytes())
                                for key, one in zip(keys, found, strict=True)
                                if key not in kept and isinstance(one, Windows)
                            ],
                        )
                    yield from found
        except sqlite3.Error as error:
            raise DataError(
                f"{self._file}: cannot be used ({error}); make room, or delete it: what it keeps is made again"
            ) from None

    def _key(self, maker: Sequence[object], item: Item) -> str:
        told = json.dumps([*maker, *item_facts(item, self._folder)])
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _find(file: sqlite3.Connection, key: str, size: int) -> Windows | None:
    """The row of a key as `CLAP.encode_each` would give it; None where there is none, or one that is no row."""
    kept = file.execute("SELECT row FROM rows WHERE key = ?", (key,)).fetchone()
    if kept is None or not isinstance(kept[0], bytes) or len(kept[0]) != 4 * size:
        return None
    return Windows(np.zeros(1), np.zeros(1), np.frombuffer(kept[0], "<f4")[None])
