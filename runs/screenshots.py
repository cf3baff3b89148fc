"""A picture of every place of the page, and of the Gradio page, as docs/pictures shows them: `python runs/screenshots.py [FOLDER] [--sounds FOLDER]`.

On a screen in English, on a dark one in 中文, and on a phone. Without `--sounds` the sounds are those that openclap makes itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np
import soundfile as sf
from browser_for_tests import browser, served_app
from PIL import Image

from openclap import CLAP, Library
from openclap.audio.load import load
from openclap.cli.serve import make_site
from openclap.serve.settings import ServeSettings
from openclap.synth import write_library

RATE = 32_000
LOOKS: dict[str, dict[str, Any]] = {
    "en": {"locale": "en-US", "viewport": {"width": 1280, "height": 860}},
    "zh": {"locale": "zh-CN", "viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "phone": {"locale": "en-US", "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
WORDS = {"en": "church bells", "zh": "教堂的钟声", "phone": "church bells"}
ALERTS = {
    "en": "a dog barking, church bells, a siren",
    "zh": "狗叫，教堂的钟声，警笛",
    "phone": "a dog barking, church bells, a siren",
}
PATIENCE = 60_000  # ms
ANSWERS = 8  # in Teach


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent.parent / "docs" / "pictures")
    parser.add_argument("--sounds", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        sounds = args.sounds or Path(place) / "sounds"
        if args.sounds is None:
            write_library(sounds, seed=7)
        clap = CLAP.from_pretrained("mini")
        library = Library.open(Path(place) / "library", model=clap)
        library.add(sounds)
        library.close()
        evening = Path(place) / "evening.flac"
        sf.write(evening, an_evening(sounds), RATE)
        microphone = evening.with_suffix(".wav")
        sf.write(microphone, an_evening(sounds), RATE, subtype="PCM_16")
        settings = ServeSettings(library=f"{place}/library", roots=(sounds,), manage=True)
        with served_app(make_site(settings, clap=clap), settings) as url, browser(microphone) as running:
            for name, look in LOOKS.items():
                tab = running.new_context(**look).new_page()
                tab.set_default_timeout(PATIENCE)
                visit(tab, url + "/", name, evening, args.folder)
        with gradio_page() as url, browser() as running:
            for name in ("en", "zh"):
                tab = running.new_context(**LOOKS[name]).new_page()
                tab.set_default_timeout(PATIENCE)
                visit_gradio(tab, url, name, args.folder)


def an_evening(sounds: Path) -> np.ndarray:
    """A dog, waves, bells and a siren, one after the other, with pauses."""
    parts: list[np.ndarray] = []
    for name in ("sea_waves", "dog_bark", "sea_waves", "church_bells", "siren"):
        found = next(iter(sorted(sounds.rglob(f"{name}*"))), None)
        parts += [load(found, RATE), np.zeros(RATE // 2, np.float32)] if found is not None else []
    return np.concatenate(parts) if parts else load(next(path for path in sounds.rglob("*.*")), RATE)


def take(tab: Any, what: str, name: str, folder: Path) -> None:
    """Take a picture of a tab of the browser."""
    tab.mouse.move(0, 0)
    tab.wait_for_timeout(800)
    file = folder / f"{what}-{name}.png"
    tab.screenshot(path=file)
    with Image.open(file) as shot:  # a third of the size, and nobody sees it
        small = shot.convert("RGB").quantize(200)
    small.save(file, optimize=True)
    print(file)


@contextmanager
def gradio_page() -> Iterator[str]:
    """The Gradio page → its address."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    own = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-m", "openclap.page"], stdout=subprocess.PIPE, env=own) as running:
        assert running.stdout is not None
        try:
            running.stdout.readline()
            yield f"http://127.0.0.1:{port}/"
        finally:  # `with` alone would wait for it, for ever
            running.send_signal(signal.SIGINT)
            try:
                running.communicate(timeout=60)
            finally:
                running.kill()


def visit_gradio(tab: Any, url: str, name: str, folder: Path) -> None:
    """Match a sound with texts; in 中文, find one by words."""
    tab.goto(url)
    tab.locator("#model-load").click()
    tab.locator(".oc-ready").wait_for()
    what = "match" if name == "en" else "find"
    if what == "find":
        tab.get_by_role("tab").nth(2).click()
    tab.locator(f"#{what}-examples button").first.click()
    tab.wait_for_timeout(3000)  # until the sound is drawn
    tab.locator(f"#{what}-button").click()
    tab.locator(f"#{what}-result :is(tbody tr, .oc-hit)").first.wait_for()
    tab.evaluate("scrollTo(0, 0)")
    take(tab, "gradio", name, folder)


def visit(tab: Any, url: str, name: str, evening: Path, folder: Path) -> None:
    """Use every place, and take its picture."""

    def picture(what: str) -> None:
        take(tab, what, name, folder)

    tab.goto(url)
    tab.wait_for_selector(".body .row .wave:not(.waiting)")
    picture("library")
    tab.fill("#query", WORDS[name])
    tab.press("#query", "Enter")
    tab.wait_for_selector(".relevance >> visible=true")
    tab.wait_for_selector(".body .row .wave:not(.waiting)")
    picture("search")
    tab.goto(f"{url}?view=map")
    tab.wait_for_selector("canvas")
    tab.wait_for_selector("canvas[aria-label]")
    tab.wait_for_timeout(4000)  # until points are drawn
    picture("map")
    tab.goto(f"{url}?place=recording")
    tab.locator("#recording-file").set_input_files(str(evening))
    tab.wait_for_selector(".sentence")
    picture("recording")
    live(tab, url, name)
    picture("live")
    teach(tab, url, name)
    picture("teach")


def live(tab: Any, url: str, name: str) -> None:
    """Listen to the evening by the microphone, until a dog and the bells were heard."""
    tab.goto(f"{url}?place=live&warmup=0&alerts={ALERTS[name]}")
    tab.locator("#live-go").click()
    tab.wait_for_selector(".live-event:nth-child(2) button.span")
    tab.wait_for_selector(".now .tag")


def teach(tab: Any, url: str, name: str) -> None:
    """Answer a few questions, by what the sounds are called."""
    tab.goto(f"{url}?place=teach")
    tab.fill("#teach-name", WORDS[name])
    tab.press("#teach-name", "Enter")
    for _ in range(ANSWERS):
        asked = tab.locator(".asked .name")
        asked.wait_for()
        before = tab.locator(".marked .example").count()
        tab.keyboard.press("y" if "bell" in (asked.get_attribute("title") or "") else "n")
        tab.wait_for_selector(f":nth-match(.marked .example, {before + 1})")
        tab.wait_for_timeout(300)
    tab.wait_for_selector(".quality table")
    tab.wait_for_selector(".quality[aria-busy=false]")


if __name__ == "__main__":
    main()
