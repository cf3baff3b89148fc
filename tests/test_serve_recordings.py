"""Recordings of the service: uploaded once, drawn, played from anywhere, asked about again at once, stopped, forgotten."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from fastapi import FastAPI
from muxed_for_tests import RATE as MUXED_RATE
from muxed_for_tests import Track, muxed, noise
from server_for_tests import encoded, some_sounds

from openclap import CLAP
from openclap.audio.decode_limits import DecodeLimits
from openclap.errors import RequestRefused
from openclap.serve import progress
from openclap.serve import recordings as recordings_module
from openclap.serve.app import create_app
from openclap.serve.recordings import Recordings
from openclap.serve.settings import ServeSettings

RATE = 8000
LINES = {"Accept": "application/x-ndjson"}
Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def app(clap: CLAP) -> Iterator[FastAPI]:
    app = create_app(ServeSettings(recording_bytes=4 << 20, recording_seconds=200, audio_seconds=10), clap=clap)
    yield app
    app.state.engine.close()


@pytest.fixture(scope="module")
def dog() -> bytes:
    return some_sounds(1)[0]


@pytest.fixture(scope="module")
def long() -> bytes:
    """90 s, silent but for a tone from 80 s on."""
    wave = np.zeros(90 * RATE, np.float32)
    wave[80 * RATE :] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(10 * RATE) / RATE)
    return encoded(wave, RATE)


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
        yield client


def told(app: FastAPI, ask: Ask) -> None:
    async def run() -> None:
        async with asking(app) as client:
            await ask(client)

    asyncio.run(run())


async def uploaded(client: httpx.AsyncClient, sound: bytes, name: str = "dog.wav") -> str:
    answer = await client.post("/v1/recordings", params={"name": name}, content=sound)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_uploaded_in_each_way(app: FastAPI, dog: bytes) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        raw = await client.post("/v1/recordings", params={"name": "../../a/dog.wav"}, content=dog)
        form = await client.post("/v1/recordings", files={"file": ("dog.wav", dog)})
        for answer in (raw, form):
            found = answer.json()
            assert (found["name"], found["seconds"], found["silent"]) == ("dog.wav", 3.0, False)
            assert found["tracks"] == [{"index": 1, "title": "", "language": ""}]
            assert len(found["id"]) >= 32
            again = await client.get(f"/v1/recordings/{found['id']}")
            assert again.json() == found
            assert (await client.get(f"/v1/recordings/{found['id']}/audio")).content == dog
        assert raw.json()["id"] != form.json()["id"]

    told(app, ask)


def test_what_is_answered_is_what_the_sound_itself_is_answered(app: FastAPI, dog: bytes) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        id = await uploaded(client, dog)
        bodies: dict[str, dict[str, Any]] = {
            "classify": {"labels": ["dog bark", "rain"]},
            "match": {"texts": ["a dog", "rain"]},
            "describe": {"timeline": True, "labels": ["dog bark", "rain"]},
            "moments": {"query": "a dog barking"},
        }
        for route, body in bodies.items():
            fields = {**body, "labels": ", ".join(body["labels"])} if "labels" in body else body
            given = (await client.post(f"/v1/{route}", data=fields, files={"audio": ("a.wav", dog)})).json()
            answers = [(await client.post(f"/v1/{route}", json={**body, "recording": id})).json() for _ in range(2)]
            assert answers[0] == answers[1]
            assert close(answers[0], given), (route, answers[0], given)

    told(app, ask)


def close(a: Any, b: Any) -> bool:
    """Whether two answers differ by the rounding of what is kept alone."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return abs(a - b) < 2e-3 if isinstance(a, float) else bool(a == b)


