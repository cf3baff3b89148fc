"""Reads a source: its blocks with the time each came. A source that may keep us waiting is read in a thread."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Generator
from typing import TypeAlias

from openclap.watch.sources import AudioBlock, AudioSource, Tell

__all__ = ["QUEUE", "StopEvent", "read_blocks"]

QUEUE = 60  # blocks of a quarter of a second that may wait for the model: 15 s

Read: TypeAlias = "tuple[float, AudioBlock] | BaseException | None"  # None says that the source has ended


class StopEvent(threading.Event):
    """An event that is also set when the user's own event is, which other watches may share."""

    def __init__(self, users_event: threading.Event) -> None:
        super().__init__()
        self._users_event = users_event

    def is_set(self) -> bool:
        """Whether this event or the user's is set."""
        return super().is_set() or self._users_event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until one of the two is set, at most `timeout` seconds; whether one is."""
        end = time.monotonic() + (threading.TIMEOUT_MAX if timeout is None else timeout)
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            super().wait(min(left, 0.1))
        return self.is_set()


def read_blocks(
    source: AudioSource, rate: int, stop: StopEvent, tell: Tell
) -> Generator[tuple[float, AudioBlock, bool], None, None]:
    """Read a source: when each block came (monotonic seconds), the block, and whether more lie ready.

    A full queue makes the source wait; a source that cannot wait loses what it does not keep itself.
    """
    if not source.threaded:
        for block in source.blocks(rate, stop, tell):
            yield time.monotonic(), block, True
        return
    blocks: queue.Queue[Read] = queue.Queue(QUEUE)
    threading.Thread(target=_read, args=(source, rate, stop, tell, blocks), name="openclap-source", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                got = blocks.get(timeout=0.2)
            except queue.Empty:
                continue
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            yield *got, not blocks.empty()
    finally:  # also where the events are no longer asked for
        stop.set()


def _read(source: AudioSource, rate: int, stop: StopEvent, tell: Tell, into: queue.Queue[Read]) -> None:
    try:
        for block in source.blocks(rate, stop, tell):
            if not _put(into, (time.monotonic(), block), stop):
                return
        _put(into, None, stop)
    except BaseException as error:  # it is raised again in the thread that asks for the events
        _put(into, error, stop)


def _put(into: queue.Queue[Read], thing: Read, stop: StopEvent) -> bool:
    """Put a thing into the queue; whether there was room before it was time to stop."""
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            into.put(thing, timeout=0.2)
            return True
    return False
