"""What FFmpeg (PyAV) reads → blocks of samples: mp3 m4a aac wma ac3 webm, the sound of videos, flac of unknown length.

Knows nothing of paths; `tracks` opens.

Where the container has time stamps, samples lie where they say (`timeline`). A sound that starts at 12 s has 12 s of
silence before it. Zero is the container's own where it has one (mp4, Matroska), else where its first stream begins. A
file that ends early gives what could be decoded; "early" is known from the duration that a header announces, never from
one that FFmpeg estimates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from openclap.audio import mp3_header
from openclap.audio.channels import to_float32
from openclap.audio.decode_pass import DecodePass
from openclap.audio.timestamps import TOLERANCE, StampClock
from openclap.audio.tracks import TIMED, Track, packets_of
from openclap.errors import UnreadableSound

if TYPE_CHECKING:
    import av

__all__ = ["decode_samples", "frame_samples", "measure_seconds"]

SLACK_SECONDS = 0.25  # containers announce durations to within a few coded frames
MP3_FRAME = 1152  # samples
PREROLL_SECONDS = 2.0  # decoded before what is sought: MP3's bit reservoir, the windows and predictors of the others
LEAST_PREROLL = 0.2
TAIL_SECONDS = 5
SILENCE = 1 << 20  # samples × channels of silence at once
_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}  # FFmpeg's names → numpy's

# Where a sample can be sought by its time stamp.
_SOUGHT = {*TIMED, "mp3", "flac", "aac", "avi", "wav", "w64", "aiff", "tta", "wv", "ape", "caf"}

Samples = npt.NDArray[Any]


def decode_samples(file: BinaryIO, reading: DecodePass, *, start: int = 0) -> Iterator[tuple[int, Samples]]:
    """Blocks of (rate, samples (S, channels) of any type) from `start` whole seconds on, where that can be sought.

    Raises
    ------
    UnreadableSound
        It is no sound, has none in it, or not the track that is wanted.
    """
    if start > 0:
        found = _seek_pass(file, reading, start)
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


def measure_seconds(file: BinaryIO, reading: DecodePass) -> float | None:
    """How long what `decode_samples` gives is, by decoding its last seconds; None where these cannot be sought."""
    quiet = DecodePass(reading.name, track=reading.track, quiet=True)
    for end in _candidate_ends(file, quiet):
        start = max(0, int(end) - TAIL_SECONDS)
        tail = _seek_pass(file, quiet, start) if start else None
        if tail is not None:
            with tail:
                return start + sum(len(samples) / rate for rate, samples in tail.blocks())
    return None


def _candidate_ends(file: BinaryIO, reading: DecodePass) -> Iterator[float]:
    """Where a sound may end, in seconds: as announced, as FFmpeg estimates, by the stamps of all packets."""
    with _Pass(file, reading) as passed:
        if passed.track.announced is not None:
            yield passed.track.announced
        if passed.track.estimated is not None:
            yield passed.track.estimated
    with _Pass(file, reading) as passed:
        last = passed.track.last_stamp()
    if last is not None:
        yield last


def frame_samples(frame: av.AudioFrame) -> Samples:
    """A frame of FFmpeg → (S, channels) of its own type, in memory of its own.

    `AudioFrame.to_ndarray` of PyAV knows no samples of 64 bits, and of channels in planes it takes one more than there
    are where they are eight or more: what lies behind the frame (https://ffmpeg.org/doxygen/trunk/structAVFrame.html:
    `extended_data` has no end mark).
    """
    kind, channels = _TYPES[frame.format.packed.name], frame.layout.nb_channels
    if not frame.format.is_planar:
        return np.frombuffer(frame.planes[0], kind, frame.samples * channels).reshape(frame.samples, channels).copy()
    return np.stack([np.frombuffer(plane, kind, frame.samples) for plane in frame.planes[:channels]]).T


def _seek_pass(file: BinaryIO, reading: DecodePass, start: int) -> _Pass | None:
    """A pass that begins at a whole second, to the sample; None where it has to be read from the beginning."""
    passed = _Pass(file, reading)
    if passed.track.stamps_may_turn:
        with passed:
            if passed.track.last_stamp() is None:
                return None
        passed = _Pass(file, reading)
    if passed.begin_at(start):
        return passed
    passed.close()
    return None


class _Frame(NamedTuple):
    rate: int
    stamp: float | None  # seconds, by the container's clock
    samples: Samples


class _Pass:
    """A track, and how far it has been decoded."""

    def __init__(self, file: BinaryIO, reading: DecodePass) -> None:
        self._reading = reading
        self.track = Track(file, reading)
        self._timeline: StampClock | None = None
        self._broken = 0  # packets that could not be decoded, or 1 for a container that ends in the middle
        self._begun: _Frame | None = None  # what was decoded of the place that was sought

    def __enter__(self) -> _Pass:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.track.container.close()

    # -- decoding ------------------------------------------------------------------------------------

    def _frames(self) -> Iterator[_Frame]:
        """Every frame; what cannot be decoded is skipped and counted."""
        import av

        packets = packets_of(self.track.container, self.track.stream)
        base = float(self.track.stream.time_base)  # fractions take as long as the decoding
        tagged = 0  # bytes of a tag between two recordings that were put one behind another: nothing is damaged there
        while True:
            packet, failed = None, False
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except av.FFmpegError:
                failed = True
            if failed:
                tagged = tagged or (0 if packet is None else mp3_header.tag_length(bytes(packet)))
                self._broken += tagged == 0
            if tagged and packet is not None:
                tagged = max(0, tagged - packet.size)
            if failed:
                continue
            if packet is None:
                return
            for frame in frames:
                pts = frame.pts
                yield _Frame(frame.sample_rate, None if pts is None else pts * base, frame_samples(frame))

    def begin_at(self, start: int) -> bool:
        """Go to a whole second, to the sample; False where that cannot be done."""
        import av

        try:
            first = next(self._frames(), None)
            if first is None or first.stamp is None or self.track.kind not in _SOUGHT:
                return False
            line = self.track.timeline(first.stamp, self._reading.warn)
            begin = 0 if line is None else line.place_frame(first.stamp, len(first.samples), first.rate)[0]
            target = start * first.rate
            if target <= begin + len(first.samples) + first.rate:
                return False
            stamp = first.stamp + (target - begin) / first.rate - PREROLL_SECONDS
            self.track.container.seek(int(stamp / self.track.stream.time_base), stream=self.track.stream)
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
        unit = self.track.stream.time_base * frame.rate  # samples
        if (1 / unit).denominator > 1 and self.track.stream.codec_context.name != "vorbis":  # its frames have two sizes
            size, anchor = len(frame.samples), begin + len(first.samples)
            drawn = anchor + round((about - anchor) / size) * size
            if abs(drawn - about) <= 1.5 * unit + 0.5:
                return drawn
        return round(about)

    def blocks(self) -> Iterator[tuple[int, Samples]]:
        """(rate, samples) of what has not been decoded yet."""
        waiting: list[Samples] = []
        held, now, most = 0, (0, 0), 0  # rate and channels of what waits, and how much of it may
        decoded = 0
        frames = self._frames()
        for frame in frames if self._begun is None else itertools.chain([self._begun], frames):
            if self._timeline is None and not decoded and self._begun is None:
                self._timeline = self.track.timeline(frame.stamp, self._reading.warn)
                self._reading.known = self._timeline is None
            samples, silent = frame.samples, 0
            decoded += len(samples)
            if self._timeline is not None:
                silent, left_out = self._timeline.place_frame(frame.stamp, len(samples), frame.rate)
                samples = samples[left_out:]
                self._reading.changed = self._reading.changed or silent > 0 or left_out > 0
            kind = (frame.rate, samples.shape[1])
            if waiting and (silent or kind != now or held >= most):
                yield now[0], _concatenate_frames(waiting)
                waiting, held = [], 0
            yield from _silence(silent, *kind)
            if kind != now:
                now, most = kind, self._reading.block_size(*kind)
            waiting.append(samples)
            held += len(samples)
        by_chance = self.track.kind == "mp3" and decoded <= MP3_FRAME
        if (self._broken and not decoded) or (by_chance and (self._broken or not self.track.like_mp3)):
            # FFmpeg finds a single frame of MP3 in about a thousandth of all files that are no audio.
            cause = "nothing in it could be decoded as audio; it may be broken or no audio at all"
            raise UnreadableSound(self._reading.name, cause)
        if held:
            yield now[0], _concatenate_frames(waiting)

    def is_cut(self, seconds: float) -> bool:
        """Whether something is missing of what was announced, when so many seconds were read."""
        return self._broken > 0 or (self.track.announced is not None and seconds < self.track.announced - SLACK_SECONDS)


def _concatenate_frames(frames: list[Samples]) -> Samples:
    """Frames (S, channels) of one type, whose channels may lie one after another in memory."""
    return to_float32(np.concatenate([frame.T for frame in frames], axis=1).T)


def _silence(samples: int, rate: int, channels: int) -> Iterator[tuple[int, Samples]]:
    size = max(1, SILENCE // channels)
    for done in range(0, samples, size):
        yield rate, np.zeros((min(size, samples - done), channels), np.float32)
