"""What a source is, and the plain ones: a file, a pipe of PCM, what somebody else pushes. Knows nothing of models.

    file ────────────────────────┐
    pipe of PCM ─────────────────┤
    microphone (`microphone`) ───┼─ blocks: mono float32 at the rate asked for, all finite, with what was lost before each
    stream, PyAV (`streams`) ────┤
    growing folder (`folder`) ───┘

Which of them is meant says `open`.
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
from openclap.audio.channels import CANCELLING_WARNING, LiveDownmix
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.load import QUALITY, track_wanted
from openclap.audio.waves import HIGHEST_RATE, LOWEST_RATE
from openclap.errors import SourceError, UsageError

__all__ = [
    "FORMATS",
    "AudioBlock",
    "BlockConverter",
    "FileSource",
    "PipeSource",
    "PushedSource",
    "Source",
    "Tell",
    "backoff_seconds",
]

Wave = npt.NDArray[np.float32]
Tell = Callable[[str], None]

FILE_BLOCK = 30.0  # seconds read at once
LIVE_BLOCK = 0.25
LOUDEST = 1e6  # where full scale is 1; beyond, a sample is a fault of the source
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
    """`wave` (S,) at the rate asked for; `gap` seconds lost before it; `name` of the recording; whether it is its `last`."""

    wave: Wave
    gap: float = 0.0
    name: str = ""
    last: bool = False


class Source(Protocol):
    """Something to listen to.

    `live`: it does not wait, what is not heard in time is lost. `threaded`: reading it may take for ever, so a thread
    does.
    """

    name: str
    live: bool
    threaded: bool

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Blocks until it ends or `stop` is set."""
        ...


class BlockConverter:
    """Samples as a source gives them → mono, finite, at one rate; the source's own rate may change on the way."""

    def __init__(self, rate: int, name: str, tell: Tell) -> None:
        self._rate, self._name, self._tell = rate, name, tell
        self._own = 0.0
        self._resampler: soxr.ResampleStream | None = None
        self._told = self._cancelling = False
        self._mixing = LiveDownmix()

    def feed(self, samples: npt.NDArray[np.generic], own_rate: float) -> Wave:
        """(S,) or (S, channels) of any sample type → (S',), perhaps empty."""
        if not LOWEST_RATE <= own_rate <= HIGHEST_RATE:
            raise SourceError(
                f"{self._name}: gives {own_rate:g} Hz; {LOWEST_RATE:g} Hz to {HIGHEST_RATE / 1e6:g} MHz are possible"
            )
        wave = self._mixing.feed(samples, own_rate)
        if self._mixing.cancelled and not self._cancelling:
            self._cancelling = True
            self._tell(f"{self._name}: {CANCELLING_WARNING}")
        with np.errstate(invalid="ignore"):
            broken = ~(np.abs(wave) <= LOUDEST)
        if broken.any():
            wave = np.where(broken, np.float32(0), wave)
            if not self._told:
                self._told = True
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
        made: Wave = self._resampler.resample_chunk(wave)
        return made

    def flush(self) -> Wave:
        """What the resampler still holds."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        left: Wave = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return left


class FileSource:
    """A recording, read as fast as it can be heard."""

    live = threaded = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fsdecode(path)

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """As `Source`.

        Raises
        ------
        SoundError
            Not there, or no sound.
        """
        shape = BlockConverter(rate, self.name, tell)
        with open_binary(self.name, self.name) as file:
            for own_rate, wave in decode.decode_blocks(
                file, DecodePass(self.name, track_wanted.get(), block_seconds=FILE_BLOCK)
            ):
                if stop.is_set():
                    return
                yield AudioBlock(shape.feed(wave, own_rate), name=self.name)
        yield AudioBlock(shape.flush(), name=self.name)


class PipeSource:
    """Bare samples from a pipe; bytes that are no whole frame at its end are left out and told."""

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
        """As `Source`."""
        shape = BlockConverter(rate, self.name, tell)
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
                yield AudioBlock(shape.feed(samples.astype(self._dtype.newbyteorder("=")), self._rate), name=self.name)
        if held:
            tell(
                f"{self.name}: ended with {len(held)} bytes that are no whole frame of {frame}; check --channels and"
                " --format"
            )
        yield AudioBlock(shape.flush(), name=self.name)


class PushedSource:
    """What somebody else has and gives to `Watch.feed`: there is nothing to read; `live`, where what comes late is of no use."""

    threaded = False

    def __init__(self, name: str, *, live: bool = True) -> None:
        self.name, self.live = name, live

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """As `Source`: none."""
        return iter(())


def backoff_seconds(attempt: int, *, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds to wait before attempt 1, 2, …: doubling, up to `most`."""
    return min(most, first * 2.0 ** min(max(attempt - 1, 0), 30))
