"""Recordings that were uploaded once, to be asked about again and again: by an id that nobody can guess.

    upload ─ a file of a temporary folder ─ a sound? ─ id ─┬─ describe, classify, match, moments
                                                           ├─ waveform, spectrogram
                                                           └─ audio, whole or by ranges

Whoever has the id may use it. One that was not used for an hour is forgotten; where there is no room for another, those
go first that were not used for a while. All of them go with the server.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import DecodingStopped, limit
from openclap.audio.excerpt import write_excerpt
from openclap.audio.levels import is_silent
from openclap.audio.load import duration
from openclap.audio.peaks import peaks
from openclap.audio.tracks import TrackFacts, list_tracks
from openclap.describe.spectrogram import Pooling
from openclap.errors import RequestRefused, SoundError
from openclap.serve.drawers import Drawers, Heard
from openclap.serve.settings import ServeSettings

__all__ = ["Recording", "Recordings"]

T = TypeVar("T")

ID_BYTES = 24
NAME_CHARACTERS = 200
IDLE = 600.0  # seconds after the last use, from which on a recording makes room for another
COARSE = 1 << 15  # parts of the waveform that is remembered; closer looks are decoded


@dataclass(eq=False)
class Recording:
    """One of them.

    Attributes
    ----------
    id, name, path
        How it is asked for, what it is called, where it lies.
    size, seconds, tracks, silent
        What is known of it.
    used
        When it was last used.
    closing
        Set when the server ends: nothing more is decoded.
    in_use
        How many use it now.
    drawn
        What was drawn of the whole of it, by `Recordings.draw_waveform` and `draw_spectrogram`.
    """

    id: str
    name: str
    path: Path
    size: int
    seconds: float
    tracks: list[TrackFacts]
    silent: bool
    used: float
    closing: threading.Event
    in_use: int = 0
    drawn: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def sound(self) -> Any:
        """The sound, which is decoded until the server ends."""
        return limit(self.path, stop=self.closing)

    def open_part(
        self, start: float, end: float, track: int | None, most: int, stop: threading.Event | None = None
    ) -> BinaryIO:
        """A part of it as a WAV file with its rate and channels, which is gone when it is closed; not written on after `stop`.

        Raises
        ------
        SoundError
            It cannot be decoded, or would have more bytes than `most`.
        """
        # the caller closes it; on Windows it is of a type that only has the methods of a binary file
        file = cast(BinaryIO, tempfile.TemporaryFile(dir=self.path.parent))  # noqa: SIM115
        try:
            write_excerpt(limit(self.sound, track=track, stop=stop), start, end, file, most)
        except SoundError as error:
            file.close()
            raise type(error)(self.name, error.cause) from None
        except BaseException:
            file.close()
            raise
        return file


class Recordings:
    """All that are kept, by their ids; for several threads."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._kept: dict[str, Recording] = {}
        self._coming = 0  # bytes of uploads that are on their way
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._drawers = Drawers()
        self._folder: Path | None = None
        self._remove: Callable[[], object] = lambda: None

    def get(self, id: str) -> Recording:
        """The recording of an id, which counts as used.

        Raises
        ------
        RequestRefused
            There is none.
        """
        with self._lock:
            self._forget_old()
            found = self._kept.get(id)
            if found is None:
                raise RequestRefused(
                    "there is no such recording, or no longer; upload it again", 404, "recording_not_found"
                )
            found.used = time.monotonic()
            return found

    def begin(self) -> Upload:
        """A place for a new one."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="openclap-recordings-"))
                self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return Upload(self, self._folder / secrets.token_hex(16))

    def reserve(self, size: int) -> None:
        """Make room for so many bytes more of an upload.

        Raises
        ------
        RequestRefused
            There is none.
        """
        with self._lock:
            self._forget_old()
            most = self._settings.recordings_bytes
            while self._taken() + size > most:
                idle = [one for one in self._kept.values() if time.monotonic() - one.used > IDLE and not one.in_use]
                if not idle:
                    raise RequestRefused(
                        "the server has as many recordings as it keeps; try again in a while",
                        503,
                        "no_room",
                        retry_after=60,
                    )
                self._forget(min(idle, key=lambda one: one.used))
            self._coming += size

    def give_back(self, size: int) -> None:
        """Count so many bytes of an upload as gone."""
        with self._lock:
            self._coming -= size

    def keep(self, path: Path, size: int, name: str) -> Recording:
        """Keep an uploaded file, if it is a sound; it is decoded as far as its length asks for.

        Raises
        ------
        SoundError
            It is none, or too long.
        """
        name = name.replace("\\", "/").rpartition("/")[2].strip()[:NAME_CHARACTERS] or "recording"
        sound = limit(path, seconds=self._settings.recording_seconds)
        try:
            seconds = duration(sound)
            sound.limits.check(name, seconds)
            found = Recording(
                id=secrets.token_urlsafe(ID_BYTES),
                name=name,
                path=path,
                size=size,
                seconds=seconds,
                tracks=list_tracks(path),
                silent=is_silent(sound),
                used=time.monotonic(),
                closing=self._closing,
            )
        except SoundError as error:
            raise type(error)(name, error.cause) from None
        with self._lock:
            self._kept[found.id] = found
        return found

    @contextmanager
    def hold(self, recording: Recording) -> Iterator[Recording]:
        """It stays as long as this lasts."""
        with self._lock:
            recording.in_use += 1
        try:
            yield recording
        finally:
            with self._lock:
                recording.in_use -= 1
                recording.used = time.monotonic()

    async def draw(
        self,
        recording: Recording,
        draw: Callable[[threading.Event], T],
        *,
        drop: Callable[[T], object] = lambda result: None,
    ) -> T:
        """Draw something of one of them in a thread, a few at a time.

        Parameters
        ----------
        draw
            Gets an event that is set when who asked has gone: it decodes no further then.
        drop
            Gets what was drawn for nobody.

        Raises
        ------
        RequestRefused
            The server is going down.
        """

        def held(gone: threading.Event) -> T:
            with self.hold(recording):
                return draw(gone)

        try:
            return await self._drawers.run(held, drop)
        except DecodingStopped:
            raise _going_down() from None

    async def draw_waveform(self, recording: Recording, heard: Heard) -> npt.NDArray[np.uint8]:
        """The loudest of each of many parts of one of them (`COARSE`,), drawn once; `heard` is told how many seconds were read.

        Raises
        ------
        SoundError, RequestRefused
            It cannot be read any more; the server is going down.
        """
        return await self._draw_whole(recording, "waveform", lambda sound, tell: peaks(sound, COARSE, tell), heard)

    async def draw_spectrogram(self, recording: Recording, heard: Heard) -> npt.NDArray[np.float32]:
        """The pooled mel spectrogram of one of them in dB (columns, 96), drawn once; `heard` is told how many seconds were read.

        Raises
        ------
        SoundError, RequestRefused
            It cannot be read any more; the server is going down.
        """

        def draw(sound: Any, tell: Heard) -> npt.NDArray[np.float32]:
            pooling = Pooling()
            for seconds in pooling.read(sound):
                tell(seconds)
            return pooling.rows()

        return await self._draw_whole(recording, "spectrogram", draw, heard)

    async def _draw_whole(
        self, recording: Recording, name: str, draw: Callable[[Any, Heard], npt.NDArray[Any]], heard: Heard
    ) -> npt.NDArray[Any]:
        def held(gone: threading.Event, tell: Heard) -> npt.NDArray[Any]:
            with self.hold(recording):
                recording.drawn[name] = draw(limit(recording.sound, stop=gone), tell)
                return recording.drawn[name]

        if name in recording.drawn:
            return recording.drawn[name]
        try:
            return await self._drawers.run_shared((recording.id, name), held, heard)
        except DecodingStopped:
            raise _going_down() from None

    def close(self) -> None:
        """Forget all of them."""
        self._closing.set()
        self._drawers.close()
        with self._lock:
            self._kept.clear()
        self._remove()

    def _taken(self) -> int:
        return self._coming + sum(one.size for one in self._kept.values())

    def _forget_old(self) -> None:
        now = time.monotonic()
        for one in list(self._kept.values()):
            if now - one.used > self._settings.recordings_kept and not one.in_use:
                self._forget(one)

    def _forget(self, one: Recording) -> None:
        del self._kept[one.id]
        one.path.unlink(missing_ok=True)


def _going_down() -> RequestRefused:
    return RequestRefused("the server is going down", 503, "going_down")


class Upload:
    """A file that is on its way: `write` what comes, then `keep`; without that it is gone at the end of the block."""

    def __init__(self, recordings: Recordings, path: Path) -> None:
        self._recordings, self._path, self._most = recordings, path, recordings._settings.recording_bytes
        self._size, self._is_kept = 0, False

    def __enter__(self) -> Upload:
        self._file: BinaryIO = self._path.open("wb")
        return self

    def write(self, part: bytes) -> None:
        """Add a part.

        Raises
        ------
        RequestRefused
            The recording is too large, or there is no room for it.
        """
        if self._size + len(part) > self._most:
            raise self.too_large()
        self._recordings.reserve(len(part))
        self._size += len(part)
        self._file.write(part)

    def too_large(self) -> RequestRefused:
        """The error where more comes than is taken."""
        most = f"{self._most / (1 << 20):g} MiB"
        return RequestRefused(
            f"the recording is larger than the {most} that are taken; give a part of it", 413, "body_too_large"
        )

    def keep(self, name: str) -> Recording:
        """The recording, if what came is a sound (`Recordings.keep`)."""
        self._file.close()
        found = self._recordings.keep(self._path, self._size, name)
        self._is_kept = True
        return found

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._recordings.give_back(self._size)  # counted by the recording from now on
        if not self._is_kept:
            self._path.unlink(missing_ok=True)
