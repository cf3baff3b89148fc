"""The page without a server (`web/`, built by `make web`) in a real Chromium, from a plain static host: what it hears, finds and keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from browser_for_tests import browser
from tools_for_tests import ROOT, WEB
from web_for_tests import RECORDINGS, hosted, opened, says, wait

from openclap import CLAP
from openclap.audio.clips import make_windows
from openclap.audio.load import load
from openclap.confidence import ReferenceBank
from openclap.labels import labels
from openclap.silence import SILENT_DB
from openclap.synth import KINDS, synthesise

pytestmark = pytest.mark.needs("chromium", "web")

RATE = 32_000
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EXACT = ("dog bark.wav", "long.wav", "float.wav", "24 bits.wav", "stereo.wav", "opposite.wav")
DECODED = ("44100.wav", "96000.wav", "rain.flac", "rain.mp3", "rain.ogg", "short.ogg")
PICKER = """() => { const given = [...document.querySelector("#given").files];
  window.showDirectoryPicker = async () => ({ kind: "directory", name: "given", async *entries() {
    for (const file of given) yield [file.name, { kind: "file", getFile: async () => { if (file.name === "long.wav") await window.hold; return file; } }];
  } }); }"""
INPUT = "(() => { const input = document.createElement('input'); input.id = 'given'; input.type = 'file'; input.multiple = true; document.body.append(input); })()"
DROP = """() => { const data = new DataTransfer(); for (const file of document.querySelector("#given").files) data.items.add(file);
  for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data })); }"""
CHINESE = [
    "一只狗在森林里叫", "远处的狗叫", "教堂的钟声", "下雨了，然后打雷", "他打了个响亮的喷嚏", "鸟在树上叫个不停", "火车在远处鸣笛", "把纸撕了",
    "有人在房间里弹钢琴和唱歌", "風吹樹葉的聲音", "rain 和 wind", "ＡＢＣ电话铃响起来", "海浪拍打岩石（很大）", "小猫喵喵叫。小狗汪汪叫！", "街上的警笛声，越来越近",
    "龘龘狗叫", "汽车发动，门关上", "从厨房到客厅里的脚步声", "夜里的蟋蟀", "婴儿哭了又笑", "狗，狗叫，狗在叫", "水滴在山洞里…滴答",
]  # fmt: skip
EMBED = """(texts) => new Promise((resolve, reject) => { const worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => { if (data.kind === "failed") reject(data.message); if (data.id === 2) resolve(data.value.map(({ vector, english, unknown }) => [[...vector], english, unknown])); };
  worker.postMessage({ id: 1, kind: "load" }); worker.postMessage({ id: 2, kind: "texts", texts }); })"""


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place") / "sounds"
    (folder / "more").mkdir(parents=True)
    made = {
        name: synthesise(name, np.random.default_rng(1), rate=RATE, seconds=2.0)[0] for name in ("dog bark", "rain")
    }
    dog, rain = made["dog bark"], made["rain"]
    left = synthesise("siren", np.random.default_rng(2), rate=RATE, seconds=2.0)[0]
    long = np.concatenate([0.1 * np.tile(rain, 9), np.zeros(11 * RATE, np.float32), dog])  # 31 s; of 9 to 20 s nothing
    sf.write(folder / "dog bark.wav", dog, RATE)
    sf.write(folder / "long.wav", long, RATE)
    sf.write(folder / "float.wav", rain, RATE, subtype="FLOAT")
    sf.write(folder / "24 bits.wav", left, RATE, subtype="PCM_24")
    sf.write(folder / "more" / "stereo.wav", np.stack([left, rain], 1), RATE)
    sf.write(folder / "opposite.wav", np.stack([left, -left], 1), RATE)
    sf.write(folder / "rain.flac", rain, RATE)
    sf.write(folder / "rain.mp3", rain, RATE)
    sf.write(folder / "rain.ogg", rain, RATE)
    sf.write(folder / "short.ogg", dog[:6271], RATE)  # Chromium leaves out its last 127 samples
    for rate in (44_100, 96_000):
        wave = synthesise("church bells", np.random.default_rng(3), rate=rate, seconds=12.0)[0]
        sf.write(folder / f"{rate}.wav", wave, rate)
    sf.write(folder / "silence.wav", np.zeros(RATE, np.float32), RATE)
    (folder / "broken.mp3").write_bytes(b"this is no sound" * 64)
    (folder / "empty.wav").write_bytes((folder / "dog bark.wav").read_bytes()[:44])
    sf.write(folder / "hours.flac", np.zeros(41 * 60 * 8000, np.int16), 8000)
    (folder / "notes.txt").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as running:
        yield running


def search(tab: Any, words: str) -> list[tuple[str, float, str]]:
    """Name, cosine and verdict of every result."""
    tab.evaluate("document.querySelector('#results').replaceChildren()")
    tab.fill("#query", words)
    tab.press("#query", "Enter")
    tab.wait_for_selector("#results li")
    found: list[tuple[str, float, str]] = tab.evaluate(
        "[...document.querySelectorAll('#results li')].map((li) => [li.querySelector('.name').textContent,"
        " Number(li.querySelector('[data-cosine]').dataset.cosine), li.className])"
    )
    return found


def give(tab: Any, files: list[str]) -> None:
    """Files as a folder "given" that the browser's dialog would return; "long.wav" waits for `window.hold`."""
    tab.evaluate(INPUT)
    tab.set_input_files("#given", files)
    tab.evaluate(PICKER)


