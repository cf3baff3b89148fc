"""The tabs Describe and Watch without a browser: what they say is what the library says, and nothing of a visitor outlives them."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi import FastAPI
from fastapi.testclient import TestClient

from openclap.describe import Describer, timeline
from openclap.describe.formats import FORMATS
from openclap.page import describe, watch
from openclap.page.blocks import mount_page
from openclap.page.desk import Desk
from openclap.page.jobs import Doing, Job
from openclap.page.parts import Page
from openclap.page.sessions import LEVELS, WAITING, Asked, Seen, Session, Watches, as_csv, as_lines
from openclap.page.settings import PageSettings
from openclap.page.shelf import OFFERED, Exports
from openclap.page.strings import Told
from openclap.page.wording import Visit, Wording
from openclap.watch import Rules
from openclap.watch import watch as watched

EN, ZH = Visit("en", "someone"), Visit("zh", "someone")
ALERTS = watch.ALERTS["en"][0]
RATE = 32_000  # mini's


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    desk = Desk(PageSettings(model="mini-3"))
    yield Page(desk, Wording(), None)
    desk.close()


@pytest.fixture(scope="module")
def minute(page: Page) -> str:
    return str(page.desk.examples.long())


# -- describe -----------------------------------------------------------------------------------------


def _described(page: Page, sound: str, labels: str = "", spans: bool = False) -> tuple[list[Doing], describe.Described]:
    doing: list[Doing] = []

    class Followed(Job):
        def tell(self, key: str, share: float, **values: Any) -> None:
            super().tell(key, share, **values)
            assert self.doing is not None
            doing.append(self.doing)

    return doing, describe.compute(page, sound, labels, spans, job=Followed())


def test_a_description_is_the_library_s_in_both_languages(page: Page) -> None:
    dog = str(page.desk.examples.single("example.dog"))
    _, found = _described(page, dog)
    expected = Describer(page.desk.clap)(dog)
    assert found.said["en"].sentence == expected.sentence
    assert [tag.label for tag in found.said["en"].tags] == [tag.label for tag in expected.tags]
    assert [tag.confidence for tag in found.said["en"].tags] == pytest.approx(
        [tag.confidence for tag in expected.tags], abs=1e-3
    )
    assert "狗" in found.said["zh"].sentence
    assert expected.sentence in describe.draw(found, "en")
    assert found.said["zh"].sentence in describe.draw(found, "zh")


def test_one_s_own_labels_are_kept_as_they_were_written(page: Page) -> None:
    rain = str(page.desk.examples.single("example.rain"))
    _, found = _described(page, rain, "狗叫，下雨、<b>钟</b>")
    assert [tag.label for tag in found.said["zh"].tags] == [tag.label for tag in found.said["en"].tags]
    assert found.said["en"].tags[0].label == "下雨"
    assert "听到下雨" in describe.draw(found, "zh")
    assert "<b>钟" not in describe.draw(found, "en")
    with pytest.raises(Told) as caught:
        _described(page, rain, ",".join(f"sound {i}" for i in range(101)))
    assert caught.value.key == "error.many"


def test_a_timeline_is_the_library_s_with_files_in_both_languages(page: Page, minute: str) -> None:
    doing, found = _described(page, minute, spans=True)
    expected = timeline(Describer(page.desk.clap), minute)
    assert [(one.start, one.end, one.label) for one in found.spans["en"]] == [
        (one.start, one.end, one.label) for one in expected
    ]
    shares = [one.share for one in doing]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 10, "in steps, so that others have their turn"
    for language, dog in (("en", "Dog"), ("zh", "狗")):
        assert set(found.files[language]) == set(FORMATS)  # type: ignore[index]
        for kind, file in found.files[language].items():  # type: ignore[index]
            written = Path(file).read_text(encoding="utf-8")
            assert dog in (json.loads(written)["spans"][1]["label"] if kind == ".json" else written), kind
            assert str(Path(minute).parent) not in written
        drawn = describe.draw(found, language)  # type: ignore[arg-type]
        assert re.search(f'data-name="{dog} 0:08\\.0–0:[12]\\d\\.\\d"', drawn)
        assert "data:image/png;base64," in drawn
    assert page.desk.shelf.wav(found.tokens[1]).stat().st_size > 44


def test_silence_and_a_short_sound_have_a_timeline(page: Page, tmp_path: Path) -> None:
    sf.write(tmp_path / "none.wav", np.zeros(RATE), RATE)
    _, found = _described(page, str(tmp_path / "none.wav"), spans=True)
    assert [one.label for one in found.spans["en"]] == ["silence"]
    assert "静音" in describe.draw(found, "zh")
    assert _described(page, str(tmp_path / "none.wav"))[1].said["en"].sentence == "Silence."
    sf.write(tmp_path / "one.wav", np.full(10, 0.5), RATE)
    assert "oc-timeline" in describe.draw(_described(page, str(tmp_path / "one.wav"), spans=True)[1], "en")


def test_files_that_are_offered_are_bounded(tmp_path: Path) -> None:
    exports = Exports(tmp_path)
    places = [exports.place() for _ in range(OFFERED + 5)]
    assert [place.exists() for place in places] == [False] * 5 + [True] * OFFERED


# -- watch --------------------------------------------------------------------------------------------


def _run(page: Page, visit: Visit, sound: str, alerts: str, **more: Any) -> list[Seen]:
    asked: dict[str, Any] = {"unusual": False, "on": 0.7, "warmup": 5, **more}
    return [
        seen
        for seen, _ in watch.compute(
            page, visit, "recording", "", sound, alerts, asked["unusual"], asked["on"], asked["warmup"]
        )
    ]


def _facts(seen: Seen) -> list[tuple[str, float, float, float]]:
    return [(event.alert, event.start, event.end, event.confidence) for event in seen.events]


def test_a_recording_is_watched_as_the_command_line_does(page: Page, minute: str) -> None:
    steps = _run(page, EN, minute, f"{ALERTS}\n\n a siren ")
    last = steps[-1]
    expected = list(watched(minute, ALERTS.split("\n"), model=page.desk.clap, warmup=5.0, rules=Rules(on=0.7)))
    assert _facts(last) == [(one.alert, one.start, one.end, one.confidence) for one in reversed(expected)]
    assert [alert for alert, *_ in _facts(last)] == ["a rooster crowing", "church bells", "a siren", "a dog barking"]
    assert last.over == "watch.heard"
    counts = [len(one.events) for one in steps]
    assert counts == sorted(counts)
    assert len(set(counts)) == 5, "each is shown as it is heard"
    assert {one.state for one in last.events} == {"ended"}
    assert page.desk.shelf.wav(last.sounds[last.events[0].id]).stat().st_size > 44
    drawn = watch.draw(last, "zh")
    assert drawn.index("a rooster crowing") < drawn.rindex("a dog barking")
    assert f"watched/{last.token}.csv" in drawn


def test_chinese_words_and_anything_unusual(page: Page, minute: str) -> None:
    last = _run(page, ZH, minute, "狗叫\nunusual", unusual=True, on=0.3, warmup=0)[-1]
    assert "狗叫" in {event.alert for event in last.events}
    assert last.names == ("狗叫", "unusual")
    assert "异常声音" in watch.draw(last, "zh")
    assert "anything unusual" in watch.draw(last, "en")


def _wave(path: str) -> np.ndarray:
    wave, rate = sf.read(path, dtype="int16")
    assert rate == RATE
    return wave


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.state.desk = mount_page(app, PageSettings(model="mini-3"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_microphone_is_heard_as_a_recording(client: TestClient, minute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.0)
    desk: Desk = client.app.state.desk  # type: ignore[attr-defined]
    page, token, wave = Page(desk, Wording(), None), secrets.token_hex(16), _wave(minute)
    expected = _facts(_run(page, Visit("en", "other"), minute, ALERTS)[-1])
    going = watch.compute(page, EN, "microphone", token, None, ALERTS, False, 0.7, 5)
    assert client.post(f"/watched/{token}?rate={RATE}", content=b"").status_code == 404, "nobody listens yet"
    next(going)
    for start in range(0, len(wave), 2 * RATE):
        body = wave[start : start + 2 * RATE].tobytes()
        assert client.post(f"/watched/{token}?rate={RATE}", content=body).status_code == 204
        seen, language = next(going)
        assert seen.heard == pytest.approx((start + 2 * RATE) / RATE)
        assert seen.live
    assert language == "en"
    session = desk.watches.of_visitor("someone")
    assert session is not None
    session.language = "zh"  # as the language's handler does
    session.end("watch.stopped")
    *_, (last, language) = going
    assert (last.over, language) == ("watch.stopped", "zh")
    assert _facts(last) == expected
    assert all(event.time for event in last.events)
    rows = list(csv.DictReader(io.StringIO(client.get(f"/watched/{token}.csv").text)))
    assert [row["alert"] for row in rows] == ALERTS.split("\n")
    lines = [json.loads(line) for line in client.get(f"/watched/{token}.jsonl").text.splitlines()]
    assert [line["confidence"] for line in lines] == [event.confidence for event in reversed(last.events)]
    assert client.post(f"/watched/{token}?rate={RATE}", content=b"").status_code == 410
    assert not list(desk.folder.glob("**/*.wav")), "nothing of the microphone was written"


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("rate=32000", b"123", 400), ("rate=3", b"12", 400), ("rate=1e99", b"12", 400), ("rate=nan", b"12", 400), ("rate=32000&lost=nan", b"12", 400),
        ("rate=32000&lost=-1", b"12", 400), ("rate=32000&lost=1e308", b"12", 400), ("rate=32000&lost=86401", b"12", 400), ("", b"12", 422), ("rate=32000", bytes((1 << 20) + 2), 413), ("rate=48000", bytes(4), 204),
    ],
)  # fmt: skip
def test_only_samples_are_taken(client: TestClient, query: str, body: bytes, status: int) -> None:
    desk: Desk = client.app.state.desk  # type: ignore[attr-defined]
    session = desk.watches.open("samples", Asked(("rain",)), "en", secrets.token_hex(16))
    assert client.post(f"/watched/{session.token}?{query}", content=body).status_code == status
    assert client.get(f"/watched/{session.token}.exe").status_code == 404
    assert client.get("/watched/guessed.csv").status_code == 404


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (("microphone", "!denied", None, "rain", False), "error.microphone_denied"),
        (("microphone", "!insecure", None, "rain", False), "error.microphone_insecure"),
        (("microphone", "!none", None, "rain", False), "error.microphone"),
        (("microphone", "", None, "rain", False), "error.microphone"),
        (("microphone", "../../etc", None, "rain", False), "error.input"),
        (("recording", "", None, "rain", False), "error.no_sound"),
        (("recording", "", None, " \n", False), "error.no_alerts"),
        (("recording", "", None, "\n".join(map(str, range(101))), True), "error.many"),
        (("recording", "", None, "rain\n" + "a" * 501, True), "error.words"),
    ],
)
def test_wrong_use_is_told_by_its_own_sentence(page: Page, given: Any, key: str) -> None:
    source, token, sound, alerts, unusual = given
    with pytest.raises(Told) as caught:
        next(watch.compute(page, EN, source, token, sound, alerts, unusual, 0.6, 5))
    assert caught.value.key == key


def test_who_leaves_is_no_longer_heard(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclap.page.sessions.SILENT", 0.05)
    *_, (last, _) = watch.compute(page, EN, "microphone", secrets.token_hex(16), None, "rain", False, 0.6, 5)
    assert last.over == "watch.gone"
    monkeypatch.undo()
    going = watch.compute(page, EN, "microphone", secrets.token_hex(16), None, "rain", False, 0.6, 5)
    next(going)
    session = page.desk.watches.of_visitor("someone")
    assert session is not None
    going.close()  # type: ignore[attr-defined]
    assert session.over is not None
    again = page.desk.watches.open("someone", Asked(("rain",)), "en", secrets.token_hex(16))
    page.desk.forget("someone")
    assert again.over is not None
    assert page.desk.watches.of(again.token) is None


def test_so_many_listen_and_for_so_long(page: Page) -> None:
    watches = Watches(2, longest=3.0)
    first = watches.open("one", Asked(("rain",)), "en")
    again = watches.open("one", Asked(("rain",)), "en")
    assert (first.over, again.over) == ("watch.stopped", None)
    watches.open("two", Asked(("rain",)), "en")
    with pytest.raises(Told) as caught:
        watches.open("three", Asked(("rain",)), "en")
    assert caught.value.key == "error.watches"
    with pytest.raises(Told):
        watches.open("one", Asked(("rain",)), "en", first.token)
    page.desk.do(lambda: again.begin(page.desk.clap, "microphone"))
    for _ in range(4):
        again.put(np.zeros(RATE, np.float32), RATE)
        page.desk.do(lambda: again.hear(again.take(0.0)))
    again.take(0.0)
    assert again.over == "watch.long"
    for _ in range(200):
        watches.open("one", Asked(("rain",)), "en")
    assert watches.of(first.token) is None, "the oldest are forgotten"


def test_a_watch_ends_though_next_to_nothing_is_sent(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parcels without a sample kept one of the few places for ever, and lay in memory by the thousand."""
    session = Session("1" * 32, "someone", Asked(("rain",)), live=True, language="en", longest=30.0)
    page.desk.do(lambda: session.begin(page.desk.clap, "microphone"))
    monkeypatch.setattr("openclap.page.sessions.SILENT", 0.0)
    session.put(np.zeros(0, np.float32), RATE)
    assert session.take(0.0) == []
    assert session.over == "watch.gone"
    other = Session("2" * 32, "someone", Asked(("rain",)), live=True, language="en", longest=0.05)
    while other.over is None:
        other.put(np.zeros(1, np.float32), RATE)
        page.desk.do(lambda: other.take(0.01))
    assert other.over == "watch.long"


