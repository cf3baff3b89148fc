"""A cache on disk for content that takes long to make, such as compiled models.

    content ─ its CRC-32, 4 bytes

Where they do not fit (a crash of the machine, a bad disk) the file counts as missing, and its content is made again. The
content comes first, at the start of a page of memory: an engine reads it where it is mapped, without a copy.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.atomic_write import atomic_write
from openclap.regular_files import open_regular

__all__ = ["map_cached", "write_cached"]

CHECKSUM_BYTES = 4


def map_cached(path: Path) -> npt.NDArray[np.uint8] | None:
    """The content of a file, mapped; what is written into it stays in memory. None where it is missing or damaged."""
    try:
        with open_regular(path) as file:
            mapped = np.memmap(file, np.uint8, "c")
    except (OSError, ValueError):  # not there, or no file; nothing in it
        return None
    content, checksum = mapped[:-CHECKSUM_BYTES], mapped[-CHECKSUM_BYTES:].tobytes()
    return content if content.size and _checksum(content) == checksum else None


def write_cached(path: Path, content: bytes | memoryview) -> None:
    """Write a file under a temporary name and rename it; do nothing where the disk cannot be written to."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.touch(0o600)  # readable by this user alone
            with temporary.open("wb") as file:
                file.write(content)
                file.write(_checksum(content))


def _checksum(content: Any) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")
