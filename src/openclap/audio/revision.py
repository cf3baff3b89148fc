"""How sounds are read, by number: so that a library knows which of its files are read differently now. Knows nothing of libraries.

1   one link of an Ogg chain, sizes as the header has them, no time stamps, always the mean of the channels
2   every link, sizes as they are, samples where their time stamps say, channels that cancel each other out (`channels`), the
    track that a container marks as its default, MP3 in WAV by FFmpeg
"""

from __future__ import annotations

import os

from openclap.audio import decode
from openclap.audio.files import opened
from openclap.audio.load import sound_name
from openclap.audio.reading import Reading

__all__ = ["READING", "concerns"]

READING: int = 2


def concerns(path: str | os.PathLike[str], since: int) -> bool:
    """Whether a file that was read by revision `since` is read differently by this one.

    One channel of what libsndfile reads is judged by its header and pages alone; anything else is decoded, up to the first
    difference. No model is needed.

    Raises
    ------
    SoundError
        It cannot be read.
    """
    if since >= READING:
        return False
    name = sound_name(path)
    with opened(path, name) as file:
        return decode.differs(file, Reading(name, quiet=True))
