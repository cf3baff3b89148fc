"""The hash of a sound's content, by which it is recognised whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from openclap.audio.files import open_binary

__all__ = ["content_hash", "hash_from_here"]

HASH_BYTES = 16


def content_hash(path: str | os.PathLike[str]) -> str:
    """The hash of a file's content, as 32 hexadecimal digits.

    Raises
    ------
    SoundError
        It cannot be read, or is not a file.
    """
    with open_binary(os.fspath(path), str(path)) as file:
        return hash_from_here(file)


def hash_from_here(file: BinaryIO) -> str:
    """The hash of what an open file holds from its position on."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
