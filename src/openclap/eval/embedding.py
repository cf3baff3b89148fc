"""Embeds sounds of any source, in the order given; sounds that cannot be used are named and left out.

Evaluation, probes, fine-tuning, distillation and pruning all embed their items here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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
    from openclap.clap.embed_audio import Long

__all__ = ["Embed", "EmbeddedItems", "embed_each", "embed_items", "require_usable", "truth_table"]

AT_ONCE = 64  # sounds whose bytes are in memory at once


@dataclass(frozen=True, eq=False)
class EmbeddedItems:
    """Items with their unit rows (N, E), and the items that could not be used."""

    items: list[Item]
    vectors: npt.NDArray[np.float32]
    failed: list[Failure]

    @classmethod
    def of(cls, items: Sequence[Item], results: Iterable[Windows | SoundError]) -> EmbeddedItems:
        """Make it of items and what `embed_each` gives for each of them."""
        pairs = list(zip(items, results, strict=True))
        rows = [result.embedding[0] for _, result in pairs if isinstance(result, Windows)]
        return cls(
            [item for item, result in pairs if isinstance(result, Windows)],
            np.stack(rows) if rows else np.zeros((0, 0), np.float32),
            [Failure(item.place, result.cause) for item, result in pairs if isinstance(result, SoundError)],
        )


class Embed(Protocol):
    """What embeds the items of an evaluation: `embed_items`, or something that keeps their rows."""

    def __call__(self, clap: CLAP, items: Sequence[Item], *, progress: bool, batch_size: int) -> EmbeddedItems:
        """Embed items, one row each."""


def truth_table(items: Sequence[Item], labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which of C labels each of N items has → bool (N, C)."""
    number = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(items), len(labels)), np.bool_)
    for row, item in zip(table, items, strict=True):
        row[[number[label] for label in item.labels]] = True
    return table


def embed_items(clap: CLAP, items: Sequence[Item], *, progress: bool = False, batch_size: int = 8) -> EmbeddedItems:
    """Embed items, one row each, with a progress bar on stderr.

    Raises
    ------
    UsageError
        No sound could be used.
    """
    found = embed_each(clap, items, batch_size=batch_size)
    bar = with_progress(found, "embedding", len(items), show=progress)
    return require_usable(EmbeddedItems.of(items, bar), items)


def require_usable(used: EmbeddedItems, items: Sequence[Item]) -> EmbeddedItems:
    """Return what could be used of items; UsageError where that is nothing."""
    if not used.items:
        first = f"; the first: {used.failed[0].path}: {used.failed[0].error}" if used.failed else ""
        raise UsageError(f"not one of {count_noun(len(items), 'sound')} could be used{first}")
    return used


def embed_each(
    clap: CLAP,
    sounds: Sequence[Item | Sound],
    *,
    window: float | None = None,
    hop: float = 5.0,
    batch_size: int = 8,
    long: Long = "auto",
) -> Iterator[Windows | SoundError]:
    """Embed each sound as `CLAP.encode_each` does; the bytes of a few items at a time are read.

    Parameters
    ----------
    window, hop
        Seconds; without a window, a sound has one row.
    long
        How that row hears a sound longer than a clip, as in `CLAP.encode_audio`.
    """
    how: dict[str, Any] = {"window": window, "hop": hop, "batch_size": batch_size}
    if long != "auto":
        how["long"] = long
    for first in range(0, len(sounds), AT_ONCE):
        read = [_read(sound) for sound in sounds[first : first + AT_ONCE]]
        usable = [sound for sound in read if not isinstance(sound, SoundError)]
        results = iter(clap.encode_each(usable, **how) if usable else ())
        for sound in read:
            yield sound if isinstance(sound, SoundError) else next(results)


def _read(sound: Item | Sound) -> Sound | SoundError:
    try:
        return sound.read() if isinstance(sound, Item) else sound
    except SoundError as error:
        return error