def test_the_second_question_listens_to_nothing(app: FastAPI, clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    encode = clap.encode_clips

    def counted(clips: Any) -> Any:
        heard.append(len(clips))
        return encode(clips)

    monkeypatch.setattr(clap, "encode_clips", counted)

    async def ask(client: httpx.AsyncClient) -> None:
        id = await uploaded(client, encoded(long_wave(25, RATE, seed=7), RATE))
        await client.post("/v1/classify", json={"labels": ["dog bark", "rain"], "recording": id})
        await client.post("/v1/describe", json={"timeline": True, "labels": ["siren", "wind"], "recording": id})
        assert heard
        heard.clear()
        await client.post("/v1/classify", json={"labels": ["siren", "wind"], "recording": id})
        await client.post("/v1/match", json={"texts": ["a siren"], "recording": id})
        await client.post("/v1/describe", json={"timeline": True, "labels": ["siren", "rain"], "recording": id})
        assert heard == []

    told(app, ask)


def test_progress_line_by_line(app: FastAPI) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        id = await uploaded(client, encoded(long_wave(25, RATE, seed=8), RATE))
        asked = {"query": "rain", "recording": id}
        answer = await client.post("/v1/moments", json=asked, headers=LINES)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        *steps, last = map(json.loads, answer.text.splitlines())
        shares = [step["progress"] for step in steps]
        assert shares == sorted(shares)
        assert shares[0] == 0
        assert steps[0]["seconds_left"] is None
        assert last["result"] == (await client.post("/v1/moments", json=asked)).json()
        broken = await client.post("/v1/moments", json={"query": "-rain", "recording": id}, headers=LINES)
        error = json.loads(broken.text.splitlines()[-1])["error"]
        assert error["code"] == "invalid_request"
        assert error["message"]
        refused = await client.post("/v1/moments", json={"query": "rain", "recording": "none"}, headers=LINES)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "recording_not_found")

    told(app, ask)


def test_whoever_leaves_stops_the_work(app: FastAPI, clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, pieces = threading.Event(), []
    encode = clap.encode_clips

    def slow(clips: Any) -> Any:
        pieces.append(len(clips))
        begun.set()
        time.sleep(0.05)
        return encode(clips)

    async def ask(client: httpx.AsyncClient) -> None:
        id = await uploaded(client, encoded(long_wave(150, RATE, seed=9), RATE))
        monkeypatch.setattr(clap, "encode_clips", slow)
        asked = client.post("/v1/moments", json={"query": "rain", "recording": id}, headers=LINES)
        asking = asyncio.create_task(asked)
        while not begun.is_set():
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        engine = app.state.engine
        while any(queue.unfinished for queue in engine.queues):
            await asyncio.sleep(0.01)
        done = len(pieces)
        await asyncio.sleep(0.3)
        assert len(pieces) <= done + 2
        assert sum(pieces) < 150

    told(app, ask)


def test_played_by_ranges_from_anywhere(app: FastAPI, long: bytes) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        audio = f"/v1/recordings/{await uploaded(client, long, 'täne.wav')}/audio"
        part = await client.get(audio, headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, long[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(long)}"
        assert part.headers["content-type"] == "audio/wav"
        assert (await client.get(audio, headers={"Range": f"bytes={len(long)}-"})).status_code == 416
        assert (await client.head(audio)).headers["content-length"] == str(len(long))
        saved = await client.get(audio, params={"download": "true"}, headers={"Range": "bytes=0-0"})
        assert saved.headers["content-disposition"].startswith("attachment")
        whole = await client.get(audio, params={"as": "wav"})
        wave, rate = sf.read(io.BytesIO(whole.content), dtype="float32")
        assert len(wave) == 90 * rate
        at = 44 + 2 * 85 * rate
        piece = await client.get(audio, params={"as": "wav"}, headers={"Range": f"bytes={at}-{at + 1999}"})
        heard = np.frombuffer(piece.content, "<i2") / 32767
        np.testing.assert_allclose(heard, wave[85 * rate :][:1000], atol=1e-3)
        assert (await client.get(audio, params={"as": "mp3"})).status_code == 400

    told(app, ask)


def test_the_waveform_and_the_spectrogram(app: FastAPI, long: bytes) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        one = f"/v1/recordings/{await uploaded(client, long)}"

        async def peaks(**asked: float) -> list[int]:
            answer = await client.get(f"{one}/peaks", params=asked)
            return list(base64.b64decode(answer.json()["peaks"]))

        whole = await peaks(count=9)
        assert whole[:8] == [0] * 8
        assert abs(whole[8] - 128) <= 2
        near = await peaks(start=79.99, end=80.01, count=4)  # decoded closely
        assert near[:1] == [0]
        assert near[3] > 120
        for asked in ({}, {"start": 79, "end": 81, "width": 50, "height": 30}):
            picture = (await client.get(f"{one}/spectrogram", params=asked)).content
            assert picture[:8] == b"\x89PNG\r\n\x1a\n"
            assert struct.unpack(">II", picture[16:24]) == (asked.get("width", 1000), asked.get("height", 96))
        from PIL import Image

        level = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), np.float32)
        assert level[:, 40:].max() > level[:, :20].max() + 50  # the tone begins in the middle
        for route in ("peaks", "spectrogram"):
            for wrong in ("start=-1", "start=90", "start=5&end=5", "end=nan", "count=0", "width=100000", "x=1"):
                assert (await client.get(f"{one}/{route}?{wrong}")).status_code == 400, wrong

    told(app, ask)


