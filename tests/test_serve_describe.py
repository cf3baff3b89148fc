"""/v1/describe: what `CLAP.describe` and `openclap describe --timeline` say, in two languages, through the lanes all share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import long_wave
from server_for_tests import encoded, uri_of

from openclap import CLAP
from openclap.describe import Describer, sentence_in_chinese, timeline
from openclap.labels import labels
from openclap.results import Tag
from openclap.serve.app import create_app
from openclap.serve.batched_embedder import CHUNK, BatchedEmbedder
from openclap.serve.descriptions import describe_sound
from openclap.serve.settings import ServeSettings
from openclap.synth import synthesise

CAPTIONS = ["a siren far away", "rain on a roof", "a dog barks"]


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def app(clap: CLAP) -> Iterator[Any]:
    app = create_app(ServeSettings(items=8, audio_seconds=60), clap=clap)
    yield app
    app.state.engine.close()


@pytest.fixture(scope="module")
def sound() -> bytes:
    """A siren between two pauses, then rain: 24 s."""
    rng = np.random.default_rng(5)
    quiet = 1e-4 * rng.standard_normal(4 * 16_000).astype(np.float32)
    siren, rain = (synthesise(kind, rng, rate=16_000, seconds=8.0)[0] for kind in ("siren", "rain"))
    return encoded(np.concatenate([quiet, siren, quiet, rain]))


def asked(app: Any, body: dict[str, Any] | None = None, **request: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            return await client.post("/v1/describe", **({"json": body} if body is not None else request))

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "options",
    [
        {}, {"captions": CAPTIONS, "nearest": 2}, {"threshold": 0.05, "top": 20},
        {"labels": ["siren", "rain", "dog bark"], "captions": CAPTIONS}, {"labels": ["violin"]},
    ],
    ids=str,
)  # fmt: skip
def test_it_says_what_the_api_says(app: Any, clap: CLAP, sound: bytes, options: dict[str, Any]) -> None:
    answer = asked(app, {"audio": uri_of(sound), **options})
    assert answer.status_code == 200, answer.text
    right = clap.describe(sound, **options).to_dict()
    found = answer.json()
    assert set(found) == {"tags", "sentence", "captions"}
    assert found["sentence"] == right["sentence"]
    assert found["tags"] == [approximately(tag) for tag in right["tags"]]
    assert found["captions"] == [approximately(caption) for caption in right["captions"]]


def approximately(row: dict[str, Any]) -> Any:
    """A row whose numbers may differ in the fourth place: batches are other ones."""

    class Alike:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            assert isinstance(other, dict)
            assert set(other) == set(row)
            return all(
                abs(other[name] - value) < 1e-3 if isinstance(value, float) else other[name] == value
                for name, value in row.items()
            )

        def __repr__(self) -> str:
            return repr(row)

    return Alike()


def test_a_timeline_is_the_verb_s(app: Any, clap: CLAP, sound: bytes) -> None:
    describer = Describer(clap)
    right = timeline(describer, sound)
    found = asked(app, {"audio": uri_of(sound), "timeline": True}).json()["spans"]
    assert [span.pop("sentence") for span in found] == describer.describe_spans(right)
    assert [(span["start"], span["end"], span["label"]) for span in found] == [(s.start, s.end, s.label) for s in right]
    assert any(span["label"] is None for span in found)  # told as null, not left out
    assert found[0]["start"] == 0
    assert found[-1]["end"] == pytest.approx(24, abs=0.01)
    coarse = asked(app, {"audio": uri_of(sound), "timeline": True, "change": 1000, "hop": 1.0}).json()["spans"]
    assert len(coarse) < len(found)


def test_in_chinese_the_same_is_heard(app: Any, sound: bytes) -> None:
    names = dict(zip(labels("audioset"), labels("audioset.zh"), strict=True))
    body = {"audio": uri_of(sound), "timeline": True}
    english, chinese = (asked(app, {**body, "language": language}).json() for language in ("en", "zh"))
    assert english["tags"]
    assert [tag["label"] for tag in chinese["tags"]] == [names[tag["label"]] for tag in english["tags"]]
    assert [tag["alike"] for tag in chinese["tags"]] == [[names[n] for n in tag["alike"]] for tag in english["tags"]]
    assert [tag["confidence"] for tag in chinese["tags"]] == [tag["confidence"] for tag in english["tags"]]
    assert chinese["sentence"].endswith("。")
    assert names[english["tags"][0]["label"]] in chinese["sentence"]
    assert [span["label"] and names[span["label"]] for span in english["spans"]] == [s["label"] for s in chinese["spans"]]  # fmt: skip
    own = asked(app, {**body, "labels": ["Siren", "Rain"], "language": "zh"}).json()
    assert {tag["label"] for tag in own["tags"]} <= {"Siren", "Rain"}


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ([("雨声", 0.9), ("风声", 0.6), ("雷声", 0.3)], "听到雨声、风声，可能还有雷声。"),
        ([("雨声", 0.9)], "听到雨声。"),
        ([("雨声", 0.3)], "可能是雨声。"),
        ([], "没有能确定的声音；最接近的是狗。"),
    ],
)
def test_sentences_in_chinese(tags: list[tuple[str, float]], says: str) -> None:
    assert sentence_in_chinese([Tag(label, sure, 0.0) for label, sure in tags], "狗") == says


def test_silence(app: Any) -> None:
    silent = uri_of(encoded(np.zeros(32_000, np.float32)))
    assert asked(app, {"audio": silent}).json() == {"tags": [], "sentence": "Silence.", "captions": []}
    found = asked(app, {"audio": silent, "language": "zh", "timeline": True}).json()
    assert (found["tags"], found["sentence"]) == ([], "没有声音。")
    assert [(span["label"], span["sentence"]) for span in found["spans"]] == [("静音", "没有声音。")]


def test_a_form(app: Any, clap: CLAP, sound: bytes) -> None:
    data = {"labels": "siren, rain", "captions": CAPTIONS, "timeline": "true", "top": "1"}
    found = asked(app, files={"file": sound}, data=data).json()
    assert [caption["text"] for caption in found["captions"]] == [
        caption.text for caption in clap.describe(sound, captions=CAPTIONS).captions
    ]
    assert len(found["tags"]) <= 1
    assert found["spans"]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"labels": []}, 400), ({"labels": [" "]}, 400), ({"labels": ["a"] * 9}, 400), ({"captions": ["a"] * 9}, 400),
        ({"labels": ["x" * 9000]}, 400), ({"threshold": 1.5}, 400), ({"top": 0}, 400), ({"nearest": 0}, 400), ({"hop": 0.001}, 400),
        ({"timeline": True, "window": 11}, 400), ({"window": 0}, 400), ({"change": -1}, 400), ({"language": "fr"}, 400), ({"alike": "x"}, 400),
        ({"writer": "t5"}, 400), ({"model": "other"}, 404), ({"audio": "/etc/passwd"}, 400), ({"audio": "data:audio/wav;base64,AAAA"}, 422),
        ({"audio": uri_of(encoded(np.zeros(61 * 4000), 4000)), "timeline": True}, 413),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_wrong_use_is_one_sentence(app: Any, sound: bytes, wrong: dict[str, Any], status: int) -> None:
    answer = asked(app, {"audio": uri_of(sound), **wrong})
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.json()["error"]["message"]


def test_descriptions_share_the_lanes(clap: CLAP, sound: bytes) -> None:
    """The model is called by the lanes' threads alone, a few clips at a time, and by several requests at once."""
    sizes: list[int] = []
    who: set[str] = set()
    app = create_app(ServeSettings(patience_seconds=0.05, request_seconds=300), clap=clap)
    does = clap.encode_clips

    def noted(clips: Any) -> Any:
        who.add(threading.current_thread().name)
        sizes.append(len(clips))
        return does(clips)

    clap.encode_clips = noted  # type: ignore[method-assign]

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            body = {"audio": uri_of(sound), "timeline": True, "window": 1, "hop": 0.25}
            return await asyncio.gather(*(client.post("/v1/describe", json=body) for _ in range(3)))

    try:
        answers = asyncio.run(ask())
    finally:
        del clap.encode_clips
        app.state.engine.close()
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.text for answer in answers}) == 1
    assert who == {"openclap-audio"}
    assert max(sizes) <= 3 * CHUNK
    assert max(sizes) > CHUNK


