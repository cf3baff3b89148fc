"""Threads that load a model: a download takes minutes, and a server that ends does not wait for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["LOADING", "end_loading", "in_a_thread"]

T = TypeVar("T")

LOADING = "openclap-load"  # the name of such threads


async def in_a_thread(call: Callable[[], T]) -> T:
    """What a call gives, from such a thread of its own."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(done: Callable[[], None]) -> None:
        if not future.done():
            done()

    def run() -> None:
        try:
            made = call()
            done = lambda: future.set_result(made)
        except BaseException as error:  # it is raised where it was asked for
            fault = error
            done = lambda: future.set_exception(fault)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, done)

    threading.Thread(target=run, name=LOADING, daemon=True).start()
    return await future


def end_loading() -> None:
    """End the process now where a model is still being loaded, for programs whose last line this is.

    The Hub's downloads have threads that Python waits for, minutes for a large file; what was fetched is kept and gone
    on with.
    """
    if any(thread.name == LOADING for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
