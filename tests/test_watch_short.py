"""A recording that is shorter than its warm-up: told, and judged by what there is of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.synth import synthesise
from openclap.watch import PushedSource, watch
from openclap.watch.sources import AudioBlock

RATE = 32_000


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini")


def rainy(seconds: int, siren_at: int | None = None, rain: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(3)
    wave = synthesise("rain", rng, rate=RATE, seconds=float(seconds))[0]
    wave *= np.float32(rain / wave.std())
    if siren_at is not None:
        siren = synthesise("siren", rng, rate=RATE, seconds=4.0)[0]
        wave[siren_at * RATE : siren_at * RATE + len(siren)] += np.float32(0.15 / siren.std()) * siren
    return np.clip(wave, -1, 1).astype(np.float32)


@pytest.mark.parametrize("seconds", [12, 29])
def test_a_short_recording_is_judged_by_what_there_is(mini: CLAP, tmp_path: Path, seconds: int) -> None:
    """It was heard to its end, told nothing, and said nothing of why."""
    sf.write(tmp_path / "short.wav", rainy(seconds, 5), RATE)
    told: list[str] = []
    judged: list[float] = []
    listening = watch(
        tmp_path / "short.wav", ["a siren", "a dog barking"], model=mini, tell=told.append, clips=tmp_path / "clips",
        judged=lambda start, end, confidence: judged.append(float(confidence[0])),
    )  # fmt: skip
    (event,) = listening
    assert event.alert == "a siren"
    assert 3 <= event.start <= 6
    assert 8 <= event.end <= 12
    assert event.confidence > 0.7
    assert event.clip is not None
    assert len(told) == 1
    assert f"short.wav: ended after {seconds} s, within the warm-up of 30 s: judged by what there is of it" in told[0]
    assert max(judged[: seconds - 1]) == 0  # while it was heard
    assert max(judged[seconds - 1 :]) == pytest.approx(event.confidence, abs=1e-4)


def test_in_a_short_recording_without_it_nothing_is_told(mini: CLAP, tmp_path: Path) -> None:
    sf.write(tmp_path / "rain.wav", rainy(20), RATE)
    assert list(watch(tmp_path / "rain.wav", ["a siren", "a dog barking"], model=mini, tell=lambda _: None)) == []


def test_a_warm_up_that_suffices_is_as_before(mini: CLAP, tmp_path: Path) -> None:
    sf.write(tmp_path / "early.wav", rainy(35, 5), RATE)
    told: list[str] = []
    assert list(watch(tmp_path / "early.wav", ["a siren"], model=mini, tell=told.append)) == []
    assert told == []


def test_the_unusual_needs_longer_and_says_so(mini: CLAP, tmp_path: Path) -> None:
    sf.write(tmp_path / "short.wav", rainy(12, 5), RATE)
    told: list[str] = []
    assert list(watch(tmp_path / "short.wav", unusual=True, model=mini, tell=told.append)) == []
    assert len(told) == 1
    assert 'ended after 12 s, too short to know what is "unusual" there' in told[0]


def test_a_folder_of_short_recordings(mini: CLAP) -> None:
    """Each is judged at its end while the warm-up goes on; it is told once."""

    class Recordings:
        name, live, threaded = "folder", False, False

        def blocks(self, rate: int, stop: object, tell: object):  # type: ignore[no-untyped-def]
            for number, at in enumerate((None, 4, *[None] * 8, 4)):
                yield AudioBlock(rainy(10, at), 0.0, f"{number}.wav", True)

    told: list[str] = []
    events = list(watch(Recordings(), ["a siren"], model=mini, tell=told.append))
    assert [event.source for event in events] == ["1.wav", "10.wav"]
    assert len(told) == 1


def test_a_visitor_who_leaves_early_is_told_what_was_heard(mini: CLAP) -> None:
    pushed = watch(PushedSource("browser"), ["a siren"], model=mini, tell=lambda _: None)
    assert pushed.feed(rainy(12, 5)) == []
    (event,) = pushed.finish()
    assert event.alert == "a siren"
    assert event.state == "ended"
