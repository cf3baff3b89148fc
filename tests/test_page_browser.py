"""The page in a real Chromium: every tab with real sounds, in both languages; nobody but this machine is asked for anything."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile as sf
from browser_for_tests import Visitor, browser, served
from playwright.sync_api import Error

from openclap import CLAP
from openclap.detector import Detector
from openclap.page import sessions
from openclap.page.settings import PageSettings
from openclap.page.strings import Language, say
from openclap.synth import synthesise
from openclap.teach import fit

pytestmark = [
    pytest.mark.needs("chromium"),
    # gradio asks pandas for what newer ones warn of, and its queue would stop at the warning
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]

LANGUAGES: tuple[Language, ...] = ("en", "zh")
# what is no word of a language: names of models, files and engines, units, examples to type in English
NAMES = re.compile(
    r"openclap|English|laion/\S+|Hugging Face Hub|\S+\.(?:pt|wav|ogg|flac)|mini|MB|CPU|openvino|CSV|JSON|SRT|VTT|Markdown|AudioSet|kHz|Audacity|PCA|UMAP|\d+x", re.IGNORECASE
)  # fmt: skip


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dog, rain, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("sounds") / "animals"
    folder.mkdir()
    for number, (kind, name) in enumerate((("dog bark", "rex.wav"), ("rain", "rain.flac"))):
        sf.write(folder / name, synthesise(kind, np.random.default_rng(number), rate=32_000, seconds=4.0)[0], 32_000)
    (folder / "broken.wav").write_bytes(b"RIFF, but not really")
    return folder


@pytest.fixture(scope="module")
def url(sounds: Path) -> Iterator[str]:
    with served(PageSettings(model="mini-3", roots=(sounds.parent,))) as address:
        yield address


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose microphone hears a dog every eight seconds."""
    random, rate = np.random.default_rng(5), 48_000
    wave = 0.003 * random.standard_normal(8 * rate)
    dog = synthesise("dog bark", random, rate=rate, seconds=3.0)[0]
    wave[2 * rate : 5 * rate] += 0.5 * dog / np.abs(dog).max()
    microphone = tmp_path_factory.mktemp("microphone") / "dog.wav"
    sf.write(microphone, wave, rate, subtype="PCM_16")
    with browser(microphone) as one:
        yield one


@pytest.fixture(scope="module", params=LANGUAGES)
def tab(request: pytest.FixtureRequest, url: str, running: Any) -> Iterator[Visitor]:
    """A tab of the browser in one language; at the end, what the browser has seen is looked at."""
    one = Visitor(running, url, request.param)
    yield one
    hosts = {urlsplit(asked).hostname for asked in one.asked_for if asked.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}, hosts
    assert one.troubles == []
    one.tab.context.close()


@pytest.fixture
def visitor(tab: Visitor) -> Iterator[Visitor]:
    """Someone who has just opened the page: no test finds what another one has left in the fields."""
    yield tab
    tab.begin()


def test_model(visitor: Visitor) -> None:
    visitor.press("model-load")
    ready = visitor.result("model-status", ".oc-ready").inner_text()
    assert visitor.say("model.ready") in ready
    assert "mini-3" in ready
    assert visitor.say("model.parameters", millions="11.8") in ready
    _no_foreign_word(visitor)


def test_match(visitor: Visitor, sounds: Path) -> None:
    visitor.open(visitor.say("match.tab"))
    visitor.give("match-sound", sounds / "rex.wav")
    visitor.write("match-texts", "heavy rain\na dog barking")
    visitor.press("match-go")
    rows = visitor.result("match-result", "tbody tr").all_inner_texts()
    assert rows[0].startswith("a dog barking")
    assert rows[1].startswith("heavy rain")
    assert 0.3 < float(re.findall(r"[+−-]\d\.\d{3}", rows[0])[0]) <= 1
    visitor.see(visitor.say("match.means"))
    _no_foreign_word(visitor, "a dog barking", "heavy rain")


