"""The service with its page: what is answered before the model is there, and another model."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from openclap import CLAP
from openclap.errors import UnknownModel
from openclap.serve import site
from openclap.serve.engine import Engine
from openclap.serve.settings import ServeSettings
from openclap.serve.site import create_site

INDEX = '<!doctype html><script type="module" src="app.js"></script>'


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front") / "static"
    (folder / "fonts").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "app.js").write_text("export {}")
    (folder / "fonts" / "a.woff2").write_bytes(b"font")
    (folder / "notes.py").write_text("secret = 1")
    (folder.parent / "secret.js").write_text("secret")
    return folder


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


def test_the_front_end_is_answered_before_the_model_is_there(
    clap: CLAP, static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page waited for gradio, and for the model, before its first byte."""
    go_on, load = threading.Event(), Engine

    def slow(*args: Any, **options: Any) -> Any:
        assert go_on.wait(20)
        return load(*args, **{**options, "clap": clap})

    monkeypatch.setattr(site, "Engine", slow)
    app = create_site(ServeSettings(), static)

    async def ask() -> None:
        async with asking(app) as client:
            page = await client.get("/")
            assert (page.text, page.headers["content-type"]) == (INDEX, "text/html; charset=utf-8")
            assert (await client.get("/v1/page")).json()["model"] == {"name": "mini", "state": "loading"}
            assert (await client.get("/ready")).json() == {"status": "loading"}
            assert (await client.get("/health")).status_code == 200
            waiting = asyncio.create_task(client.post("/v1/embeddings", json={"input": "rain"}))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            go_on.set()
            assert (await waiting).status_code == 200
            assert (await client.get("/v1/page")).json()["model"] == {"name": "mini", "state": "ready"}
            assert (await client.get("/ready")).status_code == 200

    asyncio.run(ask())


def test_static_files(clap: CLAP, static: Path) -> None:
    app = create_site(ServeSettings(root_path="/clap"), static, clap=clap)

    async def ask() -> None:
        async with asking(app) as client:
            script = await client.get("/clap/app.js")
            policy = script.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert script.headers["content-type"].startswith("text/javascript")
            assert script.headers["cache-control"] == "no-cache"
            known = {"If-None-Match": script.headers["etag"]}
            assert (await client.get("/app.js", headers=known)).status_code == 304
            assert (await client.get("/app.js", headers={"If-None-Match": '"else"'})).status_code == 200
            assert (await client.head("/")).headers["content-length"] == str(len(INDEX))
            assert (await client.get("/fonts/a.woff2")).headers["content-type"] == "font/woff2"
            for path in (
                "/notes.py",
                "/fonts",
                "/../secret.js",
                "/%2e%2e/secret.js",
                "/fonts/..%2f..%2fsecret.js",
                "/none",
            ):
                assert (await client.get(path)).status_code == 404, path
            assert (await client.post("/app.js")).status_code == 404
            assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403

    asyncio.run(ask())


def test_another_model_takes_the_place_of_the_first(clap: CLAP, static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one answers until the other is there, and what cannot be loaded changes nothing."""
    go_on = threading.Event()
    closed: list[str] = []

    def load(settings: ServeSettings, **options: Any) -> Any:
        if settings.model == "broken":
            raise UnknownModel("'broken' is not a model")
        if settings.model == "mini-3":
            assert go_on.wait(20)
        made = Engine(settings, **{**options, "clap": clap})
        close = made.close

        def closing() -> None:
            closed.append(settings.model)
            close()

        monkeypatch.setattr(made, "close", closing)
        return made

    monkeypatch.setattr(site, "Engine", load)
    settings = ServeSettings(manage=True, models=("mini-3", "broken"), aliases=("*",))
    app = create_site(settings, static, clap=clap)

    async def ask() -> None:
        async with asking(app) as client:
            told = (await client.get("/v1/page")).json()
            assert told["models"] == ["mini", "mini-3", "broken"]
            for wrong, status in (("broken", 400), ("laion/clap-htsat-fused", 403), ("/etc/passwd", 403), ("", 400)):
                assert (await client.post("/v1/page/model", json={"name": wrong})).status_code == status
            loading = asyncio.create_task(client.post("/v1/page/model", json={"name": "mini-3"}))
            while (told := (await client.get("/v1/page")).json()["model"])["state"] != "loading":
                await asyncio.sleep(0.01)
            assert told == {"name": "mini-3", "state": "loading"}
            assert (await client.post("/v1/page/model", json={"name": "mini"})).status_code == 409
            answer = await client.post("/v1/embeddings", json={"input": "rain"})
            assert answer.json()["model"] == "mini"
            go_on.set()
            assert (await loading).json()["model"] == {"name": "mini-3", "state": "ready"}
            assert (await client.post("/v1/embeddings", json={"input": "rain"})).json()["model"] == "mini-3"
            while not closed:
                await asyncio.sleep(0.01)
            assert closed == ["mini"]
        assert closed == ["mini", "mini-3"]

    asyncio.run(ask())


def test_strangers_load_no_model(clap: CLAP, static: Path) -> None:
    app = create_site(ServeSettings(models=("mini-3",)), static, clap=clap)

    async def ask() -> None:
        async with asking(app) as client:
            assert (await client.get("/v1/page")).json()["models"] == []
            refused = await client.post("/v1/page/model", json={"name": "mini-3"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")

    asyncio.run(ask())


def test_a_model_that_cannot_be_loaded_is_told_to_who_needs_it(static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise UnknownModel("'mini' is not a model")

    monkeypatch.setattr(site, "Engine", load)
    app = create_site(ServeSettings(), static)

    async def ask() -> None:
        async with asking(app) as client:
            answer = await client.post("/v1/embeddings", json={"input": "rain"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_model")
            told = (await client.get("/v1/page")).json()["model"]
            assert (told["state"], told["error"]) == ("none", "'mini' is not a model")
            assert (await client.get("/")).status_code == 200

    asyncio.run(ask())


def test_the_page_needs_no_gradio() -> None:
    """Importing it takes longer than all else together, and the page is no longer made of it."""
    code = "import sys; sys.modules['gradio'] = None; import openclap.cli.serve, openclap.serve.site"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_openclap_ui_serves_this_machine_until_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openclap", "ui", "--no-browser", "--json", "--root", str(tmp_path), "--library", str(tmp_path / "library")]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, running.stderr.read() if running.stderr else ""
        url = json.loads(line)["url"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.status == 200
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 0, told
    assert "Traceback" not in told
