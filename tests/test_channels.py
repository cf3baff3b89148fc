"""Channels that cancel each other out: one of them is heard; everything else is their mean, to the last bit."""

from __future__ import annotations

import io
import warnings

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
from muxed_for_tests import RATE as FILM_RATE
from muxed_for_tests import Track, muxed, noise

from openclap.audio.channels import Downmix, to_mono
from openclap.audio.ffmpeg import frame_samples
from openclap.audio.load import cut, load, stream
from openclap.errors import SoundWarning

RATE = 8_000
Samples = npt.NDArray[np.float32]
WAVE = noise(3.5, RATE)
OTHER = noise(3.5, RATE, 1)


def columns(*channels: Samples) -> Samples:
    return np.stack(channels, axis=1)


def coded(samples: Samples, kind: str = "WAV", subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, RATE, format=kind, subtype=subtype)
    return file.getvalue()


def quietly(sound: object) -> Samples:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        return load(sound, RATE)  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [
    columns(WAVE, -WAVE), columns(WAVE, -0.9 * WAVE), columns(WAVE, -WAVE, WAVE, -WAVE), columns(WAVE, -0.5 * WAVE, -0.5 * WAVE),
    columns(WAVE, -WAVE + 0.1 * OTHER), columns(*[WAVE, -WAVE] * 16),
], ids=["two", "weaker", "four", "three", "noise", "32"])  # fmt: skip
def test_one_that_is_not_cancelled_is_heard(samples: Samples) -> None:
    """A cable that was wired wrong made "silence" of a recording."""
    for sound in ((samples, RATE), coded(samples)):
        with pytest.warns(SoundWarning, match="cancel each other out"):
            np.testing.assert_array_equal(load(sound, RATE), WAVE)


def test_a_channel_that_is_hardly_there_does_not_stand_for_the_others() -> None:
    samples = columns(0.01 * OTHER, WAVE, -WAVE)
    with pytest.warns(SoundWarning, match="cancel"):
        np.testing.assert_array_equal(load((samples, RATE), RATE), WAVE)


@pytest.mark.parametrize("samples", [
    columns(WAVE, WAVE), columns(WAVE, OTHER), columns(WAVE, 0 * WAVE), columns(WAVE, -0.5 * WAVE), columns(WAVE, OTHER - 0.8 * WAVE),
    columns(*[noise(3.5, RATE, seed) for seed in range(64)]), columns(WAVE, *[0 * WAVE] * 7), columns(1e-5 * WAVE, 1e-5 * WAVE),
    columns(1e-5 * WAVE, -1e-5 * WAVE), columns(0 * WAVE, 0 * WAVE), columns(1e-6 * WAVE + 0.01, 1e-6 * WAVE - 0.01),
], ids=["alike", "unlike", "one", "half", "wide", "64", "eight", "quiet", "dither", "silence", "offsets"])  # fmt: skip
def test_anything_else_is_the_mean_to_the_last_bit(samples: Samples) -> None:
    for sound in ((samples, RATE), coded(samples)):
        np.testing.assert_array_equal(quietly(sound), to_mono(samples))


