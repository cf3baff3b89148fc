"""Who sends half of what they should, or leaves: heads, bodies, handshakes, frames. bench/hostile.py does this for longer."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from server_for_tests import Running, serving
from slow_clients import head_of

from openclap.http.connections import Connections
from openclap.http.proxy import client_key
from openclap.http.settings import ServerSettings

FILES = 256  # that the server may open: fewer than are asked of it
HEADS = 300
HEAD_SECONDS = 1.0
QUEUE = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that is impatient, so that the tests need not be patient, and may open few files."""
    folder = tmp_path_factory.mktemp("slow")
    with serving(folder, files=FILES, queue=QUEUE, head_seconds=HEAD_SECONDS, idle_seconds=HEAD_SECONDS) as server:
        yield server
        assert server.stop() == 0
        assert [line for line in server.log if line["level"] not in ("info", "debug")] == []
        server.log_file.seek(0)
        assert "Traceback" not in server.log_file.read()


def connected(server: Running, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), 30)
    client.sendall(data)
    return client


def all_of(client: socket.socket) -> bytes:
    """What is answered until the connection is closed."""
    got = b""
    try:
        while part := client.recv(1 << 16):
            got += part
    except ConnectionResetError:
        pass
    return got


def answered(server: Running) -> None:
    assert httpx.get(server.url + "/health", timeout=10).status_code == 200
    answer = httpx.post(server.url + "/v1/embeddings", json={"input": "still here"}, timeout=10)
    assert answer.status_code == 200


def counted(server: Running, route: str, status: int) -> int:
    sample = f'openclap_requests_total{{route="{route}",status="{status}"}} '
    lines = httpx.get(server.url + "/metrics").text.splitlines()
    return next((int(float(line.removeprefix(sample))) for line in lines if line.startswith(sample)), 0)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_half_heads_do_not_silence_the_server(server: Running) -> None:
    """1 100 of them took every file that the process may open, and wrote 51 057 tracebacks."""
    with ExitStack() as stack:
        for _ in range(HEADS):
            stack.enter_context(connected(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "))
        answered(server)


@pytest.mark.parametrize("sent", [b"GET /health HTTP/1.1\r\nHost: local", b"", b"POST"])
def test_a_head_has_a_time(server: Running, sent: bytes) -> None:
    with connected(server, sent) as client:
        begun = time.monotonic()
        told = all_of(client)
        assert time.monotonic() - begun < 10 * HEAD_SECONDS
        assert told.startswith(b"HTTP/1.1 408 ") if sent else not told
        assert not sent or b"\r\nx-content-type-options: nosniff\r\n" in told


def test_a_second_head_has_a_time_too(server: Running) -> None:
    with connected(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea") as client:
        told = all_of(client)
        assert told.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 408 " in told


def test_half_bodies_take_no_place(server: Running) -> None:
    """200 connections with a head and one byte each made everyone else get 429; a body that does not come is not waited for."""
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(server, head_of(1000) + b"{")) for _ in range(10 * QUEUE)]
        answered(server)
        for client in slow:
            told = all_of(client)
            assert told.startswith(b"HTTP/1.1 408 ")
    until(lambda: counted(server, "other", 408) >= len(slow))


def test_bodies_announced_large_take_no_memory(server: Running) -> None:
    """What is announced was counted as if it had come: 17 announced bodies of 30 MB filled the 512 MB."""
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connected(server, head_of(30 << 20) + b"{"))
        answered(server)


def test_who_leaves_in_the_middle_is_no_error(server: Running) -> None:
    """It was an ERROR with a traceback, and a 500 of the server."""
    before = counted(server, "other", 499)
    for data in (head_of(1000) + b"{", head_of(1000, "/v1/classify")):
        connected(server, data).close()
    until(lambda: counted(server, "other", 499) == before + 2)
    assert counted(server, "/v1/embeddings", 500) == 0


def test_a_slow_but_steady_body_comes(server: Running) -> None:
    body = json.dumps({"input": "a dog" + " " * 6000}).encode()
    with connected(server, head_of(len(body))) as client:
        for at in range(0, len(body), 2048):
            client.sendall(body[at : at + 2048])
            threading.Event().wait(HEAD_SECONDS / 2)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


HANDSHAKE = (
    b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\n\x81", b"\r\n\x81\xfe\x10\x00mask{"])
def test_handshakes_and_frames_have_a_time(server: Running, after: bytes) -> None:
    with connected(server, HANDSHAKE + after) as client:
        told = all_of(client)
        assert told.startswith(b"HTTP/1.1 101 " if after else b"HTTP/1.1 408 ")
        assert not after or b"nothing came for" in told


# -- shares, by themselves ----------------------------------------------------------------------------


class Transport:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Connection:
    """As much of a connection as is looked at."""

    def __init__(self, host: str) -> None:
        self.client, self.transport, self.loop = (host, 1), Transport(), Loop()


class Loop:
    def call_later(self, *_: Any) -> None: ...


@pytest.mark.parametrize("proxied", [False, True])
def test_one_address_has_a_share(proxied: bool) -> None:
    """Whole requests are not closed for new ones; behind a proxy everybody has its address."""
    connections = Connections(ServerSettings(connections=100, proxies=("10.0.0.0/8",) if proxied else ()))
    admit = [connections.admit(Connection("10.0.0.1")) for _ in range(200)]  # type: ignore[arg-type]
    assert sum(admit) == (100 if proxied else 50)
    assert connections.admit(Connection("192.0.2.1")) is not proxied  # type: ignore[arg-type]


def test_whom_a_connection_counts_for() -> None:
    assert client_key(("::ffff:192.0.2.1", 1)) == client_key(("192.0.2.1", 2)) == "192.0.2.1"
    assert client_key(("2001:db8::1", 1)) == client_key(("2001:db8::ffff", 1)) == "2001:db8::/64"
    assert client_key(("2001:db8:0:1::1", 1)) != client_key(("2001:db8::1", 1))
    assert client_key(("::1", 1)) == "::1"
    assert client_key(None) == ""


def test_files_are_left_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    for files, most in ((1024, 768), (256, 96), (1 << 20, 1000), (64, 8)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        connections = Connections(ServerSettings())
        assert connections.most == most
        assert connections.most + 4 * connections.burst < max(files, 64)
