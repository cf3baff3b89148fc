"""The revision number of decoding, by which a library knows which of its files are read differently now.

1   one link of an Ogg chain, sizes as the header states them, no time stamps, always the mean of the channels
2   every link of a chain, the real sizes, samples where their time stamps place them, channels that cancel each other
    out (`channels`), the track that a container marks as its default, MP3 in WAV by FFmpeg
"""

from __future__ import annotations

import os

from openclap.audio import decode
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.load import sound_name

__all__ = ["DECODE_REVISION", "is_read_differently"]

DECODE_REVISION: int = 2


def is_read_differently(path: str | os.PathLike[str], since: int) -> bool:
    """Whether a file that was read by revision `since` is read differently by this one.

    Files of one channel that libsndfile reads are judged by their headers and pages alone; all others are decoded up to
    the first difference. No model is needed.

    Raises
    ------
    SoundError
        It cannot be read.
    """
    if since >= DECODE_REVISION:
        return False
    name = sound_name(path)
    with open_binary(path, name) as file:
        return decode.differs_from_first_revision(file, DecodePass(name, quiet=True))
