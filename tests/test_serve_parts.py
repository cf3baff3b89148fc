"""The parts of the service by themselves: lanes, the engine, and an event loop that never waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import long_wave
from server_for_tests import encoded, uri_of

from openclap import CLAP
from openclap.errors import NotFiniteSound
from openclap.serve.app import create_app
from openclap.serve.batched_embedder import CHUNK
from openclap.serve.batching import BatchQueue
from openclap.serve.engine import Engine, Source
from openclap.serve.settings import ServeSettings, read_keys

KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=30)


# -- lanes --------------------------------------------------------------------------------------------


def test_jobs_that_come_together_are_done_together() -> None:
    held, begun = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def do(jobs: list[int]) -> list[int]:
        batches.append(jobs)
        begun.set()
        held.wait()
        return [-job for job in jobs]

    lane = BatchQueue("test", do, patience=0.0, most=4)
    first = lane.ask(0)
    begun.wait()
    others = [lane.ask(i) for i in range(1, 8)]  # they come while the lane is busy
    assert lane.waiting == 7
    others[0].cancel()
    held.set()
    lane.close()
    assert [first.result(), *(future.result() for future in others[1:])] == [0, -2, -3, -4, -5, -6, -7]
    assert batches == [[0], [2, 3, 4], [5, 6, 7]]
    with pytest.raises(RuntimeError, match="closed"):
        lane.ask(1)


def test_an_error_is_told_to_the_one_whose_it_is() -> None:
    def do(jobs: list[int]) -> list[float]:
        return [1 / job for job in jobs]

    lane = BatchQueue("test", do, patience=0.2, most=3)
    one, none, two = lane.ask(1), lane.ask(0), lane.ask(2)
    assert (one.result(), two.result()) == (1, 0.5)
    with pytest.raises(ZeroDivisionError):
        none.result()
    assert lane.ask(4).result() == 0.25
    lane.close()


# -- the engine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("long", ["auto", "windows"])
def test_many_at_once_get_what_each_would_get_alone(clap: CLAP, long: Any) -> None:
    """Also a recording of more windows than wait for the model at once, and one sound of a request that cannot be used."""
    sizes: dict[str, list[int]] = {"audio": [], "text": []}
    engine = Engine(ServeSettings(patience_seconds=0.02), clap=clap, seen=lambda lane, size: sizes[lane].append(size))
    sounds = [encoded(long_wave(1 + i, 8_000, seed=i), 8_000) for i in range(12)]
    sounds.append(encoded(long_wave(5 * (2 * CHUNK + 3), 8_000), 8_000))
    bad = encoded(np.full(100, np.nan), 8_000, subtype="FLOAT")
    sources = [Source(f"sound {i}", partial(bytes, data)) for i, data in enumerate(sounds)]

    async def ask() -> tuple[list[Any], list[Any], Any]:
        heard = asyncio.gather(*(engine.embed_sounds([source], long=long) for source in sources))
        said = asyncio.gather(*(engine.embed_texts([f"dog {i}", "rain"]) for i in range(20)))
        spoilt = asyncio.gather(engine.embed_sounds([sources[0], Source("bad", lambda: bad)]), return_exceptions=True)
        return await heard, await said, (await spoilt)[0]

    heard, said, spoilt = asyncio.run(ask())
    engine.close()
    np.testing.assert_allclose(np.concatenate(heard), clap.encode_audio(sounds, long=long), atol=1e-5)
    for i, (rows, tokens) in enumerate(said):
        np.testing.assert_allclose(rows, clap.encode_text([f"dog {i}", "rain"]), atol=1e-5)
        assert tokens == int(clap.tokenizer([f"dog {i}", "rain"])[1].sum())
    assert isinstance(spoilt, NotFiniteSound)
    assert spoilt.name == "bad"
    assert max(sizes["text"]) > 2
    assert max(sizes["audio"]) > 1
    assert sum(sizes["text"]) == 40


@pytest.mark.parametrize("step", ["clips", "encode_clips", "encode_text", "in_english"])
def test_the_event_loop_never_waits(clap: CLAP, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is computed or decoded waits here until another request was answered meanwhile."""
    app = create_app(ServeSettings(), clap=clap)
    begun, go_on = threading.Event(), threading.Event()
    does: Callable[..., Any] = getattr(clap, step)

    def slow(*args: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(20)
        return does(*args, **options)

    monkeypatch.setattr(clap, step, slow)

    async def ask() -> tuple[int, int]:
        async with asking(app) as client:
            body = {"audio": uri_of(encoded(long_wave(1, 8_000), 8_000)), "labels": ["a dog", "rain"]}
            answer = asyncio.create_task(client.post("/v1/classify", json=body))
            while not begun.is_set():
                await asyncio.sleep(0.001)
            meanwhile = (await client.get("/health")).status_code
            go_on.set()
            return meanwhile, (await answer).status_code

    clap._text._prompts._known.clear()
    assert asyncio.run(ask()) == (200, 200)
    app.state.engine.close()


def test_a_request_that_takes_too_long(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """504, and its sound is not decoded on."""
    app = create_app(ServeSettings(request_seconds=0.3), clap=clap)
    decoded: list[int] = []
    from openclap.audio import decode

    blocks = decode.decode_blocks

    def slow(*args: Any) -> Iterator[Any]:
        for block in blocks(*args):
            decoded.append(1)
            time.sleep(0.2)
            yield block

    monkeypatch.setattr(decode, "decode_blocks", slow)

    async def ask() -> httpx.Response:
        async with asking(app) as client:
            uri = uri_of(encoded(long_wave(590, 4_000), 4_000, "FLAC"))
            return await client.post("/v1/embeddings", json={"input": uri})

    answer = asyncio.run(ask())
    assert answer.status_code == 504
    assert answer.headers["Retry-After"] == "1"
    assert "took longer than 0.3 s" in answer.json()["error"]["message"]
    app.state.engine.close()
    assert len(decoded) < 10  # of 20
    limits = app.state.limits
    assert (limits.accepted, limits.answered, limits.requests.taken, limits.memory.taken) == (1, 1, 0, 0)


def test_what_nobody_expected_is_told_to_the_log_alone(
    clap: CLAP, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(ServeSettings(), clap=clap)

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a secret of /home/alice")

    monkeypatch.setattr(clap, "encode_text", broken)

    async def ask() -> httpx.Response:
        async with asking(app) as client:
            return await client.post("/v1/embeddings", json={"input": "a dog"})

    answer = asyncio.run(ask())
    app.state.engine.close()
    assert answer.status_code == 500
    assert "inside the server" in answer.json()["error"]["message"]
    assert "secret" not in answer.text
    assert "a secret of /home/alice" in caplog.text


def test_a_page_is_mounted_behind_the_door(clap: CLAP) -> None:
    def page(app: Any) -> None:
        @app.get("/")  # type: ignore[untyped-decorator]
        async def hello() -> dict[str, Any]:
            (row,), _ = await app.state.engine.embed_texts(["a dog"])
            return {"numbers": len(row), "model": app.state.settings.model}

    app = create_app(ServeSettings(keys=(KEY,)), page=page, clap=clap)

    async def ask() -> tuple[int, Any]:
        async with asking(app) as client:
            closed = await client.get("/")
            return closed.status_code, (await client.get("/", auth=("", KEY))).json()

    assert asyncio.run(ask()) == (401, {"numbers": 512, "model": "mini"})
    app.state.engine.close()


def test_keys(clap: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "openclap.serve")
    other = "another-key-of-the-environment"
    (tmp_path / "keys").write_text(f"# of the house\n{KEY}\n", encoding="utf-8")
    monkeypatch.setenv("OPENCLAP_KEYS", f"{other}, ")
    app = create_app(ServeSettings(host="0.0.0.0", keys=read_keys(tmp_path / "keys")), clap=clap)
    given = (None, KEY, "Bearer", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Basic %", f"Basic {KEY}", "Bearer \xff")

    async def ask() -> None:
        async with asking(app) as client:
            for path in ("/v1/models", "/metrics", "/docs", "/openapi.json", "/nothing"):
                for value in given:
                    raw = [] if value is None else [(b"authorization", value.encode("latin-1"))]
                    answer = await client.get(path, headers=raw)
                    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
                    assert KEY not in answer.text
            for key in (KEY, other):
                assert (await client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code == 200
                assert (await client.get("/docs", auth=("anyone", key))).status_code == 200
            refused = await client.post("/v1/embeddings", json={"input": "a"})
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert (await client.get("/docs")).headers["WWW-Authenticate"].startswith("Basic")
            assert (await client.get("/health")).status_code == (await client.get("/ready")).status_code == 200
            # with a key, whatever name the server goes by is right
            open_to_all = {"Authorization": f"Bearer {KEY}", "Host": "sounds.example"}
            assert (await client.get("/v1/models", headers=open_to_all)).status_code == 200

    asyncio.run(ask())
    app.state.engine.close()
    assert KEY not in caplog.text
