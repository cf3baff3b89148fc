"""The place Find of the page in a real Chromium, over the real service: by keyboard alone, in both languages, on a phone.

What it looks like and how it behaves with ten thousand files is driven over a made-up server by `frontend/mock/drive.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from browser_for_tests import browser, served_app

from openclap import CLAP, Detector, Library
from openclap.cli.serve import make_site
from openclap.detector import delete_detector
from openclap.example_store import count_examples
from openclap.serve.settings import ServeSettings
from openclap.synth import synthesise

pytestmark = pytest.mark.needs("chromium")

SOUNDS = {"Animals": ("dog bark", "rooster", "cricket"), "Weather": ("rain", "wind", "thunder"), "City": ("siren",)}
ROW, HIT = ".body .row .c-name", ".relevance >> visible=true"
PATIENCE = 30_000  # ms; a busy machine is slow


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


@pytest.fixture(scope="module")
def library(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Library:
    sounds = tmp_path_factory.mktemp("sounds")
    for folder, names in SOUNDS.items():
        (sounds / folder).mkdir()
        for i, name in enumerate(names):
            wave, _ = synthesise(name, np.random.default_rng(i), rate=32_000, seconds=2.0)
            sf.write(sounds / folder / f"{name.replace(' ', '_')}_01.wav", wave, 32_000)
    made = Library.open(tmp_path_factory.mktemp("place") / "library", model=clap)
    made.add(sounds)
    return made


@pytest.fixture(scope="module")
def url(clap: CLAP, library: Library) -> Iterator[str]:
    first = next(library.paths())
    root = Path(first).parent.parent
    settings = ServeSettings(library=library.stats()["path"], roots=(root,), manage=True)
    with served_app(make_site(settings, clap=clap), settings) as address:
        yield address + "/"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as running:
        yield running


def opened(running: Any, url: str, **how: Any) -> Any:
    """A tab, at whose end nothing may have gone wrong."""
    usual = {"viewport": {"width": 1280, "height": 860}, "locale": "en-US"}
    tab = running.new_context(**{**usual, **how}).new_page()
    tab.set_default_timeout(PATIENCE)
    tab.troubles = []
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on("console", lambda said: tab.troubles.append(said.text) if "Content Security" in said.text else None)
    tab.goto(url)
    tab.wait_for_selector(ROW)
    return tab


def wait(tab: Any, holds: str) -> None:
    """Wait until an expression holds; playwright's own way would be `eval`, which the page forbids."""
    end = time.monotonic() + PATIENCE / 1000
    while not tab.evaluate(holds):
        assert time.monotonic() < end, holds
        tab.wait_for_timeout(50)


def focus(tab: Any) -> str:
    """Which row, or which element, has the focus."""
    found: str = tab.evaluate(
        "(() => { const e = document.activeElement; return e.dataset.index ?? e.id ?? e.tagName })()"
    )
    return found


def test_by_keyboard_alone(chromium: Any, url: str, library: Library) -> None:
    tab = opened(chromium, url)
    press = tab.keyboard.press
    assert tab.locator(ROW).count() == 7
    press("/")
    assert focus(tab) == "query"
    press("Tab")
    tabs = 1
    while tabs < 9 and not focus(tab).isdigit():
        press("Tab")
        tabs += 1
    assert tabs <= 3
    press("/")
    tab.keyboard.type("a dog barking")
    press("Enter")
    tab.wait_for_selector(HIT)
    assert "q=a" in tab.url
    assert tab.locator(ROW).first.inner_text().startswith("dog_bark_01.wav")
    press("ArrowDown")
    wait(tab, "document.activeElement.dataset.index === '0'")
    press("Space")
    tab.wait_for_selector(".player [aria-label=Pause], .player [aria-label=Play]")
    assert "dog_bark_01" in tab.locator(".player .name").inner_text()
    press("f")
    tab.wait_for_selector('[data-index="0"] .star.on')  # shown at once, and said when the server has it
    tab.get_by_text("dog_bark_01.wav is a favourite.").wait_for(state="attached")
    assert [Path(file.path).name for file in library.files(tags=["favourite"])] == ["dog_bark_01.wav"]
    press("f")
    tab.wait_for_selector('[data-index="0"] .star:not(.on)')
    press("x")
    tab.wait_for_selector(".tray b")
    assert tab.locator(".tray b").inner_text() == "1 sound ticked"
    press("Enter")
    wait(tab, "location.search.includes('like=')")
    tab.wait_for_selector(".token")
    tab.go_back()
    wait(tab, "document.querySelector('#query').value === 'a dog barking'")
    assert not tab.troubles


