"""A container opened by FFmpeg (PyAV), its chosen track of sound, and the length that is announced. Decodes nothing.

FFmpeg gets an open file and may open nothing else: a playlist or an sdp text cannot make it read other files or a
network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from openclap.audio import mp3_header
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.timestamps import StampClock
from openclap.errors import UnreadableSound

if TYPE_CHECKING:
    import av

__all__ = ["TIMED", "Track", "TrackFacts", "list_tracks", "packets_of"]

BLIND_SECONDS = 60.0  # a longer gap between packets means that stamps cannot be relied on

# Containers with time stamps, and whether their time 0 is the start of the recording.
TIMED = {
    "mov,mp4,m4a,3gp,3g2,mj2": True,
    "matroska,webm": True,
    "mpegts": False,
    "mpeg": False,
    "flv": False,
    "asf": False,
    "ogg": False,
    "nut": False,
}
# Containers with the duration of each stream in a header. For others FFmpeg estimates it from the bit rate, or gives
# that of the whole file; the second set gives the right one where there is one stream alone.
HEADER_DURATION = {"aiff", "ape", "au", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "tak", "tta", "w64", "wv"}
HEADER_DURATION_IF_ALONE = {"asf", "flv", "matroska,webm"}


SINGLE = (b"RIFF", b"RIFX", b"fLaC", b"FORM", b"OggS", b".snd", b"ID3")  # formats of one track, by their first bytes


@dataclass(frozen=True)
class TrackFacts:
    """A track of sound as its container names it; `index` counts from 1, texts are empty where nothing is said."""

    index: int
    title: str = ""
    language: str = ""


def list_tracks(path: str | os.PathLike[str]) -> list[TrackFacts]:
    """The tracks of sound in a file, at least one; nothing is decoded.

    Raises
    ------
    SoundError
        It cannot be read.
    """
    name = os.fspath(path)
    with open_binary(path, str(name)) as file:
        head = file.read(4)
        if head.startswith(SINGLE) or mp3_header.looks_like_mpeg(head):
            return [TrackFacts(1)]
        container = _open_container(file, str(name))
        try:
            stated = [
                [track.metadata.get(key, "") for key in ("title", "language")] for track in container.streams.audio
            ]
        finally:
            container.close()
    texts = [[text[:200] if text.isprintable() and text != "und" else "" for text in one] for one in stated]
    return [TrackFacts(i, *one) for i, one in enumerate(texts, 1)] or [TrackFacts(1)]


class Track:
    """One track of sound in an open container.

    Raises
    ------
    UnreadableSound
        It is no sound, has none in it, or lacks the wanted track.
    """

    def __init__(self, file: BinaryIO, decode_pass: DecodePass) -> None:
        file.seek(0)
        self.looks_like_mp3 = mp3_header.looks_like_mpeg(file.read(16))
        self._mp3_truncated = mp3_header.is_truncated(file) if self.looks_like_mp3 else None
        self.container = _open_container(file, decode_pass.name)
        try:
            self.stream = _choose_stream(self.container, decode_pass)
        except BaseException:
            self.container.close()
            raise
        _discard_other_streams(self.container, self.stream)
        self.kind: str = self.container.format.name
        self.announced = self._announced_end()

    def _announced_end(self) -> float | None:
        """The end of the sound, in seconds of the recording, that a header announces; None where none does."""
        stream, container = self.stream, self.container
        if self.kind == "mp3" and not self._mp3_truncated:
            return None
        if self.kind in HEADER_DURATION and stream.duration is not None:
            begin = (stream.start_time or 0) if self.kind in TIMED else 0
            return float((begin + stream.duration) * stream.time_base) - min(0.0, self._start())
        tagged = _parse_duration(stream.metadata.get("DURATION", "")) if self.kind == "matroska,webm" else None
        if tagged is not None:
            return tagged
        if (
            self.kind in HEADER_DURATION | HEADER_DURATION_IF_ALONE
            and container.duration
            and len(container.streams) == 1
        ):
            return float(container.duration / 1e6)  # microseconds
        return None

    def _start(self) -> float:
        """The start of the container, in seconds on its clock."""
        return float((self.container.start_time or 0) / 1e6)

    def make_clock(self, first: float | None, warn: Callable[[str], None]) -> StampClock | None:
        """A clock that places frames, given the stamp of the first; None where frames simply follow one another."""
        if self.kind not in TIMED or first is None:
            return None
        zero = min(0.0, self._start())
        if not TIMED[self.kind]:
            zero = first if self.container.start_time is None else min(self._start(), first)
        end = self.announced
        if end is None and self.kind in HEADER_DURATION | HEADER_DURATION_IF_ALONE and self.container.duration:
            end = float(self.container.duration / 1e6)
        return StampClock(zero, end, warn)

    @property
    def estimated(self) -> float | None:
        """FFmpeg's estimate of the length of the file in seconds; None where its clock may restart."""
        return None if self.clock_may_restart or not self.container.duration else float(self.container.duration / 1e6)

    @property
    def clock_may_restart(self) -> bool:
        """Whether such files may consist of pieces with clocks of their own, so that a time may occur twice."""
        return self.kind in ("mpegts", "mpeg")

    def last_stamp(self) -> float | None:
        """The end of the last packet, in seconds since the first; None where stamps are not in order.

        Nothing is decoded.
        """
        import av

        base = self.stream.time_base
        most_back, most_ahead = int(1.0 / base), int(BLIND_SECONDS / base)
        first = last = end = None
        try:
            for packet in packets_of(self.container, self.stream):
                begin = packet.pts
                if begin is None:
                    continue
                if last is None:
                    first = begin
                elif not -most_back < begin - last < most_ahead:
                    return None
                last, end = begin, begin + (packet.duration or 0)
        except av.FFmpegError:
            return None
        return None if first is None or end is None else float((end - first) * base)