def test_the_colours_of_a_spectrogram_mean_the_same_in_every_part(app: FastAPI) -> None:
    """A quiet part was drawn as bright as a loud one, as each picture began at its own loudest."""
    wave = np.concatenate([0.5 * np.sin(np.arange(5 * RATE)), 0.001 * np.sin(np.arange(5 * RATE))])

    async def ask(client: httpx.AsyncClient) -> None:
        from PIL import Image

        one = f"/v1/recordings/{await uploaded(client, encoded(wave, RATE))}/spectrogram"
        told = await client.get(one, params={"start": 6, "end": 9}, headers=LINES)
        *lines, last = map(json.loads, told.text.splitlines())
        assert lines
        assert all(0 <= line["progress"] <= 1 for line in lines)
        quiet = base64.b64decode(last["result"]["png"])
        assert quiet == (await client.get(one, params={"start": 6, "end": 9})).content
        loud = (await client.get(one, params={"start": 1, "end": 4})).content
        brightest = [np.asarray(Image.open(io.BytesIO(png)).convert("L")).max() for png in (loud, quiet)]
        assert brightest[0] > brightest[1] + 100

    told(app, ask)


@pytest.mark.parametrize(("kind", "exact"), [("WAV", True), ("FLAC", True), ("OGG", False), ("MP3", False)])
def test_a_part_is_saved_with_its_rate_and_channels(app: FastAPI, kind: str, exact: bool) -> None:
    rng = np.random.default_rng(0)
    wave = np.cumsum(rng.uniform(-0.1, 0.1, (3 * 22_050, 2)), 0)
    wave = 0.8 * wave / np.abs(wave).max()
    file = io.BytesIO()
    sf.write(file, wave, 22_050, format=kind, subtype="PCM_16" if exact else None)

    async def ask(client: httpx.AsyncClient) -> None:
        one = f"/v1/recordings/{await uploaded(client, file.getvalue(), f'take 1.{kind.lower()}')}/part"
        answer = await client.get(one, params={"start": 1.25, "end": 2.5})
        assert answer.headers["content-type"] == "audio/wav"
        assert "take%201%201.25-2.50.wav" in answer.headers["content-disposition"]
        got, rate = sf.read(io.BytesIO(answer.content))
        assert (rate, got.shape) == (22_050, (round(2.5 * rate) - round(1.25 * rate), 2))
        wanted = wave[round(1.25 * rate) : round(2.5 * rate)]
        assert np.abs(got - wanted).max() < 1e-4 if exact else np.abs(got - wanted).mean() < 0.02
        assert (await client.get(one, params={"start": 3.5, "end": 4})).status_code == 400
        assert (await client.get(one, params={"track": 2})).status_code == 422

    told(app, ask)


def test_a_part_that_would_be_too_large(app: FastAPI) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        silence = io.BytesIO()
        sf.write(silence, np.zeros((60 * 16_000, 2)), 16_000, format="FLAC")
        one = f"/v1/recordings/{await uploaded(client, silence.getvalue(), 'a.flac')}/part"
        answer = await client.get(one)
        assert answer.status_code == 413
        assert "choose a shorter part" in answer.json()["error"]["message"]
        assert (await client.get(one, params={"start": 50})).status_code == 200

    told(app, ask)


@pytest.mark.parametrize("id", ["none", "../x", "%2e%2e%2fetc", "a" * 5000, "0", "\u00e4"])
def test_ids_that_are_none(app: FastAPI, id: str) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for route in ("", "/audio", "/peaks", "/spectrogram"):
            assert (await client.get(f"/v1/recordings/{id}{route}")).status_code == 404
        asked = await client.post("/v1/match", json={"texts": ["rain"], "recording": id})
        assert asked.status_code in (400, 404)

    told(app, ask)


def test_what_is_no_recording(app: FastAPI, dog: bytes) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for sound, status in (
            (b"", 422), (b"<html><script>", 422), (dog[:20], 422), (bytes(5 << 20), 413),
            (encoded(np.ones(201 * 1000, np.float32) / 2, 1000), 413),
        ):  # fmt: skip
            answer = await client.post("/v1/recordings?name=secret-place.wav", content=sound)
            assert answer.status_code == status, answer.text
            assert "openclap-recordings" not in answer.text
        assert (await client.post("/v1/recordings", files={"other": ("a.wav", dog)})).status_code == 400
        assert (await client.post("/v1/recordings", files={"file": ("a.wav", bytes(6 << 20))})).status_code == 413
        assert (await client.post("/v1/match", json={"texts": ["rain"]})).status_code == 400
        assert (await client.post("/v1/recordings", json={"path": "a.wav"})).status_code == 503

    told(app, ask)


