"""What clients really send: preflights of a browser's OpenAI client, data URIs as browsers and stores write them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from openclap import CLAP
from openclap.serve.app import create_app
from openclap.serve.inputs import is_data_uri
from openclap.serve.schemas import WAV
from openclap.serve.settings import ServeSettings

KEY = "a-key-that-is-long-enough"
SITE = "https://front.example"
BASE64 = WAV.partition(",")[2]


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    app = create_app(ServeSettings(keys=(KEY,), origins=(SITE,)), clap=CLAP.from_pretrained("mini"))
    yield app
    app.state.engine.close()


def ask(app: FastAPI, method: str, headers: dict[str, str], body: Any = None) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            return await client.request(method, "/v1/embeddings", json=body, headers=headers)

    return asyncio.run(asked())


def test_a_client_of_openai_may_ask_from_the_front_end(app: FastAPI) -> None:
    """Its own headers (x-stainless-…) were not allowed: the preflight was a 400, and the browser asked nothing."""
    wanted = "authorization,content-type,openai-organization,x-stainless-arch,x-stainless-lang,x-stainless-retry-count"
    may = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    told = ask(app, "OPTIONS", {"Origin": SITE, **may})  # a preflight has no key
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == SITE
    assert set(wanted.split(",")) <= set(
        told.headers["access-control-allow-headers"].replace(" ", "").lower().split(",")
    )
    assert "access-control-allow-credentials" not in told.headers
    for site in ("https://other.example", "null", f"{SITE}.other.example", "http://front.example"):
        told = ask(app, "OPTIONS", {"Origin": site, **may})
        assert told.status_code == 400
        assert "access-control-allow-origin" not in told.headers
    told = ask(app, "POST", {"Origin": SITE}, {"input": "rain"})
    assert (told.status_code, told.headers["access-control-allow-origin"]) == (401, SITE)  # so that the page can say so
    assert ask(app, "POST", {"Origin": SITE, "Authorization": f"Bearer {KEY}"}, {"input": "rain"}).status_code == 200


@pytest.mark.parametrize(
    ("head", "auto"),
    [
        ("data:audio/ogg; codecs=opus;base64,", True),  # Firefox
        ("data:audio/webm;codecs=opus;base64,", True),  # Chromium
        ('data:audio/mp4;codecs="mp4a.40.2, x";base64,', True),
        ("data:audio/wav; base64,", True),
        ("data:binary/octet-stream;base64,", False),  # what S3 calls everything
        ("data:text/plain;base64,", False),
    ],
)
def test_a_sound_is_one_whatever_its_uri_says(app: FastAPI, head: str, auto: bool) -> None:
    """docs/service.md promised it; these were "no sound", or "not in base64"."""
    key = {"Authorization": f"Bearer {KEY}"}
    right, told = (
        ask(app, "POST", key, {"input": uri, "modality": "audio"}).json() for uri in (WAV, head + BASE64)
    )  # fmt: skip
    assert told == right
    assert is_data_uri(head + BASE64) is auto


def test_other_alphabets_are_told(app: FastAPI) -> None:
    said = ask(
        app,
        "POST",
        {"Authorization": f"Bearer {KEY}"},
        {"input": "data:audio/wav;base64,UklG-_8=", "modality": "audio"},
    )
    assert said.status_code == 400
    assert "the alphabet that has + and /" in said.json()["error"]["message"]
