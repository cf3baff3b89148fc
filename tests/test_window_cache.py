"""A recording is listened to once: its windows are kept, and every next question is answered from them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.array_cache import ArrayCache
from openclap.audio.decode_limits import limit
from openclap.describe import Describer, timeline
from openclap.errors import SoundError, TooLong, UsageError
from openclap.library import moments_in, moments_of_each
from openclap.results import Windows
from openclap.synth import synthesise
from openclap.window_cache import WindowCache, user_cache

RATE = 32_000


class Counting:
    """A model that counts the windows it hears."""

    def __init__(self, clap: CLAP) -> None:
        self._clap, self.heard, self.fingerprint = clap, 0, clap.fingerprint

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clap, name)

    def encode_windows(self, *given: Any, **options: Any) -> Windows:
        found = self._clap.encode_windows(*given, **options)
        self.heard += len(found)
        return found

    def encode_each(self, *given: Any, **options: Any) -> Iterator[Windows | SoundError]:
        for found in self._clap.encode_each(*given, **options):
            self.heard += 0 if isinstance(found, SoundError) else len(found)
            yield found

    def new(self) -> int:
        """How many windows it has heard since the last call."""
        heard, self.heard = self.heard, 0
        return heard


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture
def clap(mini: CLAP) -> Any:
    return Counting(mini)


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    rng = np.random.default_rng(3)
    parts = [synthesise(kind, rng, rate=RATE, seconds=4.0)[0] for kind in ("sea waves", "cricket")]
    return np.concatenate([0.3 * part / np.abs(part).max() for part in parts]).astype(np.float32)


@pytest.fixture
def recording(wave: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "shore.wav"
    sf.write(path, wave, RATE)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "windows.sqlite"


def as_numbers(moments: Any) -> list[tuple[float, ...]]:
    return [(m.start, m.end, m.score, m.confidence) for m in moments]


def test_the_next_question_listens_only_where_nobody_has_looked(clap: Any, recording: Path, place: Path) -> None:
    """Every question listened to the whole recording anew: an hour took 13 s each time."""
    first = moments_in(clap, recording, "a cricket", 2, cache=WindowCache(file=place))
    assert clap.new() > 7
    again = WindowCache(file=place)  # as of another process
    assert as_numbers(moments_in(clap, recording, "a cricket", 2, cache=again)) == as_numbers(first)
    assert clap.new() == 0
    fresh = moments_in(clap, recording, "waves on a beach", 2, cache=WindowCache(0, 0))
    clap.new()
    assert as_numbers(moments_in(clap, recording, "waves on a beach", 2, cache=again)) == as_numbers(fresh)
    assert clap.new() == 0  # it is so short that all of it was looked into
    moments_in(clap, recording, "a cricket", 2, hop=0.5, fine=False, cache=again)
    assert clap.new() == 15


def test_several_questions_are_one_look(clap: Any, recording: Path, mini: CLAP) -> None:
    queries = ["a cricket", "waves on a beach", ["a cricket", "an insect"]]
    found = moments_of_each(clap, recording, queries, 2, fine=False, cache=WindowCache(0, 0))
    assert clap.new() == 8
    for query, some in zip(queries, found, strict=True):
        assert as_numbers(some) == as_numbers(moments_in(mini, recording, query, 2, fine=False))


def test_a_recording_of_one_sample_has_one_moment(mini: CLAP) -> None:
    """It is shorter than the millisecond in which finer windows are counted."""
    (moment,) = moments_in(mini, (np.full(1, 0.5, np.float32), 8_000), "a click", cache=WindowCache())
    assert (moment.start, moment.end) == (0.0, 1 / 8_000)


def test_a_timeline_is_read_once(clap: Any, recording: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describer, cache = Describer(clap, ["a cricket", "waves"]), WindowCache(file=place)
    spans = timeline(describer, recording, cache=cache)
    assert clap.new() == 13
    monkeypatch.setattr("openclap.window_cache.levels", lambda sound: pytest.fail("read again"))
    assert timeline(describer, recording, cache=cache) == spans
    assert clap.new() == 0


def test_the_content_counts_and_not_the_name(clap: Any, recording: Path, wave: np.ndarray, place: Path) -> None:
    cache = WindowCache(file=place)
    cache.windows(clap, recording, window=2.0, hop=1.0)
    clap.new()
    copy = recording.rename(recording.with_name("moved.wav"))
    assert len(cache.windows(clap, copy, window=2.0, hop=1.0)) == 7
    cache.windows(clap, copy.read_bytes(), window=2.0, hop=1.0)
    with copy.open("rb") as file:
        cache.windows(clap, file, window=2.0, hop=1.0)
        assert file.tell() == 0
    assert clap.new() == 0
    sf.write(copy, wave[::-1], RATE)  # as large as before
    cache.windows(clap, copy, window=2.0, hop=1.0)
    assert clap.new() == 7
    cache.windows(clap, limit(copy, track=1), window=2.0, hop=1.0)
    assert clap.new() == 7


def test_a_file_that_stayed_as_it_was_is_not_hashed_again(
    clap: Any, recording: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of an hour as WAV takes longer than the answer."""
    monkeypatch.setattr("openclap.window_cache.FRESH", -1.0)
    WindowCache(file=place).windows(clap, recording, window=2.0, hop=1.0)
    monkeypatch.setattr("openclap.window_cache._hash_of", lambda source: pytest.fail("hashed again"))
    assert len(WindowCache(file=place).windows(clap, recording, window=2.0, hop=1.0)) == 7
    os.utime(recording, ns=(0, 0))
    with pytest.raises(pytest.fail.Exception):
        WindowCache(file=place).windows(clap, recording, window=2.0, hop=1.0)


