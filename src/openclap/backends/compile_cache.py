"""A cache on disk for content that takes long to make, such as compiled models.

A file holds the SHA-256 of its content and the content. Where they do not fit (a crash of the machine, a bad disk) the
file counts as missing, and its content is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from openclap.atomic_write import atomic_write

__all__ = ["read_cached", "write_cached"]

DIGEST_BYTES = 32


def read_cached(path: Path) -> bytes | None:
    """The content of a file; None where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            digest = file.read(DIGEST_BYTES)
            content = file.read()
    except OSError:
        return None
    return content if hashlib.sha256(content).digest() == digest else None


def write_cached(path: Path, content: bytes | memoryview) -> None:
    """Write a file under a temporary name and rename it; do nothing where the disk cannot be written to."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.touch(0o600)  # readable by this user alone
            with temporary.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
