"""Jobs that arrive within a few milliseconds of one another are done in one call, by one thread.

    ask ─┐
    ask ─┼─ queue ─ wait for more, a little ─ do([job, job, job]) ─ a result or an error each
    ask ─┘

A thread that was busy finds its next batch waiting, so patience costs something only where there is nothing to gain.
Nobody can be interrupted, so a batch is as large as the thread has been seen to do in `STEP` seconds, and whoever has
more to ask asks it piece by piece (`room`): then all take turns.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["BatchQueue"]

STEP = 0.3  # seconds that a batch should take at most
LEARNING = 0.2  # how far the last batch changes what a unit of weight is thought to take

J = TypeVar("J")
R = TypeVar("R")


@dataclass
class _Job(Generic[J, R]):
    what: J
    weight: int
    future: Future[R] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class BatchQueue(Generic[J, R]):
    """One thread, and the jobs that wait for it, first come first served.

    Parameters
    ----------
    do
        Jobs → their results, in order. Where it fails for several, each is done again by itself, so that an error is
        told to the one whose it is.
    patience
        Seconds that the oldest job of a batch may wait for others.
    most
        Weight at which a batch is full.
    seen
        Told the weight of every batch.
    begin
        Called by the thread before its first job.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[list[J]], Sequence[R]],
        *,
        patience: float = 0.0,
        most: int = 1,
        seen: Callable[[int], None] | None = None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._do = do
        self._patience = patience
        self._most = most
        self._seen = seen
        self._begin = begin
        self._jobs: queue.SimpleQueue[_Job[J, R] | None] = queue.SimpleQueue()
        self._closed = False
        self._pace = 0.0  # seconds that a unit of weight takes
        self._unfinished = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=f"openclap-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._jobs.qsize()

    @property
    def unfinished(self) -> int:
        """How many jobs wait or are being done."""
        return self._unfinished

    @property
    def room(self) -> int:
        """The largest weight that a batch, and so a job, should have."""
        pace = self._pace
        return min(self._most, max(1, int(STEP / pace))) if pace else self._most

    def ask(self, what: J, *, weight: int = 1) -> Future[R]:
        """Queue a job and return its future; a job that is cancelled before its turn is skipped."""
        job: _Job[J, R] = _Job(what, weight)
        with self._lock:
            if self._closed:
                raise RuntimeError(f"queue {self.name} is closed")
            self._unfinished += 1
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Take no more jobs, and finish those that were taken."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        self._begin()
        more = True
        while more:
            batch, more = self._collect()
            asked = [job for job in batch if job.future.set_running_or_notify_cancel()]
            if asked:
                weight = sum(job.weight for job in asked)
                if self._seen is not None:
                    self._seen(weight)
                begun = time.perf_counter()
                self._finish(asked)
                self._learn((time.perf_counter() - begun) / max(1, weight))
            with self._lock:
                self._unfinished -= len(batch)

    def _learn(self, pace: float) -> None:
        self._pace += (LEARNING if self._pace else 1.0) * (pace - self._pace)

    def _collect(self) -> tuple[list[_Job[J, R]], bool]:
        """Wait for the next batch → the batch, and whether another one can follow."""
        first = self._jobs.get()
        if first is None:
            return [], False
        batch, weight = [first], first.weight
        until, room = first.since + self._patience, self.room
        while weight < room:
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
            weight += job.weight
        return batch, True

    def _finish(self, batch: list[_Job[J, R]]) -> None:
        try:
            results = self._do([job.what for job in batch])
            assert len(results) == len(batch), (len(results), len(batch))
        except Exception as error:  # the error goes to whoever asked, so that the thread lives on
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for job in batch:
                self._finish([job])
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)
