"""What is no request, told without a word in the log, and bodies in crumbs, by the protocol alone: no model, no routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from openclap.http.connections import AT_ONCE, CHUNKS, HEAD_BYTES, OF_SOCKET, Connections
from openclap.http.headers import App, Receive, Scope, SecurityHeaders, Send
from openclap.http.request_log import RequestLog
from openclap.http.settings import ServerSettings

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers when the body is whole."""
    while (message := await receive()).get("more_body", False):
        pass
    if message["type"] == "http.request":
        await answers_at_once(scope, receive, send)


async def answers_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send(OK)
    await send({"type": "http.response.body", "body": b"ok"})


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins its answer, and ends it when nobody is there any more."""
    await send(OK)
    await send({"type": "http.response.body", "body": b"o", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    await send({"type": "http.response.body", "body": b"k"})


def asked(app: App, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]) -> bytes:
    """What a client is told by a server of this application; whatever nobody caught is raised."""

    async def ask() -> bytes:
        faults: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        config = Config(
            SecurityHeaders(RequestLog(app, count=lambda *_: None)),
            **Connections(ServerSettings()).options(),
            log_config=None,
            lifespan="off",
        )
        config.load()
        state = ServerState()
        made = lambda: config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
        server = await loop.create_server(made, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await asyncio.wait_for(talk(reader, writer), 30)
        finally:
            writer.close()
            server.close()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=30)
            assert not faults

    return asyncio.run(ask())


@pytest.mark.parametrize("app", [reads, answers_at_once])
def test_a_broken_chunk_writes_no_traceback(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """Behind any head it was an ERROR with a traceback, as the route answered into a connection that had been closed."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"zz\r\n")
        return await reader.read()

    told = asked(app, talk)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nx-content-type-options: nosniff\r\n" in told
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("app", [answers_at_once, streams])
def test_a_broken_chunk_after_the_answer_has_begun(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """The second answer that h11 was asked for was a fault of the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD)
        told = await reader.readuntil(b"\r\n\r\no")
        writer.write(b"zz\r\n")
        try:
            return told + await reader.read()
        except ConnectionResetError:
            return told

    assert asked(app, talk).startswith(b"HTTP/1.1 200 ")
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("count", "size", "status"), [(CHUNKS, 1, b"200"), (4 * CHUNKS, 100, b"200"), (CHUNKS + 1, 1, b"400")]
)
def test_bodies_do_not_come_in_crumbs(count: int, size: int, status: bytes) -> None:
    """2.4 MB of chunks of one byte held the event loop for 3 s, and everybody with it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + (b"%x\r\n" % size + b" " * size + b"\r\n") * count + b"0\r\n\r\n")
        return await reader.readline()

    assert asked(reads, talk).split()[1] == status


def test_crumbs_are_called_so() -> None:
    """It was "Invalid HTTP request received.", which they are not."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"1\r\n \r\n" * (CHUNKS + 1))
        return await reader.read()

    assert b"chunks of a few bytes" in asked(reads, talk)


@pytest.mark.parametrize(
    ("head", "status", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ", b"431", b"larger than 64 KiB"),
        (b"GET /?query=", b"431", b"larger than 64 KiB"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", b"501", b"Invalid HTTP"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n", b"400", b"Invalid HTTP"),
    ],
)
def test_a_head_that_is_refused_says_why(head: bytes, status: bytes, said: bytes) -> None:
    """One of 70 KB was answered 400, "Invalid HTTP request received."."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(head if head.endswith(b"\n\r\n") else head.ljust(HEAD_BYTES + 1, b"x"))
        return await reader.read()

    told = asked(answers_at_once, talk)
    assert told.split()[1] == status
    assert said in told


def test_a_large_head_is_taken() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ".ljust(HEAD_BYTES - 4, b"x") + b"\r\n\r\n")
        return await reader.readline()

    assert asked(answers_at_once, talk).split()[1] == b"200"


def test_little_is_read_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in pieces, chunks or frames, is worked through in steps, between which others are answered."""
    sizes: list[int] = []
    read = H11Protocol.data_received

    def noted(self: H11Protocol, data: bytes) -> None:
        sizes.append(len(data))
        read(self, data)

    monkeypatch.setattr(H11Protocol, "data_received", noted)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + b" " * 300_000)
        return await reader.readline()

    assert b" 200 " in asked(reads, talk)
    assert sum(sizes) > 300_000
    assert max(sizes) <= AT_ONCE


async def listens(scope: Scope, receive: Receive, send: Send) -> None:
    """A websocket that takes one message."""
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.receive":
        pass
    await send({"type": "websocket.close", "code": 1000})


def test_few_frames_are_read_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of pings, each of which is answered, held everybody up for seconds."""
    sizes: list[int] = []
    read = WebSocketsSansIOProtocol.data_received

    def noted(self: WebSocketsSansIOProtocol, data: bytes) -> None:
        sizes.append(len(data))
        read(self, data)

    monkeypatch.setattr(WebSocketsSansIOProtocol, "data_received", noted)
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ping, text = b"\x89\x81\0\0\0\0x", b"\x81\x81\0\0\0\0x"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + key)
        told = await reader.readuntil(b"\r\n\r\n")
        writer.write(ping * 2000 + text)
        await reader.readuntil(b"\x88\x02\x03\xe8")  # closed with 1000
        return told

    assert asked(listens, talk).startswith(b"HTTP/1.1 101 ")
    assert sum(sizes) > 14_000
    assert max(sizes) <= OF_SOCKET
