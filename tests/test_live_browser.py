"""The place Live of the page in a real Chromium, over the real service: its microphone plays a file in which a dog barks.

What a lost connection, a full server and other languages look like is driven over a made-up server by
`frontend/mock/drive_live.py`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from browser_for_tests import browser, served_app

from openclap import CLAP
from openclap.cli.serve import make_site
from openclap.confidence import reference_bank
from openclap.serve.settings import ServeSettings
from openclap.synth import synthesise

pytestmark = pytest.mark.needs("chromium")

RATE = 48_000
PATIENCE = 20_000  # ms


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of rain, then a dog."""
    wave = synthesise("rain", np.random.default_rng(0), rate=RATE, seconds=6.0)[0]
    wave *= np.float32(0.01 / wave.std())
    loud = synthesise("dog bark", np.random.default_rng(0), rate=RATE, seconds=3.0)[0]
    wave[2 * RATE : 2 * RATE + len(loud)] += np.float32(0.15 / loud.std()) * loud
    place = tmp_path_factory.mktemp("sounds") / "street.wav"
    sf.write(place, np.clip(wave, -1, 1), RATE, subtype="PCM_16")
    return place


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    clap = CLAP.from_pretrained("mini", threads=1)
    reference_bank(clap)  # made now: the first watch would wait for it
    settings = ServeSettings()
    site = make_site(settings, clap=clap)
    with served_app(site, settings) as address:
        yield address + "/"


@pytest.fixture(scope="module")
def chromium(street: Path) -> Iterator[Any]:
    with browser(street, allowed=False) as running:
        yield running


def opened(running: Any, url: str, *permissions: str) -> Any:
    """Live in a tab, at whose end nothing may have gone wrong."""
    context = running.new_context(viewport={"width": 1280, "height": 860}, locale="en-US")
    context.grant_permissions(list(permissions), origin=url.rstrip("/"))
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.troubles = []
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on("console", lambda said: tab.troubles.append(said.text) if "Content Security" in said.text else None)
    tab.goto(url + "?place=live&warmup=0&on=0.5")
    tab.wait_for_selector("#live-go")
    return tab


def test_a_dog_is_told_played_and_kept_by_keyboard_alone(chromium: Any, url: str) -> None:
    tab = opened(chromium, url, "microphone")
    press = tab.keyboard.press
    press("/")
    press("Control+a")
    tab.keyboard.type("a dog barking, glass breaking")
    press("Enter")
    event = tab.locator(".live-event", has_text="a dog barking").first
    event.wait_for()
    assert "alerts=a+dog+barking" in tab.url
    assert [one.split(":")[0] for one in tab.locator(".strip li").all_text_contents()] == [
        "a dog barking",
        "glass breaking",
    ]
    press("Escape")
    tab.locator("#live-go").focus()
    press("l")  # what goes on ends with it, and has its sound
    tab.wait_for_selector(".live-status >> text=Stopped.")
    event.locator("button.span").focus()
    press("Space")
    tab.wait_for_selector(".live-event [aria-pressed=true]")
    press("Tab")
    with tab.expect_download() as saved:
        press("Enter")
    wave, rate = sf.read(saved.value.path())
    assert saved.value.suggested_filename.startswith("a dog barking 20")
    assert 2 <= len(wave) / rate <= 15
    tab.locator(".live-events button[popovertarget]").focus()
    press("Enter")
    tab.wait_for_selector(".panel .item:focus")
    with tab.expect_download() as saved:
        press("Enter")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text("utf-8-sig"))))
    assert {row["alert"] for row in rows} == {"a dog barking"}
    assert float(rows[0]["confidence"]) >= 0.5
    assert not tab.troubles


def test_a_microphone_that_is_not_allowed_is_said(chromium: Any, url: str) -> None:
    tab = opened(chromium, url)
    tab.keyboard.press("l")
    said = tab.locator(".live [role=alert]")
    said.wait_for()
    assert said.inner_text().startswith("The browser may not use the microphone for this page: allow it")
    assert tab.locator("#live-go").inner_text() == "Listen"
    assert not tab.troubles
