"""Files that mean harm, the same ones every time: mutations of every format, hours in a few kilobytes. For tests and bench/hostile.py."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import soundfile as sf
from muxed_for_tests import Track, muxed

__all__ = ["FORMATS", "RECORDINGS", "mutations", "recording_of", "silence", "sound_of"]

RATE = 16_000
FORMATS = (
    "WAV", "WAVEX", "W64", "RF64", "AIFF", "AU", "CAF", "FLAC", "OGG", "OPUS", "MP3", "NIST", "VOC", "IRCAM", "SVX",
    "m4a", "webm", "wma", "aac", "ac3", "mkv", "wv", "tta", "avi",
)  # fmt: skip
_BY_FFMPEG = {
    "m4a": ("ipod", "aac"), "webm": ("webm", "libopus"), "wma": ("asf", "wmav2"), "aac": ("adts", "aac"), "ac3": ("ac3", "ac3"),
    "mkv": ("matroska", "flac"), "wv": ("wv", "wavpack"), "tta": ("tta", "tta"), "avi": ("avi", "mp2"),
}  # fmt: skip
# What is odd about a recording that is whole: chains, sizes, time stamps, tracks, phases, tags.
RECORDINGS = (
    "chained vorbis", "chained opus", "chained flac", "chain of all", "chain with junk", "killed wav", "killed wav behind FLLR", "killed aiff",
    "killed w64", "wav with LIST", "streamed wav", "24-bit wav", "ADPCM wav", "id3 wav", "id3 flac", "mp3 in wav", "mp3 without Xing", "wrong Xing",
    "late mp4", "late mov", "late mkv", "late webm", "late ts", "late flv", "gaps mkv", "gaps ts", "overlapping mkv", "jitter mkv", "set back ts",
    "two tracks mkv", "two tracks mp4", "sound and pictures", "opposite phase wav", "opposite phase ogg", "opposite phase m4a",
)  # fmt: skip
EXTREMES = (
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\x00\x00\x00",
    b"\x00\x01",
)


def sound_of(kind: str, wave: np.ndarray, rate: int = RATE) -> bytes:
    """A wave (S,) or (S, 2) in one of `FORMATS`."""
    file = io.BytesIO()
    if kind in _BY_FFMPEG:
        container, codec = _BY_FFMPEG[kind]
        rate = {"libopus": 48_000, "ac3": 48_000, "wmav2": 44_100}.get(codec, rate)
        with av.open(file, "w", format=container) as made:
            stream = made.add_stream(codec, rate=rate)
            stream.bit_rate = 64_000
            frame = av.AudioFrame.from_ndarray((wave[None] * 32767).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            for packet in (*stream.encode(frame), *stream.encode(None)):
                made.mux(packet)
    elif kind in ("OGG", "OPUS"):
        sf.write(file, wave, rate, format="OGG", subtype="VORBIS" if kind == "OGG" else "OPUS")
    else:
        sf.write(file, wave, rate, format=kind)
    return file.getvalue()


def recording_of(kind: str, wave: np.ndarray) -> bytes:
    """A wave (S,) as one of `RECORDINGS`."""
    what, _, container = kind.partition(" ")
    if what.startswith("chain"):
        return _chain_of(kind, wave)
    if what in ("late", "gaps", "overlapping", "jitter", "set", "two", "sound"):
        return _muxed_of(kind, wave)
    if what == "opposite":
        against = np.stack([wave, -wave], axis=1)
        if container.endswith("m4a"):
            return muxed("mp4", [Track(against, rate=RATE)], codec="aac")
        return sound_of("OGG" if container.endswith("ogg") else "WAV", against)
    return _header_of(kind, wave)


def _chain_of(kind: str, wave: np.ndarray) -> bytes:
    half = wave[: len(wave) // 2]
    flac = [muxed("ogg", [Track(part, rate=RATE)], codec="flac") for part in (wave, half)]
    vorbis = [sound_of("OGG", part) for part in (wave, half)]
    opus = [sound_of("OPUS", part) for part in (wave, half)]
    links = {"vorbis": vorbis, "opus": opus, "flac": flac}.get(
        kind.rsplit(maxsplit=1)[-1], [vorbis[0], opus[1], flac[1]]
    )
    return (b"x" * 333 if kind.endswith("junk") else b"").join(links)


def _muxed_of(kind: str, wave: np.ndarray) -> bytes:
    what, container = kind.split(maxsplit=1)[0], kind.rsplit(maxsplit=1)[-1]
    form, codec = {
        "mp4": ("mp4", "aac"), "mov": ("mov", "alac"), "mkv": ("matroska", "flac"), "webm": ("webm", "libopus"), "ts": ("mpegts", "mp2"),
        "flv": ("flv", "libmp3lame"), "pictures": ("matroska", "aac"),
    }[container]  # fmt: skip
    rate = 48_000 if codec == "libopus" else 44_100 if form == "flv" else RATE
    middle = len(wave) / rate / 2
    place = {
        "late": lambda second: second + 1.5, "gaps": lambda second: second + 2.0 * (second > middle),
        "overlapping": lambda second: second - 0.15 * (second > middle), "jitter": lambda second: second + 0.01 * (int(second * 100) % 2),
        "set": lambda second: second + 20.0,
    }.get(what, lambda second: second)  # fmt: skip
    tracks = [Track(wave, place, rate=rate)]
    if what == "two":
        tracks.append(Track(wave[::-1].copy(), place, rate=rate, default=False))
    made = muxed(form, tracks, codec=codec, video=0.5 if what in ("late", "sound") else 0.0)
    return made + muxed(form, [Track(wave, rate=rate)], codec=codec) if what == "set" else made


def _header_of(kind: str, wave: np.ndarray) -> bytes:
    if "mp3" in kind or "Xing" in kind:
        made = bytearray(muxed("wav" if kind.endswith("wav") else "mp3", [Track(wave, rate=RATE)], codec="libmp3lame",
                               options={"write_xing": "0"} if kind.endswith("without Xing") else None))  # fmt: skip
        at = max(made.find(b"Xing"), made.find(b"Info"))
        if kind == "wrong Xing" and at > 0:
            struct.pack_into(">I", made, at + 8, 99_999)
        return bytes(made)
    form = {"flac": "FLAC", "aiff": "AIFF", "w64": "W64"}.get(kind.rsplit(maxsplit=1)[-1], "WAV")
    file = io.BytesIO()
    sf.write(
        file, wave, RATE, format=form, subtype={"24-bit": "PCM_24", "ADPCM": "IMA_ADPCM"}.get(kind.split(maxsplit=1)[0])
    )
    made = bytearray(file.getvalue())
    if kind.startswith("id3"):
        return b"ID3\3\0\0\0\0\0\x64" + bytes(100) + bytes(made)
    size = {"AIFF": made.find(b"SSND") + 4, "W64": made.find(b"data\xf3\xac") + 16}.get(form, made.find(b"data") + 4)
    if kind.startswith("killed"):
        made[size : size + 4] = bytes(4)
    elif kind.startswith("streamed"):
        made[4:8] = made[size : size + 4] = b"\xff" * 4
    elif kind.endswith("LIST"):
        made += b"LIST" + struct.pack("<I", 40) + b"INFO" + bytes(36)
    if kind.endswith("FLLR"):
        made[size - 4 : size - 4] = b"FLLR" + struct.pack("<I", 400) + bytes(400)
    return bytes(made)


def mutations(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Damaged files, the formats and odd recordings in turn: (what was done, bytes)."""
    rng = np.random.default_rng(seed)
    wave = (0.2 * rng.standard_normal(RATE // 2)).astype(np.float32)
    whole = {kind: sound_of(kind, wave) for kind in FORMATS} | {kind: recording_of(kind, wave) for kind in RECORDINGS}
    kinds = tuple(whole)
    ways = (_cut, _bits, _extremes, _header, _zeros, _twice, _without, _spliced)
    for i in range(count):
        kind, way = kinds[i % len(kinds)], ways[int(rng.integers(len(ways)))]
        other = whole[kinds[int(rng.integers(len(kinds)))]]
        yield f"{i}: {kind} {way.__name__[1:]}", way(whole[kind], other, rng)


def _cut(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def _bits(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    made = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, len(made), int(rng.integers(1, 64)))
    made[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return made.tobytes()


def _extremes(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Sizes, rates and counts as large or as small as they can be written."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, value = int(rng.integers(0, min(len(made), 200))), EXTREMES[int(rng.integers(len(EXTREMES)))]
        made[at : at + len(value)] = value
    return bytes(made)


def _header(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        made[int(rng.integers(4, min(len(made), 160)))] = int(rng.integers(256))
    return bytes(made)


def _zeros(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, len(data)))
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


def _twice(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start, end = sorted(int(x) for x in rng.integers(0, len(data), 2))
    return data[:end] + data[start:end] * int(rng.integers(1, 20)) + data[end:]


def _without(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(data)))
    return data[:start] + data[start + int(rng.integers(1, 64)) :]


def _spliced(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of one format and the rest of another."""
    at = int(rng.integers(1, min(len(data), 400)))
    return data[:at] + other[at:]


def silence(kind: str, hours: float, rate: int = 8_000) -> bytes:
    """Hours of nothing in a few kilobytes: FLAC in blocks as long as they may be, or Opus of packets of one byte."""
    if kind == "OPUS":
        return _opus_of_nothing(hours)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as made:
        stream = made.add_stream("flac", rate=rate, options={"frame_size": "65535"})
        stream.layout = "mono"
        stream.format = "s16"
        quiet = np.zeros((1, 65_535), np.int16)
        for i in range(round(hours * 3600 * rate / quiet.shape[1])):
            frame = av.AudioFrame.from_ndarray(quiet, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, i * quiet.shape[1], Fraction(1, rate)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return file.getvalue()


def _opus_of_nothing(hours: float) -> bytes:
    """Packets of two empty frames of 60 ms (RFC 6716, 3.1: configuration 3, code 1), 255 to an Ogg page (RFC 3533)."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I4sI", 4, b"none", 0)
    pages = round(hours * 3600 / (255 * 0.12))
    made = [_page([head], 0, 0, 2), _page([tags], 0, 1, 0)]
    packets = [bytes([3 << 3 | 1])] * 255
    made += [_page(packets, (i + 1) * 255 * 5760, i + 2, 4 if i == pages - 1 else 0) for i in range(pages)]
    return b"".join(made)


def _page(packets: list[bytes], position: int, number: int, flags: int) -> bytes:
    page = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, 1, number, 0, len(packets))
    page += bytes(map(len, packets)) + b"".join(packets)
    check = 0
    for byte in page:
        check = check << 8 & 0xFFFFFFFF ^ _CRC[check >> 24 ^ byte]
    return page[:22] + struct.pack("<I", check) + page[26:]


def _crc_of(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


_CRC = [_crc_of(byte) for byte in range(256)]
