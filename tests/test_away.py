"""Files whose disk is away: the service says how many better ones are not shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP, Library
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings

RATE = 16_000


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def root(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of three sounds, of which one can be reached."""
    folder = tmp_path_factory.mktemp("sounds")
    for i, place in enumerate(("here", "nas", "nas")):
        (folder / place).mkdir(exist_ok=True)
        wave = np.random.default_rng(i).standard_normal(RATE) * (0.1 if place == "nas" else 1e-3)
        sf.write(folder / place / f"{i}.wav", wave.astype(np.float32), RATE)
    library = Library.open(folder / "library", model=clap)
    library.add([folder])
    library.close()
    (folder / "nas").rename(folder / "away")
    return folder


def test_the_service_counts_what_cannot_be_reached(root: Path, clap: CLAP) -> None:
    """They were left out of /v1/search and /v1/moments without a word."""
    app = create_app(ServeSettings(library=str(root / "library"), roots=(root,)), clap=clap)

    async def ask() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            found = (await client.post("/v1/search", json={"query": "rain"})).json()
            assert ([hit["path"] for hit in found["hits"]], found["left_out"]) == (["here/0.wav"], 2)
            assert set(found["hits"][0]) == {*("path", "start", "end", "score", "confidence", "relevance", "named")}
            found = (await client.post("/v1/moments", json={"query": "rain"})).json()
            assert ({one["path"] for one in found["moments"]}, found["left_out"]) == ({"here/0.wav"}, 2)

    try:
        asyncio.run(ask())
    finally:
        app.state.engine.close()
