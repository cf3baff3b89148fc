"""Limits of what is decoded travel with the sound: they hold in threads, in every method and behind every door."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile as sf
from server_for_tests import encoded, uri_of

from openclap import CLAP, Library
from openclap.audio.decode_limits import DecodeLimits, DecodingStopped, LimitedSound, limit, split_limits
from openclap.audio.levels import levels
from openclap.audio.load import cut, duration, is_sound, load, sound_name, stream
from openclap.errors import SoundError, TooLong, UsageError
from openclap.library import moments_in
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings

RATE = 16_000
WAVE = (0.1 * np.sin(np.arange(40 * RATE) / 9)).astype(np.float32)


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sounds") / "long.flac"
    sf.write(place, WAVE, RATE)
    return place


METHODS: dict[str, Callable[[CLAP, Any], Any]] = {
    "load": lambda _, sound: load(sound, RATE),
    "stream": lambda _, sound: list(stream(sound, RATE)),
    "cut": lambda _, sound: cut(sound, RATE, [(0.0, 40.0)]),
    "levels": lambda _, sound: levels(sound),
    "encode_audio": lambda clap, sound: clap.encode_audio(sound, long="windows"),
    "several": lambda clap, sound: clap.encode_audio([sound, sound, sound], long="windows"),
    "encode_windows": lambda clap, sound: clap.encode_windows(sound),
    "clips": lambda clap, sound: list(clap.clips(sound, long="windows")),
    "match": lambda clap, sound: clap.match(sound, ["a dog"]),
    "describe": lambda clap, sound: clap.describe(sound, ["a dog"]),
    "moments": lambda clap, sound: moments_in(clap, sound, "a dog"),
}


@pytest.mark.parametrize("method", METHODS)
def test_too_long_a_sound_is_refused_everywhere(clap: CLAP, file: Path, method: str) -> None:
    for sound in (file, file.read_bytes(), (WAVE, RATE)):
        with pytest.raises(TooLong, match=r"is longer than the 35 s that are taken here"):
            METHODS[method](clap, limit(sound, seconds=35))
    METHODS[method](clap, limit(file, seconds=45))


@pytest.mark.parametrize("method", METHODS)
def test_decoding_stops_everywhere_once_nobody_waits(clap: CLAP, file: Path, method: str) -> None:
    """One of several events is enough: who prefetches sounds stops them too, and lost the event of who asked."""
    stop = threading.Event()
    sound = limit(limit(file, stop=stop), stop=threading.Event())
    METHODS[method](clap, sound)
    stop.set()
    with pytest.raises(DecodingStopped):
        METHODS[method](clap, sound)


def test_a_limited_sound_is_a_sound(file: Path) -> None:
    assert limit(file) is file
    limited = limit(limit(file, seconds=9, track=2), track=1)
    assert isinstance(limited, LimitedSound)
    assert split_limits(limited) == (file, DecodeLimits(9, 1))
    assert (sound_name(limited), is_sound(limited), is_sound(limit([file], track=1))) == (str(file), True, False)
    opened = io.BytesIO(file.read_bytes())
    for _ in range(2):  # it is set back
        assert len(load(limit(opened, seconds=45), RATE)) == len(WAVE)
    assert duration(limit(file, track=1)) == 40
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(UsageError, match="counted from 1"):
            limit(file, track=wrong)  # type: ignore[arg-type]


def test_a_bad_limit_of_one_sound_stops_no_other(clap: CLAP, file: Path) -> None:
    first, second = clap.encode_each([limit(file, seconds=35), file], window=10.0)
    assert isinstance(first, TooLong)
    assert not isinstance(second, SoundError)


def test_moments_of_a_library_stop(clap: CLAP, file: Path, tmp_path: Path) -> None:
    library, stop = Library.open(tmp_path / "library", model=clap), threading.Event()
    library.add([file])
    assert library.moments("a beep", stop=stop)
    stop.set()
    with pytest.raises(DecodingStopped):
        library.moments("a beep", stop=stop)


# -- the service --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(clap: CLAP) -> Iterator[Any]:
    app = create_app(ServeSettings(audio_seconds=35), clap=clap)
    yield app
    app.state.engine.close()


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("match", {"texts": ["a dog"]}), ("classify", {"labels": ["a dog", "rain"]}), ("describe", {}),
        ("describe", {"timeline": True}), ("moments", {"query": "a dog"}),
    ],
    ids=str,
)  # fmt: skip
def test_every_route_has_the_limit(app: Any, file: Path, route: str, body: dict[str, Any]) -> None:
    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            sounds = [uri_of(file.read_bytes()), uri_of(encoded(WAVE[: 30 * RATE]))]
            return [await client.post(f"/v1/{route}", json={"audio": sound, **body}, timeout=60) for sound in sounds]

    long, short = asyncio.run(ask())
    assert (long.status_code, short.status_code) == (413, 200), (long.text, short.text)
    assert "longer than the 35 s" in long.text