def test_the_batched_embedder_hears_what_the_model_hears(app: Any, clap: CLAP) -> None:
    embedder: BatchedEmbedder = app.state.engine.embedder
    sounds = [(long_wave(seconds, 16_000, seed=i), 16_000) for i, seconds in enumerate((1, 23, 4))]
    np.testing.assert_allclose(
        embedder.encode_audio(sounds, long="windows"), clap.encode_audio(sounds, long="windows"), atol=1e-5
    )
    np.testing.assert_allclose(embedder.encode_text(CAPTIONS), clap.encode_text(CAPTIONS), atol=1e-5)
    assert embedder.encode_text([]).shape == embedder.encode_audio([]).shape == (0, clap.config.embedding)
    found, right = (one.encode_windows(sounds[1], window=2.0, hop=0.7) for one in (embedder, clap))
    np.testing.assert_allclose(found.embedding, right.embedding, atol=1e-5)
    assert found.start.tolist() == right.start.tolist()
    assert found.end.tolist() == right.end.tolist()


def test_long_descriptions_keep_nobody_else_waiting(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two timelines of ten minutes had all threads that decode, and a classification of three seconds waited for a minute."""
    app = create_app(ServeSettings(decoders=1), clap=clap)
    engine, going, over = app.state.engine, threading.Event(), threading.Event()

    def slowly(*given: Any, **options: Any) -> Any:
        going.set()
        assert over.wait(30)
        return describe_sound(*given, **options)

    monkeypatch.setattr("openclap.serve.engine.describe_sound", slowly)
    audio = uri_of(encoded(long_wave(1.0, 16_000)))

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            long = [asyncio.create_task(client.post("/v1/describe", json={"audio": audio})) for _ in range(2)]
            try:
                assert await asyncio.to_thread(going.wait, 30)
                asked = client.post("/v1/classify", json={"audio": audio, "labels": ["a dog", "rain"]})
                short = await asyncio.wait_for(asked, 20)
            finally:
                over.set()
            return [short.status_code, *[one.status_code for one in await asyncio.gather(*long)]]

    try:
        assert asyncio.run(all_at_once()) == [200, 200, 200]
    finally:
        engine.close()
