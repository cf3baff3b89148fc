"""Threads that draw, a few at a time: what nobody waits for any more stops.

A ─┐
   ├─ the same picture ─ drawn once ─ both have it      A hangs up: it is drawn for B
B ─┘                                                    B hangs up too: it stops at its next block
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from openclap.thread_priority import give_way

__all__ = ["Drawers", "Heard"]

T = TypeVar("T")
Heard: TypeAlias = Callable[[float], None]  # is told how many seconds were read

DRAWERS = 2  # threads


@dataclass(eq=False)
class _Shared:
    """One picture that is being drawn, and who waits for it."""

    task: asyncio.Task[Any] | None = None
    waiting: list[Heard] = field(default_factory=list)

    def tell(self, seconds: float) -> None:
        for heard in tuple(self.waiting):
            heard(seconds)


class Drawers:
    """The threads. Called on the event loop; who waits and is cancelled has gone."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DRAWERS, "openclap-draw", give_way)
        self._shared: dict[Hashable, _Shared] = {}

    async def run(self, work: Callable[[threading.Event], T], drop: Callable[[T], object] = lambda result: None) -> T:
        """Do some work in a thread.

        Parameters
        ----------
        work
            Gets an event, which is set when nobody waits any more.
        drop
            Gets a result that came all the same.
        """
        gone = threading.Event()
        future = self._threads.submit(work, gone)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            gone.set()
            future.add_done_callback(lambda done: _drop(done, drop))
            raise

    async def run_shared(self, key: Hashable, work: Callable[[threading.Event, Heard], T], heard: Heard) -> T:
        """Do some work in a thread, once for all who ask for `key` meanwhile; each `heard` is told how far it is."""
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared()
            tell = shared.tell
            shared.task = asyncio.ensure_future(self.run(lambda gone: work(gone, tell)))
        assert shared.task is not None
        shared.waiting.append(heard)
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting.remove(heard)
            if not shared.waiting:  # who comes now begins anew
                self._shared.pop(key, None)
                shared.task.cancel()

    def close(self) -> None:
        """End the threads; what waits for one is not drawn."""
        self._threads.shutdown(cancel_futures=True)


def _drop(done: Future[T], drop: Callable[[T], object]) -> None:
    if not done.cancelled() and done.exception() is None:
        drop(done.result())