def test_a_sound_of_the_library(app: FastAPI, dog: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(path: str) -> Any:
        if path != "animals/dog.wav":
            raise RequestRefused("the library holds no such sound", 404, "sound_not_found")
        return SimpleNamespace(handle=io.BytesIO(dog))

    monkeypatch.setattr(app.state.engine, "files", SimpleNamespace(open=opened), raising=False)

    async def ask(client: httpx.AsyncClient) -> None:
        found = (await client.post("/v1/recordings", json={"path": "animals/dog.wav"})).json()
        assert (found["name"], found["seconds"]) == ("dog.wav", 3.0)
        assert (await client.post("/v1/recordings", json={"path": "/etc/passwd"})).status_code == 404

    told(app, ask)


def test_they_are_forgotten(tmp_path: Path, dog: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("openclap.serve.recordings.time.monotonic", lambda: now[0])
    kept = Recordings(ServeSettings(recordings_bytes=2 * len(dog) + 100))

    def add() -> recordings_module.Recording:
        with kept.begin() as upload:
            upload.write(dog)
            return upload.keep("dog.wav")

    first, second = add(), add()
    with pytest.raises(RequestRefused, match="as many recordings"):
        add()
    now[0] = 700
    kept.get(second.id)
    third = add()  # the first was not used for a while
    assert not first.path.exists()
    with pytest.raises(RequestRefused):
        kept.get(first.id)
    now[0] = 700 + 3601
    with kept.hold(third):
        with pytest.raises(RequestRefused):
            kept.get(second.id)
        assert third.path.exists()
    kept.get(third.id)
    kept.close()
    assert not third.path.exists()


def test_exports(app: FastAPI) -> None:
    spans = [{"start": 0, "end": 1.5, "label": "dog\tbark", "score": 0.9}, {"start": 1.5, "end": 2, "label": None}]

    async def ask(client: httpx.AsyncClient) -> None:
        async def export(form: str) -> httpx.Response:
            return await client.post("/v1/export", json={"spans": spans, "format": form, "name": 'a"b\n.wav'})

        assert (await export("audacity")).text == "0.000000\t1.500000\tdog bark\n"
        assert (await export("srt")).text.startswith("1\n00:00:00,000 --> 00:00:01,500\ndog bark")
        assert (await export("vtt")).text.startswith("WEBVTT")
        assert (await export("csv")).text.splitlines()[0] == "path,start,end,label,score,tags"
        assert len((await export("json")).json()["spans"]) == 2
        named = (await export("csv")).headers["content-disposition"]
        assert named.startswith("attachment; filename=")
        assert "\n" not in named
        assert (await export("exe")).status_code == 400

    told(app, ask)


@pytest.mark.filterwarnings("ignore::openclap.errors.SoundWarning")
def test_a_track_is_chosen(app: FastAPI) -> None:
    loud, silent = noise(2.0, level=0.3), np.zeros(2 * MUXED_RATE, np.float32)
    film = muxed("matroska", [Track(silent, language="eng"), Track(loud, language="deu")])

    async def ask(client: httpx.AsyncClient) -> None:
        found = (await client.post("/v1/recordings?name=film.mkv", content=film)).json()
        assert [(one["index"], one["language"]) for one in found["tracks"]] == [(1, "eng"), (2, "deu")]
        asked = {"texts": ["noise"], "recording": found["id"]}
        silent = [
            (await client.post("/v1/match", json={**asked, "track": track})).json().get("silent") for track in (1, 2)
        ]
        assert silent == [True, None]
        assert (await client.post("/v1/match", json={**asked, "track": 3})).status_code == 422

    told(app, ask)


SECONDS = 150  # of a recording that is drawn while somebody hangs up
DRAWN = ("peaks", "spectrogram", "peaks?start=0&end=140&count=8000", "part?start=1&end=149")


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Decoding is slow; here is noted how far it came, block by block."""
    came: list[float] = []
    check = DecodeLimits.check

    def slow(limits: DecodeLimits, name: str, seconds: float) -> None:
        came.append(seconds)
        time.sleep(0.02)
        check(limits, name, seconds)

    monkeypatch.setattr(DecodeLimits, "check", slow)
    return came


async def begun(blocks: list[float]) -> None:
    while not blocks:
        await asyncio.sleep(0.005)


async def drawers_rest() -> None:
    """Wait until no recording is drawn."""
    while any(one.in_use for one in gc.get_objects() if type(one) is recordings_module.Recording):
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("picture", DRAWN)
def test_whoever_hangs_up_stops_the_drawing(app: FastAPI, blocks: list[float], picture: str) -> None:
    """A long recording was drawn to its end for a visitor who had gone: two impatient ones kept all others waiting."""

    async def ask(client: httpx.AsyncClient) -> None:
        id = await uploaded(client, encoded(long_wave(SECONDS, RATE, seed=3), RATE))
        blocks.clear()
        asking = asyncio.create_task(client.get(f"/v1/recordings/{id}/{picture}"))
        await begun(blocks)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        at = len(blocks)
        await drawers_rest()
        assert len(blocks) <= at + 2
        assert blocks[-1] < SECONDS / 2
        assert (await client.get(f"/v1/recordings/{id}/{picture}")).status_code == 200  # nothing half done is kept

    told(app, ask)


def test_drawn_once_for_all_who_wait_and_on_for_who_stays(app: FastAPI, blocks: list[float]) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        id = await uploaded(client, encoded(long_wave(SECONDS, RATE, seed=4), RATE))
        for picture in ("peaks", "spectrogram"):
            blocks.clear()
            first, second, third = (
                asyncio.create_task(client.get(f"/v1/recordings/{id}/{picture}", headers=headers))
                for headers in ({}, {}, LINES)
            )
            await begun(blocks)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert (await second).status_code == (await third).status_code == 200
            assert blocks == sorted(blocks)  # once, from beginning to end
            assert blocks[-1] == pytest.approx(SECONDS, abs=1)

    told(app, ask)


def test_the_waveform_comes_in_lines(app: FastAPI, blocks: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A waveform that takes longer than an answer may was found by the next try; now that the work stops, lines wait for it."""
    monkeypatch.setattr(progress, "EVERY", 0.001)  # a line a block, however fast the machine is

    async def ask(client: httpx.AsyncClient) -> None:
        peaks = f"/v1/recordings/{await uploaded(client, encoded(long_wave(SECONDS, RATE, seed=7), RATE))}/peaks"
        first, second = await asyncio.gather(*(client.get(peaks, headers=LINES) for _ in range(2)))
        for answer in (first, second):  # also who came second is told how far it is
            told = [json.loads(line) for line in answer.text.splitlines()]
            assert any(0 < line["progress"] < 1 for line in told[:-1])
            assert told[-1]["result"] == (await client.get(peaks)).json()

    told(app, ask)


def test_who_waits_for_another_drawing_takes_no_drawer(app: FastAPI, blocks: list[float]) -> None:
    """Whoever asked for what was being drawn waited for it in a thread of its own, of which there are two."""

    async def ask(client: httpx.AsyncClient) -> None:
        busy = await uploaded(client, encoded(long_wave(SECONDS, RATE, seed=5), RATE))
        other = await uploaded(client, some_sounds(1)[0])
        blocks.clear()
        waiting = [asyncio.create_task(client.get(f"/v1/recordings/{busy}/peaks")) for _ in range(4)]
        await begun(blocks)
        assert (await client.get(f"/v1/recordings/{other}/peaks")).status_code == 200
        assert not any(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await drawers_rest()

    told(app, ask)


def test_the_server_goes_down_while_it_draws(dog: bytes, blocks: list[float]) -> None:
    kept = Recordings(ServeSettings())

    async def ask() -> None:
        with kept.begin() as upload:
            upload.write(encoded(long_wave(SECONDS, RATE, seed=6), RATE))
            found = upload.keep("long.wav")
        blocks.clear()
        drawing = asyncio.create_task(kept.draw_waveform(found, lambda seconds: None))
        await begun(blocks)
        await asyncio.to_thread(kept.close)
        with pytest.raises(RequestRefused, match="going down"):
            await drawing

    asyncio.run(ask())


def test_a_part_that_came_too_late_is_closed(dog: bytes) -> None:
    kept, begin, files = Recordings(ServeSettings()), threading.Event(), []

    def draw(gone: threading.Event) -> io.BytesIO:
        begin.set()
        gone.wait()
        files.append(io.BytesIO())
        return files[0]

    async def ask() -> None:
        with kept.begin() as upload:
            upload.write(dog)
            found = upload.keep("dog.wav")
        drawing = asyncio.create_task(kept.draw(found, draw, drop=lambda file: file.close()))
        await asyncio.to_thread(begin.wait)
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        await asyncio.to_thread(kept.close)
        assert files[0].closed

    asyncio.run(ask())
