"""Headers whose sizes are wrong: recorders that were killed, sizes over 32 bits, and files that are right and must stay so."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from openclap.audio.header_sizes import examine_header
from openclap.audio.load import duration, load
from openclap.errors import EmptySound, SoundWarning

RATE = 8_000
WAVE = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
INTS = np.round(WAVE * 32768).astype(np.int16)
READ = INTS.astype(np.float32) / 32768


def wav(
    samples: bytes,
    *,
    data: int | None = None,
    riff: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    form: tuple[int, int, int] = (1, 1, 16),
) -> bytes:
    """A WAV with whatever sizes: `form` is tag, channels, bits."""
    tag, channels, bits = form
    frame = channels * bits // 8
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, tag, channels, RATE, RATE * frame, frame, bits) + before
    body = b"WAVE" + chunks + b"data" + struct.pack("<I", len(samples) if data is None else data) + samples + after
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def chunk(name: bytes, size: int, announced: int | None = None) -> bytes:
    return name + struct.pack("<I", size if announced is None else announced) + b"x" * size


PCM = np.round(WAVE * 32768).astype("<i2").tobytes()


def check_mended(data: bytes, expected: np.ndarray = READ) -> None:
    with pytest.warns(SoundWarning, match=rf"announces \d+ bytes of samples and {2 * len(expected)} are there"):
        read = load(data, RATE)
    np.testing.assert_array_equal(read, expected)
    assert duration(data) == len(expected) / RATE


@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF, None])
@pytest.mark.parametrize("data", [0, 2, 1000, 8000])
@pytest.mark.parametrize(
    "before", [b"", chunk(b"FLLR", 4044), chunk(b"JUNK", 28), chunk(b"bext", 602)], ids=["", "FLLR", "JUNK", "bext"]
)
def test_a_recorder_that_was_killed(riff: int | None, data: int, before: bytes) -> None:
    """With 0 bytes announced it "held no samples"; with too few the rest was lost without a word."""
    check_mended(wav(PCM, data=data, riff=riff, before=before))


def test_a_data_chunk_behind_a_size_that_was_never_written() -> None:
    check_mended(wav(PCM, data=0, riff=0, before=chunk(b"FLLR", 64, announced=0xFFFFFF00)))


@pytest.mark.parametrize(
    "form", [(1, 2, 16), (3, 1, 32), (1, 1, 24), (1, 1, 8), (6, 1, 8)], ids=["stereo", "float", "24", "8", "alaw"]
)
def test_other_kinds_of_samples(form: tuple[int, int, int]) -> None:
    frame = form[1] * form[2] // 8
    samples = np.random.default_rng(1).integers(0, 64, 400 * frame, dtype=np.uint8).tobytes() + b"\1" * (frame - 1)
    with pytest.warns(SoundWarning, match=f"and {400 * frame} are there"):
        assert len(load(wav(samples, data=0, form=form), RATE)) == 400


def test_an_extensible_header_is_kept() -> None:
    file = io.BytesIO()
    sf.write(file, INTS, RATE, format="WAVEX")
    data = bytearray(file.getvalue())
    at = data.index(b"data")
    data[at + 4 : at + 8] = bytes(4)
    check_mended(bytes(data))


@pytest.mark.parametrize("after", [
    chunk(b"LIST", 40), chunk(b"LIST", 40)[:20], chunk(b"LIST", 4000, announced=9000), chunk(b"id3 ", 30) + chunk(b"LIST", 8), chunk(b"abcd", 12),
    b"TAG" + bytes(125), bytes(300), b"<?xml version='1.0'?>" + b"<a>" * 30,
], ids=["LIST", "LIST cut", "LIST short", "id3 LIST", "unknown", "ID3v1", "padding", "XML"])  # fmt: skip
@pytest.mark.parametrize("riff", [None, 0])
def test_what_follows_the_samples_is_not_read_as_samples(after: bytes, riff: int | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        np.testing.assert_array_equal(load(wav(PCM, riff=riff, after=after), RATE), READ)


def test_a_byte_of_padding_before_the_next_chunk() -> None:
    odd = wav(bytes(range(101)), form=(1, 1, 8), after=b"\0" + chunk(b"LIST", 40))
    assert len(load(odd, RATE)) == 101


def test_an_empty_recording_is_empty() -> None:
    for data in (wav(b""), wav(b"", data=0, riff=0), wav(b"", after=chunk(b"LIST", 40))):
        with pytest.raises(EmptySound, match="no samples"):
            load(data, RATE)


def test_an_id3_tag_before_the_header() -> None:
    tag = b"ID3\3\0\0\0\0\x07\x76" + bytes(1014)
    flac, ogg = io.BytesIO(), io.BytesIO()
    sf.write(flac, WAVE, RATE, format="FLAC")
    sf.write(ogg, WAVE, RATE, format="OGG")
    for data in (wav(PCM), wav(PCM, after=chunk(b"LIST", 40)), flac.getvalue(), ogg.getvalue()):
        np.testing.assert_allclose(load(tag + data, RATE), load(data, RATE), atol=1e-5)
        np.testing.assert_allclose(load(tag + tag + data, RATE), load(data, RATE), atol=1e-5)
        assert duration(tag + data) == 1.0
    check_mended(tag + wav(PCM, data=0))


def big_endian(kind: str) -> tuple[bytearray, int]:
    file = io.BytesIO()
    sf.write(file, INTS, RATE, format=kind)
    data = bytearray(file.getvalue())
    return data, {
        "AIFF": data.find(b"SSND") + 4,
        "AU": 8,
        "CAF": data.find(b"data") + 4,
        "W64": data.find(b"data\xf3\xac") + 16,
        "RF64": 20,
    }[kind]


@pytest.mark.parametrize(("kind", "size"), [
    ("AIFF", ">I0"), ("AIFF", ">I8"), ("AIFF", ">I1008"), ("AU", ">I0"), ("AU", ">I1000"), ("CAF", ">q4"), ("CAF", ">q1004"), ("W64", "<Q24"),
    ("W64", "<Q1024"), ("RF64", "<QQ0,0"), ("RF64", "<QQ0,1000"),
])  # fmt: skip
def test_the_neighbours_of_wav(kind: str, size: str) -> None:
    data, at = big_endian(kind)
    form, values = size.rstrip("0123456789,"), [int(x) for x in size.lstrip("<>IQq").split(",")]
    struct.pack_into(form, data, at, *values)
    check_mended(bytes(data))


def test_aiff_with_chunks_behind_its_samples() -> None:
    data, _ = big_endian("AIFF")
    more = bytes(data) + b"ANNO" + struct.pack(">I", 6) + b"hello."
    np.testing.assert_array_equal(load(more, RATE), READ)


def test_sizes_over_32_bits_are_wrapped(tmp_path: Path) -> None:
    """Of 12 hours 100 s were read, silently: the size of 4 GiB and 100 s is that of 100 s."""
    path = tmp_path / "long.wav"
    real = (1 << 32) + 2 * RATE
    head = wav(b"", data=real % (1 << 32), riff=(real + 36) % (1 << 32))
    for after in (b"", chunk(b"LIST", 40)):
        with path.open("wb") as file:  # sparse: it takes a few kilobytes of the disk
            file.write(head + PCM)
            file.seek(len(head) + real - len(PCM))
            file.write(PCM + after)
        assert duration(path) == real / 2 / RATE
        with pytest.warns(SoundWarning, match=f"announces {2 * RATE} bytes of samples and {real} are there"):
            np.testing.assert_array_equal(load(path, RATE, seconds=1.0), READ)


def test_a_wrapped_size_leads_to_the_last_second(tmp_path: Path) -> None:
    from openclap.audio.load import cut

    path = tmp_path / "long.wav"
    real = ((1 << 32) // (2 * RATE) + 1) * 2 * RATE
    with path.open("wb") as file:
        file.write(wav(b"", data=real % (1 << 32), riff=0))
        file.seek(44 + real - len(PCM))
        file.write(PCM)
    last = real // 2 // RATE
    with pytest.warns(SoundWarning, match="are there"):
        (wave,) = cut(path, RATE, [(last - 1, last)])
    np.testing.assert_array_equal(wave, READ)


@pytest.mark.parametrize("kind", ["bytes", "path", "open file"])
def test_a_place_that_no_file_can_have_prints_nothing(kind: str, tmp_path: Path) -> None:
    """libsndfile and FFmpeg go where a broken header sends them; what then failed was printed with a traceback."""
    from openclap.audio.files import open_binary

    (tmp_path / "a").write_bytes(b"x" * 100)
    given = {"bytes": b"x" * 100, "path": tmp_path / "a", "open file": io.BytesIO(b"y" * 7 + b"x" * 100)}[kind]
    if isinstance(given, io.BytesIO):
        given.seek(7)
    with open_binary(given, "a") as file:
        for place, whence in ((-5, 0), (-500, 1), (-500, 2)):
            assert file.seek(place, whence) == 0
            assert file.read(1) == b"x"
        for place, whence in ((1 << 62, 0), ((1 << 63) - 200, 1), (1 << 62, 2), (5, 2)):
            assert file.seek(place, whence) >= 100
            assert file.read(1) == b""
        assert file.seek(-1, 2) == 99
        assert file.seek(0, 0) + file.seek(10, 1) + file.seek(5, 1) == 25


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_a_header_that_ends_anywhere(kind: str) -> None:
    """A W64 of 73 bytes: "struct.error: unpack_from requires a buffer of at least 78 bytes"."""
    file = io.BytesIO()
    sf.write(file, WAVE, RATE, format=kind, subtype="PCM_16")
    for length in range(12, 240):
        assert examine_header(io.BytesIO(file.getvalue()[:length])).file.read(4)