def packets_of(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.Packet]:
    """The packets of a stream, also where new streams appear later (live or damaged files), at which PyAV fails."""
    while True:
        try:
            yield from container.demux(stream)
        except IndexError:
            continue
        return


def _parse_duration(text: str) -> float | None:
    """Seconds of Matroska's tag DURATION, such as "00:00:16.001000000"; None for anything else."""
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)\s*\0*", text)
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def _open_container(file: BinaryIO, name: str) -> av.container.InputContainer:
    import av

    file.seek(0)
    try:
        # No protocol is allowed: what is read is this open file and nothing it points to.
        return av.open(file, metadata_errors="replace", container_options={"protocol_whitelist": ""})
    except av.FFmpegError as error:
        cause = f"not a sound that libsndfile or FFmpeg can read ({error.strerror})"
        raise UnreadableSound(name, f"{cause}; it may be broken or no audio at all") from None


def _discard_other_streams(container: av.container.InputContainer, stream: av.AudioStream) -> None:
    """Let FFmpeg skip the bytes of pictures and other tracks where the container allows it."""
    from av.stream import Discard

    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def _choose_stream(container: av.container.InputContainer, decode_pass: DecodePass) -> av.AudioStream:
    """The wanted track; where none is wanted, the one marked as the default, else the first."""
    tracks = list(container.streams.audio)
    if not tracks:
        kind = container.format.long_name or container.format.name
        raise UnreadableSound(decode_pass.name, f"{kind} without any audio in it")
    number = decode_pass.choose_track(len(tracks))
    if number is None:
        playable = [
            i for i, track in enumerate(tracks) if track.codec_context is not None and track.codec_context.sample_rate
        ] or [0]
        marked = [i for i in playable if tracks[i].disposition & 1]
        number = (marked or playable)[0] + 1
        if len(tracks) > 1:
            decode_pass.warn(
                f"holds {len(tracks)} tracks of sound; track {number}{_describe_track(tracks[number - 1])} is taken"
            )
        best = container.streams.best("audio")
        decode_pass.changed = decode_pass.changed or (best is not None and best.index != tracks[number - 1].index)
    stream = tracks[number - 1]
    if stream.codec_context is None:
        raise UnreadableSound(
            decode_pass.name, "its audio is in a codec that this FFmpeg cannot decode; convert it to FLAC"
        )
    return stream


def _describe_track(track: av.AudioStream) -> str:
    """The language and title of a track, such as " (eng, Commentary)"."""
    stated = [track.metadata.get(key, "") for key in ("language", "title")]
    words = ", ".join(word for word in stated if word and word != "und" and word.isprintable())
    return f" ({words[:60]})" if words else ""
