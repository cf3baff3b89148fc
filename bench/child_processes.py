"""Processes that a measurement starts, and that never outlive it: not after Ctrl-C, nor SIGTERM, nor an error.

An interrupted measurement used to leave its server running, which slowed down every later one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["exit_on_sigterm", "running", "stop"]

PATIENCE = 30.0  # seconds that a process has to end by itself


def exit_on_sigterm() -> None:
    """Leave by SystemExit on SIGTERM, so that everything on the way is cleared up; `subprocess.run` ends its process, too."""
    signal.signal(signal.SIGTERM, _exit)


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is stopped at the end of the block, however it ends; `options` as for `Popen`."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        stop(process)


def stop(*processes: subprocess.Popen[Any], patience: float = PATIENCE) -> None:
    """Ask processes to end, and end those that do not, or all at once where this is interrupted itself."""
    try:
        for process in processes:
            process.terminate()  # nothing happens where it has ended
        for process in processes:
            process.wait(patience)
    except subprocess.TimeoutExpired:
        pass
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _exit(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt what clears up
    sys.exit(128 + number)
