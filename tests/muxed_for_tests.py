"""Recordings in containers with time stamps of one's own choice, made by PyAV: late, with gaps, with several tracks. For tests."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "Track", "muxed", "noise"]

RATE = 48_000
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
Wave = npt.NDArray[np.float32]
FORMATS = {"pcm_s16le": "s16", "pcm_s16be": "s16", "flac": "s16", "libopus": "flt", "aac": "fltp", "libmp3lame": "s16p",
           "mp2": "s16", "wmav2": "fltp", "alac": "s16p", "ac3": "fltp"}  # fmt: skip


@dataclass
class Track:
    """One track: a wave (S,) or (S, channels), and the second at which a packet of it is put that was encoded for another."""

    wave: Wave
    place: Callable[[float], float] = lambda second: second
    codec: str = ""
    rate: int = RATE
    default: bool = True
    language: str = ""


def noise(seconds: float, rate: int = RATE, seed: int = 0, level: float = 0.1) -> Wave:
    """White noise (S,)."""
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate), dtype=np.float32)


def muxed(
    container: str,
    tracks: Sequence[Track],
    *,
    codec: str = "pcm_s16le",
    video: float = 0.0,
    options: dict[str, str] | None = None,
) -> bytes:
    """The bytes of a container with tracks of sound, and pictures of so many seconds before them."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as made:
        pictures = made.add_stream({"flv": "flv", "webm": "libvpx"}.get(container, "mpeg4"), rate=10) if video else None
        if pictures is not None:
            pictures.width = pictures.height = 32
        streams = [_stream(made, track, track.codec or codec) for track in tracks]
        packets = []
        if pictures is not None:
            for i in range(round(video * 10)):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), i % 256, np.uint8), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 10)
                packets += pictures.encode(frame)
            packets += pictures.encode(None)
        for track, stream in zip(tracks, streams, strict=True):
            packets += _packets(track, stream, track.codec or codec)
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            made.mux(packet)
    return file.getvalue()


def _stream(made: av.container.OutputContainer, track: Track, codec: str) -> av.AudioStream:
    channels = 1 if track.wave.ndim == 1 else track.wave.shape[1]
    stream = made.add_stream(codec, rate=track.rate, layout=LAYOUTS[channels])
    stream.codec_context.format = FORMATS[codec]
    if codec == "wmav2":
        stream.bit_rate = 64_000
    if track.language:
        stream.metadata["language"] = track.language
    stream.disposition = av.stream.Disposition.default if track.default else av.stream.Disposition(0)
    return stream


def _packets(track: Track, stream: av.AudioStream, codec: str) -> list[av.Packet]:
    """Coded, and put where `place` says."""
    wave = track.wave.reshape(len(track.wave), -1).T
    form = FORMATS[codec]
    made = []
    for begin in range(0, wave.shape[1], 1024):
        part = wave[:, begin : begin + 1024]
        if form.startswith("s16"):
            part = np.round(np.clip(part, -1, 1) * 32767).astype(np.int16)
        samples = np.ascontiguousarray(part if form.endswith("p") else part.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(samples, format=form, layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = track.rate, begin, Fraction(1, track.rate)
        made += stream.encode(frame)
    made += stream.encode(None)
    latest = None
    for packet in made:
        packet.pts = round(track.place(float(packet.pts * packet.time_base)) / packet.time_base)
    for packet in reversed(made):  # muxers want these in order
        latest = packet.dts = packet.pts if latest is None else min(latest, packet.pts)
    return made
