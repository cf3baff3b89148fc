"""Threads that give way: long work beside short questions, which are answered first."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

__all__ = ["give_way"]

# a third of a processor beside another thread that wants it, not a half; more would starve beside other programs
NICENESS = 5


def give_way() -> None:
    """Let the calling thread have the processor after others that want it; threads it makes later do, too.

    On Linux, the only system on which niceness is a thread's own. Elsewhere nothing changes.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it: then all threads are equal, as before
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