def test_classify(visitor: Visitor, sounds: Path) -> None:
    visitor.open(visitor.say("classify.tab"))
    visitor.give("classify-sound", sounds / "rain.flac")
    visitor.write("classify-labels", "dog，rain、church bells, siren")
    visitor.press("classify-go")
    rows = visitor.result("classify-result", "tbody tr").all_inner_texts()
    assert len(rows) == 4
    assert rows[0].startswith("rain")
    shares = [float(re.findall(r"([\d.]+) %", row)[0]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    picture = visitor.result("classify-result", "svg image")
    assert picture.get_attribute("href").startswith("data:image/png")
    _no_foreign_word(visitor, "dog", "rain", "church bells", "siren")


def test_describe(visitor: Visitor) -> None:
    visitor.open(visitor.say("describe.tab"))
    visitor.tab.locator("#describe-examples button").nth(1).click()
    visitor.heard("describe-sound")
    visitor.press("describe-go")
    said = visitor.result("describe-result", ".oc-said").inner_text()
    dog = {"en": "dog", "zh": "狗"}[visitor.language]
    assert dog in said
    assert re.search(r"\d+ %", visitor.result("describe-result", "tbody tr").first.inner_text())
    _no_foreign_word(visitor)
    visitor.settled()
    visitor.take("describe", 0, "#describe-timeline input:checked")
    visitor.press("describe-go")
    pieces = visitor.result("describe-result", ".oc-piece")
    assert pieces.first.get_attribute("data-name").lower().startswith(f"{dog} 0:08.0")
    _plays(visitor, "#describe-result audio", pieces.first.click)
    assert "0:08.0" in visitor.result("describe-result", ".oc-playing").inner_text()
    for kind, sign in (("md", "| 00:00:08.000 |"), ("csv", ",8.0,"), ("json", '"start": 8.0'), ("srt", "00:00:08,000"), ("vtt", "WEBVTT")):  # fmt: skip
        with visitor.tab.expect_download() as download:
            visitor.press(f"describe-{kind}")
        written = Path(download.value.path()).read_text(encoding="utf-8")
        assert sign in written
        assert dog in (written.encode().decode("unicode_escape") if kind == "json" else written).lower()
        assert download.value.suggested_filename == f"a_minute_outdoors.{kind}"
    _no_foreign_word(visitor, "a_minute_outdoors.wav")


def test_watch_a_recording(visitor: Visitor) -> None:
    visitor.open(visitor.say("watch.tab"))
    visitor.tab.locator("#watch-examples button").nth(0).click()
    visitor.heard("watch-sound")
    visitor.press("watch-go")
    visitor.see(visitor.say("watch.heard", heard="1:00", count=4))
    rows = visitor.result("watch-result", ".oc-events tbody tr").all_inner_texts()
    words = visitor.tab.locator("#watch-words textarea").input_value().split("\n")
    assert [next(word for word in words if word in row) for row in rows] == words[::-1]
    assert ("狗叫" in words) == (visitor.language == "zh")
    _plays(visitor, "#watch-result audio", visitor.result("watch-result", "button[data-source]").last.click)
    for number, sign in enumerate(("alert,start,end", '"state": "ended"')):
        with visitor.tab.expect_download() as download:
            visitor.tab.locator("#watch-result .oc-actions a").nth(number).click()
        written = Path(download.value.path()).read_text(encoding="utf-8")
        assert sign in written
        assert written.count("\n") == 4 + (number == 0)
    _no_foreign_word(visitor, *words)


def test_watch_the_microphone(visitor: Visitor) -> None:
    visitor.open(visitor.say("watch.tab"))
    visitor.tab.locator("#watch-source").get_by_text(visitor.say("watch.microphone"), exact=True).click()
    dog = {"en": "a dog barking", "zh": "狗叫"}[visitor.language]
    visitor.write("watch-words", dog)
    visitor.write("watch-warmup", "0")
    visitor.press("watch-go")
    visitor.tab.locator("#watch-result tbody th", has_text=dog).first.wait_for()
    other: Language = "zh" if visitor.language == "en" else "en"
    visitor.tab.get_by_text({"en": "English", "zh": "中文"}[other], exact=True).click()
    visitor.see(say("watch.listening", other).partition("{")[0])  # what goes on follows the language
    assert visitor.tab.locator("#watch-words textarea").input_value() == dog
    visitor.tab.get_by_text({"en": "English", "zh": "中文"}[visitor.language], exact=True).click()
    visitor.see(visitor.say("watch.listening").partition("{")[0])
    visitor.press("watch-stop")
    visitor.see(visitor.say("watch.stopped").partition("{")[0])
    visitor.tab.locator("#watch-go").wait_for()
    assert visitor.tab.locator("#watch-stop").is_hidden()
    _no_foreign_word(visitor, dog)


def test_a_microphone_that_is_refused_is_told(url: str, running: Any) -> None:
    one = Visitor(running, url, "zh")
    one.tab.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }; }"
    )
    one.open("监听")
    one.press("watch-go")
    one.see(say("error.microphone_denied", "zh"))
    one.tab.context.close()


