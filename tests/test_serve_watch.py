"""The websocket: events as `watch` tells them, faults in a sentence, room that ends, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import httpx
import numpy as np
import pytest
from server_for_tests import Running, encoded, running
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from openclap import CLAP
from openclap.confidence import reference_bank
from openclap.detector import Detector
from openclap.errors import DetectorError
from openclap.serve.app import create_app
from openclap.serve.engine import Engine
from openclap.serve.settings import ServeSettings
from openclap.serve.stream_buffer import StreamBuffer
from openclap.synth import synthesise
from openclap.teach import fit
from openclap.watch import watch
from openclap.watch.sources import PipeSource

RATE = 16_000
KEY = "a-key-that-is-long-enough"
ALERTS = ["a siren", "a dog barking"]
SIRENS = (45, 70)


@lru_cache
def rainy(seconds: int = 90, sirens: tuple[int, ...] = SIRENS) -> np.ndarray:
    """Quiet rain, with a siren now and then."""
    rng = np.random.default_rng(3)
    wave = synthesise("rain", rng, rate=RATE, seconds=float(seconds))[0]
    wave *= np.float32(0.02 / wave.std())
    for place in sirens:
        siren = synthesise("siren", rng, rate=RATE, seconds=4.0)[0]
        wave[place * RATE : place * RATE + len(siren)] += np.float32(0.15 / siren.std()) * siren
    return np.clip(wave, -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def taught(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of sirens, in a file."""
    sirens = [(synthesise("siren", np.random.default_rng(seed), rate=RATE, seconds=4.0)[0], RATE) for seed in range(3)]
    detector = fit(clap, "our siren", clap.encode_audio(sirens), text="a siren", judged=False)
    return detector.save(tmp_path_factory.mktemp("detectors") / "s.safetensors")


