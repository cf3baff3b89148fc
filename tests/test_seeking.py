"""A part of a long recording is there at once, and is what reading it whole would give."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import soundfile as sf
from muxed_for_tests import Track, muxed, noise

from openclap.audio import load as loading
from openclap.audio.load import cut, duration, load
from openclap.errors import SoundWarning

RATE = 16_000
SECONDS = 12.0
SPANS = [(9.2, 10.05), (0.1, 0.4), (5.0, 5.5), (9.9, 10.3), (11.5, 13.0), (20.0, 21.0), (7.0, 7.0)]
CHIRP = (
    0.3
    * np.sin(2 * np.pi * (200 + 40 * np.arange(round(SECONDS * RATE)) / RATE) * np.arange(round(SECONDS * RATE)) / RATE)
).astype(np.float32)
WAVE = CHIRP + noise(SECONDS, RATE, level=0.02)

MUXED = [
    ("mp3", "libmp3lame"), ("mp4", "aac"), ("mov", "alac"), ("matroska", "aac"), ("webm", "libopus"), ("adts", "aac"), ("flac", "flac"),
    ("matroska", "libmp3lame"), ("matroska", "flac"), ("mpegts", "mp2"), ("avi", "pcm_s16le"), ("nut", "pcm_s16le"), ("wav", "libmp3lame"),
]  # fmt: skip
WRITTEN = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "IMA_ADPCM"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16"),
           ("CAF", "ALAC_16"), ("W64", "FLOAT"), ("AU", "ULAW"), ("WAV", "GSM610")]  # fmt: skip


@pytest.fixture(autouse=True)
def _jumps_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "JUMP_SECONDS", 1.0)


def check(sound: object, rate: int, tolerance: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        whole = load(sound, rate)  # type: ignore[arg-type]
        parts = cut(sound, rate, SPANS)  # type: ignore[arg-type]
    for (start, end), part in zip(SPANS, parts, strict=True):
        expected = whole[round(start * rate) : round(end * rate)]
        assert len(part) == len(expected)
        np.testing.assert_allclose(part, expected, atol=tolerance)
    assert duration(sound) == pytest.approx(len(whole) / rate, abs=1.5 / rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize(("container", "codec"), MUXED)
def test_a_part_of_what_ffmpeg_reads(container: str, codec: str, rate: int) -> None:
    own = 48_000 if codec == "libopus" else RATE
    wave = np.interp(np.arange(round(SECONDS * own)) / own, np.arange(len(WAVE)) / RATE, WAVE).astype(np.float32)
    check(muxed(container, [Track(wave, rate=own)], codec=codec), rate, 1e-4 if codec == "mp2" else 2e-6)


@pytest.mark.parametrize(("kind", "subtype"), WRITTEN)
def test_a_part_of_what_libsndfile_reads(kind: str, subtype: str) -> None:
    file = io.BytesIO()
    sf.write(file, WAVE, RATE, format=kind, subtype=subtype)
    for rate in (RATE, 44_100):
        check(file.getvalue(), rate, 2e-6)


def test_a_part_of_an_array_and_of_an_open_file() -> None:
    check((WAVE, RATE), RATE, 0.0)
    check((WAVE, RATE), 22_050, 2e-6)
    file = io.BytesIO()
    sf.write(file, WAVE, RATE, format="WAV", subtype="FLOAT")
    file.seek(0)
    check(file, RATE, 0.0)


def test_a_part_of_what_comes_through_a_pipe() -> None:
    file = io.BytesIO()
    sf.write(file, WAVE, RATE, format="WAV", subtype="FLOAT")

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    for (start, end), part in zip(SPANS, cut(Pipe(file.getvalue()), RATE, SPANS), strict=True):
        np.testing.assert_array_equal(part, WAVE[round(start * RATE) : round(end * RATE)])


def test_a_part_behind_a_gap_and_a_late_beginning() -> None:
    track = Track(WAVE, lambda second: second + (3.0 if second < 4.0 else 5.0), rate=RATE)
    for container, codec in (("mp4", "aac"), ("matroska", "flac"), ("mov", "alac")):
        check(muxed(container, [track], codec=codec), RATE, 2e-6)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "libmp3lame"), ("mp4", "aac"), ("matroska", "flac"), ("FLAC", ""), ("OGG", ""), ("WAV", "")],
)
def test_what_is_before_a_part_is_not_decoded(container: str, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 58th minute of an hour of MP3 was decoded from the start: 22 s."""
    from openclap.audio import decode

    if codec:
        data = muxed(container, [Track(WAVE, rate=RATE)], codec=codec)
    else:
        file = io.BytesIO()
        sf.write(file, WAVE, RATE, format=container)
        data = file.getvalue()
    given = 0
    samples = decode._samples

    def counted(*args: object) -> object:
        nonlocal given
        for rate, block in samples(*args):  # type: ignore[arg-type]
            given += len(block)
            yield rate, block

    monkeypatch.setattr(decode, "_samples", counted)
    cut(data, RATE, [(10.5, 11.0)])
    assert 0 < given <= 2.6 * RATE


def test_broadcasts_put_together_are_read_from_the_start() -> None:
    """Where a clock was set back a time is in the file twice."""
    piece = muxed("mpegts", [Track(WAVE[: 6 * RATE], rate=RATE)], codec="mp2")
    with pytest.warns(SoundWarning, match="go back by"):
        whole = load(piece + piece, RATE)
    assert len(whole) == pytest.approx(12 * RATE, abs=4000)
    with pytest.warns(SoundWarning, match="go back by"):
        (part,) = cut(piece + piece, RATE, [(9.0, 10.0)])
    np.testing.assert_array_equal(part, whole[9 * RATE : 10 * RATE])
