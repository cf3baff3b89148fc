"""The Gradio page as a Space serves it: visitors apart from each other, limits, what its server gives away, and a real Chromium."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile as sf
from browser_for_tests import browser

from openclap.page.limits import MIB
from openclap.page.strings import say
from openclap.synth import synthesise

PATIENCE = 60_000  # ms; a busy machine is slow, a broken page never gets there
NASTY = "<img src=x onerror=window.broken=1> ${window.broken=2} {{window.broken=3}}"

MARK = {"meta": {"_type": "gradio.FileData"}}


class Visitor:
    """A browser's session with the page, as a program makes it."""

    def __init__(self, url: str, session: str = "one") -> None:
        self.url, self.session = url, session
        self.config = httpx.get(url + "config").json()

    def upload(self, name: str, content: bytes) -> str:
        (place,) = httpx.post(self.url + "gradio_api/upload", files={"files": (name, content)}).json()
        return str(place)

    def press(self, elem_id: str, data: list[Any]) -> tuple[bool, str]:
        """Click on a button → whether gradio did it, and all that it says."""
        part = next(one["id"] for one in self.config["components"] if one["props"].get("elem_id") == elem_id)
        number = max(
            (one for one in self.config["dependencies"] if [part, "click"] in one["targets"]),
            key=lambda one: len(one["inputs"]),
        )["id"]
        event = {"data": data, "fn_index": number, "session_hash": self.session}
        assert httpx.post(self.url + "gradio_api/queue/join", json=event).status_code == 200
        address = f"{self.url}gradio_api/queue/data?session_hash={self.session}"
        with httpx.stream("GET", address, timeout=60) as answer:
            lines = []
            for line in answer.iter_lines():
                lines.append(line)
                told = json.loads(line.removeprefix("data:") or "{}")
                if told.get("msg") == "process_completed":
                    return told["success"], json.dumps([json.loads(one.removeprefix("data:") or "{}") for one in lines], ensure_ascii=False)  # fmt: skip
        raise AssertionError("it ended without an answer")


@pytest.fixture(scope="module")
def server() -> Iterator[SimpleNamespace]:
    """The page as a Space starts it, with small limits; at the end it is stopped, and leaves nothing behind."""
    port = free_port()
    own = {**os.environ, "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    code = "from openclap.page import gradio_app, limits; gradio_app.run(limits.VisitorLimits(file_bytes=300_000, kept_bytes=20 << 20))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert f"http://0.0.0.0:{port}" in line, running.stderr.read() if running.stderr else ""
        (folder,) = Path(os.environ["TMPDIR"]).glob("openclap-page-*")
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}/", folder=folder)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert told.count("Traceback") <= 1, told  # gradio's, of a model that is not in the list
    assert not folder.exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def test_visitors_share_neither_model_nor_sounds(server: SimpleNamespace, sounds: Path) -> None:
    one, two = Visitor(server.url, "one"), Visitor(server.url, "two")
    place = one.upload("rex <b>.wav", (sounds / "rex.wav").read_bytes())
    given = [{"path": place, **MARK}]
    done, told = one.press("find-button", [None, "own", given, "a dog barking", 5, None])
    assert done, told
    assert "1 result of 1 sound" in told
    assert "rex" in told
    assert "<b>.wav" not in told
    indexes = list((server.folder / "indexes").iterdir())
    done, told = two.press("find-button", [None, "own", [], "a dog barking", 5, None])
    assert not done
    assert "There are no sounds yet" in told
    assert list((server.folder / "indexes").iterdir()) == indexes
    broken = {"path": two.upload("broken.wav", b"no sound"), **MARK}
    done, told = two.press("find-button", [None, "own", [broken], "a dog barking", 5, None])
    assert done
    assert "broken.wav cannot be used: it is not a sound, or is damaged." in told
    assert "500 characters at most" in two.press("find-button", [None, "own", [broken], "x" * 501, 5, None])[1]
    done, told = two.press("model-load", ["/etc/passwd"])
    assert not done
    assert "not in the list of choices" in told
    assert two.press("model-load", ["mini"])[0]
    done, told = one.press("model-load", ["laion/clap-htsat-fused"])  # may be loaded, but there is no network here
    assert not done
    assert "is not on this machine and cannot be downloaded now" in told