def test_what_comes_faster_than_it_is_heard_is_bounded_and_counted(page: Page) -> None:
    session = Session("0" * 32, "someone", Asked(("rain",), warmup=0.0), live=True, language="en", longest=1e9)
    page.desk.do(lambda: session.begin(page.desk.clap, "microphone"))
    for number in range(20):
        session.put(np.full(48_000, number / 100, np.float32), 48_000.0, lost=0.5 if number == 19 else 0.0)
    some = session.take(0.0)
    assert sum(len(samples) / rate for samples, rate, _, _ in some) == WAITING
    assert [lost for _, _, lost, _ in some] == [5.0] + [0.0] * 13 + [0.5]
    page.desk.do(lambda: session.hear(some))
    assert session.look().lost == pytest.approx(5.5)
    assert session.look().heard == pytest.approx(WAITING, abs=0.1)
    assert "5.5 s" in watch.draw(session.look(), "en")


@pytest.mark.parametrize("live", [True, False])
def test_levels_are_bounded_and_keep_the_loudest(live: bool) -> None:
    session = Session("0" * 32, "someone", Asked(("rain",)), live=live, language="en", longest=1e9)
    for number in range(5000):
        session._judged(number, number + 2.0, np.array([0.9 if number in (17, 4990) else 0.1]))
    levels, times = np.array(session._levels)[:, 0], np.array(session._times)
    assert len(levels) == len(times)
    assert len(levels) <= (LEVELS if live else 2 * LEVELS)
    assert np.all(np.diff(times) > 0)
    loud = times[levels > 0.5]
    assert loud[-1] == pytest.approx(4991, abs=1 if live else 50)
    assert live or loud[0] == pytest.approx(18, abs=50)


def test_what_is_written_stays_text(page: Page, minute: str) -> None:
    nasty = "<img src=x onerror=alert(1)> ${alert(2)} a dog"
    last = _run(page, EN, minute, nasty, on=0.2, warmup=0)[-1]
    drawn = watch.draw(last, "en")
    assert "<img src=x" not in drawn
    assert "${" not in drawn
    assert nasty in as_csv(last.events) or not last.events
    assert as_lines(last.events).count("\n") == len(last.events)


def test_the_page_s_script_knows_what_the_server_takes() -> None:
    """A parcel of the browser is below what `intake.Bounded` lets through."""
    script = (Path(watch.__file__).parent / "microphone.js").read_text(encoding="utf-8")
    samples = int(re.findall(r"SAMPLES = (\d+)", script)[0])
    from openclap.page.intake import EVENT_BYTES

    assert 2 * (samples + 4096) < EVENT_BYTES
    assert float(re.findall(r"SECONDS = (\d+)", script)[0]) < WAITING
