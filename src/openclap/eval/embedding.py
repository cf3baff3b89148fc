"""Sounds of any source → vectors, in the order given; what cannot be used is named and stops nothing.

Knows nothing of what they are for: an evaluation, a probe, a fine-tuning, a teacher, a student and both sides of a
pruning are embedded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound
from openclap.data.items import Item
from openclap.errors import SoundError, UsageError
from openclap.plurals import count_noun
from openclap.progress import with_progress
from openclap.results import Failure, Windows

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["Embedded", "embed_each", "embed_items", "truth_of"]

AT_ONCE = 64  # sounds whose bytes are in memory


@dataclass(frozen=True, eq=False)
class Embedded:
    """What could be used of some items, with unit rows (N, E), and what could not."""

    items: list[Item]
    vectors: npt.NDArray[np.float32]
    failed: list[Failure]

    @classmethod
    def of(cls, items: Sequence[Item], found: Iterable[Windows | SoundError]) -> Embedded:
        """Items with what `embed_each` gives of them."""
        pairs = list(zip(items, found, strict=True))
        rows = [result.embedding[0] for _, result in pairs if isinstance(result, Windows)]
        return cls(
            [item for item, result in pairs if isinstance(result, Windows)],
            np.stack(rows) if rows else np.zeros((0, 0), np.float32),
            [Failure(item.place, result.cause) for item, result in pairs if isinstance(result, SoundError)],
        )


def truth_of(items: Sequence[Item], labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which of C labels each item has → (N, C)."""
    number = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(items), len(labels)), np.bool_)
    for row, item in zip(table, items, strict=True):
        row[[number[label] for label in item.labels]] = True
    return table


def embed_items(clap: CLAP, items: Sequence[Item], *, progress: bool = False, batch_size: int = 8) -> Embedded:
    """Embed items, a row each, with a bar on stderr.

    Raises
    ------
    UsageError
        Where not one sound could be used.
    """
    found = embed_each(clap, items, batch_size=batch_size)
    bar = with_progress(found, "embedding", len(items), show=progress)
    used = Embedded.of(items, bar)
    if not used.items:
        first = f"; the first: {used.failed[0].path}: {used.failed[0].error}" if used.failed else ""
        raise UsageError(f"not one of {count_noun(len(items), 'sound')} could be used{first}")
    return used


def embed_each(
    clap: CLAP, sounds: Sequence[Item | Sound], *, window: float | None = None, hop: float = 5.0, batch_size: int = 8
) -> Iterator[Windows | SoundError]:
    """Each sound as `CLAP.encode_each` gives it; items are read some at a time.

    Parameters
    ----------
    window, hop
        Seconds. Without a window, a sound is one row.
    """
    for first in range(0, len(sounds), AT_ONCE):
        read = [_read(sound) for sound in sounds[first : first + AT_ONCE]]
        there = [sound for sound in read if not isinstance(sound, SoundError)]
        found = iter(clap.encode_each(there, window=window, hop=hop, batch_size=batch_size) if there else ())
        for sound in read:
            yield sound if isinstance(sound, SoundError) else next(found)


def _read(sound: Item | Sound) -> Sound | SoundError:
    try:
        return sound.read() if isinstance(sound, Item) else sound
    except SoundError as error:
        return error
