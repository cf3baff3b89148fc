"""Which revision of decoding this is, and which files an earlier one read differently."""

from __future__ import annotations

import os

__all__ = ["READING", "concerns"]

READING = 2


def concerns(path: str | os.PathLike[str], since: int) -> bool:
    """Whether a file that was read by an earlier revision would be read differently now.

    Raises
    ------
    SoundError
        It cannot be read.
    """
    return False
