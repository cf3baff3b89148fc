"""The page without a server on a plain static host, and a tab on it: what its tests, its picture and `bench/browser.py` share."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tools_for_tests import WEB

PATIENCE = 30_000  # ms; a busy machine is slow
RECORDINGS = """new Promise((resolve) => { const opening = indexedDB.open("openclap-web"); opening.onsuccess = () => {
  const all = opening.result.transaction("recordings").objectStore("recordings").getAll();
  all.onsuccess = () => { opening.result.close(); resolve(all.result.map((one) => [one.path, [...one.starts], [...one.ends], [...one.vectors]])); } } })"""


@contextmanager
def hosted(damage: str | None = None) -> Iterator[str]:
    """A static host that sends no special header, with the page somewhere below it; one file may be damaged."""

    class Host(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return super().translate_path(path.removeprefix("/some/where"))

        def copyfile(self, source: Any, outputfile: Any) -> None:
            changed = damage is not None and self.path.endswith(damage)
            outputfile.write(source.read().replace(b"a", b"e") if changed else source.read())

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=str(WEB)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/some/where/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def opened(running: Any, url: str, **how: Any) -> Any:
    tab = running.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **how}).new_page()
    tab.set_default_timeout(PATIENCE)
    tab.troubles = []
    tab.asked = []
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on("console", lambda said: tab.troubles.append(said.text) if said.type == "error" else None)
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(url)
    return tab


def wait(tab: Any, holds: str, seconds: float = PATIENCE / 1000) -> None:
    """Wait until an expression holds; playwright's own way would be `eval`, which the page forbids."""
    end = time.monotonic() + seconds
    while not tab.evaluate(holds):
        assert time.monotonic() < end, (holds, tab.locator("main").inner_text(), tab.troubles)
        tab.wait_for_timeout(50)


def says(tab: Any, element: str, words: str, seconds: float = PATIENCE / 1000) -> None:
    wait(tab, f"document.querySelector('#{element}').textContent.includes({json.dumps(words)})", seconds)