def test_filters_and_files_to_take_away(chromium: Any, url: str) -> None:
    tab = opened(chromium, url + "?folder=Weather")
    wait(tab, "document.querySelectorAll('.body .row .c-name').length === 3")
    tab.goto(url + "?text=sir")
    wait(tab, "document.querySelectorAll('.body .row .c-name').length === 1")
    assert "siren_01.wav" in tab.locator(ROW).inner_text()
    tab.locator(".c-tick input").first.click()
    for kind, begins in (("CSV", b"path"), ("M3U8", b"#EXTM3U"), ("ZIP", b"PK")):
        with tab.expect_download() as saved:
            tab.locator(".tray").get_by_text(kind, exact=True).click()
        assert Path(saved.value.path()).read_bytes().startswith(begins)
    assert not tab.troubles


def test_what_is_not_there_is_said_first_and_in_chinese(chromium: Any, url: str) -> None:
    tab = opened(chromium, url, locale="zh-CN")
    assert tab.evaluate("document.documentElement.lang").startswith("zh")
    tab.get_by_text("模型已就绪").first.wait_for()
    for name in ("音文匹配", "零样本分类"):
        assert tab.get_by_text(name).first.is_visible()
    tab.fill("#query", "zxqvv")
    tab.press("#query", "Enter")
    tab.wait_for_selector(".first")
    assert "zxqvv" in " ".join(tab.locator(".first").all_inner_texts())
    assert not tab.troubles


def test_what_other_languages_were_taken_for_is_told(chromium: Any, url: str) -> None:
    tab = opened(chromium, url)
    tab.fill("#query", "Hundegebell")
    tab.press("#query", "Enter")
    tab.get_by_text("“Hundegebell” is understood as “dog barking”.").wait_for()
    assert not tab.troubles


