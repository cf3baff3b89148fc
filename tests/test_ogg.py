"""Chained Ogg: every link is heard, whatever its codec, rate and channels; junk, holes and neighbours."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
import soundfile as sf
from muxed_for_tests import Track, muxed, noise

from openclap.audio import ogg
from openclap.audio.decode_limits import limit
from openclap.audio.load import cut, duration, load, stream
from openclap.errors import SoundWarning, UnreadableSound

RATE = 16_000


def link(seconds: float, seed: int, *, codec: str = "VORBIS", rate: int = RATE, channels: int = 1) -> bytes:
    """One recording in Ogg."""
    wave = noise(seconds, rate, seed)
    file = io.BytesIO()
    sf.write(file, wave if channels == 1 else np.stack([wave, wave / 2], axis=1), rate, format="OGG", subtype=codec)
    return file.getvalue()


def flac_in_ogg(seconds: float, seed: int) -> bytes:
    return muxed("ogg", [Track(noise(seconds, RATE, seed), rate=RATE)], codec="flac")


def pages(data: bytes) -> list[tuple[int, int]]:
    """Where each page begins and ends."""
    found, here = [], 0
    while here < len(data):
        count = data[here + 26]
        end = here + 27 + count + sum(data[here + 27 : here + 27 + count])
        found.append((here, end))
        here = end
    return found


def quietly(data: bytes, rate: int = RATE) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        return load(data, rate)


@pytest.mark.parametrize("links", [
    [link(1.0, 1), link(0.5, 2), link(0.25, 3)],
    [link(1.0, 1, codec="OPUS"), link(0.5, 2, codec="OPUS")],
    [flac_in_ogg(1.0, 1), flac_in_ogg(0.5, 2)],
    [link(1.0, 1), link(0.5, 2, codec="OPUS"), flac_in_ogg(0.25, 3)],
    [link(1.0, 1), link(0.5, 2, channels=2), link(0.5, 3)],
    [link(1.0, 1)] * 2,
], ids=["vorbis", "opus", "flac", "codecs", "channels", "same"])  # fmt: skip
def test_every_link_is_heard(links: list[bytes]) -> None:
    """All but the first were lost without a word: every recording of internet radio."""
    chained = quietly(b"".join(links))
    np.testing.assert_allclose(chained, np.concatenate([quietly(one) for one in links]), atol=1e-5)
    assert duration(b"".join(links)) == pytest.approx(len(chained) / RATE, abs=1e-6)
    for seconds in (0.1, 0.7):
        blocks = list(stream(b"".join(links), RATE, block_seconds=seconds))
        np.testing.assert_array_equal(np.concatenate(blocks), chained)


def test_links_of_other_rates() -> None:
    links = [link(1.0, 1), link(1.0, 2, rate=44_100), link(0.5, 3, rate=22_050, channels=2)]
    read = quietly(b"".join(links), 48_000)
    assert len(read) == pytest.approx(2.5 * 48_000, abs=3)
    np.testing.assert_allclose(read[48_010:90_000], quietly(links[1], 48_000)[10:42_000], atol=1e-5)
    assert duration(b"".join(links)) == pytest.approx(2.5)


def test_what_lies_between_links_is_passed_over() -> None:
    one, two = link(1.0, 1), link(0.5, 2)
    for junk in (b"x" * 3000, b"OggS" + bytes(40), b"HTTP/1.1 200 OK\r\n\r\n", b"TAG" + bytes(125)):
        np.testing.assert_allclose(quietly(one + junk + two), np.concatenate([quietly(one), quietly(two)]), atol=1e-5)


def test_a_link_that_is_broken_is_told_and_the_others_are_used() -> None:
    one, broken, two = link(1.0, 1), bytearray(link(0.5, 3)), link(0.5, 2)
    (_, end), *_ = pages(bytes(broken))
    broken[end:] = bytes(len(broken) - end)  # nothing but its beginning
    with pytest.warns(SoundWarning, match="number 2 cannot be decoded"):
        read = load(one + bytes(broken) + two, RATE)
    assert len(read) == 1.5 * RATE


def test_the_last_link_may_be_cut() -> None:
    one, two = link(1.0, 1), link(2.0, 2)
    with pytest.warns(SoundWarning, match=r"cut short or damaged; the \d\.\d\d s"):
        read = load(one + two[: len(two) * 6 // 10], RATE)
    assert 1.2 * RATE < len(read) < 3 * RATE


def test_an_ogg_file_in_a_picture_is_no_link() -> None:
    """The beginning of a page counts only where its checksum is right."""
    data = link(1.0, 1)
    fake = bytearray(data)
    at = len(data) // 2
    fake[at : at + 6] = b"OggS\0\2"
    assert len(ogg.find_links(io.BytesIO(bytes(fake)))) == 1


def test_links_are_found_whatever_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join([link(1.0, 1), b"junk" * 50, link(0.5, 2), link(0.25, 3)])
    expected = [(one.start, one.end) for one in ogg.find_links(io.BytesIO(data))]
    assert len(expected) == 3
    for size in (300, 1000, 4096):
        monkeypatch.setattr(ogg, "READ_BYTES", size)
        assert [(one.start, one.end) for one in ogg.find_links(io.BytesIO(data))] == expected


def test_a_lost_page_is_silence_and_what_follows_is_in_time() -> None:
    """A page that was lost on the way moved everything behind it."""
    data = link(6.0, 1)
    places = pages(data)
    begin, end = places[len(places) // 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        read = load(data[:begin] + data[end:], RATE)
    whole = load(data, RATE)
    assert len(read) == pytest.approx(len(whole), abs=RATE // 8)
    np.testing.assert_allclose(read[-RATE:], whole[-RATE:], atol=1e-3)


def test_a_recording_that_begins_in_the_middle_of_a_broadcast() -> None:
    """Its pages count from the broadcast's start; its own first second is 0."""
    data = bytearray(link(2.0, 1))
    for begin, end in pages(bytes(data))[2:]:
        position = struct.unpack_from("<q", data, begin + 6)[0]
        struct.pack_into("<q", data, begin + 6, position + 5 * 3600 * RATE)
        data[begin + 22 : begin + 26] = bytes(4)
        struct.pack_into("<I", data, begin + 22, checksum(bytes(data[begin:end])))
    read = load(bytes(data), RATE)
    assert len(read) == pytest.approx(2 * RATE, abs=RATE // 10)
    assert duration(bytes(data)) == pytest.approx(2.0, abs=0.1)


def checksum(page: bytes) -> int:
    check = 0
    for byte in page:
        check = (check << 8 & 0xFFFFFFFF) ^ ogg._CRC[check >> 24 ^ byte]
    return check


def test_a_chain_is_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from openclap.audio import load as loading

    monkeypatch.setattr(loading, "JUMP_SECONDS", 1.0)
    data = b"".join(link(2.0, seed) for seed in range(5))
    whole = load(data, RATE)
    spans = [(0.5, 1.0), (3.3, 4.6), (7.9, 8.2), (9.5, 11.0)]
    for wave, (start, end) in zip(cut(data, RATE, spans), spans, strict=True):
        np.testing.assert_array_equal(wave, whole[round(start * RATE) : round(end * RATE)])


def test_a_track_that_is_not_there() -> None:
    with pytest.raises(UnreadableSound, match="track 2 is wanted and there is one"):
        load(limit(link(0.5, 1), track=2), RATE)
