"""How far a long question is, told line by line to who asks for lines: `Accept: application/x-ndjson`.

    {"progress": 0.31, "seconds_left": 12.5}
    {"progress": 0.62, "seconds_left": 6.8}
    {"result": {…}}       or  {"error": {…}}

Whoever closes the request stops the work.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from openclap.errors import OpenClapError, RequestRefused
from openclap.http.error_responses import error_response
from openclap.serve.error_answers import refusal_of

__all__ = ["HEARD", "LINES", "Progress", "answer_in_lines"]

LINES = "application/x-ndjson"
EVERY = 0.25  # seconds between two looks at how far it is
HEARD = 0.6  # of finding moments: the first look; the rest, the closer one
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx passes each line on as it comes
log = logging.getLogger("openclap.serve")


class Progress:
    """How far one question is; it never goes back. Told by threads, read on the event loop.

    Parameters
    ----------
    seconds
        The length of the recording; 0 where it is not known.
    passes
        How often it is listened to.
    heard
        The share of the whole that listening is.
    """

    def __init__(self, seconds: float = 0.0, *, passes: int = 1, heard: float = 1.0) -> None:
        self._seconds, self._passes, self._share = seconds, passes, heard
        self._pass, self._last = 0, 0.0
        self._begun = time.monotonic()
        self.done = 0.0

    def tell_seconds(self, heard: float) -> None:
        """So many seconds of the recording were heard; fewer than before: it is listened to again."""
        if not self._seconds:
            return
        if heard < self._last:
            self._pass = min(self._pass + 1, self._passes - 1)
        self._last = heard
        self._tell(self._share * (self._pass + min(1.0, heard / self._seconds)) / self._passes)

    def tell_each(self, done: int, total: int) -> None:
        """So many of the places were heard that get a closer look."""
        self._tell(self._share + (1 - self._share) * done / max(1, total))

    def _tell(self, share: float) -> None:
        self.done = max(self.done, min(1.0, share))

    def line(self) -> dict[str, float | None]:
        """How far it is, and in how many seconds it may be done; None: nobody knows yet."""
        took = time.monotonic() - self._begun
        left = round(took * (1 - self.done) / self.done, 1) if self.done > 0 else None
        return {"progress": round(self.done, 4), "seconds_left": left}


def answer_in_lines(request: Request, progress: Progress, compute: Callable[[], Awaitable[Response]]) -> Response:
    """The answer that `compute` makes, as the last of some lines."""
    return StreamingResponse(_lines(request, progress, compute), 200, HEADERS, LINES)


async def _lines(
    request: Request, progress: Progress, compute: Callable[[], Awaitable[Response]]
) -> AsyncIterator[bytes]:
    task = asyncio.ensure_future(compute())
    try:
        while True:
            yield json.dumps(progress.line()).encode() + b"\n"
            told = progress.done
            while not task.done() and progress.done == told:
                await asyncio.wait([task], timeout=EVERY)
            if task.done():
                break
        yield await _last_line(request, task)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _last_line(request: Request, task: asyncio.Future[Response]) -> bytes:
    try:
        return b'{"result": ' + bytes((await task).body) + b"}\n"
    except OpenClapError as error:
        refusal = refusal_of(error, request.url.path)
    except Exception as error:
        log.error("request failed", exc_info=error, extra={"facts": {"route": request.url.path}})
        refusal = RequestRefused("something went wrong inside the server; its log says what", 500, "internal_error")
    return bytes(error_response(refusal, request.scope).body) + b"\n"
