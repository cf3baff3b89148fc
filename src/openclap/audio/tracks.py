"""A container opened by FFmpeg (PyAV), the track of sound that is heard, and what is announced of it. Decodes nothing.

FFmpeg only ever sees an open file and may open nothing else: a playlist or an sdp text cannot make it read other files
or a network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from openclap.audio import mp3_header
from openclap.audio.decode_pass import DecodePass
from openclap.audio.timestamps import StampClock
from openclap.errors import UnreadableSound

if TYPE_CHECKING:
    import av

__all__ = ["TIMED", "Track", "packets_of"]

BLIND_SECONDS = 60.0  # between packets; more, and stamps are not relied on

# Containers with time stamps, and whether their zero is that of the recording.
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
# Demuxers that read the duration of a stream from a header; the others estimate it from the bit rate, or give the whole
# file's.
_ANNOUNCED = {"aiff", "ape", "au", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "tak", "tta", "w64", "wv"}
_ANNOUNCED_IF_ALONE = {"asf", "flv", "matroska,webm"}


class Track:
    """One track of sound in a container that is open.

    Raises
    ------
    UnreadableSound
        It is no sound, has none in it, or not the track that is wanted.
    """

    def __init__(self, file: BinaryIO, reading: DecodePass) -> None:
        file.seek(0)
        self.like_mp3 = mp3_header.looks_like_mpeg(file.read(16))
        self._short = mp3_header.is_truncated(file) if self.like_mp3 else None
        self.container = _open_container(file, reading.name)
        try:
            self.stream = _choose_stream(self.container, reading)
        except BaseException:
            self.container.close()
            raise
        _leave_out_others(self.container, self.stream)
        self.kind: str = self.container.format.name
        self.announced = self._announced_end()

    def _announced_end(self) -> float | None:
        """Where the sound ends, in seconds of the recording, as a header announces."""
        stream, container = self.stream, self.container
        if self.kind == "mp3" and not self._short:
            return None
        if self.kind in _ANNOUNCED and stream.duration is not None:
            begin = (stream.start_time or 0) if self.kind in TIMED else 0
            return float((begin + stream.duration) * stream.time_base) - min(0.0, self._start())
        own = _seconds_in(stream.metadata.get("DURATION", "")) if self.kind == "matroska,webm" else None
        if own is not None:
            return own
        if self.kind in _ANNOUNCED | _ANNOUNCED_IF_ALONE and container.duration and len(container.streams) == 1:
            return float(container.duration / 1e6)  # microseconds
        return None

    def _start(self) -> float:
        return float((self.container.start_time or 0) / 1e6)

    def timeline(self, first: float | None, tell: Callable[[str], None]) -> StampClock | None:
        """Where frames lie, given the stamp of the first one; None where they just follow one another."""
        if self.kind not in TIMED or first is None:
            return None
        zero = min(0.0, self._start())
        if not TIMED[self.kind]:
            zero = first if self.container.start_time is None else min(self._start(), first)
        end = self.announced
        if end is None and self.kind in _ANNOUNCED | _ANNOUNCED_IF_ALONE and self.container.duration:
            end = float(self.container.duration / 1e6)
        return StampClock(zero, end, tell)

    @property
    def estimated(self) -> float | None:
        """Seconds of the whole file as FFmpeg estimates them; None where its clock may have been set back meanwhile."""
        return None if self.stamps_may_turn or not self.container.duration else float(self.container.duration / 1e6)

    @property
    def stamps_may_turn(self) -> bool:
        """Whether pieces with clocks of their own are put together in such files, so that a time may be in them twice."""
        return self.kind in ("mpegts", "mpeg")

    def last_stamp(self) -> float | None:
        """Where its packets end, in seconds since the first; None where their stamps are not in order.

        Nothing is decoded.
        """
        import av

        base = self.stream.time_base
        back, blind = int(1.0 / base), int(BLIND_SECONDS / base)
        first = last = end = None
        try:
            for packet in packets_of(self.container, self.stream):
                begin = packet.pts
                if begin is None:
                    continue
                if last is None:
                    first = begin
                elif not -back < begin - last < blind:
                    return None
                last, end = begin, begin + (packet.duration or 0)
        except av.FFmpegError:
            return None
        return None if first is None or end is None else float((end - first) * base)


def packets_of(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.Packet]:
    """The packets of a stream, also where others turn up on the way (of a live stream, or a damaged one): PyAV fails at the first packet of such."""
    while True:
        try:
            yield from container.demux(stream)
        except IndexError:
            continue
        return


def _seconds_in(text: str) -> float | None:
    """What Matroska's tag DURATION says: "00:00:16.001000000"."""
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


def _leave_out_others(container: av.container.InputContainer, stream: av.AudioStream) -> None:
    """Let FFmpeg skip the bytes of pictures and other tracks where the container allows it."""
    from av.stream import Discard

    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def _choose_stream(container: av.container.InputContainer, reading: DecodePass) -> av.AudioStream:
    """The track that is wanted; of several, the one marked as the default, else the first."""
    tracks = list(container.streams.audio)
    if not tracks:
        what = container.format.long_name or container.format.name
        raise UnreadableSound(reading.name, f"{what} without any audio in it")
    number = reading.choose_track(len(tracks))
    if number is None:
        playable = [
            i for i, track in enumerate(tracks) if track.codec_context is not None and track.codec_context.sample_rate
        ] or [0]
        marked = [i for i in playable if tracks[i].disposition & 1]
        number = (marked or playable)[0] + 1
        if len(tracks) > 1:
            reading.warn(
                f"holds {len(tracks)} tracks of sound; track {number}{_describe_track(tracks[number - 1])} is taken"
            )
        best = container.streams.best("audio")
        reading.changed = reading.changed or (best is not None and best.index != tracks[number - 1].index)
    stream = tracks[number - 1]
    if stream.codec_context is None:
        raise UnreadableSound(
            reading.name, "its audio is in a codec that this FFmpeg cannot decode; convert it to FLAC"
        )
    return stream


def _describe_track(track: av.AudioStream) -> str:
    """What a container says of a track: " (eng, Commentary)"."""
    said = [track.metadata.get(key, "") for key in ("language", "title")]
    words = ", ".join(word for word in said if word and word != "und" and word.isprintable())
    return f" ({words[:60]})" if words else ""
