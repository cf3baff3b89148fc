"""Threads that give way: long work beside short questions, which are answered first."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

__all__ = ["give_way"]

# a tenth of a processor beside another thread that wants it all, not a half: searches beside an hour that is listened to
# take 1.0 to 1.3 times as long, and 1.4 to 1.5 at 5 (`bench/page.py`); more would starve beside other programs
NICENESS = 10


def give_way() -> None:
    """Let the calling thread have the processor after others that want it; threads it makes later do, too.

    On Linux, the only system on which niceness is a thread's own. Elsewhere nothing changes.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it: then all threads are equal, as before
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
