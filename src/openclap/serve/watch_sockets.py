"""Websockets of /v1/watch: a client sends settings, then samples; events come back.

    client ─ {"alerts": […], "rate": 16000} ─────────────────────────→ ready, or error
           ─ samples ─ stream buffer ─ a thread: watch ─ embedder ─→ event, event, note …
           ─ {"type": "end"} ────────────────────────────────────────→ the last events, report, 1000

Nothing is opened on a client's word: the one source is what it sends, or a recording that it has uploaded before, which
is heard as fast as the model can. Whoever sends faster than the model hears finds the socket full, and waits; whoever
does not read what is told waits too, and is left after a while. Memory of a socket is bounded by a message or two, 15 s
of sound, and what a watch knows of its background.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
import numpy.typing as npt
from fastapi import WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from openclap.detector import Detector
from openclap.errors import RequestRefused, SoundError, UsageError
from openclap.http.error_responses import HINTS, error_response
from openclap.options import Rules, WatchOptions
from openclap.serve.engine import Engine
from openclap.serve.inputs import describe_fault, run_in_thread_if
from openclap.serve.metrics import Metrics
from openclap.serve.recordings import Recordings
from openclap.serve.schemas import WatchRequest
from openclap.serve.stream_buffer import StreamBuffer
from openclap.serve.watched_recording import RecordingSource
from openclap.watch import watch
from openclap.watch.sources import FORMATS, AudioSource, PipeSource

__all__ = ["WatchSockets"]

T = TypeVar("T")

# RFC 6455, 7.4.1
NORMAL, GOING_AWAY, WRONG_KIND, WRONG_DATA, REFUSED, BROKEN = 1000, 1001, 1003, 1007, 1008, 1011
GOING_DOWN = "the server is going down; try again in a while"
GONE = (WebSocketDisconnect, asyncio.TimeoutError, OSError, RuntimeError)  # errors of sending to a client that left
LARGE = 1 << 14  # characters that are not parsed on the event loop
log = logging.getLogger("openclap.serve")


class WatchSockets:
    """All websockets that are open."""

    def __init__(self, engine: Engine, metrics: Metrics, recordings: Recordings) -> None:
        self._engine, self._metrics, self._recordings = engine, metrics, recordings
        self._threads = ThreadPoolExecutor(engine.settings.sockets, "openclap-watch")
        self._open: set[_WatchSession] = set()

    async def serve(self, socket: WebSocket) -> None:
        """Serve one websocket from its first message to its last."""
        if socket.app.state.draining:
            refusal = RequestRefused(GOING_DOWN, 503, "draining", retry_after=5)
            await error_response(refusal, socket.scope)(socket.scope, socket.receive, socket.send)
            return
        await socket.accept()
        session = _WatchSession(socket, self._engine, self._metrics, self._recordings, self._threads)
        self._open.add(session)
        try:
            await session.run()
        finally:
            self._open.discard(session)

    async def close(self, seconds: float) -> None:
        """End all sessions; for `seconds` they may still hear what was sent and tell what has begun."""
        until = time.monotonic() + seconds
        for session in self._open:
            session.end(GOING_AWAY)
        while self._open and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for session in self._open:
            session.abort()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _WatchFault(Exception):
    """The client did something wrong: a sentence for it, and the code that the socket is closed with."""

    def __init__(self, sentence: str, code: int = REFUSED) -> None:
        super().__init__(sentence)
        self.code = code


class _ClientGone(Exception):
    """The client has gone."""


class _WatchSession:
    """One websocket: the event loop receives samples, a thread listens and sends events."""

    def __init__(
        self,
        socket: WebSocket,
        engine: Engine,
        metrics: Metrics,
        recordings: Recordings,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._socket, self._engine, self._metrics, self._threads = socket, engine, metrics, threads
        self._recordings = recordings
        self._settings = engine.settings
        self._loop = asyncio.get_running_loop()
        self._sending = asyncio.Lock()
        self._feed = StreamBuffer(engine.settings.message_bytes)
        self._stop = threading.Event()
        self._ending: asyncio.Future[None] = self._loop.create_future()
        self._code = NORMAL
        self._ended = self._aborted = self._preparing = self._is_recording = False
        self._detectors: list[Detector] = []

    async def run(self) -> None:
        """Run until either side has ended; a fault is sent as one sentence."""
        try:
            asked = await self._receive_settings()
            if asked is not None:
                await self._stream(asked)
                await self._close(self._code)
        except _ClientGone:
            pass
        except _WatchFault as fault:
            await self._fail(str(fault), fault.code)
        except (UsageError, SoundError) as error:
            await self._fail(error.say(HINTS), REFUSED)
        except Exception as error:  # told to the log, never to the client
            log.error("socket failed", exc_info=error, extra={"facts": {"route": "/v1/watch"}})
            await self._fail("something went wrong inside the server; its log says what", BROKEN)

    def end(self, code: int) -> None:
        """End in good order: hear what was sent, tell what has begun, report, and close."""
        self._code, self._ended = code, True
        if not self._ending.done():
            self._ending.set_result(None)
        self._feed.end()
        if self._is_recording:
            self._stop.set()

    def abort(self) -> None:
        """Stop at once; nothing more is sent."""
        self._aborted = True
        self._stop.set()
        self._feed.end()

    # -- from the client -------------------------------------------------------------------------------

    async def _receive_settings(self) -> WatchRequest | None:
        """Wait for the settings; None where the client left before it sent them."""
        message = await self._wait_for(self._socket.receive(), self._ending)
        if message is None:
            raise _WatchFault(GOING_DOWN, GOING_AWAY)
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            raise _WatchFault(
                "samples came before the settings; send one JSON message first, "
                'as {"alerts": ["a dog"], "rate": 16000}',
                WRONG_KIND,
            )
        try:
            asked = await run_in_thread_if(len(text) > LARGE, lambda: WatchRequest.model_validate_json(text))
        except ValidationError as error:
            is_json = error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid"
            raise _WatchFault(describe_fault(error), REFUSED if is_json else WRONG_DATA) from None
        self._check(asked)
        self._detectors = await self._find_detectors(asked.detectors)
        return asked

    async def _find_detectors(self, names: list[str]) -> list[Detector]:
        try:
            return await self._engine.find_detectors(names)
        except RequestRefused as error:
            raise _WatchFault(error.say(HINTS)) from None

    def _check(self, asked: WatchRequest) -> None:
        most, longest = self._settings.items, self._settings.text_characters
        if asked.model is not None and not self._engine.goes_by(asked.model):
            raise _WatchFault(
                f"the model {asked.model[:100]!a} is not loaded; this server answers with {self._engine.name}"
            )
        if (count := len(asked.alerts) + len(asked.detectors)) > most:
            raise _WatchFault(f"alerts and detectors hold {count} items; at most {most} are watched for on one socket")
        if any(len(alert) > longest for alert in asked.alerts):
            raise _WatchFault(f"an alert has more than {longest} characters; describe a sound in a few words")
        if asked.rate is None and asked.recording is None:
            raise _WatchFault("rate: field required, or the id of a recording")
        if asked.rate is not None and asked.recording is not None:
            raise _WatchFault("rate is of samples, and a recording has its own; give one of them")

    async def _stream(self, asked: WatchRequest) -> None:
        """Hand samples to the thread until it has ended."""
        source = self._open_source(asked)
        self._is_recording = asked.recording is not None
        frame = np.dtype(FORMATS[asked.format]).itemsize * asked.channels if asked.recording is None else 0
        self._preparing = True  # a client that waits for "ready" is not idle
        working = asyncio.wrap_future(self._threads.submit(self._watch, asked, source))
        try:
            while not working.done():
                message = await self._wait_for(self._socket.receive(), working, for_ever=not frame)
                if message is None:
                    break
                if message["type"] == "websocket.disconnect":
                    raise _ClientGone
                if self._ended:
                    continue  # what comes after the end is ignored
                samples = message.get("bytes")
                if samples is None:
                    self._read_text(message["text"])
                elif not frame:
                    raise _WatchFault("a recording is heard, so no samples are taken", WRONG_KIND)
                elif len(samples) % frame:
                    raise _WatchFault(
                        f"a message of {len(samples)} bytes is no whole number of frames of {frame} bytes; "
                        "check format and channels",
                        WRONG_DATA,
                    )
                elif samples:
                    await self._wait_for(self._feed.put(samples), working, for_ever=True)
            await working
        finally:
            if not working.done():
                self.abort()
                await asyncio.wait({working})
                working.exception()

    def _open_source(self, asked: WatchRequest) -> PipeSource | RecordingSource:
        """Open what is listened to: the samples that will come, or a recording that is kept."""
        if asked.recording is not None:
            try:
                return RecordingSource(self._recordings, self._recordings.get(asked.recording))
            except RequestRefused as refusal:
                raise _WatchFault(str(refusal)) from None
        assert asked.rate is not None
        source = PipeSource(
            cast(BinaryIO, self._feed), rate=asked.rate, channels=asked.channels, format=asked.format, live=asked.live
        )
        source.name = asked.name
        return source

    def _read_text(self, text: str) -> None:
        """Read a text message, which can only be the end."""
        try:
            message = json.loads(text) if len(text) < 1000 else None
        except (ValueError, RecursionError):
            raise _WatchFault(
                'a text is no JSON; after the settings send samples as binary messages, and {"type": "end"}', WRONG_DATA
            ) from None
        if message != {"type": "end"}:
            raise _WatchFault('after the settings only samples are taken, as binary messages, and {"type": "end"}')
        self.end(NORMAL)

    async def _wait_for(
        self, coming: Coroutine[Any, Any, T], working: asyncio.Future[None], *, for_ever: bool = False
    ) -> T | None:
        """Wait for something → what came, or None where the thread has ended before it."""
        task = asyncio.ensure_future(coming)
        either: set[asyncio.Future[Any]] = {task, working}
        try:
            while not task.done() and not working.done():
                seconds = None if for_ever else self._settings.idle_seconds
                done, _ = await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if not done and not self._ended and not self._preparing:
                    raise _WatchFault(f'nothing came for {seconds:g} s; send samples, or end with  {{"type": "end"}}')
            return task.result() if task.done() else None
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    # -- the thread ------------------------------------------------------------------------------------

    def _watch(self, asked: WatchRequest, source: AudioSource) -> None:
        """Listen until the samples end."""
        options = asked.take(WatchOptions, rules=asked.take(Rules))
        alerts: list[str | Detector] = [*asked.alerts, *self._detectors]
        watching = watch(
            source,
            alerts,
            model=cast(Any, self._engine.embedder),
            **vars(options),
            stop=self._stop,
            tell=lambda sentence: self._send_and_wait({"type": "note", "note": sentence}),
            judged=self._tell_window if asked.windows else None,
        )
        with watching:
            self._send_and_wait(
                {
                    "type": "ready",
                    "model": self._engine.name,
                    "window": options.window,
                    "hop": options.hop,
                    "warmup": options.warmup,
                    "latency": round(options.window + options.hop + options.rules.least, 3),
                    "alerts": watching.alerts,
                    "unknown": [one.to_dict() for one in self._engine.clap.unknown_words(asked.alerts)],
                }
            )
            self._preparing = False
            for event in watching:
                self._metrics.events.inc()
                self._send_and_wait({"type": "event", **event.to_dict()})
            report = watching.report().to_dict()
            del report["undelivered"]  # there are no receivers but the client
            self._send_and_wait({"type": "report", **report, "heard": round(report["heard"], 3)})

    def _tell_window(self, start: float, end: float, confidences: npt.NDArray[np.float64]) -> None:
        """Tell what a window was taken for, an alert after the other as `ready` names them."""
        shares = [round(float(one), 4) for one in confidences]
        self._send_and_wait({"type": "window", "start": round(start, 3), "end": round(end, 3), "confidences": shares})

    def _send_and_wait(self, message: dict[str, Any]) -> None:
        """Send, and wait until it is taken: a client that does not read is not listened to either."""
        if self._aborted:
            raise _ClientGone
        sending: Future[None] = asyncio.run_coroutine_threadsafe(self._send(message), self._loop)
        sending.result()

    # -- to the client ---------------------------------------------------------------------------------

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with self._sending:
                text = json.dumps(message, ensure_ascii=True, allow_nan=False)
                await asyncio.wait_for(self._socket.send_text(text), self._settings.idle_seconds)
        except GONE as error:
            raise _ClientGone from error

    async def _fail(self, sentence: str, code: int) -> None:
        with contextlib.suppress(_ClientGone):
            await self._send({"type": "error", "error": " ".join(sentence.split())})
            await self._close(code)

    async def _close(self, code: int) -> None:
        with contextlib.suppress(*GONE):
            await asyncio.wait_for(self._socket.close(code), self._settings.idle_seconds)
