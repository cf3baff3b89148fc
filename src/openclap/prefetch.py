"""`map` in order, some things ahead in threads: the next sounds are decoded while the model computes.

Knows nothing of what is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

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
    **pool_options: Any,
) -> Generator[R, None, None]:
    """What `function` makes of each thing, in order; an error is raised when it is its turn.

    Parameters
    ----------
    threads
        How many work.
    ahead
        Results that may wait; memory is that of so many.
    in_thread
        False for what the caller's own thread must do.
    stop
        Called at the end, before what is still being made is waited for.
    pool_options
        `thread_name_prefix` and `initializer` of the `ThreadPoolExecutor`.
    """
    with ThreadPoolExecutor(threads, **pool_options) as pool:
        pending: deque[Future[R]] = deque()
        try:
            for thing in things:
                pending.append(pool.submit(function, thing) if in_thread(thing) else _done(function, thing))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # also on Ctrl-C, and where nobody asks for more: nothing is begun any more
            stop()
            for future in pending:
                future.cancel()


def _done(function: Callable[[T], R], thing: T) -> Future[R]:
    future: Future[R] = Future()
    try:
        future.set_result(function(thing))
    except Exception as error:
        future.set_exception(error)
    return future
