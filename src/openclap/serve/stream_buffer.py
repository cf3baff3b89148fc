"""A buffer between the event loop, which puts bytes in, and a thread, which reads them like a file.

The page has `watch.PushedSource` instead: whoever pushes into it computes in the same call, which here would be the
event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque

__all__ = ["StreamBuffer"]


class StreamBuffer:
    """Bytes from the event loop to a thread; at most `most` of them wait, or one larger message."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Wait for room and put bytes in; after the end they are dropped. For one task at a time."""
        while True:
            with self._changed:
                if self._ended:
                    return
                if not self._bytes or self._bytes + len(data) <= self._most:
                    self._held.append(data)
                    self._bytes += len(data)
                    self._changed.notify()
                    return
                self._room.clear()
            await self._room.wait()

    def read1(self, size: int) -> bytes:
        """Wait for up to `size` bytes; b"" after the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._ended)
            if not self._held:
                return b""
            data = self._held.popleft()
            if len(data) > size:
                self._held.appendleft(data[size:])
            self._bytes -= min(len(data), size)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._room.set)
        return data[:size]

    read = read1

    def end(self) -> None:
        """End the stream; what is in the buffer is still read. For the event loop."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._room.set()
