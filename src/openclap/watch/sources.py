"""Where sound comes from: a file, a pipe of PCM, a microphone, a stream, a folder that grows. Knows nothing of models.

    file ────────────┐
    pipe of PCM ─────┤
    microphone ──────┼─ blocks: mono float32 at the rate asked for, all finite, with what was lost before each
    stream (PyAV) ───┤
    growing folder ──┘

Nothing is opened but what the user named: a stream that turns out to be a playlist of others is refused.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from openclap.audio import decode
from openclap.audio.files import opened
from openclap.audio.load import HIGHEST_RATE, LOWEST_RATE, QUALITY
from openclap.errors import SoundError, SoundNotFound, SourceError, UsageError
from openclap.library.scan import find_sounds

__all__ = [
    "FORMATS",
    "Block",
    "FileSource",
    "FolderSource",
    "PipeSource",
    "Pushed",
    "Source",
    "Tell",
    "Waveform",
    "backoff",
    "source_of",
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
SETTLED = 1.0  # seconds that a file of a folder must have kept its size
STREAM = re.compile(r"(https?|rtsps?|rtmps?)://", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Block:
    """`wave` (S,) at the rate asked for; `gap` seconds lost before it; `name` of the recording; whether it is its `last`."""

    wave: Wave
    gap: float = 0.0
    name: str = ""
    last: bool = False


class Source(Protocol):
    """Something to listen to.

    `live`: it does not wait, what is not heard in time is lost. `threaded`: reading it may take for ever, so a thread does.
    """

    name: str
    live: bool
    threaded: bool

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[Block]:
        """Blocks until it ends or `stop` is set."""
        ...


class Waveform:
    """Samples as a source gives them → mono, finite, at one rate; the source's own rate may change on the way."""

    def __init__(self, rate: int, name: str, tell: Tell) -> None:
        self._rate, self._name, self._tell = rate, name, tell
        self._own = 0.0
        self._resampler: soxr.ResampleStream | None = None
        self._told = False

    def feed(self, samples: npt.NDArray[np.generic], own_rate: float) -> Wave:
        """(S,) or (S, channels) of any sample type → (S',), perhaps empty."""
        if not LOWEST_RATE <= own_rate <= HIGHEST_RATE:
            raise SourceError(
                f"{self._name}: gives {own_rate:g} Hz; {LOWEST_RATE:g} Hz to {HIGHEST_RATE / 1e6:g} MHz are possible"
            )
        wave = decode.mono(samples)
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

    def rest(self) -> Wave:
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

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[Block]:
        """As `Source`.

        Raises
        ------
        SoundError
            Not there, or no sound.
        """
        shape = Waveform(rate, self.name, tell)
        with opened(self.name, self.name) as file:
            for own_rate, wave in decode.blocks(file, self.name, FILE_BLOCK):
                if stop.is_set():
                    return
                yield Block(shape.feed(wave, own_rate), name=self.name)
        yield Block(shape.rest(), name=self.name)


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

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[Block]:
        """As `Source`."""
        shape = Waveform(rate, self.name, tell)
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
                yield Block(shape.feed(samples.astype(self._dtype.newbyteorder("=")), self._rate), name=self.name)
        if held:
            tell(
                f"{self.name}: ended with {len(held)} bytes that are no whole frame of {frame}; check --channels and --format"
            )
        yield Block(shape.rest(), name=self.name)


