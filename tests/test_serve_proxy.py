"""Behind a proxy, and what a browser is told: prefixes, methods, other sites, frames."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser_for_tests import browser
from proxy_for_tests import nginx
from server_for_tests import Running, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from openclap.cli.serve import make_site
from openclap.errors import UsageError
from openclap.http.proxy import ProxyHeaders, TrustedProxies, check_prefix
from openclap.http.request_log import RequestLog
from openclap.serve.settings import ServeSettings

SITE = "https://front.example"
NAME = "sounds.example"
SERVICE = Path(__file__).parents[1] / "docs" / "service.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(
        tmp_path_factory.mktemp("proxied"), "--proxy", "127.0.0.1", "--cors-origin", SITE, "--host-name", NAME
    ) as server:
        yield server
        assert server.stop() == 0
        assert not any("traceback" in line for line in server.log)


@pytest.fixture(scope="module")
def proxied(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of nginx, as docs/service.md has it at /clap/, and without taking the prefix away at /kept/."""
    (block,) = re.findall(r"```nginx\n(.*?)```", SERVICE.read_text(encoding="utf-8"), re.DOTALL)
    location = block.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    kept = location.replace("/clap", "/kept").replace(f"{server.port}/;", f"{server.port};")
    assert "/clap/" in location
    assert kept.count(f"{server.port};") == 1
    with nginx(tmp_path_factory.mktemp("nginx"), location + kept) as url:
        yield url


@pytest.mark.parametrize("prefix", ["/clap", "/kept"])
def test_the_service_below_a_prefix(proxied: str, prefix: str) -> None:
    """At /clap/ the page never answered, and /docs asked for the API at the root."""
    with httpx.Client(base_url=proxied + prefix, timeout=30) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert len(client.post("/v1/embeddings", json={"input": "rain"}).json()["data"]) == 1
        assert client.post("/v1/nothing", json={}).status_code == 404
        docs = client.get("/docs").text
        for place in re.findall(r'(?:src|href)="([^"]+)"', docs):
            assert place.startswith(f"{prefix}/docs-static/")
            assert httpx.get(proxied + place).status_code == 200
        assert f"url: '{prefix}/openapi.json'" in docs
        described = client.get("/openapi.json").json()
        assert described["servers"] == [{"url": prefix}]
    with connect(f"{proxied}{prefix}/v1/watch".replace("http", "ws")) as socket:
        socket.send("{}")
        assert json.loads(socket.recv(timeout=30))["type"] == "error"


@pytest.mark.parametrize("prefix", ["/clap", "/kept"])
def test_the_page_below_a_prefix(proxied: str, prefix: str) -> None:
    with browser() as chromium:
        tab = chromium.new_context().new_page()
        asked: list[str] = []
        said: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.goto(f"{proxied}{prefix}/")
        tab.locator(".pill.ready").wait_for()
    assert [line for line in said if "Content Security Policy" in line or "404" in line] == []
    assert f"{proxied}{prefix}/v1/page" in asked
    assert [url for url in asked if not url.startswith((f"{proxied}{prefix}/", "data:", "blob:"))] == []


def test_who_asks_is_whom_the_proxy_names(server: Running, proxied: str) -> None:
    httpx.get(proxied + "/clap/health", headers={"X-Forwarded-For": "192.0.2.7"})
    until = time.monotonic() + 60
    # nginx adds who came to it, which is trusted too: the first that is not is the client; the log is written after the answer
    while '"client": "192.0.2.7"' not in Path(server.log_file.name).read_text(encoding="utf-8"):
        assert time.monotonic() < until
        time.sleep(0.02)


def through(app: Any, client: str, headers: dict[str, str], path: str = "/health") -> dict[str, Any]:
    """The scope that an application gets."""
    seen: dict[str, Any] = {}

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "scheme": "http", "client": (client, 5), "headers": raw}  # fmt: skip
    asyncio.run(app(inner)(scope, None, None))
    return seen


SAID = {
    "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/clap/", "X-Forwarded-Host": "evil.example", "Accept": "*/*",
}  # fmt: skip


def test_what_strangers_say_of_themselves_is_not_believed() -> None:
    def proxied(prefix: str = "") -> Any:
        return lambda inner: ProxyHeaders(inner, proxies=TrustedProxies(["10.0.0.0/8"]), prefix=prefix)

    scope = through(proxied(), "192.0.2.1", SAID)
    assert (scope["client"][0], scope["scheme"], scope.get("root_path", "")) == ("192.0.2.1", "http", "")
    assert scope["headers"] == [(b"accept", b"*/*")]
    scope = through(proxied(), "10.1.2.3", SAID)
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == ("192.0.2.7", "https", "/clap")
    assert (scope["path"], scope["raw_path"]) == ("/clap/health", b"/clap/health")
    assert b"x-forwarded-host" not in dict(scope["headers"])
    for path in ("/clap/health", "/health"):
        assert through(proxied("/clap"), "192.0.2.1", {}, path)["path"] == "/clap/health"
    assert through(proxied(), "10.1.2.3", {"X-Forwarded-Prefix": "//evil.example"}).get("root_path", "") == ""


def test_a_network_may_be_named_by_an_address_in_it() -> None:
    """The prefix was believed, and who asks was not: the proxy itself was counted as the client of all."""
    scope = through(lambda inner: ProxyHeaders(inner, proxies=TrustedProxies(["10.9.8.7/8"])), "10.1.2.3", SAID)
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == ("192.0.2.7", "https", "/clap")


@pytest.mark.parametrize("wrong", ["clap", "//evil.example", "/a b", "/a//b", "https://a"])
def test_prefixes_that_are_none(wrong: str) -> None:
    with pytest.raises(UsageError, match="no path to be served under"):
        check_prefix(wrong)
    with pytest.raises(UsageError):
        ServeSettings(root_path=wrong)


