"""Files whose disk is away: the page and the service say how many better ones are not shown, and what a library kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP, Library
from openclap.page import holdings, search, teach
from openclap.page.desk import Desk
from openclap.page.filling import Filling
from openclap.page.lesson import Lesson, searched
from openclap.page.parts import Page
from openclap.page.settings import PageSettings
from openclap.page.wording import Visit, Wording
from openclap.results import AddReport
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings

RATE = 16_000
EN = Visit("en", "someone")


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


@pytest.fixture(scope="module")
def page(root: Path, clap: CLAP) -> Iterator[Page]:
    desk = Desk(PageSettings(roots=(root,), library=str(root / "library"), uploads=root / "up"))
    yield Page(desk, Wording(), None)
    desk.close()


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


def test_the_page_counts_what_cannot_be_reached(page: Page) -> None:
    found = search.compute(page, EN, "own", "rain", None, 5, search.Filters())
    assert (len(found.players), found.left_out) == (1, 2)
    assert "2 better ones are not shown: the disk of their files cannot be reached now." in search.draw(found, "en")
    assert "另有 2 个更好的结果未显示" in search.draw(found, "zh")
    nothing = search.draw(search.Results([], left_out=1), "en")
    assert "by sound" not in nothing
    assert "so these are by sound" in search.draw(search.Results([], no_names=True), "en")
    assert "1 better one is not shown" in nothing
    assert "filters" not in nothing


def test_teaching_counts_them_too(page: Page) -> None:
    lesson = searched(page, EN, Lesson(), "own", "rain", 5)
    assert lesson.left_out == 2
    assert "2 better ones are not shown" in teach.draw(lesson, "en")


def test_the_page_says_what_a_library_kept() -> None:
    """The report of the page left out what is missing and kept: nothing said that the disk was away."""
    run = Filling(report=AddReport(unchanged=1, kept_missing=2))
    shown = holdings.draw_filling(holdings._result(run), "en")
    assert "2 files are missing from the disk and kept" in shown
    assert "oc-waiting" in shown
    assert "缺少 2 个文件" in holdings.draw_filling(holdings._result(run), "zh")
    assert "kept" not in holdings.draw_filling(holdings._result(Filling(report=AddReport(unchanged=1))), "en")
