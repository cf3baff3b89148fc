"""What an audio source is, and the simple ones: a file, a pipe of PCM, and sound that is pushed by somebody else.

    file ────────────────────────┐
    pipe of PCM ─────────────────┤
    microphone (`microphone`) ───┼─ blocks: mono float32 at the wanted rate, all finite, each with the gap before it
    stream, PyAV (`streams`) ────┤
    growing folder (`folder`) ───┘

`open_source` chooses one of them by what the user wrote.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from openclap.audio import decode
from openclap.audio.channels import CANCELLING_WARNING, LiveDownmix, Wave
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.load import QUALITY
from openclap.audio.waves import HIGHEST_RATE, LOWEST_RATE
from openclap.errors import SourceError, UsageError

__all__ = [
    "FORMATS",
    "AudioBlock",
    "AudioSource",
    "BlockConverter",
    "FileSource",
    "PipeSource",
    "PushedSource",
    "Tell",
    "backoff_seconds",
]

Tell = Callable[[str], None]

FILE_BLOCK = 30.0  # seconds read at once
LIVE_BLOCK = 0.25
LOUDEST = 1e6  # times full scale; a sample beyond is a fault of the source
FORMATS = {
    "s16le": "<i2",
    "s16be": ">i2",
    "s32le": "<i4",
    "s32be": ">i4",
    "f32le": "<f4",
    "f32be": ">f4",
    "f64le": "<f8",
    "u8": "u1",
}


@dataclass(frozen=True, eq=False)
class AudioBlock:
    """Samples of a source.

    `wave` (S,) has the wanted rate; `gap` seconds were lost before it; `name` is the recording's, of which it may be
    the `last` block.
    """

    wave: Wave
    gap: float = 0.0
    name: str = ""
    last: bool = False


class AudioSource(Protocol):
    """Something to listen to.

    A `live` source does not wait: what is not heard in time is lost. Reading a `threaded` one may block for ever, so it
    is read in a thread.
    """

    name: str
    live: bool
    threaded: bool

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks at `rate` Hz until the source ends or `stop` is set; `tell` gets a line for each thing amiss."""


class BlockConverter:
    """Makes samples of any source mono and finite, at one rate; the source's own rate may change on the way."""

    def __init__(self, rate: int, name: str, tell: Tell) -> None:
        self._rate, self._name, self._tell = rate, name, tell
        self._own = 0.0
        self._resampler: soxr.ResampleStream | None = None
        self._broken_told = self._cancelling_told = False
        self._downmix = LiveDownmix()

    def feed(self, samples: npt.NDArray[np.generic], own_rate: float) -> Wave:
        """Convert samples (S,) or (S, channels) of any type → (S',), perhaps empty."""
        if not LOWEST_RATE <= own_rate <= HIGHEST_RATE:
            raise SourceError(
                f"{self._name}: gives {own_rate:g} Hz; {LOWEST_RATE:g} Hz to {HIGHEST_RATE / 1e6:g} MHz are possible"
            )
        wave = self._downmix.feed(samples, own_rate)
        if self._downmix.cancelled and not self._cancelling_told:
            self._cancelling_told = True
            self._tell(f"{self._name}: {CANCELLING_WARNING}")
        with np.errstate(invalid="ignore"):
            broken = ~(np.abs(wave) <= LOUDEST)
        if broken.any():
            wave = np.where(broken, np.float32(0), wave)
            if not self._broken_told:
                self._broken_told = True
                self._tell(
                    f"{self._name}: samples that are NaN, infinite or far beyond full scale are taken as silence"
                )
        if own_rate != self._own:
            self._own = own_rate
            self._resampler = (
                None if own_rate == self._rate else soxr.ResampleStream(own_rate, self._rate, 1, quality=QUALITY)
            )
        if self._resampler is None:
            return wave
        return self._resampler.resample_chunk(wave)

    def flush(self) -> Wave:
        """The samples (S,) that the resampler still holds."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        return self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)


class FileSource:
    """A recording, read as fast as the model can hear it."""

    live = threaded = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fsdecode(path)

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks as `AudioSource` says.

        Raises
        ------
        SoundError
            There is no such file, or there is no sound in it.
        """
        converter = BlockConverter(rate, self.name, tell)
        with open_binary(self.name, self.name) as file:
            for own_rate, wave in decode.decode_blocks(file, DecodePass(self.name, block_seconds=FILE_BLOCK)):
                if stop.is_set():
                    return
                yield AudioBlock(converter.feed(wave, own_rate), name=self.name)
        yield AudioBlock(converter.flush(), name=self.name)


class PipeSource:
    """Raw PCM samples from a pipe; an incomplete frame at its end is left out, with a message."""

    threaded = True

    def __init__(
        self, file: BinaryIO, *, rate: float, channels: int = 1, format: str = "s16le", live: bool = False
    ) -> None:
        if format not in FORMATS:
            raise UsageError(f"format is {format!r}; choose one of {', '.join(FORMATS)}")
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UsageError(f"rate is {rate!r} Hz; {LOWEST_RATE:g} Hz to {HIGHEST_RATE / 1e6:g} MHz are possible")
        if not 1 <= channels <= 64:
            raise UsageError(f"channels is {channels!r}; give 1 to 64")
        self.name, self.live = "<pipe>", live
        self._file, self._rate, self._channels, self._dtype = file, rate, channels, np.dtype(FORMATS[format])

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks as `AudioSource` says."""
        converter = BlockConverter(rate, self.name, tell)
        frame = self._dtype.itemsize * self._channels
        wanted = max(1, round(LIVE_BLOCK * self._rate)) * frame
        read = getattr(self._file, "read1", self._file.read)
        held = b""
        while not stop.is_set():
            got = read(wanted)
            if not got:
                break
            held += got
            whole = len(held) // frame * frame
            if whole:
                samples = np.frombuffer(held[:whole], self._dtype).reshape(-1, self._channels)
                held = held[whole:]
                yield AudioBlock(
                    converter.feed(samples.astype(self._dtype.newbyteorder("=")), self._rate), name=self.name
                )
        if held:
            tell(
                f"{self.name}: ended with {len(held)} bytes that are no whole frame of {frame}; check the number of"
                " channels and the format"
            )
        yield AudioBlock(converter.flush(), name=self.name)


class PushedSource:
    """Sound that somebody else passes to `Watch.feed`; where it is `live`, windows that come too late are skipped."""

    threaded = False

    def __init__(self, name: str, *, live: bool = True) -> None:
        self.name, self.live = name, live

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give no blocks: they come by `Watch.feed`."""
        return iter(())


def backoff_seconds(attempt: int, *, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds to wait before attempt 1, 2, …; they double up to `most`."""
    return min(most, first * 2.0 ** min(max(attempt - 1, 0), 30))
