"""A page on loopback, and a real Chromium that uses it: what the tests and the script of screenshots share.

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
from openclap.page.server import make_app
from openclap.page.settings import PageSettings
from openclap.page.strings import Language, say

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
]  # fmt: skip
MICROPHONE, ALLOWED = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
PATIENCE = 30_000  # ms; a busy machine is slow, a broken page never gets there


@contextmanager
def served(settings: PageSettings) -> Iterator[str]:
    """The page that gradio makes, on a free port of loopback → its address."""
    own = ServerSettings(request_seconds=3)
    with served_app(make_app(settings, own), own) as url:
        yield url


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


class Visitor:
    """One tab of the browser on the page, and what a person does with it."""

    def __init__(
        self, running: Any, url: str, language: Language = "en", *, width: int = 1280, height: int = 900
    ) -> None:
        self.language: Language = language
        locale = {"en": "en-US", "zh": "zh-CN"}[language]
        context = running.new_context(viewport={"width": width, "height": height}, locale=locale, accept_downloads=True)
        self.tab = context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.asked_for: list[str] = []  # every address the browser has asked for
        self.troubles: list[str] = []
        self.tab.on("request", lambda request: self.asked_for.append(request.url))
        self.tab.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.url = url
        self.begin()

    def begin(self) -> None:
        """Open the page; what was filled in or found on it before is gone."""
        self.tab.goto(self.url)
        self.see(self.say("model.load"))

    def say(self, key: str, **values: Any) -> str:
        """A string of the page, in the visitor's language."""
        return say(key, self.language, **values)

    def see(self, text: str) -> None:
        """Wait until some words can be seen."""
        self.tab.get_by_text(text).locator("visible=true").first.wait_for()

    def open(self, tab: str) -> None:
        self.tab.get_by_role("tab", name=tab, exact=True).click()

    def write(self, field: str, text: str) -> None:
        self.tab.locator(f"#{field} textarea, #{field} input").first.fill(text)

    def give(self, field: str, sound: Path) -> None:
        """Upload a sound, and wait until the page has it."""
        self.tab.locator(f"#{field} input[type=file]").first.set_input_files(str(sound))
        self.heard(field)

    def example(self, tab: str, number: int, *, sound: bool = True) -> None:
        """Take an example, and wait until the fields hold it."""
        before = self._filled(tab)
        self.tab.locator(f"#{tab}-examples button").nth(number).click()
        self.tab.wait_for_function("([fields, before]) => [...document.querySelectorAll(fields)].map((f) => f.value).join() !== before", arg=[self._fields(tab), before])  # fmt: skip
        if sound:
            self.heard(f"{tab}-sound")

    def take(self, tab: str, number: int, sign: str) -> None:
        """Take an example, and wait for a sign that the page did; on a busy machine a click may be lost once."""
        button, done = (
            self.tab.locator(f"#{tab}-examples button").nth(number),
            self.tab.locator(sign).locator("visible=true").first,
        )
        from playwright.sync_api import TimeoutError

        button.click()
        try:
            done.wait_for(timeout=PATIENCE / 2)
        except TimeoutError:
            button.click()
            done.wait_for()

    def heard(self, field: str) -> None:
        """Wait until a sound lies in a field."""
        self.tab.locator(f"#{field} #waveform, #{field} .waveform-container, #{field} audio").locator(
            "visible=true"
        ).first.wait_for()

    def _fields(self, tab: str) -> str:
        return ", ".join(
            f"#{tab}-{name} {kind}" for name in ("texts", "labels", "words") for kind in ("textarea", "input")
        )

    def _filled(self, tab: str) -> str:
        return ",".join(field.input_value() for field in self.tab.locator(self._fields(tab)).all())

    def press(self, button: str) -> None:
        self.tab.locator(f"#{button}").click()

    def settled(self) -> None:
        """Wait until nothing is drawn as waiting any more."""
        self.tab.wait_for_function("""() => !document.querySelector('.wrap.translucent, .wrap.generating, .pending')
            && [...document.querySelectorAll('.oc-card')].every((card) => { while (card && getComputedStyle(card).opacity === '1') card = card.parentElement; return !card; })""")

    def result(self, part: str, selector: str = ".oc-card") -> Any:
        """What a handler has drawn, once it is there."""
        found = self.tab.locator(f"#{part} {selector}")
        found.first.wait_for()
        return found
