"""Clients that say half of what they want, slowly, or leave; and one who asks a short thing all the while. For tests and bench/hostile.py."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

__all__ = ["Patient", "head_of", "opened", "vanish"]

HALF_A_HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


def head_of(length: int, path: str = "/v1/embeddings") -> bytes:
    """The head of a request in JSON."""
    kind = "Content-Type: application/json"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {length}\r\n\r\n".encode()


@contextmanager
def opened(port: int, count: int, data: bytes = HALF_A_HEAD) -> Iterator[list[socket.socket]]:
    """So many connections, each with some bytes, and no more of them."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            made.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)))
            made[-1].sendall(data)
        yield made


def vanish(port: int, count: int, data: bytes) -> None:
    """So many clients that send some bytes, and hang up."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(data)


class Patient:
    """Asks the same short thing again and again in a thread of its own, until the block ends.

    Attributes
    ----------
    seconds
        What every answer took.
    wrong
        Answers that were no 200, and what went wrong.
    """

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        self._url, self._body = url, body
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.seconds: list[float] = []
        self.wrong: list[str] = []

    def __enter__(self) -> Patient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            begun = time.perf_counter()
            try:
                answer = httpx.post(self._url, json=self._body, timeout=120)  # a new connection each time, as anybody's
                if answer.status_code != 200:
                    self.wrong.append(f"{answer.status_code} {answer.text[:100]}")
            except httpx.TransportError as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
            self.seconds.append(time.perf_counter() - begun)
            self._over.wait(0.05)