def test_who_closes_the_page_is_no_longer_heard(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one may listen at a time, the next one may as soon as the first has left."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # a page sets it, and the other one needs its own afterwards
    with served(PageSettings(model="mini-3", watches=1)) as address:
        first, second = (Visitor(running, address, "en") for _ in range(2))
        for one in (first, second):
            one.open("Watch")
        first.press("watch-go")
        first.see(say("watch.listening", "en").partition("{")[0])
        second.press("watch-go")
        second.see(say("error.watches", "en", most=1))
        first.tab.context.close()
        monkeypatch.setattr(sessions, "SILENT", 1.0)  # seconds until who sends nothing is taken for gone
        for _ in range(100):
            second.press("watch-go")
            with contextlib.suppress(Error):
                second.tab.locator("#watch-stop").wait_for(timeout=500)
                break
        second.see(say("watch.listening", "en").partition("{")[0])
        second.tab.context.close()


def test_search(visitor: Visitor) -> None:
    visitor.open(visitor.say("search.tab"))
    visitor.example("search", 1, sound=False)
    visitor.press("search-go")
    hits = visitor.result("search-result", ".oc-hit")
    assert hits.count() == 8
    assert "church_bells_01.ogg" in hits.first.inner_text()
    _plays(visitor, "#search-result audio", lambda: hits.first.locator("audio").evaluate("(audio) => audio.play()"))
    with visitor.tab.expect_download() as download:
        hits.first.locator("a").click()
    assert download.value.suggested_filename == "church_bells_01.ogg"
    assert Path(download.value.path()).read_bytes()[:4] == b"OggS"
    name = hits.nth(2).locator("b").inner_text()
    hits.nth(2).locator("button").click()
    visitor.see(visitor.say("search.like", name=name))
    assert name in visitor.result("search-result", ".oc-hit").first.inner_text()
    visitor.tab.locator("#search-filters button").first.click()
    visitor.write("search-pattern", "dog*")
    visitor.press("search-go")
    visitor.tab.wait_for_function("document.querySelectorAll('#search-result .oc-hit').length === 1")
    assert "dog_bark_01" in visitor.result("search-result", ".oc-hit").inner_text()
    _no_foreign_word(visitor, *_examples(visitor, "search"))


def test_moments(visitor: Visitor) -> None:
    visitor.open(visitor.say("moments.tab"))
    visitor.example("moments", 1)
    visitor.press("moments-go")
    visitor.result("moments-result", ".oc-span")
    span = visitor.tab.locator("#moments-result .oc-span").first
    _plays(visitor, "#moments-result audio", span.click)
    begin, _ = (
        float(s) for s in re.findall(r"\d+:(\d+\.\d)", visitor.result("moments-result", ".oc-when").first.inner_text())
    )
    assert 20 <= begin <= 24  # the siren was put at 22 s
    for kind, sign in (("csv", b","), ("audacity", b"\t")):
        with visitor.tab.expect_download() as download:
            visitor.press(f"moments-{kind}")
        assert sign in Path(download.value.path()).read_bytes()
    _no_foreign_word(visitor, *_examples(visitor, "moments"))


def test_teach(visitor: Visitor) -> None:
    visitor.open(visitor.say("teach.tab"))
    visitor.example("teach", 0, sound=False)
    visitor.press("teach-search")
    hits = visitor.result("teach-result", ".oc-hit")
    assert hits.count() == 12
    _plays(visitor, "#teach-result audio", lambda: hits.first.locator("audio").evaluate("(audio) => audio.play()"))
    for place, name in enumerate(hits.locator("b").all_inner_texts()):
        hits.nth(place).locator(f"[data-mark={'yes' if 'bell' in name else 'no'}]").click()
    hits.nth(11).locator("[data-mark=no]").click()  # a second press takes it back
    visitor.see(visitor.say("teach.marked", yes=2, no=9))
    visitor.press("teach-go")
    visitor.see(visitor.say("teach.ranked"))
    visitor.see(visitor.say("teach.marked", yes=2, no=9))
    ranking = visitor.tab.locator("#teach-result .oc-hits").last.locator(".oc-hit")
    assert "bell" in ranking.first.inner_text()
    assert ranking.first.locator("[data-mark=yes]").get_attribute("aria-pressed") == "true"
    visitor.write("teach-name", "glocke")
    visitor.tab.locator("#teach-name input, #teach-name textarea").press("Tab")
    named = ""
    while named != "glocke.safetensors":  # the file follows its name as soon as the field is left
        with visitor.tab.expect_download() as download:
            visitor.press("teach-download")
        named = download.value.suggested_filename
    assert Detector.load(Path(download.value.path())).examples["yes"] == 2
    assert visitor.tab.locator("#teach-save").is_hidden(), "nobody keeps anything on a server that is not theirs"
    _no_foreign_word(visitor, "glocke", *hits.locator("b").all_inner_texts())
    visitor.press("teach-anew")
    visitor.tab.wait_for_function("document.querySelectorAll('#teach-result .oc-hit').length === 0")


def test_what_was_taught_meanwhile_is_watched_for(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # a page sets it, and the other one needs its own afterwards
    clap, random = CLAP.from_pretrained("mini-3"), np.random.default_rng(5)
    dogs = [(synthesise("dog bark", random, rate=32_000, seconds=3.0)[0], 32_000) for _ in range(3)]
    with served(PageSettings(model="mini-3", detectors=True)) as address:
        one = Visitor(running, address, "zh")
        one.open("监听")
        fit(clap, "Waldi", clap.encode_audio(dogs), text="a dog barking", judged=False).save()
        one.tab.locator("#watch-detectors input").click()
        one.tab.get_by_role("option", name="Waldi").click()
        one.tab.locator("#watch-examples button").nth(0).click()
        one.heard("watch-sound")
        one.write("watch-words", "")
        one.press("watch-go")
        one.see(one.say("watch.heard", heard="1:00", count=1))
        assert "Waldi" in one.result("watch-result", ".oc-events tbody tr").inner_text()
        one.tab.context.close()


def test_library(visitor: Visitor, sounds: Path) -> None:
    visitor.open(visitor.say("library.tab"))
    _choose(visitor, str(sounds))
    visitor.press("library-go")
    report = visitor.result("library-report", ".oc-waiting").inner_text()  # one file failed
    assert "broken.wav" in report
    assert re.search(r"\b2\b", report)
    visitor.result("library-holds", ".oc-facts")
    visitor.press("library-map-go")
    points = visitor.result("library-map", "circle")
    assert points.count() == 2
    _plays(visitor, "#library-map audio", points.first.click)
    assert visitor.result("library-map", ".oc-playing").inner_text() in ("rex.wav", "rain.flac")
    visitor.press("library-example")
    visitor.result("library-report", ".oc-ready")
    _no_foreign_word(visitor, str(sounds), str(sounds.parent), sounds.parent.name, sounds.name)
    visitor.open(visitor.say("search.tab"))
    visitor.tab.locator("#search-where").get_by_text(visitor.say("search.own"), exact=True).click()
    if visitor.tab.locator("#search-pattern input").is_visible():
        visitor.write("search-pattern", "")
    visitor.write("search-words", "a dog barking")
    visitor.press("search-go")
    visitor.see("rex.wav")


def test_errors_are_sentences(visitor: Visitor, sounds: Path) -> None:
    visitor.open(visitor.say("match.tab"))
    visitor.write("match-texts", "")
    visitor.press("match-go")
    visitor.see(visitor.say("error.no_sound"))
    visitor.give("match-sound", sounds / "rex.wav")
    visitor.press("match-go")
    visitor.see(visitor.say("error.no_texts"))
    visitor.see(visitor.say("gradio.error"))
    visitor.open(visitor.say("library.tab"))
    _choose(visitor, "/etc")
    visitor.press("library-go")
    visitor.see(visitor.say("error.outside", roots=sounds.parent.name))
    assert "Traceback" not in visitor.tab.content()


def test_the_language_changes_in_place(url: str, running: Any) -> None:
    """What was found stays, in the other language, and so do gradio's own words."""
    one = Visitor(running, url, "en")
    one.open("Classify")
    one.see("Drop Audio Here")
    one.example("classify", 0)
    one.press("classify-go")
    one.see(say("classify.means", "en"))
    one.tab.get_by_text("中文", exact=True).click()
    one.see(say("classify.means", "zh"))
    one.see(say("common.sound", "zh"))
    one.open("匹配")
    one.see("将音频拖放到此处")
    assert one.tab.evaluate("document.documentElement.lang") == "zh-CN"
    one.tab.get_by_text("English", exact=True).click()
    one.see("Drop Audio Here")
    one.see(say("match.about", "en"))
    one.tab.context.close()


def test_what_is_written_is_never_run(url: str, running: Any) -> None:
    one = Visitor(running, url, "en")
    one.open("Classify")
    one.example("classify", 0)
    nasty = "<img src=x onerror='window.caught=1'> ${window.caught=1} {{constructor.constructor('window.caught=1')()}}"
    one.write("classify-labels", f"{nasty}, dog")
    one.press("classify-go")
    assert nasty in "".join(one.result("classify-result", "tbody th").all_inner_texts())
    assert one.tab.evaluate("window.caught") is None
    one.tab.context.close()


def test_a_phone_needs_no_sideways_scrolling(url: str, running: Any) -> None:
    one = Visitor(running, url, "en", width=390, height=844)
    one.press("model-load")
    one.result("model-status", ".oc-ready")
    for tab in ("Match", "Describe", "Moments", "Watch"):
        if one.tab.get_by_role("tab", name=tab, exact=True).count() == 0:
            one.tab.locator(".overflow-menu > button").click()
            one.tab.locator(".overflow-dropdown button", has_text=tab).click()
        else:
            one.open(tab)
        if tab in ("Match", "Moments"):
            one.example(tab.lower(), 0)
        else:
            one.take(tab.lower(), 0, f"#{tab.lower()}-sound :is(#waveform, .waveform-container, audio)")
        one.press(f"{tab.lower()}-go")
        one.result(f"{tab.lower()}-result", {"Describe": ".oc-piece", "Watch": ".oc-over"}.get(tab, ".oc-card"))
        assert one.tab.evaluate("document.documentElement.scrollWidth") <= 390
    one.tab.context.close()


def _choose(visitor: Visitor, folder: str) -> None:
    """Type a folder, and leave the field, which is when it counts."""
    field = visitor.tab.locator("#library-folder input")
    field.fill(folder)
    field.press("Tab")


def _examples(visitor: Visitor, tab: str) -> list[str]:
    return list(visitor.tab.locator(f"#{tab}-examples button").all_inner_texts())


def _plays(visitor: Visitor, players: str, start: Any) -> None:
    """After `start`, one of the players is playing or has played."""
    start()
    visitor.tab.wait_for_function("(players) => [...document.querySelectorAll(players)].some((one) => one.currentTime > 0 && !one.error)", arg=players)  # fmt: skip


def _no_foreign_word(visitor: Visitor, *known: str) -> None:
    """In 中文 nothing that can be read is English, nor the other way round."""
    visitor.settled()
    shown = visitor.tab.inner_text("body")
    if visitor.language == "en":
        assert re.findall(r"[\u4e00-\u9fff]+", shown.replace("中文", "")) == []
        return
    for name in sorted(known, key=len, reverse=True):
        shown = shown.replace(name, " ")
    assert re.findall(r"[A-Za-z]{2,}[A-Za-z ]*", NAMES.sub(" ", shown)) == []
