"""Silence is no sound: what the level gate of `describe` takes for silence is found by its name alone, in every door.

A model that normalises loudness names dither as surely as rain: a file at -71 dBFS was "heavy rain, 96 %", digital
silence a dog.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.audio.clips import make_clip
from openclap.audio.levels import is_silent, level_of
from openclap.clap.chunked_embedding import ChunkedEmbedder
from openclap.cli.app import app
from openclap.detector import apply_detectors
from openclap.errors import EmptySound
from openclap.library import moments_in
from openclap.results import Hit, Windows
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings
from openclap.silence import SILENT_DB, is_heard, track_vector
from openclap.synth import synthesise
from openclap.watch import Event, PushedSource, Rules, watch

RATE = 32_000
SILENT = ["a dog barking.wav", "dither.wav", "heavy rain.wav"]


def faint(seconds: float = 3.0) -> dict[str, np.ndarray]:
    """Digital silence, dither of a step of 16 bits, and noise of -71 dB, by the names of their files."""
    rng, size = np.random.default_rng(7), round(seconds * RATE)
    dither = (rng.random(size) + rng.random(size) - 1) / 2**15
    return {
        "a dog barking.wav": np.zeros(size, np.float32),
        "dither.wav": dither.astype(np.float32),
        "heavy rain.wav": (rng.standard_normal(size) * 10 ** (-71 / 20)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three silent files, rain and a siren, and a siren within silence: 12 s before it, and 12 s behind it."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, wave in faint().items():
        sf.write(folder / name, wave, RATE, subtype="FLOAT")
    for name, kind in (("1", "rain"), ("2", "siren")):
        wave = synthesise(kind, np.random.default_rng(1), rate=RATE, seconds=3.0)[0]
        sf.write(folder / f"{name}.wav", wave, RATE)
    pause = np.zeros(12 * RATE, np.float32)
    sf.write(folder / "3.wav", np.concatenate([pause, wave, pause]), RATE)
    return folder


@pytest.fixture(scope="module", params=["library", "library.lance"], ids=["sqlite", "lance"])
def library(
    request: pytest.FixtureRequest, mini: CLAP, sounds: Path, tmp_path_factory: pytest.TempPathFactory
) -> Library:
    made = Library.open(tmp_path_factory.mktemp("made") / request.param, model=mini)
    made.add(sounds)
    return made


@pytest.fixture(scope="module")
def client(mini: CLAP, sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    place = tmp_path_factory.mktemp("served") / "library"
    Library.open(place, model=mini).add(sounds)
    made = create_app(ServeSettings(library=str(place)), clap=mini)
    yield TestClient(made, base_url="http://localhost")
    made.state.engine.close()


def names(hits: Any) -> list[str]:
    return [Path(hit.path).name for hit in hits]


def test_silence_around_a_sound_is_not_part_of_it(mini: CLAP, library: Library, sounds: Path) -> None:
    """12 s before a siren and behind it: what names it is the row of the windows in which it is heard."""
    file = sounds / "3.wav"
    row = mini._audio.row_of(file, None)[0][0]
    whole = mini.encode_windows(file)
    assert whole.heard.sum() < len(whole)
    mean = whole.audible().embedding.mean(0)
    np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
    held = library.embedding(file)
    assert held is not None
    np.testing.assert_allclose(held, row, atol=1e-5)

    def submit(clips: Any) -> Future[np.ndarray]:
        done = Future[np.ndarray]()
        done.set_result(mini.encode_clips(clips))
        return done

    served = ChunkedEmbedder(mini, submit, lambda: 2)
    plain = whole.embedding.mean(0)  # `encode_audio` is the mean of all windows, as it always was
    for encode in (mini.encode_audio, served.encode_audio):
        np.testing.assert_allclose(encode([file])[0], plain / np.linalg.norm(plain), atol=1e-6)
    np.testing.assert_allclose(served.row_of(file)[0][0], row, atol=1e-6)
    labels = ["siren", "rain", "dog barking", "engine", "flute"]
    assert mini.classify(file, labels)[0].label == mini.classify(sounds / "2.wav", labels)[0].label


# -- the level -----------------------------------------------------------------------------------------


def test_the_level_of_a_window_tells_silence_as_describe_does() -> None:
    assert level_of(np.zeros(RATE, np.float32), RATE) == -120
    loud = np.full(RATE, 0.1, np.float32)
    assert level_of(loud, RATE) == pytest.approx(-20, abs=0.01)
    late = np.concatenate([np.zeros(RATE // 2, np.float32), loud[:1600]])  # the loudest 50 ms count
    assert level_of(late, RATE) == pytest.approx(-20, abs=0.01)
    click = np.zeros(RATE, np.float32)
    click[7] = 10 ** (-40 / 20)
    assert level_of(click, RATE) == pytest.approx(-53, abs=0.01)
    rng = np.random.default_rng(3)
    for decibel in (-90, -70, -66, -64, -60, -20):
        wave = (rng.standard_normal(48_000) * 10 ** (decibel / 20)).astype(np.float32)
        assert is_heard(level_of(wave, 48_000)) == (not is_silent((wave, 48_000)))
    assert is_heard(np.nan)
    assert not is_heard(SILENT_DB - 0.1)


def test_the_vector_of_a_recording_leaves_silent_windows_out(mini: CLAP) -> None:
    rows = np.eye(3, dtype=np.float32)
    assert track_vector(rows, np.array([-20.0, np.nan, -90.0])).tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0])
    assert track_vector(rows, np.full(3, -99.0)).tolist() == pytest.approx([3**-0.5] * 3)
    unknown = Windows(np.zeros(3), np.ones(3), rows)
    assert np.isnan(unknown.level).all()
    assert len(unknown.audible()) == 3
    windows = mini.encode_windows(
        (np.concatenate([faint(12)["heavy rain.wav"], np.full(12 * RATE, 0.1, np.float32)]), RATE)
    )
    assert windows.heard.tolist() == [False, True, True, True]
    long = replace(mini.front_end, clip_seconds=1.0)
    wave = np.zeros(3 * RATE, np.float32)
    assert not is_heard(make_clip((wave, RATE), long, long="fusion").level)
    wave[-RATE:] = 0.1
    assert make_clip((wave, RATE), long, long="fusion").level == pytest.approx(-20, abs=0.1)


# -- Python --------------------------------------------------------------------------------------------


def test_labels_and_matches_of_silence(mini: CLAP, sounds: Path) -> None:
    """Digital silence was a dog."""
    for name in SILENT:
        found = mini.classify(sounds / name, ["a dog barking", "heavy rain"])
        assert found.silent
        assert [label.score for label in found] == [0.0, 0.0]
        assert mini.match(sounds / name, ["rain"]).silent
    heard = mini.classify(sounds / "1.wav", ["a dog barking", "heavy rain"])
    assert not heard.silent
    assert sum(label.score for label in heard) == pytest.approx(1)
    assert not mini.match(sounds / "1.wav", ["rain"]).silent


def test_a_detector_hears_nothing_in_silence() -> None:
    class Eager:
        name, threshold = "all", 0.5

        def probability(self, windows: np.ndarray) -> np.ndarray:
            return np.linspace(0.9, 0.6, len(windows))

    rows = np.eye(2, dtype=np.float32)
    one: Any = Eager()
    assert apply_detectors(rows, [one], np.zeros(2, bool))[0].to_dict() == {"detector": "all", "probability": 0.0, "heard": False}  # fmt: skip
    assert apply_detectors(rows, [one], np.array([False, True]))[0].probability == pytest.approx(0.6)
    assert apply_detectors(rows, [one])[0].probability == pytest.approx(0.9)


@pytest.mark.parametrize("words", ["a dog barking", "heavy rain"])
def test_silence_is_found_by_its_name_alone(library: Library, words: str) -> None:
    assert not {*SILENT} & {*names(library.search(words, by="sound"))}
    assert not {*SILENT} & {*names(library.search(words, by="sound", per="window"))}
    both = library.search(words)
    assert names(both)[:-1] == [name for name in names(both) if name not in SILENT]
    assert names(both)[-1] == f"{words}.wav"
    last = both[-1]
    assert (last.silent, last.confidence, last.relevance, last.verdict) == (True, 0.0, 0.0, "unlikely")
    assert last.named
    assert last.to_dict()["silent"] is True
    assert all("silent" not in hit.to_dict() for hit in both[:-1])
    assert names(library.search(words, by="names"))[-1] == f"{words}.wav"


def test_silence_is_not_like_anything(library: Library, sounds: Path) -> None:
    assert names(library.search(sounds / "1.wav", 9)) == [
        "1.wav",
        *sorted(names(library.search(sounds / "1.wav", 9))[1:]),
    ]
    assert not {*SILENT} & {*names(library.search(sounds / "1.wav", 9))}
    assert not {*SILENT} & {*names(library.recommend(["heavy rain"], k=9))}
    assert not {*SILENT} & {*names(library.recommend([sounds / "1.wav"], k=9))}


def test_a_silent_query_is_refused(library: Library, client: TestClient, sounds: Path) -> None:
    """Everything was like it, and surely; a journey began there."""
    rain = sounds / "1.wav"
    asks: list[Callable[[Any], object]] = [
        library.search,
        library.moments,
        lambda sound: library.recommend([sound]),
        lambda sound: library.journey(sound, rain),
        lambda sound: library.journey(rain, sound),
    ]
    for ask in asks:
        with pytest.raises(EmptySound, match="nothing is heard in it"):
            ask(sounds / "heavy rain.wav")
    answer = client.post("/v1/search", files={"audio": (sounds / "heavy rain.wav").read_bytes()})
    assert answer.status_code == 422
    assert "nothing is heard" in answer.text


def test_levels_go_with_a_library(library: Library, mini: CLAP, sounds: Path, tmp_path: Path) -> None:
    """Through an export, and by `reembed` with the same model into one that does not know them."""
    library.export(tmp_path / "all.parquet")
    other = Library.open(tmp_path / "other", model=mini)
    other.import_(tmp_path / "all.parquet")
    held = {r.file.path: r.levels.tolist() for r in library.recordings()}
    assert {r.file.path: r.levels.tolist() for r in other.recordings()} == held
    assert Library.reembed(tmp_path / "other", mini).updated == 0
    other.close()
    with closing(sqlite3.connect(tmp_path / "other" / "library.sqlite")) as db:
        db.execute("UPDATE windows SET level = NULL")
        db.commit()
    assert len(other.search("heavy rain", 9, by="sound")) == len(held)
    assert Library.reembed(tmp_path / "other", mini).updated == len(held)
    again = Library.open(tmp_path / "other", model=mini)
    assert {r.file.path: r.levels.tolist() for r in again.recordings()} == held


def test_moments_lie_in_what_is_heard(library: Library, mini: CLAP, sounds: Path) -> None:
    for fine, least, most in ((True, 10.5, 16.5), (False, 5.0, 25.0)):  # the siren is heard from 12 to 15 s
        found = library.moments("heavy rain", 9, fine=fine)
        assert not {*SILENT} & {*names(found)}
        assert all(moment.start >= least and moment.end <= most for moment in found if names([moment]) == ["3.wav"])
    assert moments_in(mini, sounds / "heavy rain.wav", "heavy rain") == []
    best = moments_in(mini, sounds / "3.wav", "a siren", 1)[0]
    assert 10.5 <= best.start < best.end <= 16.5


def test_lead_in_silence_does_not_move_a_recording(library: Library, mini: CLAP, sounds: Path) -> None:
    """Windows of silence were half of the mean."""
    held = library.embedding(sounds / "3.wav")
    assert held is not None
    windows = mini.encode_windows(sounds / "3.wav")
    assert held == pytest.approx(windows.track, abs=1e-5)
    assert float(held @ windows.embedding[windows.heard][0]) > float(
        windows.embedding.mean(0) @ windows.embedding[windows.heard][0]
    )
    wave, _ = sf.read(sounds / "2.wav", dtype="float32")
    later = np.concatenate([np.zeros(24 * RATE, np.float32), wave])
    found = library.search((later, RATE), 1)
    assert names(found) in (["2.wav"], ["3.wav"])
    assert found[0].score > 0.9 > 0.1 + float((mini.encode_audio((later, RATE), long="windows") @ held)[0])


def test_a_whole_recording_is_nearer_than_its_best_window(library: Library, mini: CLAP, tmp_path: Path) -> None:
    """With a sound as the query, the better of both cosines counts; times are those of the best window."""
    parts = [
        synthesise(kind, np.random.default_rng(5), rate=RATE, seconds=10.0)[0] for kind in ("rain", "siren", "dog bark")
    ]
    wave = np.concatenate(parts)
    sf.write(tmp_path / "long.wav", wave, RATE)
    mine = Library.open(tmp_path / "library", model=mini)
    mine.add(tmp_path / "long.wav")
    whole = mine.search((wave / 4, RATE), 1)[0]
    assert whole.score > 0.99
    assert whole.end - whole.start == pytest.approx(10)
    assert mine.vectors([whole]).shape == (1, mini.config.embedding)
    assert mine.search((wave / 4, RATE), 1, per="window")[0].score < whole.score
    part = mine.search((parts[1][: 4 * RATE], RATE), 1)[0]  # an excerpt lies in a window
    assert (part.start, part.end) == (10.0, 20.0)
    assert mine.recommend([(wave, RATE)], k=1) == []  # it is that recording
    other = mine.recommend([(parts[0], RATE)], k=1)[0]
    assert other.score == pytest.approx(float(mini.encode_windows((parts[0], RATE)).track @ mine.embedding(tmp_path / "long.wav")), abs=1e-3)  # type: ignore[operator]  # fmt: skip


def test_no_alert_in_silence(mini: CLAP) -> None:
    """Every word was as likely in dither as anything else, and what silence gave was learnt as usual."""
    judged: list[float] = []

    def listen(wave: np.ndarray, **options: Any) -> list[Event]:
        judged.clear()
        return heard(mini, wave, lambda _, __, confidence: judged.append(float(confidence.max())), **options)

    for wave in faint(20).values():
        assert listen(wave, warmup=5.0, unusual=True) == []
        assert judged
        assert max(judged) == 0
    bark = synthesise("dog bark", np.random.default_rng(2), rate=RATE, seconds=8.0)[0]
    wave = np.concatenate([faint(30)["dither.wav"], bark, faint(4)["dither.wav"]])
    events = listen(wave, warmup=20.0)  # silence counts for the warm-up, so that the first sound is told
    assert [event.alert for event in events] == ["a dog barking"]
    assert 28 <= events[0].start <= 31
    assert max(judged[:27]) == 0


def heard(mini: CLAP, wave: np.ndarray, judged: Callable[..., None], **options: Any) -> list[Event]:
    one = watch(
        PushedSource("a room", live=False), ["a dog barking"], model=mini, judged=judged, rules=Rules(on=0.5), **options
    )
    events = [event for start in range(0, len(wave), 4 * RATE) for event in one.feed(wave[start : start + 4 * RATE])]
    return [*events, *one.finish()]


# -- command line and service --------------------------------------------------------------------------


def lines(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_command_line(library: Library, sounds: Path) -> None:
    silent, loud = str(sounds / "heavy rain.wav"), str(sounds / "1.wav")
    first, second = lines("classify", silent, loud, "--labels", "heavy rain, dog")
    assert first["silent"] is True
    assert [label["score"] for label in first["labels"]] == [0, 0]
    assert set(second) == {"sound", "labels"}
    assert [row.get("silent") for row in (*lines("match", silent, "rain"), *lines("match", loud, "rain"))] == [
        True,
        None,
    ]
    shown = CliRunner().invoke(app, ["match", silent, "rain"])
    assert "nothing is heard in it" in " ".join(shown.output.split())
    place = ["--library", str(library.stats()["path"])]
    found = lines("search", "heavy rain", *place)
    assert (Path(found[-1]["path"]).name, found[-1]["silent"], found[-1]["confidence"]) == ("heavy rain.wav", True, 0)
    shown = CliRunner().invoke(app, ["search", "heavy rain", *place])
    assert "silent" in shown.output
    assert lines("moments", silent, "heavy rain") == []


def test_the_service(client: TestClient, sounds: Path) -> None:
    def ask(route: str, name: str, **body: Any) -> dict[str, Any]:
        answer = client.post(f"/v1/{route}", data=body, files={"audio": (sounds / name).read_bytes()} if name else None)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    silent = ask("classify", "heavy rain.wav", labels="heavy rain,dog")
    assert (silent["silent"], [label["score"] for label in silent["labels"]]) == (True, [0, 0])
    assert "silent" not in ask("classify", "1.wav", labels="heavy rain,dog")
    assert ask("match", "heavy rain.wav", texts="rain")["silent"] is True
    assert "silent" not in ask("match", "1.wav", texts="rain")
    answer = client.post("/v1/search", json={"query": "heavy rain"})
    last = answer.json()["hits"][-1]
    assert (last["path"], last["silent"], last["confidence"]) == ("heavy rain.wav", True, 0)
    wave, _ = sf.read(sounds / "2.wav", dtype="float32")
    sf.write(sounds.parent / "later.flac", np.concatenate([np.zeros(24 * RATE, np.float32), wave]), RATE)
    with (sounds.parent / "later.flac").open("rb") as file:
        hits = client.post("/v1/search", data={"k": 1}, files={"audio": file.read()}).json()["hits"]
    assert hits[0]["score"] > 0.9  # silence before it does not move it
    assert client.post("/v1/moments", data={"query": "rain"}, files={"audio": (sounds / "dither.wav").read_bytes()}).json()["moments"] == []  # fmt: skip


def test_json_of_hits_is_what_it_was() -> None:
    assert "silent" not in Hit("/a.wav", 0.0, 1.0, 0.5, 0.5).to_dict()
