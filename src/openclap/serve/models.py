"""The model that answers, and the one that takes its place once it is loaded.

    load("laion/…") ─ a thread ─ engine, routes ─┐
                                                 ├─ current ─ requests
    the one before ── answers until then ────────┘  then ends with the last of its requests

Requests wait for the first one. Nothing is loaded on the event loop, and a server that ends does not wait for a download.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from openclap.errors import OpenClapError, RequestRefused
from openclap.http.error_responses import HINTS
from openclap.http.loading import in_a_thread
from openclap.serve.app import SOCKETS_END, SOCKETS_LEFT
from openclap.serve.engine import Engine
from openclap.serve.watch_sockets import WatchSockets

__all__ = ["LoadedModel", "Models"]

LATELY = 60.0  # seconds
log = logging.getLogger("openclap.serve")


class LoadedModel:
    """An engine, its sockets, and the application that answers with them."""

    def __init__(self, engine: Engine, sockets: WatchSockets, app: FastAPI) -> None:
        self.engine, self.sockets, self.app = engine, sockets, app
        self._in_work, self._idle = 0, asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[FastAPI]:
        """It is not closed as long as this lasts."""
        self._in_work += 1
        self._idle.clear()
        try:
            yield self.app
        finally:
            self._in_work -= 1
            if not self._in_work:
                self._idle.set()

    async def retire(self) -> None:
        """End when the last request is answered; websockets are told what was heard."""
        await self.sockets.close(SOCKETS_END)
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """End now."""
        await self.sockets.close(SOCKETS_LEFT)
        await run_in_threadpool(self.engine.close)


class Models:
    """Which model answers.

    Parameters
    ----------
    make
        Loads the model of a name → it, with its routes; called in a thread.
    name
        Of the first one.
    loaded
        Told each model that takes its place, on the event loop.

    Attributes
    ----------
    wanted : str
        The name of the model that is being loaded, or was last.
    fault : str
        Why the last one could not be loaded, in one sentence; empty where it could.
    """

    def __init__(
        self,
        make: Callable[[str], LoadedModel],
        name: str,
        loaded: Callable[[LoadedModel], None] = lambda model: None,
    ) -> None:
        self._make, self._loaded = make, loaded
        self._now: LoadedModel | None = None
        self._task: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.wanted, self.fault, self._failed = name, "", 0.0

    @property
    def now(self) -> LoadedModel | None:
        """The model that answers; None before the first is there."""
        return self._now

    @property
    def failed_lately(self) -> bool:
        """Whether the last one could not be loaded, in the last minute: whoever waits for it hears of it."""
        return bool(self.fault) and time.monotonic() - self._failed < LATELY

    @property
    def is_loading(self) -> bool:
        """Whether one is being loaded."""
        return self._task is not None and not self._task.done()

    def load(self, name: str) -> asyncio.Task[None]:
        """Begin to load a model, which answers once it is there.

        Raises
        ------
        RequestRefused
            Another one is being loaded.
        """
        if self.is_loading:
            raise RequestRefused(f"{self.wanted[:100]!a} is being loaded; wait until it is there", 409, "loading")
        self.wanted, self.fault = name, ""
        self._task = asyncio.get_running_loop().create_task(self._take(name))
        return self._task

    def take(self, model: LoadedModel) -> None:
        """Let a model answer that is there already."""
        before, self._now = self._now, model
        self._loaded(model)
        if before is not None:
            task = asyncio.get_running_loop().create_task(before.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def current(self) -> LoadedModel:
        """The model that answers, once there is one.

        Raises
        ------
        RequestRefused
            There is none, as it could not be loaded.
        """
        while self._now is None and self._task is not None and not self._task.done():
            await asyncio.shield(self._task)
        if self._now is None:
            raise RequestRefused(f"this server has no model now: {self.fault or 'none is loaded'}", 503, "no_model")
        return self._now

    async def close(self) -> None:
        """Load no more, and end what answers."""
        for task in (self._task, *self._retiring):
            if task is not None and not task.done():
                task.cancel()
        if self._now is not None:
            await self._now.close()

    async def _take(self, name: str) -> None:
        self._failed = 0.0
        try:
            made = await in_a_thread(lambda: self._make(name))
        except OpenClapError as error:
            self.fault, self._failed = " ".join(error.say(HINTS).split()), time.monotonic()
            log.error(str(error), extra={"facts": {"model": name}})
        except Exception:
            self.fault = "something went wrong when it was loaded; the server's log says what"
            self._failed = time.monotonic()
            log.exception("loading failed", extra={"facts": {"model": name}})
        else:
            self.take(made)