@pytest.fixture(scope="module")
def tab(chromium: Any, sounds: Path) -> Iterator[Any]:
    """A tab that has listened to the sounds."""
    with hosted() as url:
        tab = opened(chromium, url)
        says(tab, "model", "works without a network")
        tab.set_input_files("#folder-input", str(sounds))
        says(tab, "state", "13 sounds can be searched")
        tab.url_of_host = url
        yield tab
        assert not tab.troubles
        assert all(asked.startswith((url, "blob:")) for asked in tab.asked)


@pytest.mark.filterwarnings("ignore::openclap.errors.SoundWarning")  # channels that cancel each other out
def test_it_hears_what_python_hears(tab: Any, clap: CLAP, sounds: Path) -> None:
    """WAV at the model's rate to 1e-4; what the browser decodes and resamples to a cosine of 0.999."""
    found = {
        path: (starts, ends, np.array(rows).reshape(-1, 512)) for path, starts, ends, rows in tab.evaluate(RECORDINGS)
    }
    files = {file.name: file for file in sounds.rglob("*.*")}
    assert {Path(path).name for path in found} == {*EXACT, *DECODED, "silence.wav"}
    assert "sounds/more/stereo.wav" in found
    for path, (starts, ends, rows) in found.items():
        name = Path(path).name
        windows = [one for one in make_windows(files[name], clap.front_end) if one.level >= SILENT_DB]
        assert starts == pytest.approx([one.start for one in windows])
        assert ends == pytest.approx([one.end for one in windows], abs=0.06)  # codecs pad
        if name == "silence.wav":
            assert not len(rows)
            continue
        wave = load(files[name], RATE)
        spans = [(wave[round(one.start * RATE) : round(one.end * RATE)], RATE) for one in windows]
        expected = clap.encode_audio(spans, long="windows")
        if name in EXACT:
            assert np.abs(rows - expected).max() < 1e-4, name
        else:
            assert (rows * expected).sum(1).min() > 0.999, name


def test_bad_files_are_named_and_the_rest_goes_on(tab: Any) -> None:
    assert tab.inner_text("#bad-count") == "3 files could not be taken"
    tab.click("#bad-count")
    told = tab.inner_text("#bad-list")
    assert "sounds/broken.mp3 this browser cannot decode it" in told
    assert "sounds/empty.wav holds no sound" in told
    assert "sounds/hours.flac longer than 40 minutes; as WAV it can be of any length" in told
    assert tab.inner_text("#state") == "13 sounds can be searched; known before: 0, silent: 1."


def test_it_finds_what_python_finds(tab: Any, clap: CLAP, sounds: Path) -> None:
    rows = {path: np.array(rows).reshape(-1, 512) for path, _, _, rows in tab.evaluate(RECORDINGS) if rows}
    given = json.loads((WEB / "data" / "confidence.json").read_text())
    assert clap.config.confidence is not None
    bank = ReferenceBank(np.array(given["texts"]), np.array(given["sounds"]), clap.config.confidence)
    for words in ("a dog barking", "heavy rain", "church bells ringing"):
        vector = clap.encode_text(words)[0]
        best = {path: row[(row @ vector).argmax()].astype(np.float32) for path, row in rows.items()}
        hits = search(tab, words)
        assert [name for name, *_ in hits] == [
            Path(path).name for path in sorted(best, key=lambda path: -best[path] @ vector)
        ]
        for (_, cosine, verdict), row in zip(hits, sorted(best.values(), key=lambda row: -row @ vector), strict=True):
            assert cosine == pytest.approx(row @ vector, abs=1e-4)
            likely = bank.confidence(vector, row, words=True)
            expected = "unlikely" if likely < bank.curves.unlikely else "sure" if likely >= 0.7 else "maybe"
            assert verdict == expected or min(abs(likely - 0.7), abs(likely - bank.curves.unlikely)) < 1e-3


def test_a_long_recording_is_played_from_its_best_window(tab: Any) -> None:
    hits = search(tab, "a dog barking")
    assert {"dog bark.wav", "long.wav"} == {name for name, *_ in hits[:2]}
    tab.click("#results li:has-text('long.wav') .play")
    wait(tab, "document.querySelector('#audio').currentTime >= 21")
    assert tab.inner_text("#playing") == "long.wav"
    tab.evaluate("document.querySelector('#audio').pause()")


