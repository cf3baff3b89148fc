"""One thread for products of small matrices: more of them mostly wait for each other, and they wait by spinning.

Fitting a detector to a few hundred rows took ten times as long on all cores as on one beside other work (LOG.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_inside = 0  # blocks that run now, in all threads
_limits: threadpool_limits | None = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's BLAS use one thread within the block; that holds for the whole process.

    Of blocks that run at once in several threads, the first sets the limit and the last takes it back: each by itself
    would take for the usual number what another had set.
    """
    global _inside, _limits  # noqa: PLW0603 -- the limit is the process's
    with _lock:
        if not _inside:
            _limits = threadpool_limits(1, "blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _limits is not None:
                _limits.restore_original_limits()
                _limits = None
