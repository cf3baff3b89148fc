"""What FFmpeg (PyAV) reads → blocks of samples: mp3 m4a aac wma ac3 webm, the sound of videos, flac of unknown length.

Knows nothing of paths. FFmpeg only ever sees an open file and may open nothing else: a playlist or an sdp text cannot make it read
other files or a network.

Where the container has time stamps, samples lie where they say (`timeline`). A sound that starts at 12 s has 12 s of silence before it.
Zero is the container's own where it has one (mp4, Matroska), else where its first stream begins. A file that ends early gives what
could be decoded; "early" is known from the duration that a header announces, never from one that FFmpeg estimates.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from openclap.audio import mpeg
from openclap.audio.channels import as_floats
from openclap.audio.reading import Reading
from openclap.audio.timeline import TOLERANCE, Timeline
from openclap.errors import UnreadableSound

if TYPE_CHECKING:
    import av

__all__ = ["frame_samples", "samples_of", "seconds_of"]

SLACK_SECONDS = 0.25  # containers announce durations to within a few coded frames
MP3_FRAME = 1152  # samples
PREROLL_SECONDS = 2.0  # decoded before what is sought: MP3's bit reservoir, the windows and predictors of the others
LEAST_PREROLL = 0.2
TAIL_SECONDS = 5
BLIND_SECONDS = 60.0  # between packets; more, and stamps are not relied on
SILENCE = 1 << 20  # samples × channels of silence at once

# Containers with time stamps, and whether their zero is that of the recording.
_TIMED = {
    "mov,mp4,m4a,3gp,3g2,mj2": True, "matroska,webm": True, "mpegts": False, "mpeg": False, "flv": False, "asf": False, "ogg": False,
    "nut": False,
}  # fmt: skip
# Demuxers that read the duration of a stream from a header; the others estimate it from the bit rate, or give the whole file's.
_ANNOUNCED = {"aiff", "ape", "au", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "tak", "tta", "w64", "wv"}
_ANNOUNCED_IF_ALONE = {"asf", "flv", "matroska,webm"}

# Where a sample can be sought by its time stamp.
_SOUGHT = {*_TIMED, "mp3", "flac", "aac", "avi", "wav", "w64", "aiff", "tta", "wv", "ape", "caf"}

Samples = npt.NDArray[Any]


def samples_of(file: BinaryIO, reading: Reading, *, start: int = 0) -> Iterator[tuple[int, Samples]]:
    """Blocks of (rate, samples (S, channels) of any type) from `start` whole seconds on, where that can be sought.

    Raises
    ------
    UnreadableSound
        It is no sound, has none in it, or not the track that is wanted.
    """
    if start > 0:
        found = _sought(file, reading, start)
        if found is not None:
            with found:
                reading.skipped += start
                yield from found.blocks()
            return
    with _Pass(file, reading) as whole:
        seconds = 0.0
        for rate, samples in whole.blocks():
            seconds += len(samples) / rate
            yield rate, samples
        reading.cut = reading.cut or whole.is_cut(seconds)


def seconds_of(file: BinaryIO, reading: Reading) -> float | None:
    """How long what `samples_of` gives is, by decoding its last seconds; None where these cannot be sought."""
    quiet = Reading(reading.name, track=reading.track, quiet=True)
    for end in _ends(file, quiet):
        start = max(0, int(end) - TAIL_SECONDS)
        tail = _sought(file, quiet, start) if start else None
        if tail is not None:
            with tail:
                return start + sum(len(samples) / rate for rate, samples in tail.blocks())
    return None


def _ends(file: BinaryIO, reading: Reading) -> Iterator[float]:
    """Where a sound may end, in seconds: as announced, as FFmpeg estimates, by the stamps of all packets."""
    with _Pass(file, reading) as passed:
        if passed.announced is not None:
            yield passed.announced
        if passed.estimated is not None:
            yield passed.estimated
    with _Pass(file, reading) as passed:
        last = passed.last_stamp()
    if last is not None:
        yield last


def frame_samples(frame: av.AudioFrame) -> Samples:
    """A frame of FFmpeg → (S, channels) of its own type."""
    samples: Samples = frame.to_ndarray()  # planar: (channels, S); packed: (1, S * channels)
    return samples.T if frame.format.is_planar else samples.reshape(frame.samples, -1)


def _sought(file: BinaryIO, reading: Reading, start: int) -> _Pass | None:
    """A pass that begins at a whole second, to the sample; None where it has to be read from the beginning."""
    passed = _Pass(file, reading)
    if passed.stamps_may_turn:
        with passed:
            if passed.last_stamp() is None:
                return None
        passed = _Pass(file, reading)
    if passed.begin_at(start):
        return passed
    passed.close()
    return None


@dataclass
class _Frame:
    rate: int
    stamp: float | None  # seconds, by the container's clock
    samples: Samples


class _Pass:
    """A container that is open, the stream in it that is heard, and how far it has been decoded."""

    def __init__(self, file: BinaryIO, reading: Reading) -> None:
        self._reading = reading
        self._like_mp3 = mpeg.is_like(_head(file))
        self._short = mpeg.is_short(file) if self._like_mp3 else None
        self._container = _opened(file, reading.name)
        try:
            self._stream = _audio_of(self._container, reading)
        except BaseException:
            self._container.close()
            raise
        _leave_out_others(self._container, self._stream)
        self._kind = self._container.format.name
        self.announced = self._announced()
        self._timeline: Timeline | None = None
        self._broken = 0  # packets that could not be decoded, or 1 for a container that ends in the middle
        self._begun: _Frame | None = None  # what was decoded of the place that was sought

    def __enter__(self) -> _Pass:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    # -- what the container says -------------------------------------------------------------------

    def _announced(self) -> float | None:
        """Where the sound ends, in seconds of the recording, as a header announces."""
        stream, container = self._stream, self._container
        if self._kind == "mp3" and not self._short:
            return None
        if self._kind in _ANNOUNCED and stream.duration is not None:
            begin = (stream.start_time or 0) if self._kind in _TIMED else 0
            return float((begin + stream.duration) * stream.time_base) - min(0.0, self._start())
        own = _seconds_in(stream.metadata.get("DURATION", "")) if self._kind == "matroska,webm" else None
        if own is not None:
            return own
        if self._kind in _ANNOUNCED | _ANNOUNCED_IF_ALONE and container.duration and len(container.streams) == 1:
            return float(container.duration / 1e6)  # microseconds
        return None

    def _start(self) -> float:
        return float((self._container.start_time or 0) / 1e6)

    def _timeline_from(self, first: _Frame) -> Timeline | None:
        if self._kind not in _TIMED or first.stamp is None:
            return None
        zero = min(0.0, self._start())
        if not _TIMED[self._kind]:
            zero = first.stamp if self._container.start_time is None else min(self._start(), first.stamp)
        end = self.announced
        if end is None and self._kind in _ANNOUNCED | _ANNOUNCED_IF_ALONE and self._container.duration:
            end = float(self._container.duration / 1e6)
        return Timeline(zero, end, self._reading.tell)

    @property
    def estimated(self) -> float | None:
        """Seconds of the whole file as FFmpeg estimates them; None where its clock may have been set back meanwhile."""
        return None if self.stamps_may_turn or not self._container.duration else float(self._container.duration / 1e6)

    @property
    def stamps_may_turn(self) -> bool:
        """Whether pieces with clocks of their own are put together in such files, so that a time may be in them twice."""
        return self._kind in ("mpegts", "mpeg")

    def last_stamp(self) -> float | None:
        """Where its packets end, in seconds since the first; None where their stamps are not in order. Nothing is decoded."""
        base = self._stream.time_base
        back, blind = int(1.0 / base), int(BLIND_SECONDS / base)
        first = last = end = None
        for packet in self._container.demux(self._stream):
            begin = packet.pts
            if begin is None:
                continue
            if last is None:
                first = begin
            elif not -back < begin - last < blind:
                return None
            last, end = begin, begin + (packet.duration or 0)
        return None if first is None or end is None else float((end - first) * base)

    # -- decoding ------------------------------------------------------------------------------------

    def _frames(self) -> Iterator[_Frame]:
        """Every frame; what cannot be decoded is skipped and counted."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except av.FFmpegError:
                self._broken += 1
                continue
            if packet is None:
                return
            for frame in frames:
                stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
                yield _Frame(frame.sample_rate, stamp, frame_samples(frame))

    def begin_at(self, start: int) -> bool:
        """Go to a whole second, to the sample; False where that cannot be done."""
        import av

        try:
            first = next(self._frames(), None)
            if first is None or first.stamp is None or self._kind not in _SOUGHT:
                return False
            line = self._timeline_from(first)
            begin = 0 if line is None else line.place(first.stamp, len(first.samples), first.rate)[0]
            target = start * first.rate
            if target <= begin + len(first.samples) + first.rate:
                return False
            stamp = first.stamp + (target - begin) / first.rate - PREROLL_SECONDS
            self._container.seek(int(stamp / self._stream.time_base), stream=self._stream)
            self._begun = self._frame_at(target, first, begin)
        except av.FFmpegError:
            return False
        self._timeline, self._broken = line, 0
        if line is not None:
            line.begin_at(target, first.rate)
        return self._begun is not None

    def _frame_at(self, target: int, first: _Frame, begin: int) -> _Frame | None:
        """What is decoded of the frame in which a sample lies; None where reading does not come to it from some frames before."""
        from_before, after = False, None
        for frame in self._frames():
            if frame.stamp is None or frame.rate != first.rate:
                return None
            at = self._place_of(frame, first, begin)
            if after is not None and abs(at - after) > TOLERANCE * first.rate:
                return None  # stamps that do not count samples
            after = at + len(frame.samples)
            from_before = from_before or at <= target - LEAST_PREROLL * first.rate
            if not from_before or at > target:
                return None
            if at + len(frame.samples) > target:
                return _Frame(frame.rate, None, frame.samples[target - at :])
        return None

    def _place_of(self, frame: _Frame, first: _Frame, begin: int) -> int:
        """Sample of the recording at which a frame begins; stamps in milliseconds are drawn to the grid of the frames."""
        assert frame.stamp is not None
        assert first.stamp is not None
        about = begin + (frame.stamp - first.stamp) * frame.rate
        unit = self._stream.time_base * frame.rate  # samples
        if (1 / unit).denominator > 1 and self._stream.codec_context.name != "vorbis":  # its frames have two sizes
            size, anchor = len(frame.samples), begin + len(first.samples)
            drawn = anchor + round((about - anchor) / size) * size
            if abs(drawn - about) <= 1.5 * unit + 0.5:
                return drawn
        return round(about)

    def blocks(self) -> Iterator[tuple[int, Samples]]:
        """(rate, samples) of what has not been decoded yet."""
        waiting: list[Samples] = []
        held, now = 0, (0, 0)  # rate and channels of what waits
        decoded = 0
        frames = self._frames()
        for frame in frames if self._begun is None else itertools.chain([self._begun], frames):
            if self._timeline is None and not decoded and self._begun is None:
                self._timeline = self._timeline_from(frame)
                self._reading.known = self._timeline is None
            samples, silent = frame.samples, 0
            decoded += len(samples)
            if self._timeline is not None:
                silent, left_out = self._timeline.place(frame.stamp, len(samples), frame.rate)
                samples = samples[left_out:]
                self._reading.changed = self._reading.changed or silent > 0 or left_out > 0
            kind = (frame.rate, samples.shape[1])
            if waiting and (silent or kind != now or held >= self._reading.block_size(*now)):
                yield now[0], _joined(waiting)
                waiting, held = [], 0
            yield from _silence(silent, *kind)
            now = kind
            waiting.append(samples)
            held += len(samples)
        by_chance = self._kind == "mp3" and decoded <= MP3_FRAME
        if (self._broken and not decoded) or (by_chance and (self._broken or not self._like_mp3)):
            # FFmpeg finds a single frame of MP3 in about a thousandth of all files that are no audio.
            cause = "nothing in it could be decoded as audio; it may be broken or no audio at all"
            raise UnreadableSound(self._reading.name, cause)
        if held:
            yield now[0], _joined(waiting)

    def is_cut(self, seconds: float) -> bool:
        """Whether something is missing of what was announced, when so many seconds were read."""
        return self._broken > 0 or (self.announced is not None and seconds < self.announced - SLACK_SECONDS)


