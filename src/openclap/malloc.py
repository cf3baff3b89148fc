"""What the C library does with memory that was freed: glibc's malloc is told, other libraries are left as they are."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Mapping

__all__ = ["KEEP_FREED", "RETURN_FREED", "set_malloc", "trim_memory"]

# parameters of mallopt(3), which hold for the whole process until its end
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8
NEVER = -1

# The next training step needs the memory again, and each new page costs time: a step of HTSAT-tiny and RoBERTa on a CPU
# with a batch of 12 took 5.4 s before and 3.5 s after (LOG.md).
KEEP_FREED = {MMAP_MAX: 0, TRIM_THRESHOLD: NEVER}
# For a server: large blocks are returned when they are freed, else the heap of each thread keeps its largest size. In
# bytes; lower ones (1 MiB, and glibc's 128 KiB for what is left) cost a fifth of the service: each sound's memory comes
# from the kernel and goes back. One arena: what a thread frees, all others may take, and `trim_memory` gives back.
RETURN_FREED = {MMAP_THRESHOLD: 16 << 20, TRIM_THRESHOLD: 64 << 20, ARENA_MAX: 1}


def set_malloc(options: Mapping[int, int]) -> None:
    """Set parameters of glibc's malloc."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        for parameter, value in options.items():
            ctypes.CDLL(None).mallopt(parameter, value)


def trim_memory() -> None:
    """Return freed memory to the system; glibc keeps 140 MB after a few bodies of 20 MB."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
