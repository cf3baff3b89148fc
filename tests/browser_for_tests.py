"""An application on loopback, and a real Chromium that uses it: what the tests and the script of screenshots share.

A test of it is marked `needs("chromium")`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools_for_tests import find_tool

from openclap.http.server import Server
from openclap.http.settings import ServerSettings

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
]  # fmt: skip
MICROPHONE, ALLOWED = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"


@contextmanager
def served_app(app: Any, own: ServerSettings) -> Iterator[str]:
    """An application on a free port of loopback → its address."""
    import socket

    address: list[str] = []
    ready = threading.Event()

    def listening(url: str) -> None:
        address.append(url)
        ready.set()

    server = Server(app, own, listening)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket.create_server(("127.0.0.1", 0))]})
    thread.start()
    try:
        assert ready.wait(60), "the page did not start"
        yield address[0]
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def browser(microphone: Path | None = None, *, allowed: bool = True) -> Iterator[Any]:
    """Chromium, headless; it may reach no proxy and no network of the environment. `microphone`, a WAV, is what it hears, again and again.

    Every page may use it, or, where it is not `allowed`, those that a test gives leave.
    """
    from playwright.sync_api import sync_playwright

    clean: dict[str, str | float | bool] = {
        name: value for name, value in os.environ.items() if "proxy" not in name.lower()
    }
    with sync_playwright() as play:
        ears = [MICROPHONE, f"--use-file-for-fake-audio-capture={microphone}"] if microphone else []
        ears += [ALLOWED] if microphone and allowed else []
        running = play.chromium.launch(executable_path=find_tool("chromium"), args=[*OPTIONS, *ears], env=clean)
        try:
            yield running
        finally:
            running.close()
