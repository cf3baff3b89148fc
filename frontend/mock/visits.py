"""A tab of Chromium, the made-up server, and what was found wrong: shared by everything that uses the page."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
AXE = (HERE.parent / "node_modules/axe-core/axe.min.js").read_text()
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ROW, HIT = ".body .row .name", ".relevance >> visible=true"
DROP = "(names) => { const data = new DataTransfer(); for (const name of names) data.items.add(new File(['RIFF'], name, { type: 'audio/wav' })); for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data })) }"
wrong: list[str] = []


def check(what: str, holds: bool, more: object = "") -> None:
    """Print whether something holds, and remember it if not."""
    print("ok   " if holds else "WRONG", what, "" if holds else more)
    if not holds:
        wrong.append(what)


@contextmanager
def mock(port: int, *options: str) -> Iterator[str]:
    """Run the made-up server for a while → its address."""
    url = f"http://127.0.0.1:{port}/"
    server = subprocess.Popen(
        ["node", str(HERE / "server.mjs"), "--port", str(port), *options], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


class Visit:
    """A tab of the browser, and what goes wrong in it."""

    def __init__(self, running: Any, url: str, *, zh: bool = False, dark: bool = False, phone: bool = False) -> None:
        self.context = running.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 860},
            locale="zh-CN" if zh else "en-US", color_scheme="dark" if dark else "light", is_mobile=phone, has_touch=phone,
        )  # fmt: skip
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(15_000)
        self.tab.on("pageerror", lambda error: wrong.append(f"error in the page: {error}"))
        self.tab.on("console", lambda said: "Content Security" in said.text and wrong.append(said.text))
        self.name = f"{'zh' if zh else 'en'}{'-dark' if dark else ''}{'-phone' if phone else ''}"
        self.tab.goto(url)

    def focus(self) -> str:
        """Say which row, or which element, has the focus."""
        return self.tab.evaluate(
            "(() => { const e = document.activeElement; return e.dataset.index ?? e.id ?? e.tagName })()"
        )

    def axe(self, where: str) -> None:
        """Let axe look at what is shown now."""
        self.tab.evaluate(AXE + ";0")
        found = self.tab.evaluate(
            "(rules) => axe.run(document, { iframes: false, runOnly: rules }).then((all) => all.violations.map((one) => [one.id, one.nodes.map((node) => node.target.join(' '))]))",
            RULES,
        )
        check(f"axe: {self.name} {where}", not found, found)

    def drop(self, *names: str) -> None:
        """Drop made-up files onto the page."""
        self.tab.evaluate(DROP, list(names))

    def search(self, words: str) -> None:
        """Look for words."""
        self.tab.fill("#query", words)
        self.tab.press("#query", "Enter")

    def picture(self, folder: Path | None, name: str) -> None:
        """Take a picture, where pictures are wanted."""
        if folder:
            self.tab.mouse.move(0, 0)
            self.tab.wait_for_timeout(500)
            self.tab.screenshot(path=folder / f"{name}-{self.name}.png")