def test_settings_that_are_none() -> None:
    for site in ("front.example", "https://a/b", "*", "https://"):
        with pytest.raises(UsageError, match="no site"):
            ServeSettings(origins=(site,))
    with pytest.raises(UsageError, match="give the address of a proxy"):
        ServeSettings(proxies=("nginx",))
    assert check_prefix("/") == check_prefix("") == ""


# -- methods ------------------------------------------------------------------------------------------


def test_methods(server: Running) -> None:
    """HEAD was 405 and then 404; wrong methods of the service's own routes were the page's, a 404."""
    for path in ("/health", "/ready", "/metrics", "/docs", "/openapi.json", "/v1/models", "/v1/models/mini"):
        told = httpx.head(server.url + path)
        assert (told.status_code, told.content) == (200, b"")
        for method in ("POST", "DELETE", "PUT", "PATCH", "OPTIONS"):
            told = httpx.request(method, server.url + path)
            assert (told.status_code, told.headers["Allow"]) == (405, "GET, HEAD")
            assert told.json()["error"]["code"] == "method_not_allowed"
    for method in ("GET", "HEAD", "DELETE"):
        told = httpx.request(method, server.url + "/v1/embeddings")
        assert (told.status_code, told.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
@pytest.mark.parametrize("path", ["/health", "/", "/v1/embeddings"])
def test_methods_that_no_route_has(server: Running, method: str, path: str) -> None:
    """TRACE gives scripts the headers that they may not see."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Secret: shown\r\n\r\n".encode())
        told = client.recv(1 << 16).decode()
    assert told.startswith("HTTP/1.1 405 ")
    assert "\r\nallow: DELETE, GET, HEAD" in told
    assert "shown" not in told


# -- other sites --------------------------------------------------------------------------------------


def test_a_front_end_of_one_s_own(server: Running) -> None:
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
    told = httpx.options(server.url + "/v1/embeddings", headers=asked)
    assert told.status_code == 200
    assert told.headers["Access-Control-Allow-Origin"] == SITE
    told = httpx.post(server.url + "/v1/embeddings", json={"input": "rain"}, headers={"Origin": SITE})
    assert told.status_code == 200
    assert told.headers["Access-Control-Allow-Origin"] == SITE
    for other in ("https://evil.example", f"{SITE}.evil.example", f"{SITE}:444", "null"):
        told = httpx.post(server.url + "/v1/embeddings", json={"input": "rain"}, headers={"Origin": other})
        assert told.status_code == 403
        assert "Access-Control-Allow-Origin" not in told.headers


# -- headers of every answer --------------------------------------------------------------------------


def checked(headers: Any) -> None:
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert "*" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200), ("GET", "/health", 200), ("GET", "/docs", 200), ("GET", "/redoc", 200), ("GET", "/docs-static/favicon.png", 200),
        ("GET", "/v1/none", 404), ("GET", "/none", 404), ("DELETE", "/health", 405), ("POST", "/v1/match", 400), ("GET", "/app.js", 200),
        ("TRACE", "/", 405),
    ],
)  # fmt: skip
def test_every_answer_says_who_may_frame_it(server: Running, method: str, path: str, status: int) -> None:
    """The page could be shown in a frame of any site, under what that site liked to draw."""
    told = httpx.request(method, server.url + path)
    assert told.status_code == status
    checked(told.headers)


def test_what_is_no_request_is_told_so_too(server: Running) -> None:
    checked(httpx.get(server.url + "/v1/models", headers={"Host": "evil.example"}).headers)
    for sent in (b"nothing\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            client.sendall(sent)
            lines = client.recv(1 << 16).decode().partition("\r\n\r\n")[0].split("\r\n")
        assert lines[0].startswith("HTTP/1.1 400 ")
        checked(httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines[1:])]))


def test_handshakes_that_are_refused(server: Running) -> None:
    url = server.url.replace("http", "ws")
    with pytest.raises(InvalidStatus) as refused:
        connect(url + "/v1/watch", origin=Origin("https://evil.example"))
    assert refused.value.response.status_code == 403
    checked(refused.value.response.headers)
    with pytest.raises(InvalidStatus) as refused:
        connect(url + "/v1/none")
    checked(refused.value.response.headers)
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "no",
    }
    checked(httpx.get(server.url + "/v1/watch", headers=headers).headers)


def test_a_site_that_is_named_may_frame_it() -> None:
    app: Any = make_site(ServeSettings(frames=(SITE,)))

    async def ask() -> httpx.Headers:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.get("/")).headers

    told = asyncio.run(ask())
    assert f"frame-ancestors {SITE}" in told["Content-Security-Policy"]
    assert "X-Frame-Options" not in told  # browsers that know frame-ancestors do not look at it; others would refuse
    assert told["X-Content-Type-Options"] == "nosniff"


def test_whoever_leaves_is_no_error_of_an_application(caplog: pytest.LogCaptureFixture) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise RuntimeError("nobody there")

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def there() -> dict[str, Any]:
        return {"type": "http.request"}

    async def nothing(message: Any) -> None: ...

    def come_of(receive: Any) -> list[int]:
        """The status that is counted, and the level that is logged."""
        scope, seen = {"type": "http", "method": "POST", "path": "/", "headers": []}, []
        asyncio.run(RequestLog(inner, count=lambda _, status, __: seen.append(status))(scope, receive, nothing))
        return [*seen, caplog.records[-2].levelno]

    caplog.set_level("DEBUG", "openclap.serve")
    assert come_of(gone) == [499, logging.DEBUG]
    assert come_of(there) == [500, logging.ERROR]
