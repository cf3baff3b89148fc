"""A source → its blocks with the time they came; what may keep us waiting is read in a thread. Knows nothing of models."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Generator
from typing import TypeAlias

from openclap.watch.sources import AudioBlock, Source, Tell

__all__ = ["QUEUE", "StopEvent", "read_blocks"]

QUEUE = 60  # blocks of a quarter of a second that wait for the model: 15 s

Read: TypeAlias = "tuple[float, AudioBlock] | BaseException | None"  # None: it has ended


class StopEvent(threading.Event):
    """Set by itself, or by the user's event, which other watches may share."""

    def __init__(self, asked: threading.Event) -> None:
        super().__init__()
        self._asked = asked

    def is_set(self) -> bool:
        """Either."""
        return super().is_set() or self._asked.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Until either is set, or so many seconds."""
        end = time.monotonic() + (threading.TIMEOUT_MAX if timeout is None else timeout)
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            super().wait(min(left, 0.1))
        return self.is_set()


def read_blocks(
    source: Source, rate: int, stop: StopEvent, tell: Tell
) -> Generator[tuple[float, AudioBlock, bool], None, None]:
    """When it came (monotonic seconds), the block, and whether more lie ready.

    A full queue makes the source wait; one that cannot wait loses what it does not keep itself.
    """
    if not source.threaded:
        for block in source.blocks(rate, stop, tell):
            yield time.monotonic(), block, True
        return
    read: queue.Queue[Read] = queue.Queue(QUEUE)
    threading.Thread(target=_read, args=(source, rate, stop, tell, read), name="openclap-source", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                got = read.get(timeout=0.2)
            except queue.Empty:
                continue
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            yield *got, not read.empty()
    finally:  # also where nobody asks for events any more
        stop.set()


def _read(source: Source, rate: int, stop: StopEvent, tell: Tell, into: queue.Queue[Read]) -> None:
    try:
        for block in source.blocks(rate, stop, tell):
            if not _put(into, (time.monotonic(), block), stop):
                return
        _put(into, None, stop)
    except BaseException as error:  # it is raised where the events are asked for
        _put(into, error, stop)


def _put(into: queue.Queue[Read], thing: Read, stop: StopEvent) -> bool:
    """Whether there was room before it was time to stop."""
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            into.put(thing, timeout=0.2)
            return True
    return False
