"""What took long to make, kept on disk: whole or not at all, and never damaged.

A file holds the SHA-256 of its content and the content. What does not fit its digest (a crash of the machine, a bad
disk) is not given out, so it is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from openclap.atomic_write import atomic_write

__all__ = ["read_cached", "write_cached"]

DIGEST_BYTES = 32


def read_cached(place: Path) -> bytes | None:
    """The content of a file, or None where there is none that is whole."""
    try:
        with place.open("rb") as file:
            digest = file.read(DIGEST_BYTES)
            content = file.read()
    except OSError:
        return None
    return content if hashlib.sha256(content).digest() == digest else None


def write_cached(place: Path, content: bytes | memoryview) -> None:
    """Write a file aside and rename it; where nothing can be written, nothing happens."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as part:
            part.touch(0o600)  # nobody else's to read
            with part.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