class FolderSource:
    """Sound files as they come into a folder, in the order of their times; those that are there at the start only if `existing`."""

    live = threaded = False

    def __init__(self, folder: str | os.PathLike[str], *, existing: bool = False, poll: float = 1.0) -> None:
        self.name = os.fsdecode(folder)
        self._existing, self._poll = existing, poll
        self._closed: set[str] = set()  # folders in it that cannot be looked into, and that was told

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[Block]:
        """As `Source`; a file that cannot be used is told and stops nothing, a folder that vanishes is waited for."""
        done: dict[str, tuple[int, int]] = {} if self._existing else self._there(tell)
        before: dict[str, tuple[int, int]] = {}
        gone = False
        while not stop.is_set():
            there = self._there(tell)
            if Path(self.name).is_dir():
                gone = False
                done = {path: seen for path, seen in done.items() if path in there}  # bounded by what the folder holds
            elif not gone:
                gone = True
                tell(f"{self.name}: the folder is not there any more; watching goes on when it is back")
            settled = [
                path for path, seen in there.items() if done.get(path) != seen and self._is_whole(path, seen, before)
            ]
            for path in sorted(settled, key=lambda path: (there[path][0], path)):
                if stop.is_set():
                    return
                done[path] = there[path]
                try:
                    yield from FileSource(path).blocks(rate, stop, tell)
                except (SoundError, SourceError) as error:
                    tell(str(error))
                yield Block(np.zeros(0, np.float32), name=path, last=True)
            before = there
            stop.wait(self._poll)

    def _there(self, tell: Tell) -> dict[str, tuple[int, int]]:
        """Time (ns) and size of every sound in the folder."""
        there: dict[str, tuple[int, int]] = {}
        if not Path(self.name).is_dir():
            return there
        found = find_sounds([self.name])
        for closed in found.closed:
            if closed.path not in self._closed:
                self._closed.add(closed.path)
                tell(f"{closed.path}: {closed.error}; what comes into it is not heard")
        for path in found.files:
            try:
                seen = path.stat()
            except OSError:
                continue
            there[str(path)] = (seen.st_mtime_ns, seen.st_size)
        return there

    def _is_whole(self, path: str, seen: tuple[int, int], before: dict[str, tuple[int, int]]) -> bool:
        """Whether nobody writes to it any more: unchanged since the last look, or for long enough."""
        return seen[1] > 0 and (before.get(path) == seen or time.time() - seen[0] / 1e9 > SETTLED)


class Pushed:
    """What somebody else has and gives to `Watch.feed`: there is nothing to read; `live`, where what comes late is of no use."""

    threaded = False

    def __init__(self, name: str, *, live: bool = True) -> None:
        self.name, self.live = name, live

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[Block]:
        """As `Source`: none."""
        return iter(())


def backoff(attempt: int, *, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds to wait before attempt 1, 2, …: doubling, up to `most`."""
    return min(most, first * 2.0 ** min(max(attempt - 1, 0), 30))


def source_of(
    what: str | os.PathLike[str] | Source,
    *,
    rate: float | None = None,
    channels: int = 1,
    format: str = "s16le",
    live: bool = False,
    existing: bool = False,
) -> Source:
    """What a user calls a source → the source.

    Parameters
    ----------
    what
        "mic" or "mic:DEVICE" (a number or a part of its name); "-" for PCM on standard input, which needs `rate`; an
        http, https, rtsp or rtmp address; a folder; a file.
    rate, channels, format, live
        Of PCM on standard input. `live`: it does not wait; where the model is too slow, windows are skipped.
    existing
        For a folder: the files that are already there, too.

    Raises
    ------
    UsageError, SoundNotFound, MissingExtra, SourceError
    """
    if not isinstance(what, (str, os.PathLike)):
        return what
    name = os.fsdecode(what)
    if name == "-":
        if rate is None:
            raise UsageError(
                "bare samples say nothing of their rate: give --rate, and --channels and --format where they are not 1 and s16le"
            )
        if sys.stdin is None:
            raise UsageError("standard input is closed, so there is nothing to listen to; pipe samples into it")
        return PipeSource(sys.stdin.buffer, rate=rate, channels=channels, format=format, live=live)
    if rate is not None:
        raise UsageError(
            "--rate is for samples on standard input (SOURCE -); files, streams and microphones say theirs"
        )
    if name in ("mic", "microphone") or name.startswith("mic:"):
        from openclap.watch.microphone import MicrophoneSource

        return MicrophoneSource(name.partition(":")[2] or None)
    if STREAM.match(name):
        from openclap.watch.streams import StreamSource

        return StreamSource(name)
    path = os.path.expanduser(name)
    if Path(path).is_dir():
        return FolderSource(path, existing=existing)
    if not name or not Path(path).exists():
        raise SoundNotFound(
            name or "''",
            "no such file or folder; a source is a file, a folder, mic, - for a pipe, or an http(s), rtsp or rtmp address",
        )
    return FileSource(path)
