"""What a browser is sent, and who it may be: documentation without another host, names of a server, pages that are not its own."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from browser_for_tests import browser
from server_for_tests import Running, running

from openclap import CLAP
from openclap.errors import UsageError
from openclap.http.hosts import is_loopback, is_own_name, is_own_site
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings

KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("strangers"), "--models", "someone/some-clap") as server:
        yield server


# -- the documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_documentation_names_no_other_host(server: Running, page: str) -> None:
    """Swagger UI and Redoc came from a CDN: without a network the page was empty, with one somebody was told."""
    answer = httpx.get(server.url + page)
    assert re.findall(r"(?:https?:)?//[\w.-]+", answer.text) == []
    rules = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in rules
    assert "http" not in rules
    assert "*" not in rules
    for place in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        found = httpx.get(server.url + place)
        assert found.status_code == 200, place
        assert len(found.content) > 1000
    assert "/docs-static/" in answer.text


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("page", "shows"), [("/docs", "/v1/describe"), ("/redoc", "/v1/describe")])
def test_a_browser_asks_no_other_host(server: Running, page: str, shows: str) -> None:
    with browser() as chromium:
        tab = chromium.new_context(viewport={"width": 1280, "height": 2000}).new_page()
        asked: list[str] = []

        def seen(route: Any) -> None:  # what would leave the browser; what its rules forbid does not come here
            asked.append(route.request.url)
            route.continue_() if route.request.url.startswith(server.url) else route.abort()

        tab.route("**/*", seen)
        tab.goto(server.url + page)
        tab.get_by_text(shows).first.wait_for(state="attached", timeout=30_000)
    others = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
    assert others == []
    assert f"{server.url}/openapi.json" in asked


def test_every_route_is_described(server: Running) -> None:
    described = httpx.get(server.url + "/openapi.json").json()["paths"]
    assert set(described) == {
        *(f"/v1/{name}" for name in ("embeddings", "classify", "describe", "match", "search", "moments", "models", "watch")),
        "/v1/journey", "/v1/models/{name}", "/health", "/ready", "/metrics", "/v1/recordings", "/v1/export",
        *(f"/v1/recordings/{{id}}{part}" for part in ("", "/audio", "/part", "/peaks", "/spectrogram")),
        "/v1/teach", "/v1/detect", "/v1/detectors",
        *(f"/v1/detectors/{{name}}{part}" for part in ("", "/file", "/rename", "/forget", "/refit")),
        *(f"/v1/library{name}" for name in ("", "/files", "/facets", "/peaks", "/map", "/audio", "/tags", "/export", "/folders", "/index")),
    }  # fmt: skip
    socket = described["/v1/watch"]["get"]
    assert '{"type": "end"}' in socket["description"]
    assert set(socket["x-websocket-settings"]["properties"]) >= {"alerts", "rate", "format", "hop", "on"}
    assert len(described["/v1/describe"]["post"]["requestBody"]["content"]["application/json"]["examples"]) == 3


# -- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "bound", "own"),
    [
        ("localhost", "127.0.0.1", True), ("localhost:8000", "127.0.0.1", True), ("127.0.0.1:80", "127.0.0.1", True), ("[::1]:80", "::1", True),
        ("127.0.0.2", "0.0.0.0", True), ("192.168.1.7", "127.0.0.1", False), ("evil.example", "127.0.0.1", False), ("", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False), ("[::1", "127.0.0.1", False), ("192.168.1.7:8000", "0.0.0.0", True),
        ("192.168.1.7", "192.168.1.7", True), ("203.0.113.9", "192.168.1.7", True), ("[2001:db8::1]:80", "::", True),
        ("evil.example", "0.0.0.0", False), ("evil.example:8000", "192.168.1.7", False), ("", "0.0.0.0", False), ("2130706433", "0.0.0.0", False),
        ("sounds.example", "0.0.0.0", True), ("SOUNDS.example.:443", "127.0.0.1", True), ("a.sounds.example", "0.0.0.0", False),
    ],
)  # fmt: skip
def test_names_of_a_server(host: str, bound: str, own: bool) -> None:
    assert is_own_name(host, bound=bound, names=["Sounds.example"]) is own


def test_sites_of_a_server() -> None:
    assert is_own_site(None, "")
    assert is_own_site("http://localhost:80", "localhost:80")
    assert is_own_site("https://sounds.example", "localhost:80", names=["sounds.example"])
    for origin in (
        "null",
        "",
        "http://",
        "http://[::1",
        "http://localhost",
        "http://localhost:81",
        "https://sounds.example.evil.example",
    ):
        assert not is_own_site(origin, "localhost:80", names=["sounds.example"])
    assert not is_loopback("")


@pytest.mark.parametrize(
    ("settings", "right", "wrong"),
    [
        (ServeSettings(host="0.0.0.0", insecure=True), ["192.168.1.7:8000", "localhost"], ["evil.example", ""]),
        (ServeSettings(host="0.0.0.0", insecure=True, names=("sounds.example",)), ["sounds.example", "10.0.0.1"], ["evil.example"]),
        (ServeSettings(names=("sounds.example",)), ["sounds.example:443", "127.0.0.1"], ["10.0.0.1", "evil.example"]),
        (ServeSettings(host="0.0.0.0", keys=(KEY,)), ["anything.example"], []),
        (ServeSettings(host="0.0.0.0", keys=(KEY,), names=("sounds.example",)), ["sounds.example", "10.0.0.1"], ["evil.example"]),
    ],
)  # fmt: skip
def test_names_at_the_door(settings: ServeSettings, right: list[str], wrong: list[str]) -> None:
    """--insecure on a public address answered under any name, so any page could have its own mean that address."""
    app = create_app(settings, clap=CLAP.from_pretrained("mini"))
    known = {"Authorization": f"Bearer {KEY}"}

    async def ask(host: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/v1/models", headers={"Host": host, **known})).status_code

    assert [asyncio.run(ask(host)) for host in right] == [200] * len(right)
    assert [asyncio.run(ask(host)) for host in wrong] == [403] * len(wrong)
    app.state.engine.close()
    for name in ("https://sounds.example", "sounds.example:80", "*", "", "a..b", "a/b"):
        with pytest.raises(UsageError, match="no name of a server"):
            ServeSettings(names=(name,))


# -- a model that is loading --------------------------------------------------------------------------


def test_a_program_ends_while_a_model_is_loading() -> None:
    """The Hub's threads are waited for by Python itself."""
    program = """
import asyncio, concurrent.futures, threading, time
from openclap.http.loading import end_loading, in_a_thread
begun = threading.Event()
def load():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: (begun.set(), time.sleep(200))).result()
async def main():
    loading = asyncio.ensure_future(in_a_thread(load))
    await asyncio.to_thread(begun.wait)
    loading.cancel()
asyncio.run(main())
print("closed")
end_loading()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
