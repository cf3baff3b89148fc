"""What takes long, for one visitor: how far it is, and whether anybody still waits for it. Knows no tab and no model.

    tab ─ work, in a thread of its own ─┬─ decodes, counts, compares
                                        └─ asks the model's one thread for a piece ─ waits ─ asks for the next

So any number of jobs take turns at the model, and one whose visitor has left, or has pressed Stop, asks for nothing
more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openclap.audio.decode_limits import DecodingStopped
from openclap.clock import clock

__all__ = ["Doing", "Job", "Jobs"]


@dataclass(frozen=True)
class Doing:
    """How far something is: a key of the table of strings with its values, and a share in [0, 1]."""

    key: str
    values: dict[str, Any]
    share: float


class Job:
    """One of them. `stop` is set when nobody waits for it any more; `doing` is how far it is."""

    def __init__(self, visitor: str = "", name: str = "", stop: threading.Event | None = None) -> None:
        self.visitor, self.name = visitor, name
        self.stop = stop or threading.Event()
        self.doing: Doing | None = None
        self._length, self._begin, self._end = 0.0, 0.0, 1.0

    def tell(self, key: str, share: float, **values: Any) -> None:
        """Say how far it is; it never goes back."""
        before = 0.0 if self.doing is None else self.doing.share
        self.doing = Doing(key, values, min(1.0, max(share, before)))

    def check(self) -> None:
        """Go no further where nobody waits for it.

        Raises
        ------
        Interrupted
        """
        if self.stop.is_set():
            raise DecodingStopped

    def part(self, begin: float, end: float, seconds: float = 0.0) -> None:
        """What follows is the work from the share `begin` to `end`, with a recording of so many seconds."""
        self._begin, self._end, self._length = begin, end, seconds

    def tell_seconds(self, heard: float) -> None:
        """So many seconds of the recording were heard, or read."""
        if self._length:
            done = min(heard, self._length)
            share = self._begin + (self._end - self._begin) * done / self._length
            self.tell("common.doing", share, done=clock(done)[:-2], all=clock(self._length)[:-2])

    def tell_each(self, done: int, total: int) -> None:
        """So many of the parts were heard that are listened to after the whole."""
        self.tell("common.closer", self._end + (1 - self._end) * done / max(1, total), done=done, all=total)


class Jobs:
    """All that are at work."""

    def __init__(self) -> None:
        self._at_work: set[Job] = set()
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self, job: Job) -> Iterator[Job]:
        """It is known as long as this lasts, and stopped at its end."""
        with self._lock:
            self._at_work.add(job)
            if self._closed:
                job.stop.set()
        try:
            yield job
        finally:
            job.stop.set()
            with self._lock:
                self._at_work.discard(job)

    def stop(self, visitor: str, name: str | None = None) -> None:
        """A visitor wants no more of what is called so; None, has left."""
        with self._lock:
            for job in self._at_work:
                if job.visitor == visitor and name in (None, job.name):
                    job.stop.set()

    def close(self) -> None:
        """All end, and so does what begins later."""
        with self._lock:
            self._closed = True
            for job in self._at_work:
                job.stop.set()