@pytest.mark.parametrize("place", ["/etc/passwd", "/proc/self/environ", "https://example.org/a.wav", "http://127.0.0.1/", "a\0b", 77.5])  # fmt: skip
def test_the_page_opens_nothing_but_uploads(server: SimpleNamespace, sounds: Path, place: Any) -> None:
    """gradio would copy a file that an event names, or fetch a URL."""
    visitor = Visitor(server.url)
    own, other = {"path": visitor.upload("a.wav", (sounds / "rex.wav").read_bytes()), **MARK}, {"path": place, **MARK}
    climbed = {"path": f"{own['path']}/../../../../../../../../../../etc/passwd", **MARK}
    assert visitor.press("match-button", [None, own, "a dog barking"])[0]
    for data in ([None, other, "a dog"], [None, own, other], [None, own, [{"a": other}]], [None, climbed, "a dog"]):  # fmt: skip
        done, told = visitor.press("match-button", data)
        assert not done
        assert "openclap-page-" not in told
        assert "Traceback" not in told


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd", "gradio_api/file=../../../../etc/passwd", "gradio_api/file=%2Fetc%2Fpasswd",
        f"gradio_api/file={os.path.abspath(__file__)}", "gradio_api/file=pyproject.toml", "gradio_api/file=file:///etc/passwd",
        "static/../../../../etc/passwd", "gradio_api/proxy=http://127.0.0.1/", "gradio_api/file=INDEX", "gradio_api/file=UPLOADS",
    ],
)  # fmt: skip
def test_no_file_is_given_away(server: SimpleNamespace, path: str) -> None:
    """Nor is one of the indexes, nor a list of what others have uploaded."""
    index = server.folder / "indexes" / "secret"
    index.parent.mkdir(exist_ok=True)
    index.write_text("root:")
    place = path.replace("INDEX", str(index)).replace("UPLOADS", str(server.folder / "uploads"))
    answer = httpx.get(server.url + place)
    index.unlink()
    assert 400 <= answer.status_code < 500, answer.text
    assert "root:" not in answer.text
    assert "Traceback" not in answer.text


def test_bodies_end(server: SimpleNamespace) -> None:
    """Also those whose length nobody has announced."""
    upload, event = server.url + "gradio_api/upload", server.url + "gradio_api/queue/join"
    before = {place for place in server.folder.rglob("*") if place.is_file()}
    assert httpx.post(upload, files={"files": ("large.wav", bytes(400_000))}).status_code == 413
    room = httpx.post(upload, files=[("files", (f"{i}.wav", bytes(290_000))) for i in range(90)])
    assert (room.status_code, room.text) == (413, say("error.full", "en"))
    large = {"data": ["x" * (MIB + 1)], "fn_index": 0, "session_hash": "a"}
    assert httpx.post(event, json=large).status_code == 413
    pieces = (b" " * (1 << 16) for _ in range(64))
    with suppress(httpx.TransportError):  # closed while more was on its way
        assert httpx.post(event, content=pieces, headers={"content-type": "application/json"}).status_code == 413
    after = {place for place in server.folder.rglob("*") if place.is_file() and "demo" not in place.parts}
    assert after <= before


def test_behind_the_proxy_of_a_space_and_in_its_frame(server: SimpleNamespace) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "someone-openclap.hf.space"}
    for path in ("", "zh"):
        page = httpx.get(server.url + path, headers=forwarded)
        assert page.status_code == 200
        assert "x-frame-options" not in page.headers
        assert "frame-ancestors" not in page.headers.get("content-security-policy", "")
        assert '"root":"https://someone-openclap.hf.space"' in page.text.replace(" ", "")
        assert not re.search(r'(?:src|href)="https?://(?!someone-openclap)', page.text)
        assert "fonts.g" not in page.text
        assert "openclap-page-" not in page.text
    config = httpx.get(server.url + "config").json()
    assert config["analytics_enabled"] is False


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dog, and a ZIP file with rain and a file that is no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    for number, (kind, name) in enumerate((("dog bark", "rex.wav"), ("rain", "rain.wav"))):
        sf.write(folder / name, synthesise(kind, np.random.default_rng(number), rate=32_000, seconds=4.0)[0], 32_000)
    with zipfile.ZipFile(folder / "more.zip", "w") as file:
        file.write(folder / "rain.wav", "wet/rain.wav")
        file.writestr("broken.wav", b"RIFF, but not really")
    return folder


