"""Watching: what is heard is told once, what is lost is said, and nothing grows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.audio.clips import window_starts
from openclap.cli.watch import _close_sinks
from openclap.confidence import ReferenceBank
from openclap.config import FrontEnd
from openclap.errors import MissingExtra, SoundNotFound, SourceError, UsageError
from openclap.library.scan import find_sounds
from openclap.results import Failure
from openclap.synth import synthesise
from openclap.watch import (
    ClipWriter,
    Command,
    Event,
    Mqtt,
    PushedSource,
    RetryingSink,
    Rules,
    Webhook,
    open_source,
    watch,
)
from openclap.watch.alert_scorer import MINUTES, AlertScorer
from openclap.watch.clips import RecentAudio
from openclap.watch.folder import FolderSource
from openclap.watch.hysteresis import EventChange, Hysteresis
from openclap.watch.novelty_scorer import DISTANCES, RESERVOIR, NoveltyScorer
from openclap.watch.read_source import StopEvent, read_blocks
from openclap.watch.sinks import Spool
from openclap.watch.sliding_windows import SlidingWindows
from openclap.watch.sources import AudioBlock, PipeSource, backoff_seconds
from openclap.watch.streams import StreamSource

RATE = 16_000


@pytest.fixture(autouse=True)
def _loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


class Loud:
    """A model for which loud sounds are what every word means, and that says how often it was asked."""

    front_end = FrontEnd(sampling_rate=RATE, n_fft=512, hop=320, f_max=7000.0)

    def __init__(self) -> None:
        self.most = 0
        self.fingerprint = "loud"
        self.config = type("Config", (), {"embedding": 4})()

    def encode_text(self, texts: list[str]) -> np.ndarray:
        near = np.linspace(0, 0.2, len(texts))
        rows = np.stack([np.ones(len(texts)), near, 0 * near, 0 * near], 1)
        return unit(rows)

    def encode_audio(self, sounds: list[Any], **_: Any) -> np.ndarray:
        self.most = max(self.most, len(sounds))
        loud = np.array([min(1.0, 3 * float(np.sqrt(np.mean(np.square(wave))))) for wave, _ in sounds])
        rows = np.stack([loud, 0 * loud, np.sqrt(1 - loud**2), 0 * loud], 1)
        return rows.astype(np.float32)


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> Loud:
    rng = np.random.default_rng(0)
    sounds = np.abs(rng.normal(0.1, 0.1, (56, 1))) * [[1, 0, 0, 0]] + [[0, 0, 1, 0]]
    texts = rng.standard_normal((132, 4))
    unit = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (texts, sounds)]
    monkeypatch.setattr("openclap.watch.loop.reference_bank", lambda _: ReferenceBank(*unit))
    return Loud()


def hum(seconds: float, loud_at: tuple[float, ...] = (), rate: int = RATE) -> np.ndarray:
    """Quiet noise with three loud seconds at each place."""
    wave = 0.01 * np.random.default_rng(0).standard_normal(round(seconds * rate))
    for place in loud_at:
        wave[round(place * rate) : round((place + 3) * rate)] *= 40
    return np.clip(wave, -1, 1).astype(np.float32)


def rainy(siren_at: tuple[int, ...], seconds: int, rate: int = 32_000) -> np.ndarray:
    rng = np.random.default_rng(3)
    wave = synthesise("rain", rng, rate=rate, seconds=float(seconds))[0]
    wave *= np.float32(0.02 / wave.std())
    for place in siren_at:
        siren = synthesise("siren", rng, rate=rate, seconds=4.0)[0]
        wave[place * rate : place * rate + len(siren)] += np.float32(0.15 / siren.std()) * siren
    return np.clip(wave, -1, 1).astype(np.float32)


def an_event(number: int = 0) -> Event:
    return Event("a siren", 1.0, 2.0, 1.5, 0.5, 0.9, 1.0, id=f"run-{number:06d}")


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None], port: int = 0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


# -- when an event begins and ends ------------------------------------------------------------------------


def changes(levels: list[float], rules: Rules) -> list[EventChange]:
    detector = Hysteresis(1, rules)
    found = []
    for second, level in enumerate(levels):
        found += detector.step(float(second), second + 2.0, np.array([level]), np.array([level / 2]))
    return found + detector.finish()


def test_an_event_begins_at_on_and_ends_below_off() -> None:
    began, ended = changes([0.1, 0.5, 0.7, 0.4, 0.9, 0.3, 0.1, 0.0], Rules(on=0.6, off=0.25))
    assert (began.began, began.start, began.decided) == (True, 2.0, 4.0)
    assert (ended.began, ended.start, ended.end) == (False, 2.0, 7.0)  # 0.3 is above off, 0.1 is not
    assert (ended.peak, ended.confidence, ended.score) == (5.0, 0.9, 0.45)
    assert ended.decided == 4.0


@pytest.mark.parametrize(("cooldown", "events"), [(0.0, 2), (1.0, 2), (5.0, 1)])
def test_an_alert_is_deaf_after_an_event(cooldown: float, events: int) -> None:
    found = changes([0.9, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0], Rules(cooldown=cooldown))
    assert sum(change.began for change in found) == events


@pytest.mark.parametrize(("least", "events"), [(0.0, 1), (2.0, 1), (4.0, 1), (4.5, 0)])
def test_an_event_must_last(least: float, events: int) -> None:
    """Three windows of two seconds, one a second: four seconds."""
    found = changes([0.0, 0.9, 0.9, 0.9, 0.0, 0.0], Rules(least=least))
    assert sum(change.began for change in found) == sum(not change.began for change in found) == events


def test_what_goes_on_is_told_anew() -> None:
    found = [change for change in changes([0.9] * 60, Rules(longest=10.0, cooldown=5.0)) if not change.began]
    assert [(change.start, change.end) for change in found][:2] == [(0.0, 10.0), (15.0, 25.0)]
    assert len(found) == 4


def test_what_has_begun_ends_with_the_source() -> None:
    assert [change.began for change in changes([0.0, 0.9], Rules())] == [True, False]


def test_only_what_is_heard_is_remembered() -> None:
    detector = Hysteresis(10_000, Rules())
    for second in range(20):
        detector.step(second, second + 2.0, np.full(10_000, 0.1), np.zeros(10_000))
    assert not detector._active


@pytest.mark.parametrize(
    "wrong",
    [{"on": 0.0}, {"on": 1.5}, {"on": 0.3, "off": 0.4}, {"cooldown": -1.0}, {"least": 30.0}, {"longest": float("nan")}],
)
def test_wrong_rules_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Rules(**wrong)


# -- windows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 999, 2000, 5500, 12_345])
def test_windows_slide_as_those_of_a_recording(samples: int) -> None:
    wave = np.arange(samples, dtype=np.float32)
    rng = np.random.default_rng(samples)
    sliding, spans, at = SlidingWindows(1000, 2.0, 1.0), [], 0
    while at < samples:
        size = int(rng.integers(1, 3000))
        spans += sliding.feed(wave[at : at + size])
        at += size
    spans += sliding.flush()
    assert [round(span.start * 1000) for span in spans] == window_starts(samples, 2000, 1000)
    for span in spans:
        assert np.array_equal(span.wave, wave[round(span.start * 1000) : round(span.end * 1000)])


def test_a_few_samples_more_are_no_window() -> None:
    sliding = SlidingWindows(1000, 2.0, 1.0)
    assert len(sliding.feed(np.zeros(2050, np.float32))) == 1
    assert sliding.flush() == []


def test_no_window_spans_a_gap() -> None:
    sliding = SlidingWindows(1000, 2.0, 1.0)
    spans = sliding.feed(np.zeros(3500, np.float32)) + sliding.skip(10.0) + sliding.feed(np.ones(2000, np.float32))
    assert [(span.start, span.end) for span in spans] == [(0.0, 2.0), (1.0, 3.0), (1.5, 3.5), (13.5, 15.5)]
    assert all(len(set(span.wave)) == 1 for span in spans)


# -- the background ---------------------------------------------------------------------------------------


def unit(rows: np.ndarray) -> np.ndarray:
    made: np.ndarray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return made


def heard(scorer: AlertScorer, cosines: np.ndarray) -> list[float]:
    """Confidences of windows with these cosines to the first alert."""
    found = []
    for cosine in cosines:
        row = np.zeros(8, np.float32)
        row[0], row[1] = cosine, np.sqrt(1 - cosine**2)
        confidence, score = scorer.score(row)
        scorer.learn(row, score, confidence >= 0.2)
        found.append(float(confidence[0]))
    return found


def alert_scorer(alerts: int = 1) -> AlertScorer:
    rng = np.random.default_rng(0)
    texts, sounds = (unit(np.c_[rng.normal(0.1, 0.18, (n, 2)), np.full((n, 6), 0.4)]) for n in (132, 56))
    banks = ReferenceBank(texts, sounds)
    return AlertScorer(np.tile(np.eye(8, dtype=np.float32)[0], (alerts, 1)), banks, warmup=30, minute=60)


def test_the_same_cosine_counts_where_it_is_rare() -> None:
    """A place where 0.5 is what every minute gives, against one where 0.2 is."""
    rng = np.random.default_rng(1)
    event = np.array([0.6, 0.6])
    quiet = heard(alert_scorer(), np.r_[rng.normal(0.0, 0.05, 600), event])[-1]
    noisy = heard(alert_scorer(), np.r_[rng.normal(0.5, 0.05, 600), event])[-1]
    assert quiet > 0.6 > 0.2 > noisy


def test_nothing_is_said_in_the_warm_up() -> None:
    assert max(heard(alert_scorer(), np.full(30, 0.9))) == 0.0


def test_an_event_is_not_learnt_but_what_stays_is() -> None:
    scorer = alert_scorer()
    rng = np.random.default_rng(1)
    quiet = rng.normal(0.1, 0.03, 240)
    heard(scorer, quiet)
    once = heard(scorer, np.r_[np.full(4, 0.7), quiet])[:4]
    again = heard(scorer, np.r_[np.full(4, 0.7), quiet])[:4]
    assert again[-1] > 0.8 * once[-1] > 0.5
    assert heard(scorer, np.full(15 * 60, 0.7))[-1] < 0.4 < 0.5 < again[-1]  # a quarter of an hour


def test_what_is_unusual_stands_out_and_does_not_explain_itself() -> None:
    rng = np.random.default_rng(0)
    novelty = NoveltyScorer(16, warmup=30)
    usual = unit(np.eye(16)[0] + 0.05 * rng.standard_normal((1500, 16)))
    other = unit(np.eye(16)[1] + 0.05 * rng.standard_normal((6, 16)))
    levels = []
    for row in (*usual, *other, *usual[:50], *other):
        levels.append(novelty.score(row)[0])
        novelty.learn(row)
    assert min(levels[1501:1506]) > 0.9
    assert min(levels[1557:1562]) > 0.9
    assert np.mean(np.array(levels[60:1500]) > 0.6) < 0.01


def test_what_is_known_of_the_background_does_not_grow() -> None:
    scorer, novelty, rng = alert_scorer(3), NoveltyScorer(8, warmup=10), np.random.default_rng(0)
    for row in unit(rng.standard_normal((3000, 8))):
        confidence, score = scorer.score(row)
        scorer.learn(row, score, confidence > 0.2)
        novelty.score(row)
        novelty.learn(row)
    assert scorer._minutes.shape == (MINUTES, 3)
    assert novelty._reservoir.shape == (RESERVOIR, 8)
    assert novelty._distances.shape == (DISTANCES,)
    assert len(novelty._recent) <= 11


def test_recent_sound_is_bounded_and_found_by_time() -> None:
    recent = RecentAudio(1000, 5.0)
    for second in range(100):
        recent.feed(np.full(1000, second, np.float32))
    assert sum(len(wave) for _, wave in recent._blocks) <= 6000
    assert set(recent.cut(97.5, 98.5)) == {97.0, 98.0}
    assert len(recent.cut(0.0, 10.0)) == 0


# -- from sound to events -----------------------------------------------------------------------------------


def test_a_siren_in_the_rain_is_told_with_its_clip(mini: CLAP, tmp_path: Path) -> None:
    sf.write(tmp_path / "rain.flac", rainy((40, 70), 90), 32_000)
    listening = watch(tmp_path / "rain.flac", ["a siren", "a dog barking"], model=mini, clips=tmp_path / "clips")
    first, second = list(listening)
    assert first.alert == second.alert == "a siren"
    for event, place in ((first, 40), (second, 70)):
        assert event.start <= place + 1
        assert place + 3 <= event.end <= place + 7
        assert event.start <= event.peak <= event.end
        assert 0.6 <= event.confidence <= 1
        assert 0.3 < event.score < 1
        assert 1.0 <= event.latency <= 4.0
        wave, rate = sf.read(event.clip)
        assert len(wave) / rate == pytest.approx(event.end - event.start + 4.0, abs=0.01)
        assert json.loads(event.to_json()) == event.to_dict()
    assert first.id != second.id
    report = listening.report()
    assert (report.windows, report.skipped, report.events) == (89, 0, 2)
    assert report.heard == pytest.approx(90.0)


def test_a_pipe_a_file_and_a_stream_of_the_same_sound_tell_the_same(mini: CLAP, tmp_path: Path) -> None:
    wave = (rainy((40,), 60) * 32767).astype(np.int16)
    sf.write(tmp_path / "rain.wav", wave, 32_000)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str((tmp_path / "rain.wav").stat().st_size))
        request.end_headers()
        request.wfile.write((tmp_path / "rain.wav").read_bytes())

    pipe = PipeSource(io.BytesIO(wave.tobytes()), rate=32_000)
    found = []
    with served(answer) as url:
        for source in (tmp_path / "rain.wav", pipe, f"{url}/rain.wav"):
            (event,) = watch(source, ["a siren"], model=mini)
            found.append((event.start, event.end, event.confidence))
    assert found[0] == found[1] == found[2]


def test_the_unusual_is_told_without_words(mini: CLAP, tmp_path: Path) -> None:
    sf.write(tmp_path / "rain.wav", rainy((60,), 75), 32_000)
    (event,) = watch(tmp_path / "rain.wav", unusual=True, model=mini)
    assert event.alert == "unusual"
    assert event.start <= 61
    assert event.end >= 63


def test_what_is_pushed_is_heard_as_what_is_read(loud: Loud, tmp_path: Path) -> None:
    wave = hum(75, (40, 60))
    sf.write(tmp_path / "hum.wav", wave, RATE, subtype="FLOAT")
    judged: list[tuple[float, float]] = []
    read = watch(tmp_path / "hum.wav", ["noise"], model=loud, unusual=True, judged=lambda *window: judged.append(window[:2]))  # type: ignore[arg-type]  # fmt: skip
    expected = [(event.alert, event.start, event.end, event.confidence) for event in read]
    assert {alert for alert, *_ in expected} == {"noise", "unusual"}
    assert judged == [(float(start), start + 2.0) for start in range(74)]
    pushed = watch(PushedSource("browser"), ["noise"], model=loud, unusual=True)  # type: ignore[arg-type]
    assert pushed.alerts == ("noise", "unusual")
    events = []
    for start in range(0, len(wave), 7_000):
        events += pushed.feed(wave[start : start + 7_000])
    assert events, "told while it is heard, not at the end"
    events += pushed.finish()
    assert [(event.alert, event.start, event.end, event.confidence) for event in events] == expected
    assert all(event.time for event in events)
    assert pushed.report().heard == pytest.approx(75.0)


def test_what_is_missing_of_what_is_pushed_is_counted(loud: Loud) -> None:
    pushed = watch(PushedSource("browser"), ["noise"], model=loud)  # type: ignore[arg-type]
    pushed.feed(hum(40))
    (event,) = pushed.feed(hum(10, (1,)), gap=5.0) + pushed.finish()
    assert event.start == pytest.approx(45.0, abs=1.0)
    report = pushed.report()
    assert (report.lost, report.cuts) == (5.0, 1)


def test_events_can_be_told_when_they_begin(loud: Loud, tmp_path: Path) -> None:
    sf.write(tmp_path / "hum.wav", hum(60, (40,)), RATE)
    began, ended = watch(tmp_path / "hum.wav", ["noise"], model=loud, when="both")  # type: ignore[arg-type]
    assert (began.state, ended.state) == ("began", "ended")
    assert began.id == ended.id
    assert began.latency == ended.latency
    assert began.end < ended.end
    (alone,) = watch(tmp_path / "hum.wav", ["noise"], model=loud, when="began")  # type: ignore[arg-type]
    assert alone.state == "began"


def test_ten_thousand_alerts_are_watched_for_and_more_are_refused(loud: Loud, tmp_path: Path) -> None:
    sf.write(tmp_path / "hum.wav", hum(45), RATE)
    names = [f"sound {i}" for i in range(10_000)]
    listening = watch(tmp_path / "hum.wav", names, model=loud)  # type: ignore[arg-type]
    assert list(listening) == []
    assert listening._scorer._minutes.nbytes < 5e6
    with pytest.raises(UsageError, match="10001 alerts; at most 10000"):
        watch(tmp_path / "hum.wav", [*names, "one more"], model=loud)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"alerts": []}, "nothing to listen for"),
        ({"alerts": ["a siren", " "]}, "an alert is empty"),
        ({"alerts": "a siren"}, "not the string"),
        ({"window": 20.0}, "window is 20.0"),
        ({"hop": 0.0}, "hop 0.0"),
        ({"when": "never"}, "choose ended, began or both"),
        ({"warmup": -1.0}, "warmup"),
        ({"warmup": 1e308, "hop": 0.05}, "warmup"),
    ],
)
def test_wrong_use_is_refused_at_once(loud: Loud, tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    sf.write(tmp_path / "hum.wav", hum(5), RATE)
    with pytest.raises(UsageError, match=told):
        watch(tmp_path / "hum.wav", **{"alerts": ["noise"], "model": loud, **wrong})


def test_an_empty_file_and_a_text_are_told(loud: Loud, tmp_path: Path) -> None:
    (tmp_path / "note.wav").write_text("no sound")
    with pytest.raises(Exception, match=r"note\.wav"):
        list(watch(tmp_path / "note.wav", ["noise"], model=loud))  # type: ignore[arg-type]
    with pytest.raises(SoundNotFound, match="no such file or folder"):
        watch(tmp_path / "nothing.wav", ["noise"], model=loud)  # type: ignore[arg-type]


# -- sources that are not as they should be ---------------------------------------------------------------------


def test_odd_bytes_and_nan_in_a_pipe_are_told_and_survived(loud: Loud) -> None:
    wave = hum(60, (40,))
    wave[1000:2000] = np.nan
    wave[3000] = np.inf
    wave[4000] = 1e30
    told: list[str] = []
    pipe = PipeSource(io.BytesIO(wave.astype("<f4").tobytes() + b"abc"), rate=RATE, format="f32le")
    (event,) = watch(pipe, ["noise"], model=loud, tell=told.append)  # type: ignore[arg-type]
    assert event.start <= 40 < event.end
    assert ["silence" in told[0], "3 bytes that are no whole frame of 4" in told[1]] == [True, True]
    assert len(told) == 2


@pytest.mark.parametrize("wrong", [{"format": "mp3"}, {"rate": 0.0}, {"rate": float("nan")}, {"channels": 0}])
def test_a_pipe_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        PipeSource(io.BytesIO(), **{"rate": 16_000, **wrong})


def test_a_pipe_needs_its_rate_and_others_do_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give rate"):
        open_source("-")
    with pytest.raises(UsageError, match="standard input"):
        open_source(tmp_path, rate=16_000)


@pytest.mark.parametrize(
    ("error", "told"),
    [(ImportError("no"), "openclap's extra 'watch'"), (OSError("PortAudio library not found"), "libportaudio2")],
)
def test_a_machine_without_sounddevice_says_so(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    import builtins

    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=told):
        open_source("mic")


class Card:
    """A stand-in for sounddevice: it gives `blocks` blocks each time that it is opened."""

    class PortAudioError(Exception):
        pass

    def __init__(self, devices: list[dict[str, Any]], blocks: int = 0) -> None:
        self.devices, self.blocks, self.opened = devices, blocks, 0

    def query_devices(self, device: object = None, kind: str | None = None) -> Any:
        if kind is None:
            return self.devices
        if not self.devices:
            raise self.PortAudioError("Error querying device -1")
        return self.devices[0]

    @contextmanager
    def InputStream(self, *, callback: Callable[..., None], blocksize: int, **_: Any) -> Iterator[None]:  # noqa: N802
        self.opened += 1
        for _number in range(self.blocks):
            callback(np.full((blocksize, 1), 0.01, np.float32), blocksize, None, None)
        yield


def test_no_microphone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclap.watch.microphone._import_sounddevice", lambda: Card([]))
    with pytest.raises(SourceError, match=r"no microphone .* this machine has none"):
        open_source("mic")


def test_a_microphone_that_is_unplugged_is_opened_again(monkeypatch: pytest.MonkeyPatch, loud: Loud) -> None:
    card = Card([{"name": "card", "max_input_channels": 1, "default_samplerate": 8000.0}], blocks=40)
    monkeypatch.setattr("openclap.watch.microphone._import_sounddevice", lambda: card)
    monkeypatch.setattr("openclap.watch.microphone.SILENT", 0.05)
    monkeypatch.setattr("openclap.watch.microphone.backoff_seconds", lambda _: 0.05)
    stop, told = threading.Event(), list[str]()

    def end() -> None:
        until(lambda: card.opened >= 3)
        stop.set()

    threading.Thread(target=end, daemon=True).start()
    assert list(watch("mic:0", ["noise"], model=loud, stop=stop, tell=told.append)) == []  # type: ignore[arg-type]
    assert card.opened >= 3
    assert "nothing comes any more" in told[0]


def test_what_a_microphone_gives_and_nobody_takes_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was left out in silence, so what came after had the wrong time."""

    class Eager(Card):
        take: Callable[[], None]

        @contextmanager
        def InputStream(self, *, callback: Callable[..., None], blocksize: int, **_: Any) -> Iterator[None]:  # noqa: N802
            self.take = lambda: callback(np.full((blocksize, 1), 0.01, np.float32), blocksize, None, None)
            for _number in range(10):
                self.take()
            yield

    card = Eager([{"name": "card", "max_input_channels": 1, "default_samplerate": 8000.0}])
    monkeypatch.setattr("openclap.watch.microphone._import_sounddevice", lambda: card)
    monkeypatch.setattr("openclap.watch.microphone.WAITING", 4)
    blocks = open_source("mic").blocks(RATE, threading.Event(), pytest.fail)
    gaps = [next(blocks).gap for _ in range(4)]
    card.take()
    assert [*gaps, next(blocks).gap] == [0.0, 0.0, 0.0, 0.0, 1.5]