def test_on_a_phone_results_are_seen_without_scrolling(chromium: Any, url: str) -> None:
    tab = opened(chromium, url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    tab.fill("#query", "rain")
    tab.press("#query", "Enter")
    tab.wait_for_selector(HIT)
    assert tab.locator(ROW).first.bounding_box()["y"] < 600
    assert not tab.evaluate("document.scrollingElement.scrollWidth > innerWidth")
    for touched in (".chip", ".row button", ".row label", ".places.bottom a"):
        size = tab.locator(f"{touched} >> visible=true").first.bounding_box()
        assert min(size["width"], size["height"]) >= 40, touched
    for place in ("Find", "Recording", "Live", "Teach"):
        assert tab.get_by_role("link", name=place).first.is_visible()
    assert not tab.troubles


def test_on_the_narrowest_phone_all_results_are_ticked_at_once(chromium: Any, url: str) -> None:
    """The box that ticks all is in the head of the list, which phones have no room for: they had none."""
    tab = opened(chromium, url, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    assert tab.get_by_label("Tick all results").count() == 0  # of a library that may have a million
    tab.fill("#query", "rain")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(HIT)
    box = tab.get_by_label("Tick all results").locator("visible=true")
    box.tap()
    assert tab.locator(".tray b").inner_text() == f"{tab.locator(ROW).count()} sounds ticked"
    assert tab.evaluate("document.scrollingElement.scrollWidth") == 360
    tab.locator(".body .c-tick input").first.tap()
    wait(tab, "document.querySelector('.tick-all input').indeterminate")
    box.tap()
    box.tap()
    assert tab.locator(".tray").count() == 0
    assert tab.troubles == []


def test_arrows_step_over_tools_that_are_not_shown(chromium: Any, url: str) -> None:
    """→ stopped before the tools that phones alone have: the focus cannot go to what is not shown."""
    tab = opened(chromium, url)
    tab.locator("#filter").focus()
    tab.keyboard.press("ArrowRight")
    wait(tab, "document.activeElement.matches('.above [data-tool]')")


def test_a_sound_is_taught_by_keyboard_alone(chromium: Any, url: str) -> None:
    tab = opened(chromium, url)
    tab.goto(url + "?place=teach")
    tab.wait_for_selector("#teach-name")
    press = tab.keyboard.press
    press("/")
    assert focus(tab) == "teach-name"
    tab.keyboard.type("our dog")
    press("Tab")
    tab.keyboard.type("a dog barking")
    press("Enter")
    wait(tab, "document.activeElement.matches('.ask-one')")  # a screen reader reads the question
    for number in range(1, 5):
        name = tab.locator(".asked .name").inner_text()
        press("y" if "dog" in name else "n")
        wait(tab, f"document.querySelectorAll('.marked .example').length === {number}")
    assert tab.locator(".marked.yes .example").all_inner_texts() == ["dog_bark_01.wav"]
    tab.wait_for_selector(".quality .first")  # one example is too few to say how good it is
    wait(tab, "document.querySelector('.quality').getAttribute('aria-busy') === 'false'")
    assert "dog_bark_01.wav" in tab.locator(".taught-hits li").first.inner_text()
    tab.get_by_role("button", name="Keep it").focus()
    press("Enter")
    tab.wait_for_selector(".taught-one")
    assert count_examples(Detector.load("our dog").key) == 4
    tab.get_by_role("button", name="Search with it").focus()
    press("Enter")
    wait(tab, "location.search.includes('taught=our')")  # by its name, not as a draft that the server forgets
    wait(tab, "document.activeElement.matches('main')")
    tab.wait_for_selector(HIT)
    assert tab.locator(ROW).first.inner_text().startswith("dog_bark_01.wav")
    delete_detector("our dog")
    assert not tab.troubles


def test_one_recording_and_anything_about_it(chromium: Any, url: str, library: Library) -> None:
    tab = opened(chromium, url + "?text=dog")
    tab.locator(ROW).first.wait_for()
    tab.focus("#query")
    tab.keyboard.press("ArrowDown")
    wait(tab, "document.activeElement.dataset.index === '0'")
    tab.keyboard.press("r")
    tab.wait_for_selector(".picture")
    assert tab.locator(".about .name").inner_text().startswith("dog_bark_01.wav")
    tab.wait_for_selector(".sentence")  # a short sound is described at once
    tab.locator("#tab-classify").click()
    tab.fill("#panel-classify input", "rain, dog bark，siren、a rooster")
    tab.locator("#panel-classify .primary").click()
    tab.wait_for_selector("#panel-classify .bars li")
    assert tab.locator("#panel-classify .bars li").count() == 4
    assert "dog bark" in tab.locator("#panel-classify .bars li").first.inner_text()
    tab.locator("#tab-match").click()
    tab.fill("#panel-match textarea", "a dog barking\nheavy rain")
    tab.locator("#panel-match .primary").click()
    tab.wait_for_selector("#panel-match .bars li")
    tab.locator("#tab-moments").click()
    tab.fill("#panel-moments textarea", "a dog barking\nzxqvv")
    tab.locator("#panel-moments .primary").click()
    tab.wait_for_selector("#panel-moments .span")
    assert "zxqvv" in " ".join(tab.locator("#panel-moments .first").all_inner_texts())
    for kind, begins in (("CSV", b"path,start,end,label"), ("Audacity", b"0.0")):
        tab.get_by_role("button", name="Export").locator("visible=true").click()
        with tab.expect_download() as saved:
            tab.locator(".panel .item", has_text=kind).locator("visible=true").click()
        assert Path(saved.value.path()).read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(begins)
    assert not tab.troubles
