"""Stop, and a page that is closed, in a real Chromium: what was asked for ends, and others are answered meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from browser_for_tests import Visitor, browser, served

from openclap import CLAP
from openclap.page import blocks
from openclap.page.desk import Desk
from openclap.page.settings import PageSettings

pytestmark = [  # as in test_page_browser.py
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]


class Slow:
    """A model whose every piece of a long recording waits for leave."""

    def __init__(self, clap: CLAP) -> None:
        self._clap = clap
        self.pieces = 0
        self.leave = threading.Semaphore(0)
        self.came = threading.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clap, name)

    def encode_clips(self, clips: Any) -> Any:
        if all(clip.end - clip.start < 3.0 for clip in clips):  # of moments
            self.pieces += 1
            self.came.release()
            assert self.leave.acquire(timeout=60)
        return self._clap.encode_clips(clips)


@pytest.fixture(scope="module")
def model() -> Slow:
    return Slow(CLAP.from_pretrained("mini"))


@pytest.fixture(scope="module")
def page(model: Slow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Desk]]:
    made: list[Desk] = []

    def desk(settings: PageSettings, clap: Any = None) -> Desk:
        made.append(Desk(settings, model))  # type: ignore[arg-type]
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "Desk", desk)
        with served(PageSettings()) as url:
            yield url, made[0]


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sounds") / "long.wav"
    sf.write(file, np.random.default_rng(0).uniform(-0.2, 0.2, 200 * 8000), 8000)
    return file


def begun(running: Any, url: str, model: Slow, long: Path, language: Any = "en") -> Visitor:
    """Somebody who looks for moments in a long recording, of which a piece was heard."""
    visitor = Visitor(running, url, language)
    visitor.open(visitor.say("moments.tab"))
    visitor.give("moments-sound", long)
    visitor.write("moments-words", "rain")
    visitor.press("moments-go")
    for _ in range(2):
        assert model.came.acquire(timeout=60)
        model.leave.release()
    return visitor


def ended(desk: Desk, model: Slow) -> None:
    """Wait until nothing is at work; what was under way at the model is all that it hears."""
    for _ in range(6000):
        if not desk.jobs._at_work:
            break
        threading.Event().wait(0.01)
    assert not desk.jobs._at_work, "it goes on"
    pieces = model.pieces
    model.leave.release(100)
    desk.do(lambda: None)
    assert model.pieces <= pieces + 1
    for counted in (model.leave, model.came):
        while counted.acquire(blocking=False):
            pass


def test_stop_stops_and_says_so(page: Any, running: Any, model: Slow, long: Path) -> None:
    url, desk = page
    visitor = begun(running, url, model, long, "zh")
    visitor.tab.locator("#moments-stop").wait_for()
    visitor.see("正在听")
    visitor.press("moments-stop")
    visitor.see(visitor.say("common.stopped"))
    visitor.tab.locator("#moments-stop").wait_for(state="hidden")
    ended(desk, model)
    assert not visitor.troubles
    visitor.tab.context.close()


def test_a_page_that_is_closed_wants_no_more(page: Any, running: Any, model: Slow, long: Path) -> None:
    """Moments of an hour went on to its end after its visitor had gone."""
    url, desk = page
    visitor = begun(running, url, model, long)
    visitor.tab.locator("#moments-stop").wait_for()
    visitor.tab.context.close()
    ended(desk, model)