def _joined(frames: list[Samples]) -> Samples:
    """Frames (S, channels) of one type, whose channels may lie one after another in memory."""
    return as_floats(np.concatenate([frame.T for frame in frames], axis=1).T)


def _silence(samples: int, rate: int, channels: int) -> Iterator[tuple[int, Samples]]:
    size = max(1, SILENCE // channels)
    for done in range(0, samples, size):
        yield rate, np.zeros((min(size, samples - done), channels), np.float32)


def _seconds_in(text: str) -> float | None:
    """What Matroska's tag DURATION says: "00:00:16.001000000"."""
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)\s*\0*", text)
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


# -- opening ------------------------------------------------------------------------------------------


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(16)


def _opened(file: BinaryIO, name: str) -> av.container.InputContainer:
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


def _audio_of(container: av.container.InputContainer, reading: Reading) -> av.AudioStream:
    """The track that is wanted; of several, the one marked as the default, else the first."""
    tracks = list(container.streams.audio)
    if not tracks:
        what = container.format.long_name or container.format.name
        raise UnreadableSound(reading.name, f"{what} without any audio in it")
    number = reading.chosen(len(tracks))
    if number is None:
        playable = [i for i, track in enumerate(tracks) if track.codec_context is not None] or [0]
        marked = [i for i in playable if tracks[i].disposition & 1]
        number = (marked or playable)[0] + 1
        if len(tracks) > 1:
            reading.tell(
                f"holds {len(tracks)} tracks of sound; track {number}{_described(tracks[number - 1])} is taken"
            )
        best = container.streams.best("audio")
        reading.changed = reading.changed or (best is not None and best.index != tracks[number - 1].index)
    stream = tracks[number - 1]
    if stream.codec_context is None:
        raise UnreadableSound(
            reading.name, "its audio is in a codec that this FFmpeg cannot decode; convert it to FLAC"
        )
    return stream


def _described(track: av.AudioStream) -> str:
    """What a container says of a track: " (eng, Commentary)"."""
    said = [track.metadata.get(key, "") for key in ("language", "title")]
    words = ", ".join(word for word in said if word and word != "und" and word.isprintable())
    return f" ({words[:60]})" if words else ""
