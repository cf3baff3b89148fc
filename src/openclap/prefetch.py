"""`map` that computes some results ahead in threads, such as the next sounds while the model is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
R = TypeVar("R")


def prefetch(
    function: Callable[[T], R],
    things: Iterable[T],
    *,
    threads: int,
    ahead: int,
    in_thread: Callable[[T], bool] = lambda thing: True,
    stop: Callable[[], None] = lambda: None,
    thread_name_prefix: str = "",
) -> Generator[R, None, None]:
    """The results of `function` for all things, in order; an error is raised in its place among them.

    Parameters
    ----------
    threads
        How many threads compute.
    ahead
        How many results may wait: memory is bounded by that.
    in_thread
        Says of a thing whether another thread may compute it, rather than the caller's.
    stop
        Called at the end, before waiting for results that are still computed.
    thread_name_prefix
        What the threads are called.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix) as pool:
        pending: deque[Future[R]] = deque()
        try:
            for thing in things:
                pending.append(pool.submit(function, thing) if in_thread(thing) else _call_now(function, thing))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # also on Ctrl-C, and where the caller stops early: nothing new is begun
            stop()
            for future in pending:
                future.cancel()


def _call_now(function: Callable[[T], R], thing: T) -> Future[R]:
    """Call a function in this thread → a finished future."""
    future: Future[R] = Future()
    try:
        future.set_result(function(thing))
    except Exception as error:
        future.set_exception(error)
    return future
