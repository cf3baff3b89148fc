"""Files that FFmpeg (PyAV) decodes → blocks of samples: mp3 m4a aac wma ac3 webm, videos, flac of unknown length.

Where the container has time stamps, samples are placed by them (`timestamps`): a sound that starts at 12 s has 12 s of
silence before it. Time 0 is the container's own where it has one (mp4, Matroska), else the start of its first stream. A
file that ends early gives what could be decoded. "Early" is judged by the duration that a header announces, never by
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
PREROLL_SECONDS = 2.0  # decoded before the wanted place, for MP3's bit reservoir and the predictors of other codecs
MIN_PREROLL_SECONDS = 0.2
TAIL_SECONDS = 5  # decoded to measure where a sound ends
SILENCE_VALUES = 1 << 20  # samples × channels of silence in one block
NUMPY_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}  # FFmpeg's names → numpy's

# Containers in which a sample can be found by its time stamp.
SEEKABLE_CONTAINERS = {*TIMED, "mp3", "flac", "aac", "avi", "wav", "w64", "aiff", "tta", "wv", "ape", "caf"}

Samples = npt.NDArray[Any]


def decode_samples(file: BinaryIO, decode_pass: DecodePass, *, start: int = 0) -> Iterator[tuple[int, Samples]]:
    """Blocks of (rate, samples (S, channels)), from second `start` on if the format can seek, else from 0.

    Raises
    ------
    UnreadableSound
        It is no sound, has none in it, or lacks the wanted track.
    """
    if start > 0:
        sought = _open_at(file, decode_pass, start)
        if sought is not None:
            with sought:
                decode_pass.skipped += start
                yield from sought.blocks()
            return
    with _TrackDecoder(file, decode_pass) as whole:
        seconds = 0.0
        for rate, samples in whole.blocks():
            seconds += len(samples) / rate
            yield rate, samples
        decode_pass.truncated = decode_pass.truncated or whole.is_cut(seconds)


def measure_seconds(file: BinaryIO, decode_pass: DecodePass) -> float | None:
    """The length in seconds, found by decoding the end of the sound; None where the format cannot seek there."""
    quiet = DecodePass(decode_pass.name, limits=decode_pass.limits, quiet=True)
    for end in _candidate_ends(file, quiet):
        start = max(0, int(end) - TAIL_SECONDS)
        tail = _open_at(file, quiet, start) if start else None
        if tail is not None:
            with tail:
                return start + sum(len(samples) / rate for rate, samples in tail.blocks())
    return None


def _candidate_ends(file: BinaryIO, decode_pass: DecodePass) -> Iterator[float]:
    """Times at which the sound may end: as announced, as FFmpeg estimates, and by the time stamps of all packets."""
    with _TrackDecoder(file, decode_pass) as decoder:
        if decoder.track.announced is not None:
            yield decoder.track.announced
        if decoder.track.estimated is not None:
            yield decoder.track.estimated
    with _TrackDecoder(file, decode_pass) as decoder:
        last = decoder.track.last_stamp()
    if last is not None:
        yield last


def frame_samples(frame: av.AudioFrame) -> Samples:
    """A frame of FFmpeg → a copy of its samples (S, channels), in their own type.

    PyAV's `AudioFrame.to_ndarray` cannot be used: it does not know samples of 64 bits, and where eight or more channels
    lie in planes of their own it reads one plane too many, from memory behind the frame
    (https://ffmpeg.org/doxygen/trunk/structAVFrame.html: `extended_data` has no end mark).
    """
    kind, channels = NUMPY_TYPES[frame.format.packed.name], frame.layout.nb_channels
    if not frame.format.is_planar:
        return np.frombuffer(frame.planes[0], kind, frame.samples * channels).reshape(frame.samples, channels).copy()
    return np.stack([np.frombuffer(plane, kind, frame.samples) for plane in frame.planes[:channels]]).T


def _open_at(file: BinaryIO, decode_pass: DecodePass, start: int) -> _TrackDecoder | None:
    """A decoder that begins exactly at a whole second; None where the file has to be read from its beginning."""
    decoder = _TrackDecoder(file, decode_pass)
    if decoder.track.clock_may_restart:
        with decoder:
            if decoder.track.last_stamp() is None:
                return None
        decoder = _TrackDecoder(file, decode_pass)
    if decoder.begin_at(start):
        return decoder
    decoder.close()
    return None


class _Frame(NamedTuple):
    """A decoded frame."""

    rate: int
    stamp: float | None  # seconds on the container's clock
    samples: Samples


class _TrackDecoder:
    """Decodes one track of an open container."""

    def __init__(self, file: BinaryIO, decode_pass: DecodePass) -> None:
        self._decode_pass = decode_pass
        self.track = Track(file, decode_pass)
        self._clock: StampClock | None = None
        self._damaged = 0  # packets that could not be decoded, and 1 where the container ends in the middle
        self._sought_frame: _Frame | None = None  # the frame at the place it was set to, decoded already

    def __enter__(self) -> _TrackDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.track.container.close()

    # -- decoding ------------------------------------------------------------------------------------

    def _frames(self) -> Iterator[_Frame]:
        """Decode every frame; packets that cannot be decoded are skipped and counted."""
        import av

        packets = packets_of(self.track.container, self.track.stream)
        base = float(self.track.stream.time_base)  # a float: computing with fractions takes as long as decoding
        tagged = 0  # bytes left of a tag between two recordings in one file, which is no damage
        while True:
            packet, failed = None, False
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except av.FFmpegError:
                failed = True
            if failed:
                tagged = tagged or (0 if packet is None else mp3_header.tag_length(bytes(packet)))
                self._damaged += tagged == 0
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
        """Go exactly to a whole second; False where that cannot be done."""
        import av

        try:
            first = next(self._frames(), None)
            if first is None or first.stamp is None or self.track.kind not in SEEKABLE_CONTAINERS:
                return False
            clock = self.track.make_clock(first.stamp, self._decode_pass.warn)
            begin = 0 if clock is None else clock.place_frame(first.stamp, len(first.samples), first.rate)[0]
            target = start * first.rate
            if target <= begin + len(first.samples) + first.rate:
                return False
            stamp = first.stamp + (target - begin) / first.rate - PREROLL_SECONDS
            self.track.container.seek(int(stamp / self.track.stream.time_base), stream=self.track.stream)
            self._sought_frame = self._frame_at(target, first, begin)
        except av.FFmpegError:
            return False
        self._clock, self._damaged = clock, 0
        if clock is not None:
            clock.begin_at(target, first.rate)
        return self._sought_frame is not None

    def _frame_at(self, target: int, first: _Frame, begin: int) -> _Frame | None:
        """The rest of the frame that holds sample `target`; None where decoding did not begin some frames before it."""
        preroll_done, next_start = False, None
        for frame in self._frames():
            if frame.stamp is None or frame.rate != first.rate:
                return None
            at = self._position_of(frame, first, begin)
            if next_start is not None and abs(at - next_start) > TOLERANCE * first.rate:
                return None  # its stamps do not count samples
            next_start = at + len(frame.samples)
            preroll_done = preroll_done or at <= target - MIN_PREROLL_SECONDS * first.rate
            if not preroll_done or at > target:
                return None
            if at + len(frame.samples) > target:
                return _Frame(frame.rate, None, frame.samples[target - at :])
        return None

    def _position_of(self, frame: _Frame, first: _Frame, begin: int) -> int:
        """The sample at which a frame begins; stamps in whole milliseconds are rounded to the grid of frames."""
        assert frame.stamp is not None
        assert first.stamp is not None
        estimate = begin + (frame.stamp - first.stamp) * frame.rate
        tick = self.track.stream.time_base * frame.rate  # samples
        if (
            1 / tick
        ).denominator > 1 and self.track.stream.codec_context.name != "vorbis":  # Vorbis has frames of two sizes
            size, anchor = len(frame.samples), begin + len(first.samples)
            rounded = anchor + round((estimate - anchor) / size) * size
            if abs(rounded - estimate) <= 1.5 * tick + 0.5:
                return rounded
        return round(estimate)

    def blocks(self) -> Iterator[tuple[int, Samples]]:
        """Blocks of (rate, samples) of all that has not been decoded yet."""
        waiting: list[Samples] = []
        waiting_samples, kind_waiting, block_size = 0, (0, 0), 0
        decoded = 0
        frames = self._frames()
        for frame in frames if self._sought_frame is None else itertools.chain([self._sought_frame], frames):
            if self._clock is None and not decoded and self._sought_frame is None:
                self._clock = self.track.make_clock(frame.stamp, self._decode_pass.warn)
                self._decode_pass.change_is_certain = self._clock is None
            samples, silent = frame.samples, 0
            decoded += len(samples)
            if self._clock is not None:
                silent, left_out = self._clock.place_frame(frame.stamp, len(samples), frame.rate)
                samples = samples[left_out:]
                self._decode_pass.changed = self._decode_pass.changed or silent > 0 or left_out > 0
            kind = (frame.rate, samples.shape[1])
            if waiting and (silent or kind != kind_waiting or waiting_samples >= block_size):
                yield kind_waiting[0], _concatenate_frames(waiting)
                waiting, waiting_samples = [], 0
            yield from _silence(silent, *kind)
            if kind != kind_waiting:
                kind_waiting, block_size = kind, self._decode_pass.block_size(*kind)
            waiting.append(samples)
            waiting_samples += len(samples)
        may_be_chance = self.track.kind == "mp3" and decoded <= MP3_FRAME
        if (self._damaged and not decoded) or (may_be_chance and (self._damaged or not self.track.looks_like_mp3)):
            # In about one of a thousand files that are no audio FFmpeg finds a single frame of MP3.
            cause = "nothing in it could be decoded as audio; it may be broken or no audio at all"
            raise UnreadableSound(self._decode_pass.name, cause)
        if waiting_samples:
            yield kind_waiting[0], _concatenate_frames(waiting)

    def is_cut(self, seconds: float) -> bool:
        """Whether less was read than the header announces, or packets were damaged; `seconds` is what was read."""
        return self._damaged > 0 or (
            self.track.announced is not None and seconds < self.track.announced - SLACK_SECONDS
        )


def _concatenate_frames(frames: list[Samples]) -> Samples:
    """Join frames (S, channels) of one type → float32; their channels may lie one after another in memory."""
    return to_float32(np.concatenate([frame.T for frame in frames], axis=1).T)


def _silence(samples: int, rate: int, channels: int) -> Iterator[tuple[int, Samples]]:
    """So many samples of silence, in blocks."""
    size = max(1, SILENCE_VALUES // channels)
    for done in range(0, samples, size):
        yield rate, np.zeros((min(size, samples - done), channels), np.float32)