def test_only_files_are_kept_on_disk(clap: Any, wave: np.ndarray, place: Path) -> None:
    cache = WindowCache(file=place)
    for _ in range(2):
        cache.windows(clap, (wave, RATE), window=2.0, hop=1.0)
    assert clap.new() == 7
    WindowCache(file=place).windows(clap, (wave, RATE), window=2.0, hop=1.0)
    assert clap.new() == 7


def test_limits_hold_for_what_is_kept(clap: Any, recording: Path) -> None:
    cache = WindowCache()
    cache.windows(clap, recording, window=2.0, hop=1.0)
    with pytest.raises(TooLong):
        cache.windows(clap, limit(recording, seconds=5), window=2.0, hop=1.0)


def test_a_missing_file_is_still_an_error(clap: Any, tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="no such file"):
        moments_in(clap, tmp_path / "gone.wav", "rain", cache=WindowCache())


def test_other_weights_are_another_model(clap: Any, recording: Path) -> None:
    cache = WindowCache()
    cache.windows(clap, recording, window=2.0, hop=1.0)
    clap.fingerprint = "another"
    clap.new()
    cache.windows(clap, recording, window=2.0, hop=1.0)
    assert clap.new() == 7


# -- arrays in memory and on disk -----------------------------------------------------------------------


def arrays(number: int) -> dict[str, np.ndarray]:
    return {"number": np.full(1000, number)}


def test_both_places_are_bounded(place: Path) -> None:
    cache = ArrayCache(20_000, 50_000, place)
    for number in range(10):
        cache.put(str(number), arrays(number))
    memory, disk = ArrayCache(20_000), ArrayCache(0, 50_000, place)
    assert [number for number in range(10) if cache._held.get(str(number))] == [8, 9]
    kept = [number for number in range(10) if disk.get(str(number)) is not None]
    assert kept == [5, 6, 7, 8, 9]
    assert (disk.get("9") or {})["number"][0] == 9
    assert memory.get("9") is None
    cache.put("large", {"number": np.zeros(100_000)})
    assert cache.get("large") is None
    assert place.stat().st_mode & 0o077 == 0 or os.name == "nt"


@pytest.mark.parametrize("damage", ["entry", "file", "no database"])
def test_what_is_damaged_is_made_again(place: Path, damage: str) -> None:
    ArrayCache(0, 10**6, place).put("one", arrays(1))
    if damage == "entry":
        with sqlite3.connect(place) as file:
            (content,) = file.execute("SELECT content FROM arrays").fetchone()
            file.execute("UPDATE arrays SET content = ?", (content[:3000] + b"!" + content[3001:],))
        file.close()
    else:
        place.write_bytes(place.read_bytes()[:5000] if damage == "file" else b"no database" * 1000)
    cache = ArrayCache(0, 10**6, place)
    assert cache.get("one") is None
    cache.put("one", arrays(2))
    cache.put("one", arrays(2))
    assert (cache.get("one") or {})["number"][0] == 2


def test_a_disk_that_cannot_be_used_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ArrayCache(0, 10**6, tmp_path / "file" / "windows.sqlite")
    cache.put("one", arrays(1))
    assert cache.get("one") is None


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, clap: Any, recording: Path) -> None:
    monkeypatch.setenv("OPENCLAP_WINDOW_CACHE", "0")
    for _ in range(2):
        user_cache().windows(clap, recording, window=2.0, hop=1.0)
    assert clap.new() == 14
    monkeypatch.setenv("OPENCLAP_WINDOW_CACHE", "much")
    with pytest.raises(UsageError, match="OPENCLAP_WINDOW_CACHE is 'much'; give the megabytes"):
        user_cache()
