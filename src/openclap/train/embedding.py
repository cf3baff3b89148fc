"""Sounds of any source → vectors, one after another; what cannot be used gives its error and stops nothing.

Knows nothing of what they are for: the frozen model of a fine-tuning, a teacher, a student and both sides of a pruning are asked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from openclap.audio.load import Sound
from openclap.clap import CLAP
from openclap.data import Item
from openclap.errors import SoundError
from openclap.results import Windows

__all__ = ["embed_each"]

AT_ONCE = 64  # sounds whose bytes are in memory


def embed_each(
    clap: CLAP, sounds: Sequence[Item | Sound], *, window: float | None = None, hop: float = 5.0
) -> Iterator[Windows | SoundError]:
    """Each sound as `CLAP.encode_each` gives it, in the order given; items are read some at a time.

    Parameters
    ----------
    window, hop
        Seconds. Without a window, a sound is one row.
    """
    for first in range(0, len(sounds), AT_ONCE):
        read = [_read(sound) for sound in sounds[first : first + AT_ONCE]]
        there = [sound for sound in read if not isinstance(sound, SoundError)]
        found = iter(clap.encode_each(there, window=window, hop=hop) if there else ())
        for sound in read:
            yield sound if isinstance(sound, SoundError) else next(found)


def _read(sound: Item | Sound) -> Sound | SoundError:
    try:
        return sound.read() if isinstance(sound, Item) else sound
    except SoundError as error:
        return error
