"""MP3: an estimate is no announcement; what was read whole is not called damaged, what was cut is."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from muxed_for_tests import Track, muxed, noise

from openclap.audio.load import duration, load
from openclap.errors import SoundWarning

RATE = 44_100
QUIET_THEN_LOUD = np.concatenate([np.zeros(4 * RATE, np.float32), noise(2.0, RATE)])
Read = np.ndarray


def mp3(wave: np.ndarray = QUIET_THEN_LOUD, *, xing: bool = True, container: str = "mp3") -> bytes:
    """Variable bit rate: what is silent takes a tenth of what is noise."""
    import av

    file = io.BytesIO()
    options = {} if container == "wav" else {"write_xing": str(int(xing)), "id3v2_version": "0"}
    with av.open(file, "w", format=container, options=options) as made:
        stream = made.add_stream("libmp3lame", rate=RATE, layout="mono", options={"compression_level": "9"})
        stream.codec_context.format = "s16p"
        if container == "mp3":
            stream.codec_context.flags |= 2  # qscale
            stream.codec_context.global_quality = 0
        ints = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
        for begin in range(0, len(ints), 1152):
            frame = av.AudioFrame.from_ndarray(ints[None, begin : begin + 1152], format="s16p", layout="mono")
            frame.sample_rate, frame.pts = RATE, begin
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return file.getvalue()


def quietly(data: bytes) -> Read:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        return load(data, RATE)


def with_xing(data: bytes, *, frames: float = 1.0, size: float = 1.0) -> bytes:
    """The same with other numbers in its Xing header."""
    made, at = bytearray(data), max(data.find(b"Xing"), data.find(b"Info"))
    assert at > 0
    for place, factor in ((at + 8, frames), (at + 12, size)):
        struct.pack_into(">I", made, place, round(struct.unpack_from(">I", made, place)[0] * factor))
    return bytes(made)


def test_an_estimate_is_no_announcement() -> None:
    """The bit rate of the first frame, which is silent, makes the file look ten times as long: "cut short or damaged"."""
    data = mp3(xing=False)
    wave = quietly(data)
    assert len(wave) == pytest.approx(6 * RATE, abs=3000)
    assert duration(data) == pytest.approx(len(wave) / RATE, abs=1e-6)


@pytest.mark.parametrize("frames", [0.3, 0.9, 1.2, 5.0])
def test_a_xing_header_that_lies(frames: float) -> None:
    data = mp3()
    lying = with_xing(data, frames=frames)
    wave = quietly(lying)
    assert len(wave) == pytest.approx(len(quietly(data)), abs=3000)
    assert duration(lying) == pytest.approx(len(wave) / RATE, abs=1e-6)


def test_a_file_longer_than_its_header_is_read_to_its_end() -> None:
    data = mp3()
    assert len(quietly(data + mp3(xing=False))) == pytest.approx(12 * RATE, abs=6000)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_is_cut_is_told(share: float) -> None:
    data = mp3()
    with pytest.warns(SoundWarning, match="cut short"):
        wave = load(data[: round(len(data) * share)], RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        assert duration(data[: round(len(data) * share)]) == pytest.approx(len(wave) / RATE, abs=1e-6)


def test_mp3_in_wav() -> None:
    data = mp3(container="wav")
    assert b"WAVE" in data[:12]
    wave = quietly(data)
    assert len(wave) == pytest.approx(6 * RATE, abs=3000)
    assert np.abs(wave[: 3 * RATE]).max() < 1e-3
    assert duration(data) == pytest.approx(len(wave) / RATE, abs=1e-6)
    with pytest.warns(SoundWarning, match="cut short"):
        load(data[: len(data) * 6 // 10], RATE)


def test_tags_before_and_behind() -> None:
    data = mp3()
    expected = quietly(data)
    ape = b"APETAGEX" + struct.pack("<4I8x", 2000, 32, 0, 1 << 31)
    for more in (
        b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + data,
        data + b"TAG" + bytes(125),
        data + ape,
        b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + mp3(xing=False),
    ):
        assert len(quietly(more)) == pytest.approx(len(expected), abs=3000)
        assert duration(more) == pytest.approx(6.0, abs=0.1)


def test_other_containers_of_mp3() -> None:
    data = muxed("matroska", [Track(noise(1.0, RATE), rate=RATE)], codec="libmp3lame")
    assert len(quietly(data)) == pytest.approx(RATE, abs=3000)