def test_a_refused_stream_a_page_and_a_playlist_are_errors(loud: Loud, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"")
    bodies = {
        "/page": b"<html>no sound</html>" * 100,
        "/list.m3u8": f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n".encode(),
    }
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        if request.path not in bodies:
            request.send_error(404)
            return
        request.send_response(200)
        request.end_headers()
        request.wfile.write(bodies[request.path])

    with served(answer) as url:
        for path in ("/page", "/list.m3u8", "/gone"):
            with pytest.raises(SourceError, match="cannot be heard"):
                list(watch(url + path, ["noise"], model=loud))  # type: ignore[arg-type]
        user = url.replace("http://", "http://me:secret@")
        with pytest.raises(SourceError) as caught:
            list(watch(f"{user}/page?token=secret", ["noise"], model=loud))  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    with pytest.raises(SourceError, match="cannot be heard"):
        list(watch(url, ["noise"], model=loud))  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["WAV", "OGG"])
def test_a_stream_that_is_cut_is_heard_again(loud: Loud, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclap.watch.streams.backoff_seconds", lambda _: 0.1)
    halves = []
    for _ in range(2):
        file = io.BytesIO()
        sf.write(file, hum(50, (40,)), RATE, format=format)
        halves.append(file.getvalue())
    halves[0] = halves[0][:-100]  # in the middle of a page
    times = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal times
        times += 1
        if not halves or times == 2:
            request.send_error(503)
            return
        request.send_response(200)
        request.end_headers()
        request.wfile.write(halves.pop(0))

    stop, told = threading.Event(), list[str]()
    with served(answer) as url:
        listening = watch(StreamSource(f"{url}/live"), ["noise"], model=loud, stop=stop, tell=told.append)  # type: ignore[arg-type]
        events = [next(listening), next(listening)]
        stop.set()
        assert list(listening) == []
    first, second = events
    assert first.start <= 40 < first.end
    assert second.start > 80
    assert first.time is not None
    report = listening.report()
    assert report.cuts == 1
    assert report.lost > 0
    assert any("trying again" in line for line in told)


def test_a_folder_that_grows_and_vanishes(loud: Loud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    sf.write(folder / "old.wav", hum(45, (40,)), RATE)
    stop, told, looked = threading.Event(), list[str](), threading.Event()
    events: list[Event] = []

    def looking(given: Any) -> Any:
        found = find_sounds(given)
        looked.set()
        return found

    monkeypatch.setattr("openclap.watch.folder.find_sounds", looking)
    listening = watch(FolderSource(folder, poll=0.02), ["noise"], model=loud, stop=stop, tell=told.append)  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: events.extend(listening), daemon=True)
    thread.start()
    assert looked.wait(60)
    (folder / "broken.wav").write_text("no sound at all")
    sf.write(tmp_path / "new.wav", hum(45, (40,)), RATE)  # whole when it arrives: two looks lie 20 ms apart here
    (tmp_path / "new.wav").rename(folder / "new.wav")
    assert until(lambda: len(events) == 1)
    assert events[0].source == str(folder / "new.wav")
    away = tmp_path / "away"
    folder.rename(away)
    assert until(lambda: any("not there any more" in line for line in told))
    away.rename(folder)
    sf.write(tmp_path / "newer.wav", hum(15, (5,)), RATE)
    (tmp_path / "newer.wav").rename(folder / "newer.wav")
    assert until(lambda: any(event.source.endswith("newer.wav") for event in events))
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert any("broken.wav" in line for line in told)


def test_a_file_of_an_impossible_rate_and_a_closed_folder_do_not_end_a_folder(
    loud: Loud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One header that said 50 Hz ended a watch that was to last for months; a folder without permission was passed in silence."""
    sf.write(tmp_path / "a.wav", np.zeros(500), 50)
    sf.write(tmp_path / "b.wav", hum(45, (40,)), RATE)
    for name, age in (("a.wav", 200), ("b.wav", 100)):
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    closed = [Failure(str(tmp_path / "closed"), "cannot be looked into (Permission denied)")]
    monkeypatch.setattr(
        "openclap.watch.folder.find_sounds", lambda given: replace(find_sounds(given), unreadable=closed)
    )
    told: list[str] = []
    source = FolderSource(tmp_path, existing=True, poll=0.01)
    with watch(source, ["noise"], model=loud, tell=told.append) as listening:  # type: ignore[arg-type]
        assert next(listening).source.endswith("b.wav")
    assert [("Permission denied" in line, "50 Hz" in line) for line in told] == [(True, False), (False, True)]


@pytest.mark.parametrize("url", ["http://[::1/x", "rtsp://host:port/x?token=hush"])
def test_an_address_that_is_none_is_one_sentence(loud: Loud, url: str) -> None:
    with pytest.raises(SourceError) as caught:
        list(watch(url, ["noise"], model=loud))  # type: ignore[arg-type]
    assert "hush" not in str(caught.value)


def test_a_stream_that_turns_to_rubbish_is_told_and_connected_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets that could not be decoded were left out for ever, so the watch was deaf and nobody knew."""
    monkeypatch.setattr("openclap.watch.streams.backoff_seconds", lambda _: 0.01)
    file = io.BytesIO()
    sf.write(file, hum(3), RATE, format="MP3")
    rubbish = np.random.default_rng(0).bytes(4096)
    times = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal times
        times += 1
        request.send_response(200)
        request.end_headers()
        request.wfile.write(file.getvalue())
        with suppress(OSError):
            while True:
                request.wfile.write(rubbish)
                time.sleep(0.01)

    told: list[str] = []
    with served(answer) as url:
        reading = read_blocks(StreamSource(f"{url}/x", timeout=0.5), RATE, StopEvent(threading.Event()), told.append)
        for _block in reading:
            if times == 2:
                break
        reading.close()
    assert "nothing that can be decoded came for 0.5 s" in told[0]


def test_a_closed_standard_input_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        open_source("-", rate=RATE)


class Steadily:
    """A live source: `seconds` of sound, a quarter each millisecond, as if that were a quarter of a second."""

    name, live, threaded = "steadily", True, True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = threading.Semaphore(0)  # one for each block

    def blocks(self, rate: int, stop: threading.Event, tell: Callable[[str], None]) -> Iterator[AudioBlock]:
        for _ in range(round(4 * self.seconds)):
            time.sleep(0.001)
            self.begun.release()
            yield AudioBlock(np.full(rate // 4, 0.01, np.float32))


def test_a_model_that_is_too_slow_skips_and_says_so(loud: Loud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclap.watch.loop.LATE", 0.2)
    monkeypatch.setattr("openclap.watch.loop.AHEAD", 1e9)  # its second is shorter than ours
    told: list[str] = []
    source, encode, slow = Steadily(60), loud.encode_audio, threading.Event()

    def encode_audio(sounds: list[Any], **options: Any) -> np.ndarray:
        if not slow.is_set():  # once: until fourteen more seconds wait, and these are late
            slow.set()
            for _ in range(60):
                assert source.begun.acquire(timeout=60)
            time.sleep(0.3)
        return encode(sounds, **options)

    monkeypatch.setattr(loud, "encode_audio", encode_audio)
    listening = watch(source, ["noise"], model=loud, tell=told.append)  # type: ignore[arg-type]
    assert list(listening) == []
    report = listening.report()
    assert report.skipped >= 10
    assert report.windows + report.skipped >= 58
    assert sum("the model is slower than the sound comes" in line for line in told) == 1
    assert "skipped" in told[0]


def test_who_stops_listening_stops_the_reading() -> None:
    steadily = [thread for thread in threading.enumerate() if thread.name == "openclap-source"]
    generator = read_blocks(Steadily(1000), RATE, StopEvent(threading.Event()), pytest.fail)
    next(generator)
    reader = next(
        thread for thread in threading.enumerate() if thread.name == "openclap-source" and thread not in steadily
    )
    generator.close()
    reader.join(60)
    assert not reader.is_alive()


def test_backoff_doubles_up_to_its_most() -> None:
    assert [backoff_seconds(n) for n in (1, 2, 3, 10, 10_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


# -- webhook ----------------------------------------------------------------------------------------------------


class Receiver:
    """What a webhook got, and what it answers: one status after another, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[Any, bytes, int]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        status = self.statuses.pop(0) if self.statuses else 204
        self.got.append((request.headers, body, status))
        if status == 0:  # hangs, until the other end has given up
            request.connection.settimeout(60)
            with suppress(OSError):
                request.connection.recv(1)
            return
        request.send_response(status)
        if status == 302:
            request.send_header("Location", "/elsewhere")
        request.end_headers()

    def taken(self) -> list[str]:
        return [json.loads(body)["id"] for _, body, status in self.got if status == 204]


def delivery(url: str, folder: Path, told: list[str], timeout: float = 30.0, **options: Any) -> RetryingSink:
    return RetryingSink(Webhook(url, timeout=timeout, **options), folder, told.append, first=0.01, most=0.05)


def test_a_webhook_is_signed_and_says_what_it_is(tmp_path: Path) -> None:
    receiver, told = Receiver(), list[str]()
    with served(receiver) as url:
        sink = delivery(url, tmp_path, told, secret="hush")
        sink.put(an_event(7))
        assert sink.close(60.0) == 0
    ((headers, body, _),) = receiver.got
    stamp = headers["X-OpenClap-Timestamp"]
    mac = hmac.new(b"hush", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-OpenClap-Signature"] == f"sha256={mac}"
    assert headers["Idempotency-Key"] == "run-000007.ended"
    assert json.loads(body) == an_event(7).to_dict()
    assert told == []


@pytest.mark.parametrize(
    "statuses", [(500, 503, 500), (429,), (302, 302), (0,)], ids=["500", "429", "redirect", "hangs"]
)
def test_what_is_not_taken_is_sent_again_in_order(tmp_path: Path, statuses: tuple[int, ...]) -> None:
    receiver, told = Receiver(*statuses), list[str]()
    with served(receiver) as url:
        sink = delivery(url, tmp_path, told, timeout=0.3 if 0 in statuses else 30.0)
        for number in range(5):
            sink.put(an_event(number))
        assert until(lambda: len(receiver.taken()) == 5)
        assert sink.close(60.0) == 0
    assert receiver.taken() == [f"run-{n:06d}" for n in range(5)]
    keys = [headers["Idempotency-Key"] for headers, _, _ in receiver.got]
    assert keys[: len(statuses) + 1] == ["run-000000.ended"] * (len(statuses) + 1)
    assert (
        len(told) == 2 or 0 in statuses
    )  # the first failure of the row, and that it works again; 0.3 s may pass twice


def test_what_will_never_be_wanted_stops_nothing(tmp_path: Path) -> None:
    receiver, told = Receiver(204, 422), list[str]()
    with served(receiver) as url:
        sink = delivery(url, tmp_path, told)
        for number in range(3):
            sink.put(an_event(number))
        assert until(lambda: len(receiver.taken()) == 2)
        assert sink.close(60.0) == 1
    assert receiver.taken() == ["run-000000", "run-000002"]
    assert "refuses an event for good (HTTP 422)" in told[0]


def test_a_receiver_that_is_down_loses_nothing_even_over_a_restart(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, told = f"http://127.0.0.1:{port}/alarms", list[str]()
    sink = delivery(url, tmp_path, told)
    for number in range(3):
        sink.put(an_event(number))
    assert sink.close(0.3) == 3
    assert "cannot be reached" in told[0]
    receiver = Receiver()
    again = delivery(url, tmp_path, told)
    again.put(an_event(3))
    with served(receiver, port):
        assert until(lambda: len(receiver.taken()) == 4)
        assert again.close(60.0) == 0
    assert receiver.taken() == [f"run-{n:06d}" for n in range(4)]
    assert not list(tmp_path.rglob("*.json"))


def test_two_watches_of_one_receiver_do_not_share_a_spool(tmp_path: Path) -> None:
    """Both sent what lay in one folder, so events came twice; what a crashed one leaves is sent by the next."""
    receiver, told = Receiver(*[503] * 6), list[str]()
    with served(receiver) as url:
        first, second = delivery(url, tmp_path, told), delivery(url, tmp_path, told)
        other = delivery(f"{url}/?token=other", tmp_path, told)
        for number, sink in enumerate((first, second, other)):
            sink.put(an_event(number))
        assert until(lambda: len(receiver.taken()) == 3)
        assert [sink.close(60.0) for sink in (first, second, other)] == [0, 0, 0]
        assert sorted(receiver.taken()) == [f"run-{n:06d}" for n in range(3)]
        (left,) = (path for path in tmp_path.iterdir() if path.is_dir() and path.name.endswith("-1"))
        (left / "0000000000000001-run-000009.ended.json").write_bytes(an_event(9).to_json())
        last = delivery(url, tmp_path, told)
        assert until(lambda: len(receiver.taken()) == 4)
        assert last.close(60.0) == 0
    assert receiver.taken()[-1] == "run-000009"


def test_the_spool_is_bounded_and_tells_what_it_drops(tmp_path: Path) -> None:
    told: list[str] = []
    spool = Spool(tmp_path, told.append, most=3)
    for number in range(5):
        spool.put(f"key-{number}", b"{}")
    assert len(spool) == 3
    assert spool.dropped == 2
    assert spool.oldest() == ("key-2", b"{}")
    assert len(told) == 1
    assert Spool(tmp_path, told.append).oldest() == ("key-2", b"{}")


def test_a_full_disk_keeps_events_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    spool = Spool(tmp_path, told.append)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    spool.put("a", b"1")
    spool.put("b", b"2")
    assert spool.oldest() == ("a", b"1")
    spool.remove()
    assert spool.oldest() == ("b", b"2")
    assert len(told) == 1
    assert "No space left" in told[0]
    assert not list(tmp_path.iterdir())


def test_memory_that_is_full_costs_nothing_that_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest went, and those were on disk: all of them, for one event too many in memory."""
    monkeypatch.setattr("openclap.watch.sinks.IN_MEMORY", 2)
    spool = Spool(tmp_path, lambda _: None)
    for number in range(5):
        spool.put(f"disk-{number}", b"{}")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for number in range(4):
        spool.put(f"memory-{number}", b"{}")
    assert spool.dropped == 2
    keys = []
    while (waiting := spool.oldest()) is not None:
        keys.append(waiting[0])
        spool.remove()
    assert keys == [*(f"disk-{n}" for n in range(5)), "memory-2", "memory-3"]


def test_what_another_has_left_is_taken_over_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read, kept in memory alone and deleted."""
    Spool(tmp_path / "old", pytest.fail).put("a", b"1")
    (tmp_path / "old" / ".0000000000000002-b.json.part").write_bytes(b"1")  # killed while it was written
    spool = Spool(tmp_path / "new", pytest.fail)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    spool.adopt(tmp_path / "old")
    assert spool.oldest() == ("a", b"1")
    assert [path.name[17:] for path in (tmp_path / "new").iterdir()] == ["a.json"]
    Spool(tmp_path / "old", pytest.fail)
    assert not list((tmp_path / "old").iterdir())


WRONG = ["", "example.org", "file:///etc/passwd", "ftp://example.org", "http://"]
WRONG += [
    "http://[::1/x",
    "http://host:port/x",
    "http://host:0/",
    "http://host/a b?token=hush",
    "https://host/é?token=hush",
]


@pytest.mark.parametrize("url", WRONG)
def test_only_addresses_are_posted_to(url: str) -> None:
    """Some were a traceback, others were tried for ever, and the message held what comes after the question mark."""
    with pytest.raises(UsageError, match="no address to post to") as caught:
        Webhook(url)
    assert "hush" not in str(caught.value)


def test_a_webhook_may_ask_for_a_password(tmp_path: Path) -> None:
    """The password was taken for a part of the host's name."""
    receiver, told = Receiver(), list[str]()
    with served(receiver) as url:
        sink = delivery(url.replace("://", "://me:h%40sh@") + "/x", tmp_path, told, secret="a\udcffb")
        sink.put(an_event())
        assert sink.close(60.0) == 0
    ((headers, body, _),) = receiver.got
    assert base64.b64decode(headers["Authorization"].split()[1]) == b"me:h@sh"
    mac = hmac.new(b"a\xffb", headers["X-OpenClap-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-OpenClap-Signature"] == f"sha256={mac}"  # a secret that is no UTF-8 ended the thread
    assert "sh" not in sink.name


# -- MQTT ---------------------------------------------------------------------------------------------------------


class Broker:
    """As much of an MQTT 3.1.1 broker as one publisher needs; it leaves `silent` messages without an answer."""

    def __init__(self, silent: int = 0) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.silent = silent
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as file:
            while kind := file.read(1):
                size = shift = 0
                while True:
                    byte = file.read(1)[0]
                    size |= (byte & 127) << shift
                    shift += 7
                    if not byte & 128:
                        break
                body = file.read(size)
                if kind[0] >> 4 == 1:
                    peer.sendall(b"\x20\x02\x00\x00")  # CONNACK
                elif kind[0] >> 4 == 3:
                    length = struct.unpack("!H", body[:2])[0]
                    self.got.append((body[2 : 2 + length].decode(), body[4 + length :]))
                    if self.silent:
                        self.silent -= 1
                        continue
                    peer.sendall(b"\x40\x02" + body[2 + length : 4 + length])  # PUBACK
                elif kind[0] >> 4 == 14:
                    return


@pytest.mark.parametrize("silent", [0, 1])
def test_mqtt_gets_every_event_until_it_says_so(tmp_path: Path, silent: int) -> None:
    broker, told = Broker(silent), list[str]()
    sink = RetryingSink(
        Mqtt(f"mqtt://127.0.0.1:{broker.port}/house/alarms", timeout=0.5 if silent else 30.0),
        tmp_path,
        told.append,
        first=0.01,
    )
    for number in range(3):
        sink.put(an_event(number))
    assert until(lambda: len({body for _, body in broker.got}) == 3)
    assert sink.close(60.0) == 0
    broker.socket.close()
    assert {topic for topic, _ in broker.got} == {"house/alarms"}
    ids = list(dict.fromkeys(json.loads(body)["id"] for _, body in broker.got))
    assert ids == [f"run-{n:06d}" for n in range(3)]
    assert len(told) >= 2 if silent else told == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://broker/topic",
        "mqtt://",
        "mqtt://broker/all/#",
        "mqtt://broker:port/x",
        "mqtt://[::1/x",
        "mqtt://broker/" + "x" * 70_000,
    ],
)
def test_only_brokers_are_published_to(url: str) -> None:
    with pytest.raises(UsageError, match="no broker and topic"):
        Mqtt(url)


# -- commands -------------------------------------------------------------------------------------------------------


def test_a_command_gets_the_event_and_no_shell(tmp_path: Path) -> None:
    told: list[str] = []
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2] + sys.stdin.read())"
    sink = Command([sys.executable, "-c", code, str(tmp_path / "got"), "$HOME; "], told.append)
    sink.put(an_event())
    assert sink.close(60.0) == 0
    assert (tmp_path / "got").read_text() == f"$HOME; {an_event().to_json().decode()}\n"


def test_a_command_that_hangs_or_fails_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    sink = Command([sys.executable, "-c", "import time; time.sleep(60)"], told.append, timeout=0.3)
    sink.put(an_event())
    assert sink.close(60.0) == 1
    failing = Command([sys.executable, "-c", "raise SystemExit(3)"], told.append)
    failing.put(an_event())
    assert failing.close(60.0) == 1
    assert "was not done after 0.3 s" in told[0]
    assert "exit code 3" in told[1]


def test_a_command_does_not_outlive_the_watch(tmp_path: Path) -> None:
    """It was left running, and counted as done."""
    told: list[str] = []
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    sink = Command([sys.executable, "-c", code, str(tmp_path / "pid")], told.append)
    sink.put(an_event(0))
    sink.put(an_event(1))
    assert until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    assert sink.close(0.1) == 2
    assert "when the watch ended" in told[0]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_command_is_not_run_too_often() -> None:
    told: list[str] = []
    sink = Command(["true"], told.append, a_minute=2)
    for number in range(10):
        sink.put(an_event(number))
    assert sink.close(60.0) == 8
    assert len(told) == 1


def test_a_command_must_be_a_program() -> None:
    with pytest.raises(UsageError, match="no program"):
        Command(["no such program"], print)


# -- clips ------------------------------------------------------------------------------------------------------------


def test_clips_keep_their_budget_and_the_users_files(tmp_path: Path) -> None:
    (tmp_path / "mine.flac").write_bytes(b"x" * 1_000_000)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)
    clips = ClipWriter(tmp_path, pytest.fail, budget=100_000)
    paths = [clips.write(an_event(number), wave, RATE) for number in range(8)]
    kept = sorted(str(path) for path in tmp_path.glob("openclap-*.flac"))
    assert kept == paths[-len(kept) :]
    assert 2 <= len(kept) <= 4
    assert sum(Path(path).stat().st_size for path in kept) <= 100_000
    assert (tmp_path / "mine.flac").exists()
    ClipWriter(tmp_path, pytest.fail, budget=100_000).write(an_event(9), wave, RATE)  # what was there counts
    assert sum(path.stat().st_size for path in tmp_path.glob("openclap-*.flac")) <= 100_000


def test_a_clip_that_is_too_large_costs_no_other(tmp_path: Path) -> None:
    """Room was made for it first, so all the others went, and then it was not kept either."""
    told: list[str] = []
    (tmp_path / "openclap-talk.flac").write_bytes(b"mine")
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)
    clips = ClipWriter(tmp_path, told.append, budget=100_000)
    kept = [clips.write(an_event(number), wave, RATE) for number in range(2)]
    assert clips.write(an_event(2), np.tile(wave, 10), RATE) is None
    assert "more than the budget" in told[0]
    assert all(Path(str(path)).exists() for path in kept)
    for number in range(3, 8):
        clips.write(an_event(number), wave, RATE)
    assert (tmp_path / "openclap-talk.flac").read_bytes() == b"mine"  # a name of the user's that begins like ours


@pytest.mark.parametrize("alert", ["🚨", "狗叫" * 500, "𝒶" * 500, "../../etc/passwd", "a\0b"])
def test_any_words_name_a_clip(tmp_path: Path, alert: str) -> None:
    event = replace(an_event(), alert=alert)
    clip = ClipWriter(tmp_path, pytest.fail, budget=10**6).write(event, np.zeros(RATE, np.float32), RATE)
    assert Path(str(clip)).parent == tmp_path
    assert Path(str(clip)).exists()


@pytest.mark.parametrize("wrong", [{"before": float("inf")}, {"after": float("nan")}, {"after": -1.0}, {"budget": 0}])
def test_clips_that_cannot_be_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="clips of"):
        ClipWriter(tmp_path, pytest.fail, **{"budget": 10**6, **wrong})


@pytest.mark.parametrize("place", ["in", "in/clips", "link"])
def test_clips_are_not_kept_where_they_are_heard(loud: Loud, tmp_path: Path, place: str) -> None:
    """Each clip was a new sound of the folder, with an event and a clip of its own, for ever."""
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(UsageError, match="keep them outside"):
        watch(tmp_path / "in", ["noise"], model=loud, clips=tmp_path / place)  # type: ignore[arg-type]
    watch(tmp_path / "in", ["noise"], model=loud, clips=tmp_path / "in clips")  # type: ignore[arg-type]


def test_clips_are_kept_of_what_was_told_when_it_began(loud: Loud, tmp_path: Path) -> None:
    """--tell began with --clips kept none, and did not say so."""
    sf.write(tmp_path / "hum.wav", hum(60, (40,)), RATE)
    (event,) = watch(tmp_path / "hum.wav", ["noise"], model=loud, when="began", clips=tmp_path / "clips")  # type: ignore[arg-type]
    assert (event.state, event.clip) == ("began", None)
    (clip,) = (tmp_path / "clips").iterdir()
    assert event.id in clip.name


def test_a_full_disk_for_clips_is_told_and_watching_goes_on(
    loud: Loud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.write(tmp_path / "hum.wav", hum(90, (40, 70)), RATE)
    told: list[str] = []

    def full(path: Path, _: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)  # soundfile's own writing ends with an AssertionError
    clips = ClipWriter(tmp_path / "clips", told.append, budget=10**6)
    events = list(watch(tmp_path / "hum.wav", ["noise"], model=loud, clips=clips))  # type: ignore[arg-type]
    assert [event.clip for event in events] == [None, None]
    assert len(told) == 1
    assert "No space left" in told[0]
    assert not list((tmp_path / "clips").iterdir())


# -- the command line ---------------------------------------------------------------------------------------------------


def openclap(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "openclap", "watch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # fmt: skip


def test_watch_prints_events_and_a_summary(tmp_path: Path) -> None:
    sf.write(tmp_path / "rain.wav", rainy((40,), 60), 32_000)
    run = openclap(str(tmp_path / "rain.wav"), "--alert", "a siren", "--json")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    (line,) = out.splitlines()
    assert json.loads(line)["alert"] == "a siren"
    assert b"1 event in 60 s" in err
    assert b"median" in err


def test_a_signal_ends_a_watch_and_flushes(tmp_path: Path) -> None:
    """The siren still sounds when the pipe is left open and SIGTERM comes."""
    run = openclap("-", "--rate", "32000", "--alert", "a siren", "--tell", "both", "--json", stdin=subprocess.PIPE)
    assert run.stdin is not None
    run.stdin.write((rainy((40,), 44) * 32767).astype("<i2").tobytes())
    run.stdin.flush()
    assert run.stdout is not None
    began = run.stdout.readline()
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=30)
    assert run.returncode == 0, err
    assert [(one["alert"], one["state"]) for one in map(json.loads, [began, *out.splitlines()])] == [("a siren", "began"), ("a siren", "ended")]  # fmt: skip


class Waiting:
    """A receiver that takes its seconds, and is done when all the others are waited for as well."""

    def __init__(self, number: int, together: threading.Barrier) -> None:
        self.name, self.number, self.together = f"http://receiver/{number}", number, together

    def put(self, event: Event) -> None:
        raise AssertionError

    def close(self, seconds: float) -> int:
        self.together.wait(10.0)
        return self.number


def test_receivers_are_waited_for_at_once() -> None:
    """Each had its ten seconds after the one before, so the end of a watch with five took a minute."""
    together = threading.Barrier(3)
    assert _close_sinks([Waiting(number, together) for number in range(3)]) == {
        "http://receiver/1": 1,
        "http://receiver/2": 2,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mic:no such thing", "--alert", "x"], b"error:"),
        (["nothing.wav", "--alert", "x"], b"no such file or folder"),
        (["-", "--alert", "x"], b"--rate"),
        ([".", "--existing"], b'nothing to listen for; give alerts (--alert "glass breaking")'),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], told: bytes, tmp_path: Path) -> None:
    run = openclap(*arguments, stdin=subprocess.DEVNULL, cwd=tmp_path)
    _, err = run.communicate(timeout=60)
    assert run.returncode in (1, 2)
    assert told in err
    assert b"Traceback" not in err