# -- in a browser ----------------------------------------------------------------------------------------


def words(key: str, **values: Any) -> str:
    return say(key, "zh", **values)


@pytest.mark.needs("chromium")
def test_from_the_model_to_what_was_found(server: SimpleNamespace, sounds: Path) -> None:
    with browser() as chromium:
        tab = chromium.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN").new_page()
        tab.set_default_timeout(PATIENCE)
        asked, troubles = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.goto(server.url)  # whose browser is Chinese comes to the Chinese page
        tab.wait_for_url("**/zh")
        _use(tab, sounds)
        assert tab.evaluate("document.documentElement.lang") == "zh-CN"
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        assert tab.evaluate("window.broken") is None
        tab.get_by_role("link", name="English").click()  # and stays where they want to be
        tab.get_by_text(say("head.line", "en")).wait_for()
        assert tab.evaluate("document.documentElement.lang") == "en"
        assert urlsplit(tab.url).path == "/"
        assert {urlsplit(one).hostname for one in asked if one.startswith("http")} == {"127.0.0.1"}
        assert troubles == []


def _use(tab: Any, sounds: Path) -> None:
    def press(name: str) -> None:
        tab.locator(f"#{name}").click()

    def open_tab(name: str) -> None:
        tab.get_by_role("tab", name=words(f"{name}.tab"), exact=True).click()

    def result(name: str, part: str) -> Any:
        found = tab.locator(f"#{name}-result {part}")
        found.first.wait_for()
        return found

    press("model-load")
    tab.locator("#model-status .oc-ready", has_text=words("model.ready")).wait_for()
    # one that is asked for nothing is told so, in one sentence
    press("match-button")
    tab.get_by_text(words("error.no_sound")).first.wait_for()
    tab.locator("#match-sound input[type=file]").first.set_input_files(str(sounds / "rex.wav"))
    tab.locator("#match-sound #waveform, #match-sound audio").first.wait_for(state="attached")
    tab.locator("#match-texts textarea").fill(f"heavy rain\na dog barking\n{NASTY}")
    press("match-button")
    rows = result("match", "tbody tr").all_inner_texts()
    assert rows[0].startswith("a dog barking")
    assert any(row.startswith(NASTY) for row in rows)
    open_tab("classify")
    tab.locator("#classify-examples button").first.click()
    tab.locator("#classify-sound #waveform, #classify-sound audio").first.wait_for(state="attached")
    press("classify-button")
    rows = result("classify", "tbody tr").all_inner_texts()
    assert rows[0].startswith("狗")
    open_tab("find")
    tab.locator("#find-files input[type=file]").first.set_input_files(
        [str(sounds / "rex.wav"), str(sounds / "more.zip")]
    )
    tab.locator("#find-where input[value=own]:checked").wait_for()
    tab.locator("#find-words textarea, #find-words input").first.fill("大雨")
    tab.locator("#find-files", has_text="more").wait_for()
    press("find-button")
    hits = result("find", ".oc-hit").all_inner_texts()
    assert [name for hit in hits for name in ("wet/rain.wav", "rex.wav") if name in hit] == ["wet/rain.wav", "rex.wav"]
    tab.get_by_text(words("error.sound", name="broken.wav", why=words("cause.no_sound"))).wait_for()
    player = result("find", "audio").first
    player.evaluate("audio => audio.play()")
    assert player.evaluate("audio => audio.duration") == pytest.approx(4.0, abs=0.1)
    with tab.expect_download() as download:
        tab.locator("#find-result a[download]").first.click()
    assert Path(download.value.path()).read_bytes() == (sounds / "rain.wav").read_bytes()
