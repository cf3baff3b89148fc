"""Samples lie where a container's time stamps say: late beginnings, gaps, overlaps, clocks that were set back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from muxed_for_tests import RATE, Track, muxed, noise

from openclap.audio.load import cut, duration, load, stream
from openclap.audio.timestamps import MAX_UNCONFIRMED_SILENCE, StampClock
from openclap.errors import SoundWarning

CONTAINERS = [
    ("mp4", "aac"), ("mov", "alac"), ("matroska", "pcm_s16le"), ("webm", "libopus"), ("mpegts", "mp2"), ("flv", "libmp3lame"),
    ("asf", "wmav2"), ("nut", "pcm_s16le"),
]  # fmt: skip


def begins_at(wave: np.ndarray) -> float:
    """The second of the first sample that is heard."""
    return int((np.abs(wave) > 0.02).argmax()) / RATE


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
def test_a_late_sound_is_late(container: str, codec: str) -> None:
    """`moments` of a sound that starts at 12 s of its video answered 0.0, and called it cut short."""
    sound = Track(noise(2.0), lambda second: second + 3.0)
    data = muxed(container, [sound], codec=codec, video=6.0)
    wave = load(data, RATE)
    assert begins_at(wave) == pytest.approx(3.0, abs=0.06)
    assert len(wave) / RATE == pytest.approx(5.0, abs=0.1)
    assert not wave[: 2 * RATE].any()
    assert duration(data) == pytest.approx(len(wave) / RATE, abs=1e-4)


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
def test_a_gap_is_silence(container: str, codec: str) -> None:
    """Everything behind a gap in the time stamps came too early."""
    sound = Track(noise(2.0), lambda second: second if second < 1.0 else second + 2.5)
    data = muxed(container, [sound], codec=codec)
    wave = load(data, RATE)
    assert len(wave) / RATE == pytest.approx(4.5, abs=0.1)
    assert begins_at(wave) < 0.06
    assert np.abs(wave[round(0.2 * RATE) : round(0.8 * RATE)]).max() > 0.1
    assert not wave[round(1.3 * RATE) : round(3.2 * RATE)].any()
    assert begins_at(wave[2 * RATE :]) + 2 == pytest.approx(3.5, abs=0.1)
    for seconds in (0.1, 0.7):
        np.testing.assert_array_equal(np.concatenate(list(stream(data, RATE, block_seconds=seconds))), wave)


def test_stamps_that_are_exact_are_followed_to_the_sample() -> None:
    wave = noise(2.0)
    edge = 12 * 4096  # frames of ALAC
    data = muxed("mov", [Track(wave, lambda second: second if second * RATE < edge else second + 1.0)], codec="alac")
    read = load(data, RATE)
    np.testing.assert_allclose(read[:edge], wave[:edge], atol=1e-4)
    assert not read[edge : edge + RATE].any()
    np.testing.assert_allclose(read[edge + RATE :], wave[edge:], atol=1e-4)


@pytest.mark.parametrize("container", ["matroska", "nut"])
def test_jitter_is_no_gap(container: str) -> None:
    """Stamps that are off by less than a frame insert and remove nothing."""
    wave = noise(3.0)
    rng = np.random.default_rng(1)
    data = muxed(container, [Track(wave, lambda second: max(0.0, second + (rng.uniform(-0.4, 0.4) * 1024 / RATE)))])
    np.testing.assert_allclose(load(data, RATE), wave, atol=1e-4)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus"), ("mpegts", "mp2")])
def test_the_delay_of_an_encoder_is_no_offset(container: str, codec: str) -> None:
    wave = noise(2.0)
    read = load(muxed(container, [Track(wave)], codec=codec), RATE)
    assert begins_at(read) < 0.03
    assert len(read) == pytest.approx(len(wave), abs=3000)


def test_the_clock_of_a_broadcast_begins_anywhere() -> None:
    """MPEG-TS: its first picture is at 0 s, whatever its clock says then."""
    data = muxed("mpegts", [Track(noise(2.0), lambda second: second + 1001.5)], codec="mp2", video=0.0)
    assert len(load(data, RATE)) / RATE == pytest.approx(2.0, abs=0.06)


def test_overlapping_sound_is_heard_once_and_what_follows_is_in_time() -> None:
    wave = noise(3.0)
    data = muxed("matroska", [Track(wave, lambda second: second if second < 1.024 else second - 0.512)])
    read = load(data, RATE)
    assert len(read) / RATE == pytest.approx(3.0 - 0.512, abs=1e-3)
    edge = round(1.024 * RATE)
    np.testing.assert_allclose(read[:edge], wave[:edge], atol=1e-4)
    np.testing.assert_allclose(read[-RATE:], wave[-RATE:], atol=1e-4)


def told_by(
    timeline_of: list[tuple[float | None, int]], zero: float = 0.0, end: float | None = None
) -> tuple[list[tuple[int, int]], list[str]]:
    told: list[str] = []
    timeline = StampClock(zero, end, told.append)
    return [timeline.place_frame(stamp, samples, 1000) for stamp, samples in timeline_of], told


def test_a_clock_that_is_set_back_goes_on_where_it_was() -> None:
    placed, told = told_by([(0.0, 5000), (0.0, 1000), (1.0, 1000)])
    assert placed == [(0, 0), (0, 0), (0, 0)]
    assert len(told) == 1
    assert "go back by 5.0 s at 5.0 s" in told[0]


def test_pieces_with_clocks_of_their_own_are_put_one_behind_the_other() -> None:
    """Two recordings in turns made twenty seconds of silence at every other border."""
    pieces: list[tuple[float | None, int]] = [(20.0, 1000), (0.0, 1000), (20.0, 1000), (0.0, 1000)]
    placed, told = told_by(pieces, zero=20.0)
    assert placed == [(0, 0)] * 4
    assert len(told) == 1


def test_a_leap_is_believed_where_the_end_bears_it_out() -> None:
    far = MAX_UNCONFIRMED_SILENCE * 5
    assert told_by([(0.0, 1000), (far, 1000)], end=far + 2)[0] == [(0, 0), (round((far - 1) * 1000), 0)]
    placed, told = told_by([(0.0, 1000), (far, 1000), (far + 1, 1000)])
    assert placed == [(0, 0), (0, 0), (0, 0)]
    assert "leap 17999 s ahead" in told[0]
    assert told_by([(0.0, 1000), (100.0, 1000)])[0] == [(0, 0), (99_000, 0)]


def test_silence_cannot_be_made_without_end() -> None:
    stamps: list[tuple[float | None, int]] = [(k * 3000.0, 1000) for k in range(10)]
    silent = sum(before for before, _ in told_by(stamps)[0])
    assert silent <= MAX_UNCONFIRMED_SILENCE * 1000


def test_frames_without_stamps_follow_one_another() -> None:
    assert told_by([(None, 1000), (1.0, 1000), (None, 500), (2.5, 10)])[0] == [(0, 0)] * 4


def test_windows_and_cuts_lie_where_a_player_shows_them() -> None:
    from openclap.audio.clips import make_windows
    from openclap.config import FrontEnd

    data = muxed("mp4", [Track(noise(2.0), lambda second: second + 12.0)], codec="aac", video=15.0)
    windows = list(make_windows(data, FrontEnd(), window=2.0, hop=1.0))
    heard = [w.start for w in windows if w.mel.mean() > -50]
    assert heard[:2] == [11.0, 12.0]
    assert windows[-1].end == pytest.approx(14.0, abs=0.06)
    (before, inside) = cut(data, RATE, [(5.0, 6.0), (12.5, 13.5)])
    assert not before.any()
    assert np.abs(inside).max() > 0.1


def test_nothing_is_told_of_what_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        load(muxed("mp4", [Track(noise(1.0), lambda second: second + 1.0)], codec="aac", video=3.0), RATE)