@pytest.mark.parametrize("kind", ["array", "WAV", "FLAC", "mov", "matroska"])
def test_a_part_is_heard_as_in_the_whole(kind: str) -> None:
    """Opposite phase in the second and third second: each second by itself, whatever the blocks, the beginning, or a cut out of it."""
    right = np.where(np.arange(len(WAVE)) // RATE % 3 > 0, -WAVE, WAVE)
    samples = columns(WAVE, right).astype(np.float32)
    if kind == "array":
        sound: object = (samples, RATE)
    elif kind in ("WAV", "FLAC"):
        sound = coded(samples, kind, "PCM_16")
    else:
        sound = muxed(kind, [Track(samples, rate=RATE)], codec="alac" if kind == "mov" else "pcm_s16le")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        whole = load(sound, RATE)  # type: ignore[arg-type]
        for seconds in (0.01, 0.3, 1.0, 1.7):
            np.testing.assert_array_equal(np.concatenate(list(stream(sound, RATE, block_seconds=seconds))), whole)  # type: ignore[arg-type]
        np.testing.assert_array_equal(load(sound, RATE, seconds=1.5), whole[: RATE * 3 // 2])  # type: ignore[arg-type]
        (part,) = cut(sound, RATE, [(1.1, 2.9)])  # type: ignore[arg-type]
    np.testing.assert_array_equal(part, whole[round(1.1 * RATE) : round(2.9 * RATE)])
    np.testing.assert_allclose(whole[2 * RATE : round(2.6 * RATE)], WAVE[2 * RATE : round(2.6 * RATE)], atol=1e-3)
    np.testing.assert_allclose(whole[3 * RATE :], WAVE[3 * RATE :], atol=1e-3)


def test_a_cut_that_is_sought_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from openclap.audio import load as loading

    monkeypatch.setattr(loading, "JUMP_SECONDS", 1.0)
    samples = columns(WAVE, np.where(np.arange(len(WAVE)) > 2.2 * RATE, -WAVE, WAVE))
    for sound in ((samples, RATE), coded(samples)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SoundWarning)
            (part,), whole = cut(sound, RATE, [(2.5, 3.4)]), load(sound, RATE)
        np.testing.assert_array_equal(part, whole[round(2.5 * RATE) : round(3.4 * RATE)])


def test_what_comes_live_is_judged_at_once() -> None:
    """Through a pipe or from a microphone nothing waits for a second to be whole."""
    from openclap.watch.sources import BlockConverter

    told: list[str] = []
    shape = BlockConverter(RATE, "<pipe>", told.append)
    against, alike = columns(WAVE, -WAVE), columns(WAVE, OTHER)
    step = RATE // 4
    heard = [shape.feed(against[begin : begin + step], RATE) for begin in range(0, len(WAVE), step)]
    np.testing.assert_array_equal(np.concatenate(heard), WAVE)
    assert len(told) == 1
    assert "cancel each other out" in told[0]
    shape, told = BlockConverter(RATE, "<pipe>", told.append), []
    heard = [shape.feed(alike[begin : begin + step], RATE) for begin in range(0, len(WAVE), step)]
    np.testing.assert_array_equal(np.concatenate(heard), to_mono(alike))
    assert told == []


def test_what_is_broken_stays_broken() -> None:
    """Infinities are refused by name later, not lost in a comparison of powers."""
    samples = columns(WAVE, -WAVE)
    samples[5, 1] = np.inf
    assert not np.isfinite(Downmix(RATE, 2).feed(samples)).all()


def test_integers_are_judged_by_their_scale() -> None:
    ints = np.round(columns(WAVE, -WAVE) * 32767).astype(np.int16)
    with pytest.warns(SoundWarning, match="cancel"):
        np.testing.assert_array_equal(load((ints, RATE), RATE), ints[:, 0].astype(np.float32) / 32768)


def test_lossy_codecs_leave_noise_and_are_known_all_the_same() -> None:
    data = muxed("mp4", [Track(columns(WAVE, -WAVE), rate=RATE)], codec="aac")
    with pytest.warns(SoundWarning, match="cancel"):
        assert np.sqrt(np.mean(load(data, RATE) ** 2)) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("layout", "kind", "dtype"),
    [("7.1", "fltp", "f4"), ("hexadecagonal", "s16p", "i2"), ("22.2", "s32p", "i4"), ("mono", "dblp", "f8"), ("stereo", "s64p", "i8"),
     ("7.1", "s64", "i8"), ("5.1", "u8", "u1")],
)  # fmt: skip
def test_frames_of_any_type_and_number_of_channels(layout: str, kind: str, dtype: str) -> None:
    """Eight channels or more in planes ended the process: PyAV reads planes from behind the frame. Samples of 64 bits: "ValueError: Conversion"."""
    frame = av.AudioFrame(kind, layout, 5)
    channels = frame.layout.nb_channels
    wanted = np.arange(5 * channels).reshape(5, channels).astype(dtype)
    for plane, column in zip(frame.planes, wanted.T if frame.format.is_planar else [wanted.ravel()], strict=False):
        plane.update(column.tobytes())
    found = frame_samples(frame)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, wanted)


def test_eight_channels_in_planes() -> None:
    """A film's 7.1 in Opus: the process ended with a segmentation fault."""
    at = np.arange(FILM_RATE) / FILM_RATE
    tones = np.stack([0.2 * np.sin(2 * np.pi * 200 * (i + 1) * at) for i in range(8)], axis=1).astype(np.float32)
    wave = load(muxed("webm", [Track(tones)], codec="libopus"), FILM_RATE)
    assert len(wave) == FILM_RATE
    assert np.corrcoef(wave, tones.mean(axis=1))[0, 1] > 0.95