@pytest.fixture(scope="module")
def server(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    options = ("--no-page", "--detector", str(taught))
    settings = {"sockets": 3, "idle_seconds": 30, "items": 4}
    with running(tmp_path_factory.mktemp("sockets"), *options, settings=settings) as server:
        yield server
        assert httpx.post(server.url + "/v1/embeddings", json={"input": "still here"}).status_code == 200
        assert server.stop() == 0
        assert not any("traceback" in line for line in server.log), "something was not expected"


def address(server: Running) -> str:
    return server.url.replace("http", "ws", 1) + "/v1/watch"


@contextmanager
def opened(server: Running, **settings: Any) -> Iterator[ClientConnection]:
    """A socket that has sent its settings."""
    with connect(address(server), proxy=None, close_timeout=1) as socket:
        socket.send(json.dumps({"rate": RATE, **settings}))
        yield socket


def heard(socket: ClientConnection, samples: bytes, *, piece: int = 8000) -> list[dict[str, Any]]:
    """Send samples and the end, and give all that is told until the socket is closed."""

    def send() -> None:
        for at in range(0, len(samples), piece):
            socket.send(samples[at : at + piece])
        socket.send('{"type": "end"}')

    thread = threading.Thread(target=send)
    thread.start()
    told = [json.loads(message) for message in socket]
    thread.join()
    return told


def alike(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what differs from run to run."""
    return {name: value for name, value in event.items() if name not in ("type", "id", "source")}


# -- what it tells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "channels"), [("s16le", 1), ("f32le", 2)])
def test_events_are_those_of_watch(server: Running, clap: CLAP, format: str, channels: int) -> None:
    wave = rainy()
    dtype = np.dtype({"s16le": "<i2", "f32le": "<f4"}[format])
    scaled = wave * 32767 if dtype.kind == "i" else wave
    samples = np.repeat(scaled.astype(dtype), channels).tobytes()
    options: dict[str, Any] = {"unusual": True, "when": "both", "hop": 0.5}
    source = PipeSource(io.BytesIO(samples), rate=RATE, channels=channels, format=format)
    right = [event.to_dict() for event in watch(source, ALERTS, model=clap, **options)]
    with opened(server, alerts=ALERTS, format=format, channels=channels, name="street", **options) as socket:
        ready, *events, report = heard(socket, samples)
    assert (ready["type"], ready["model"], ready["latency"]) == ("ready", "mini", 2.5)
    assert {event["type"] for event in events} == {"event"}
    assert [alike(event) for event in events] == [pytest.approx(alike(event), abs=2e-3) for event in right]
    sirens = [event for event in events if event["alert"] == "a siren" and event["state"] == "ended"]
    assert len(sirens) == len(SIRENS)
    for event, place in zip(sirens, SIRENS, strict=True):
        assert place - 2 <= event["start"] <= event["peak"] <= event["end"] <= place + 7
    assert all(event["source"] == "street" for event in events)
    assert report["type"] == "report"
    assert report["heard"] == pytest.approx(90, abs=0.01)
    assert report["events"] * 2 == len(events)
    assert socket.close_code == 1000


def test_windows_are_told_as_watch_judges_them(server: Running, clap: CLAP) -> None:
    """A client that draws what is heard needs every confidence, not events alone."""
    samples = (rainy(30, (20,)) * 32767).astype("<i2").tobytes()
    judged: list[tuple[float, float, list[float]]] = []
    source = PipeSource(io.BytesIO(samples), rate=RATE)
    keep = lambda start, end, confidences: judged.append((start, end, confidences.tolist()))
    list(watch(source, ALERTS, model=clap, warmup=5, unusual=True, judged=keep))
    with opened(server, alerts=ALERTS, warmup=5, unusual=True, windows=True) as socket:
        ready, *told, _ = heard(socket, samples)
    assert ready["alerts"] == [*ALERTS, "unusual"]
    assert ready["unknown"] == []
    windows = [one for one in told if one["type"] == "window"]
    assert len(windows) == len(judged) > 20
    for window, (start, end, confidences) in zip(windows, judged, strict=True):
        assert (window["start"], window["end"]) == pytest.approx((start, end), abs=1e-3)
        assert window["confidences"] == pytest.approx(confidences, abs=2e-3)


def test_a_recording_that_was_uploaded_is_watched(server: Running, clap: CLAP) -> None:
    wave = rainy(30, (20,))
    with httpx.Client(base_url=server.url) as client:
        made = client.post("/v1/recordings?name=yard.flac", content=encoded(wave, RATE))
    source = PipeSource(io.BytesIO((wave * 32767).astype("<i2").tobytes()), rate=RATE)
    right = list(watch(source, ALERTS, model=clap, warmup=5))
    with connect(address(server), proxy=None) as socket:
        socket.send(json.dumps({"alerts": ALERTS, "warmup": 5, "recording": made.json()["id"]}))
        ready, *events, report = _all(socket)
    assert ready["type"] == "ready"
    assert [event["alert"] for event in events] == [event.alert for event in right] == ["a siren"]
    assert events[0]["start"] == pytest.approx(right[0].start, abs=0.5)
    assert events[0]["source"] == "yard.flac"
    assert report["heard"] == pytest.approx(30, abs=0.01)
    assert socket.close_code == 1000


def test_words_that_the_model_does_not_know_are_told_at_once(server: Running) -> None:
    with opened(server, alerts=["a sirren"]) as socket:
        ready, *_ = heard(socket, b"")
    assert [one["word"] for one in ready["unknown"]] == ["sirren"]


def test_what_was_taught_is_listened_for(server: Running, clap: CLAP, taught: Path) -> None:
    samples = (rainy() * 32767).astype("<i2").tobytes()
    source = PipeSource(io.BytesIO(samples), rate=RATE)
    right = [event.to_dict() for event in watch(source, [Detector.load(taught)], model=clap)]
    with opened(server, detectors=["our siren"]) as socket:
        _, *events, report = heard(socket, samples)
    assert [alike(event) for event in events] == [pytest.approx(alike(event), abs=2e-3) for event in right]
    assert [event["alert"] for event in events] == ["our siren"] * len(SIRENS)
    assert report["events"] == len(SIRENS)


@pytest.mark.parametrize(
    ("broken", "why"), [(b"no detector", "cannot be read as a detector"), (None, "no such file"), (0, "was taught on")]
)
def test_a_detector_that_cannot_be_used_is_told_at_the_start(
    clap: CLAP, taught: Path, tmp_path: Path, broken: bytes | int | None, why: str
) -> None:
    place = tmp_path / "x.safetensors"
    if isinstance(broken, bytes):
        place.write_bytes(broken)
    elif broken is not None:
        replace(Detector.load(taught), fingerprint="0" * 16).save(place)
    with pytest.raises(DetectorError, match=why):
        Engine(ServeSettings(detectors=(str(place),)), clap=clap)


def test_metrics_and_logs_count_sockets(server: Running) -> None:
    def metrics() -> str:
        return httpx.get(server.url + "/metrics").text

    until(metrics, "openclap_sockets 0.0")  # a socket of an earlier test may still be closing
    with opened(server, alerts=["a siren"], warmup=0) as socket:
        assert json.loads(socket.recv())["type"] == "ready"
        assert "openclap_sockets 1.0" in metrics()
        told = heard(socket, (rainy(20, (10,)) * 32767).astype("<i2").tobytes())
    assert told[0]["alert"] == "a siren"
    until(metrics, "openclap_sockets 0.0")
    counted = until(metrics, 'openclap_requests_total{route="/v1/watch",status="1000"}')  # counted and logged after it
    assert "openclap_events_total 0.0" not in counted

    def log() -> str:
        server.log_file.seek(0)
        return "".join(line for line in server.log_file if "WEBSOCKET" in line)

    lines = until(log, '"status": 1000').splitlines()
    assert json.loads(lines[-1]).items() >= {"route": "/v1/watch", "status": 1000}.items()
    assert not any("siren" in line for line in lines)


def until(ask: Any, says: str, seconds: float = 20.0) -> str:
    end = time.monotonic() + seconds
    while says not in (told := ask()):
        assert time.monotonic() < end, told
        time.sleep(0.02)
    return str(told)


# -- what it refuses ----------------------------------------------------------------------------------

GOOD = {"alerts": ["a dog"], "rate": RATE}


@pytest.mark.parametrize(
    ("messages", "code", "says"),
    [
        ([b"\0\0"], 1003, "samples came before the settings"),
        (["{"], 1007, "the body is no JSON"),
        (["[]"], 1008, "the body"),
        (["[" * 50_000], 1007, "the body is no JSON"),
        ([{"alerts": ["a dog"]}], 1008, "rate: field required"),
        ([{"rate": RATE}], 1008, 'nothing to listen for; give alerts, as ["glass breaking"], or "unusual": true'),
        ([{**GOOD, "alerts": []}], 1008, "nothing to listen for"),
        ([{**GOOD, "alerts": [" "]}], 1008, "an alert is empty"),
        ([{**GOOD, "alerts": "a dog"}], 1008, "alerts: "),
        ([{**GOOD, "alerts": ["a", "b", "c", "d", "e"]}], 1008, "at most 4 are watched for"),
        ([{**GOOD, "alerts": ["a" * 9000]}], 1008, "more than 8192 characters"),
        ([{**GOOD, "detectors": ["our siren"] * 4}], 1008, "at most 4 are watched for"),
        ([{**GOOD, "detectors": ["s.safetensors"]}], 1008, "no detector 's.safetensors'; choose our siren"),
        ([{**GOOD, "model": "other"}], 1008, "this server answers with mini"),
        ([{**GOOD, "recording": "x"}], 1008, "a recording has its own"),
        ([{"alerts": ["a dog"], "recording": "x"}], 1008, "there is no such recording"),
        ([{**GOOD, "rate": 1}], 1008, "rate is 1"),
        ([{**GOOD, "rate": "NaN"}], 1008, "rate: "),
        ([{**GOOD, "format": "mp3"}], 1008, "format is 'mp3'"),
        ([{**GOOD, "channels": 65}], 1008, "channels is 65"),
        ([{**GOOD, "window": 11}], 1008, "window is 11.0 s"),
        ([{**GOOD, "hop": 0.001}], 1008, "hop 0.001 s"),
        ([{**GOOD, "on": 2}], 1008, "on is 2.0"),
        ([{**GOOD, "when": "now"}], 1008, "when: "),
        ([{**GOOD, "longest": 1e9}], 1008, "longest: "),
        ([{**GOOD, "source": "/etc/passwd"}], 1008, "source: there is no such field"),
        ([{**GOOD, "source": "rtsp://camera/"}], 1008, "source: there is no such field"),
        ([{**GOOD, "clips": "clips"}], 1008, "clips: there is no such field"),
        ([{**GOOD, "webhook": "http://localhost"}], 1008, "webhook: there is no such field"),
        ([{**GOOD, "command": "true"}], 1008, "command: there is no such field"),
        ([GOOD, b"\0\0\0"], 1007, "3 bytes is no whole number of frames of 2 bytes"),
        ([{**GOOD, "channels": 3, "format": "f32le"}, b"\0" * 16], 1007, "frames of 12 bytes"),
        ([GOOD, "end"], 1007, "no JSON"),
        ([GOOD, "[" * 900], 1007, "no JSON"),
        ([GOOD, {"type": "start"}], 1008, "only samples are taken"),
        ([GOOD, GOOD], 1008, "only samples are taken"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_wrong_use_is_one_sentence_and_a_code(server: Running, messages: list[Any], code: int, says: str) -> None:
    with connect(address(server), proxy=None) as socket:
        for message in messages:
            socket.send(json.dumps(message) if isinstance(message, dict) else message)
        told = _all(socket)
    assert told[-1]["type"] == "error"
    assert says in told[-1]["error"]
    assert "\n" not in told[-1]["error"]
    assert [one["type"] for one in told[:-1]] in ([], ["ready"])
    assert socket.close_code == code


def _all(socket: ClientConnection) -> list[dict[str, Any]]:
    """Every message until the socket is closed, with whatever code."""
    told = []
    try:
        while True:
            told.append(json.loads(socket.recv(timeout=120)))
    except ConnectionClosed:
        return told


def test_a_message_that_is_too_large(server: Running) -> None:
    with opened(server, alerts=["a dog"]) as socket:
        assert json.loads(socket.recv())["type"] == "ready"
        socket.send(bytes((1 << 20) + 2))
        assert _all(socket) == []
    assert socket.close_code == 1009


def test_more_sockets_than_may_be(server: Running) -> None:
    """429 in place of a handshake; when one is closed, another may come."""
    until(lambda: httpx.get(server.url + "/metrics").text, "openclap_sockets 0.0")
    with ExitStack() as stack:
        held = [stack.enter_context(opened(server, alerts=["a dog"])) for _ in range(3)]
        for socket in held:
            assert json.loads(socket.recv())["type"] == "ready"
        with pytest.raises(InvalidStatus) as refused, connect(address(server), proxy=None):
            pass
        plain = httpx.get(server.url + "/v1/watch")  # a browser does not show why a handshake was refused
        held[0].socket.shutdown(SHUT_RDWR)  # gone without a word
        until(lambda: httpx.get(server.url + "/metrics").text, "openclap_sockets 2.0")
        with opened(server, alerts=["a dog"]) as socket:
            assert json.loads(socket.recv())["type"] == "ready"
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "5"
    assert "3 websockets open" in json.loads(refused.value.response.body)["error"]["message"]
    assert (plain.status_code, plain.content) == (429, refused.value.response.body)
    until(lambda: httpx.get(server.url + "/metrics").text, "openclap_sockets 0.0")


@pytest.mark.parametrize(
    ("headers", "status"), [({"Origin": "https://evil.example"}, 403), ({"Host": "evil.example"}, 403)]
)
def test_other_sites_and_names_are_refused(server: Running, headers: dict[str, str], status: int) -> None:
    with httpx.Client(base_url=server.url) as client:
        upgrade = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        answer = client.get("/v1/watch", headers={**upgrade, **headers})
        assert answer.status_code == status
        assert answer.json()["error"]["code"] in ("wrong_origin", "wrong_host")
        assert client.get("/v1/match", headers=upgrade).status_code in (403, 404)
        plain = client.get("/v1/watch")
        assert plain.status_code == 426
        assert plain.headers["Upgrade"] == "websocket"
        assert "ws://" in plain.json()["error"]["message"]


def test_a_key_is_asked_for_and_a_signal_ends_what_has_begun(tmp_path: Path) -> None:
    """On SIGTERM: what was sent is heard, what has begun is told as ended, report, 1001, exit code 0."""
    samples = (rainy()[: 49 * RATE] * 32767).astype("<i2").tobytes()
    with running(tmp_path, "--no-page", OPENCLAP_KEYS=KEY) as server:
        for headers in (None, {"Authorization": "Bearer wrong"}):
            with (
                pytest.raises(InvalidStatus) as refused,
                connect(address(server), proxy=None, additional_headers=headers),
            ):
                pass
            assert refused.value.response.status_code == 401
            assert "a key is needed" in json.loads(refused.value.response.body)["error"]["message"]
        known = {"Authorization": f"Bearer {KEY}"}
        with (
            connect(address(server), proxy=None, additional_headers=known) as idle,
            connect(address(server), proxy=None, additional_headers=known) as socket,
        ):
            socket.send(json.dumps({"alerts": ["a siren"], "rate": RATE, "when": "both"}))
            for at in range(0, len(samples), 1 << 16):
                socket.send(samples[at : at + (1 << 16)])
            assert json.loads(socket.recv())["type"] == "ready"
            assert json.loads(socket.recv())["state"] == "began"
            assert server.stop() == 0
            *_, ended, report = _all(socket)
            assert (ended["alert"], ended["state"]) == ("a siren", "ended")
            assert report["type"] == "report"
            assert report["heard"] == pytest.approx(49, abs=0.01)
            assert socket.close_code == 1001
            assert "going down" in _all(idle)[-1]["error"]
            assert idle.close_code == 1001
        assert not any("traceback" in line for line in server.log)


# -- bounded, and fair --------------------------------------------------------------------------------


def test_a_feed_holds_so_much_and_keeps_the_order() -> None:
    async def fill() -> tuple[int, bytes]:
        feed = StreamBuffer(10)
        taken = 0

        async def put() -> None:
            nonlocal taken
            for i in range(100):
                await feed.put(bytes([i] * 4))
                taken += 1
            feed.end()
            await feed.put(b"too late")

        putting = asyncio.create_task(put())
        for _ in range(50):  # whoever could go on would
            await asyncio.sleep(0)
        before = taken
        got = b""
        while piece := await asyncio.to_thread(feed.read1, 3):
            assert len(piece) <= 3
            got += piece
        await putting
        return before, got

    before, got = asyncio.run(fill())
    assert before == 2
    assert got == b"".join(bytes([i] * 4) for i in range(100))


class Wire:
    """The other end of a websocket, without a network: it counts what the server has taken."""

    def __init__(self, app: Any) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "websocket", "path": "/v1/watch", "raw_path": b"/v1/watch", "root_path": "", "query_string": b"", "scheme": "ws",
            "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "subprotocols": [],
        }  # fmt: skip
        self.sent.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self.sent.get, self.told.put))

    def send(self, message: dict[str, Any] | bytes) -> None:
        one = {"bytes": message} if isinstance(message, bytes) else {"text": json.dumps(message)}
        self.sent.put_nowait({"type": "websocket.receive", **one})

    async def next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.told.get(), 120)
        return json.loads(message["text"]) if "text" in message else message


def test_a_client_that_is_faster_than_the_model_waits(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that stands still: a few messages are taken, the others wait at the client's, and nothing of them is lost."""
    app = create_app(ServeSettings(message_bytes=1 << 16), clap=clap)
    reference_bank(clap)  # made now: a socket that makes it would stand still before it is ready
    go_on, does = threading.Event(), clap.encode_clips

    def slow(clips: Any) -> Any:
        assert go_on.wait(20)
        return does(clips)

    monkeypatch.setattr(clap, "encode_clips", slow)
    second = np.random.default_rng(0).integers(-3000, 3000, RATE, dtype="<i2").tobytes()  # in silence no model is asked

    async def ask() -> tuple[int, dict[str, Any], dict[str, Any]]:
        wire = Wire(app)
        assert (await wire.next())["type"] == "websocket.accept"
        wire.send({"alerts": ["a dog"], "rate": RATE})
        assert (await wire.next())["type"] == "ready"
        for _ in range(200):
            wire.send(second)
        wire.send({"type": "end"})
        left = -1
        while wire.sent.qsize() != left:  # until nothing more is taken
            left = wire.sent.qsize()
            await asyncio.sleep(0.2)
        go_on.set()
        report = await wire.next()
        while report["type"] != "report":
            report = await wire.next()
        return left, report, await wire.next()

    left, report, closed = asyncio.run(ask())
    app.state.engine.close()
    # 15 s in the queue, two seconds in the feed, one on its way, and the windows that are made ahead: one or two chunks of
    # eight, by how much had come when the first was made. Without waiting, none would be left.
    assert left > 120
    assert report["heard"] == pytest.approx(200, abs=0.01)
    assert report["windows"] == 199
    assert (closed["type"], closed["code"]) == ("websocket.close", 1000)


def test_requests_and_sockets_take_turns(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """While minutes are sent at once, a request waits for a few clips and not for all of them."""
    app = create_app(ServeSettings(), clap=clap)
    asked: list[int] = []
    does = clap.encode_clips

    def counted(clips: Any) -> Any:
        asked.append(len(clips))
        return does(clips)

    monkeypatch.setattr(clap, "encode_clips", counted)

    async def ask() -> tuple[int, int]:
        wire = Wire(app)
        wire.send({"alerts": ["a dog"], "rate": 8000, "window": 2, "hop": 1})
        minute = (np.random.default_rng(0).standard_normal(60 * 8000) * 1000).astype("<i2").tobytes()
        for _ in range(5):
            wire.send(minute)
        while not asked:
            await asyncio.sleep(0.001)
        from server_for_tests import encoded, uri_of

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=120) as client:
            before = len(asked)
            uri = uri_of(encoded(np.ones(8000, np.float32) * 0.1, 8000))
            assert (await client.post("/v1/embeddings", json={"input": uri})).status_code == 200
            after = len(asked)
        wire.sent.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(wire.task, 120)
        return before, after

    before, after = asyncio.run(ask())
    app.state.engine.close()
    assert max(asked) <= 16
    assert after - before <= 6


@pytest.mark.parametrize("messages", [[], [GOOD], [GOOD, b"\0" * 64]])
def test_a_client_that_says_nothing_is_left(clap: CLAP, messages: list[Any]) -> None:
    app = create_app(ServeSettings(idle_seconds=0.4), clap=clap)

    async def wait() -> tuple[dict[str, Any], dict[str, Any]]:
        wire = Wire(app)
        for message in messages:
            wire.send(message)
        told = [await wire.next()]
        while told[-1]["type"] != "websocket.close":
            told.append(await wire.next())
        await wire.task
        return told[-2], told[-1]

    error, closed = asyncio.run(wait())
    app.state.engine.close()
    assert error["type"] == "error"
    assert error["error"].startswith("nothing came for 0.4 s")
    assert closed["code"] == 1008


def test_a_server_that_goes_down_takes_no_socket(clap: CLAP) -> None:
    app = create_app(ServeSettings(), clap=clap)
    app.state.draining = True

    async def come() -> dict[str, Any]:
        wire = Wire(app)
        await wire.task
        return await wire.next()

    closed = asyncio.run(come())
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    app.state.engine.close()


def test_a_client_that_leaves_is_not_listened_to(clap: CLAP) -> None:
    app = create_app(ServeSettings(), clap=clap)

    async def leave() -> None:
        wire = Wire(app)
        wire.send({"alerts": ["a dog"], "rate": RATE, "unusual": True})
        for _ in range(50):
            wire.send(bytes(2 * RATE))
        wire.sent.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(wire.task, 120)

    asyncio.run(leave())
    app.state.engine.close()
    assert app.state.sockets._open == set()
    assert app.state.limits.sockets.taken == 0
    until(lambda: str([thread.name for thread in threading.enumerate() if thread.name == "openclap-source"]), "[]")