def test_words_that_the_model_does_not_know_are_told(tab: Any, clap: CLAP) -> None:
    search(tab, "a Zyxwvut barking")
    assert tab.inner_text("#unknown") == "The model does not know: Zyxwvut"
    hits = search(tab, "龘龘")
    assert tab.inner_text("#unknown") == "The model does not know: 龘龘"
    assert {verdict for *_, verdict in hits} == {"unlikely"}
    assert tab.inner_text("#told").startswith("Nothing here is likely")
    search(tab, "a dog barking")
    assert not tab.inner_text("#unknown")


@pytest.mark.filterwarnings("ignore::openclap.errors.LanguageWarning")  # unknown words, and a text that is cut
def test_texts_are_read_as_python_reads_them(tab: Any, clap: CLAP) -> None:
    """Hundreds of English phrases give the same vectors, so they have the same tokens, and the same words unknown."""
    odd = ["Café, SMØRREBRØD & co.", "don't! stop?", "808s   at\t120 bpm", "door_slam-02 (close)", "naïve zyxwvut", "3½ °C", "ﬁre \u200b works", "word " * 200]  # fmt: skip
    texts = [*labels("audioset")[:300], *(text for kind in KINDS.values() for text in kind.captions[:1]), *odd]
    made = tab.evaluate(EMBED, texts)
    expected = clap.encode_text(texts)
    assert np.abs(np.array([vector for vector, *_ in made]) - expected).max() < 1e-4
    assert [sorted(set(unknown)) for *_, unknown in made] == [
        sorted(one.word for one in clap.unknown_words(text)) for text in texts
    ]


@pytest.mark.filterwarnings("ignore::openclap.errors.LanguageWarning")  # words that are left out
def test_chinese_becomes_the_same_english(tab: Any, clap: CLAP) -> None:
    """The rules of word order are written twice, in Python and in `web/src/chinese.ts`."""
    made = {text: english for text, (_, english, _) in zip(CHINESE, tab.evaluate(EMBED, CHINESE), strict=True)}
    assert made == {text: clap.in_english(text)[0] for text in CHINESE}
    search(tab, "教堂的鐘聲")
    assert tab.inner_text("#english") == f"In English: {clap.in_english('教堂的鐘聲')[0]}"


def test_a_damaged_download_is_told(chromium: Any) -> None:
    with hosted(damage="manifest.json") as url:
        tab = opened(chromium, url)
        says(tab, "model", "The model could not be loaded (data/manifest.json was damaged on its way)")
        tab.set_input_files("#files-input", [str(WEB / "LICENSES")])
        says(tab, "state", "There is no sound file in it")


def test_stopped_gone_on_and_offline(chromium: Any, sounds: Path) -> None:
    """Stop keeps what was heard; without the host the page opens, knows it, and searches."""
    files = [str(sounds / name) for name in ("dog bark.wav", "long.wav", "float.wav")]

    with hosted() as url:
        tab = opened(chromium, url)
        says(tab, "model", "works without a network")
        give(tab, files)
        tab.evaluate("window.hold = new Promise((resolve) => { window.release = resolve }); 0")
        tab.click("#folder")
        says(tab, "doing", "Listening: 1 of 3")
        tab.click("#stop")
        tab.evaluate("window.release()")
        says(tab, "state", "Stopped. 1 sound can be searched")
        tab.click("#folder")
        says(tab, "state", "3 sounds can be searched; known before: 1, silent: 0.")
    tab.reload()
    says(tab, "model", "works without a network")
    give(tab, files)
    tab.evaluate(DROP)
    says(tab, "state", "3 sounds can be searched; known before: 0")  # dropped alone they have no folder in their paths
    tab.click("#folder")
    says(tab, "state", "6 sounds can be searched; known before: 3")
    assert search(tab, "a dog barking")[0][0] == "dog bark.wav"
    tab.click("#forget")
    says(tab, "state", "Forgotten")
    assert not tab.evaluate(RECORDINGS)
    assert not tab.troubles


def test_by_keyboard_in_both_languages_and_lights(tab: Any) -> None:
    """axe finds nothing on a screen and on a phone; two Tabs lead from the query to the first result."""
    looks: list[tuple[str, bool]] = []
    search(tab, "a dog barking")
    tab.evaluate(AXE.read_text() + ";0")
    for width, height in ((1280, 900), (390, 844)):
        tab.set_viewport_size({"width": width, "height": height})
        for _ in range(2):
            tab.click("#language")
            for _ in range(2):
                tab.click("#theme")
                found = tab.evaluate(
                    "(rules) => axe.run({ runOnly: rules }).then((all) => all.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]))",
                    RULES,
                )
                assert not found
                looks.append(
                    (
                        tab.evaluate("document.documentElement.lang"),
                        tab.evaluate("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'"),
                    )
                )
                assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert set(looks) == {(name, light) for name in ("en", "zh-CN") for light in (True, False)}
    tab.focus("#query")
    for _ in range(2):
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "play"
    tab.keyboard.press("Enter")
    wait(
        tab,
        "!document.querySelector('#player').hidden && document.querySelector('#playing').textContent.endsWith('.wav')",
    )
    tab.evaluate("document.querySelector('#audio').pause()")
