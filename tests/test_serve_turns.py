"""One request does not hold the others: what is long is done piece by piece, and no further when its asker has gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import long_wave
from server_for_tests import encoded

from openclap import CLAP
from openclap.language import Translator
from openclap.serve.app import create_app
from openclap.serve.batching import STEP, BatchQueue
from openclap.serve.engine import Engine, Source
from openclap.serve.settings import ServeSettings

# the first long text of a process is told of, whichever test sends it
pytestmark = pytest.mark.filterwarnings("ignore:a text of:openclap.errors.LanguageWarning")

LONG = "远处的狗叫和下雨" * 1024  # 8 192 characters
SOUND = encoded(long_wave(1.0, 16_000))


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture
def engine(clap: CLAP) -> Iterator[Engine]:
    engine = Engine(ServeSettings(patience_seconds=0.0), clap=clap)
    yield engine
    engine.close()


class Held:
    """A call that is noted, and held up until it may go on."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call, self.asked = call, []  # type: ignore[var-annotated]
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, first: Any, **options: Any) -> Any:
        self.asked.append(first)
        self.begun.set()
        assert self.go_on.wait(30)
        return self.call(first, **options)

    async def has_begun(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.begun.wait, 30)


def source(data: bytes = SOUND) -> Source:
    return Source("sound", lambda: data)


# -- texts --------------------------------------------------------------------------------------------


def test_one_text_does_not_wait_for_128(engine: Engine, clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """128 texts of 8 192 Chinese characters took 22 s, and a one-line request waited 21 s."""
    held = Held(clap.encode_text)
    monkeypatch.setattr(clap, "encode_text", held)

    async def ask() -> None:
        many = asyncio.ensure_future(engine.embed_texts([f"{i}{LONG}"[:8192] for i in range(128)]))
        await held.has_begun()
        one = asyncio.ensure_future(engine.embed_texts(["a dog"]))
        labels = asyncio.ensure_future(engine.classify(source(), ["a dog", "rain"], "This is a sound of {}."))
        await asyncio.sleep(0)
        held.go_on.set()
        await asyncio.gather(one, labels)
        assert not many.done()
        rows, _ = await many
        assert rows.shape == (128, clap.config.embedding)

    asyncio.run(ask())
    assert max(sum(len(text) > 100 for text in texts) for texts in held.asked) <= 2
    assert any("a dog" in texts for texts in held.asked[:4])


def test_texts_piece_by_piece_are_texts_at_once(engine: Engine, clap: CLAP) -> None:
    texts = [f"sound number {i} {'of something long ' * (i % 7 * 40)}" for i in range(40)] + ["狗叫"]
    rows, tokens = asyncio.run(engine.embed_texts(texts))
    np.testing.assert_allclose(rows, clap.encode_text(texts), atol=1e-5)
    assert tokens == int(clap.tokenizer(clap.in_english(texts))[1].sum())


def test_what_nobody_waits_for_is_not_read_on(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that hung up was computed for to the end: the server knew of it when it answered."""
    app = create_app(ServeSettings(patience_seconds=0.0), clap=clap)
    held = Held(clap.encode_text)
    monkeypatch.setattr(clap, "encode_text", held)
    body = httpx.Request("POST", "http://x", json={"input": [f"a dog {i}" for i in range(128)]}).read()
    sent: list[Any] = []

    async def ask() -> None:
        left = asyncio.Event()
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if parts:
                return parts.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        scope = {"type": "http", "method": "POST", "path": "/v1/embeddings", "raw_path": b"", "query_string": b"", "headers": headers, "client": ("::1", 1), "scheme": "http", "server": None}  # fmt: skip
        asking = asyncio.ensure_future(app(scope, receive, send))
        await held.has_begun()
        left.set()
        await asking  # at once, though the model is at work

    asyncio.run(ask())
    held.go_on.set()
    app.state.engine.close()
    assert len(held.asked) == 1
    assert sent == []
    limits = app.state.limits
    assert (limits.accepted, limits.answered, limits.requests.taken) == (1, 0, 0)


def test_a_text_is_read_as_far_as_a_tower_reads(clap: CLAP) -> None:
    """Of 8 192 characters that no comma ends, each word looked for its subject in all before it: 0.2 s a text."""
    bridge = Translator()
    assert bridge([LONG]) == bridge([LONG + LONG])
    spread = "狗a" * 4096
    assert len(bridge([spread])[0]) < 8192


# -- sounds -------------------------------------------------------------------------------------------


def test_one_sound_does_not_wait_for_many(engine: Engine, clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sounds of a request stood in the queue of the decoders before anybody else's."""
    order: list[str] = []
    go_on, begun = threading.Event(), threading.Event()

    def read(name: str) -> bytes:
        order.append(name)
        begun.set()
        assert go_on.wait(30)
        return SOUND

    async def ask() -> None:
        many = asyncio.ensure_future(engine.embed_sounds([Source(f"{i}", lambda i=i: read(f"{i}")) for i in range(64)]))  # type: ignore[misc]
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 30)
        one = asyncio.ensure_future(engine.embed_sounds([Source("one", lambda: read("one"))]))
        await asyncio.sleep(0)
        go_on.set()
        await one
        assert not many.done()
        assert len(await many) == 64

    asyncio.run(ask())
    assert order.index("one") < 20


def test_the_next_clips_are_decoded_when_they_are_wanted(engine: Engine, clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """A long sound kept its decoder until its last clip was heard: as many long ones as decoders held everybody up."""
    held = Held(clap.encode_clips)
    monkeypatch.setattr(clap, "encode_clips", held)
    long_ones = [source(encoded(long_wave(590, 4_000), 4_000, "FLAC")) for _ in range(8)]
    read = threading.Event()

    async def ask() -> None:
        many = [asyncio.ensure_future(engine.embed_sounds([one], long="windows")) for one in long_ones]
        await held.has_begun()
        one = asyncio.ensure_future(engine.embed_sounds([Source("one", lambda: read.set() or SOUND)]))  # type: ignore[func-returns-value]
        for _ in range(2000):
            if engine.queues[-1].unfinished > len(long_ones):
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("the short one was not decoded")
        for task in many:
            task.cancel()
        held.go_on.set()
        await one

    asyncio.run(ask())
    assert read.is_set()


# -- lanes --------------------------------------------------------------------------------------------


def test_a_batch_is_as_large_as_can_be_done_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("openclap.serve.batching.time.perf_counter", lambda: now)

    def do(jobs: list[float]) -> list[float]:
        nonlocal now
        now += sum(jobs)
        return jobs

    lane = BatchQueue("test", do, most=64)
    assert lane.room == 64
    lane.ask(STEP, weight=4).result()  # a slow model
    lane.close()
    assert lane.room == 4
    assert lane.unfinished == 0
