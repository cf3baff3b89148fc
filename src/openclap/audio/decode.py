"""Files → blocks of samples: libsndfile first, FFmpeg (PyAV) for what it cannot read. Nothing is ever fetched."""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile as sf

from openclap.errors import EmptySound, SoundNotFound, SoundWarning, UnreadableSound

__all__ = ["BLOCK_SECONDS", "Source", "open_source"]

BLOCK_SECONDS = 30.0  # 11.5 MB of stereo float32 at 48 kHz
UNKNOWN_FRAMES = 1 << 48  # libsndfile's word for "no idea" is the largest integer

Blocks = Iterator[npt.NDArray[np.float32]]


@dataclass
class Source:
    """An opened sound: its rate, its frames where known, and its blocks (S, channels). A context manager."""

    name: str
    rate: float
    frames: int | None  # per channel; None: only decoding tells
    blocks: Callable[[], Blocks]
    closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.close()


def open_source(sound: Path | bytes | bytearray | BinaryIO, name: str, block_seconds: float) -> Source:
    """Open an encoded sound; the content decides the format, not the name."""
    with ExitStack() as stack:
        file = _file(sound, name, stack)
        start = file.tell()
        try:
            direct = isinstance(sound, Path) and sound.suffix.lower() != ".raw"
            reader = stack.enter_context(sf.SoundFile(os.fspath(sound) if direct else file))
        except (sf.LibsndfileError, TypeError):
            file.seek(start)
            return _with_av(file, name, stack)
        source = Source(name, reader.samplerate, None, lambda: _sndfile_blocks(reader, name, block_seconds))
        source.frames = reader.frames if 0 <= reader.frames < UNKNOWN_FRAMES else None
        if isinstance(sound, Path) and source.frames is not None:
            source.frames = max(source.frames, _riff_frames(file, reader))
        source.closing = stack.pop_all()
        return source


def _file(sound: Path | bytes | bytearray | BinaryIO, name: str, stack: ExitStack) -> BinaryIO:
    """A seekable binary file at the start of the sound."""
    if isinstance(sound, Path):
        return _opened(sound, name, stack)
    data = bytes(sound) if isinstance(sound, bytes | bytearray) else None
    if data is None:
        assert hasattr(sound, "read")
        if _seekable_at_start(sound):
            return sound  # type: ignore[return-value]
        data = sound.read()  # type: ignore[union-attr]
        if not isinstance(data, bytes):
            raise UnreadableSound(name, "it was opened as text; open it in binary mode, 'rb'")
    if not data:
        raise EmptySound(name, "it holds 0 bytes")
    return io.BytesIO(data)


def _seekable_at_start(file: Any) -> bool:
    try:
        return not isinstance(file, io.TextIOBase) and bool(file.seekable()) and file.tell() == 0
    except (AttributeError, OSError):
        return False


def _opened(path: Path, name: str, stack: ExitStack) -> BinaryIO:
    try:
        if path.is_dir():
            raise UnreadableSound(name, "it is a directory; give a file, or index the directory")
        if path.exists() and not path.is_file():
            raise UnreadableSound(name, "it is no regular file")
        file = stack.enter_context(path.open("rb"))
        if os.fstat(file.fileno()).st_size == 0:
            raise EmptySound(name, "the file holds 0 bytes")
    except FileNotFoundError:
        hint = "nothing is fetched from the network; download it first" if "://" in name or ":/" in name else "there is no such file"
        raise SoundNotFound(name, hint) from None
    except (OSError, ValueError) as error:
        raise UnreadableSound(name, f"it cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    return file


def _sndfile_blocks(reader: sf.SoundFile, name: str, block_seconds: float) -> Blocks:
    size = max(1, round(reader.samplerate * block_seconds))
    heard = 0
    while True:
        try:
            block: npt.NDArray[np.float32] = reader.read(size, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            if not heard:
                raise UnreadableSound(name, f"it is broken: {error.error_string.strip()}") from error
            warnings.warn(f"{name}: broken after {heard / reader.samplerate:.2f} s, the rest is left out", SoundWarning, stacklevel=4)
            return
        if not len(block):
            return
        heard += len(block)
        yield block


def _riff_frames(file: BinaryIO, reader: sf.SoundFile) -> int:
    """Frames that a WAV header announces: libsndfile quietly lowers them when the file was cut."""
    if reader.format not in ("WAV", "WAVEX"):
        return 0
    file.seek(0)
    head = file.read(4096)
    at = head.find(b"data", 12)
    announced = struct.unpack("<I", head[at + 4 : at + 8])[0] if 0 < at <= len(head) - 8 else 0
    size = os.fstat(file.fileno()).st_size
    rest = size - at - 8
    if announced in (0, 0xFFFFFFFF) or announced >= 0x7FFFFFFF or announced <= rest or rest <= 0:
        return 0
    return int(reader.frames * announced / rest)


# -- FFmpeg ----------------------------------------------------------------------------------------


def _with_av(file: BinaryIO, name: str, stack: ExitStack) -> Source:
    """m4a, aac, opus in mp4, video and whatever else FFmpeg decodes, from the open file: never a URL."""
    import av
    import av.error

    av.logging.set_level(av.logging.PANIC)
    try:
        container = stack.enter_context(av.open(file, mode="r", options={"protocol_whitelist": "file"}))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise UnreadableSound(name, "it is not audio that libsndfile or FFmpeg can read") from error
    if not container.streams.audio:
        raise UnreadableSound(name, "it holds no audio stream")
    audio = container.streams.audio[0]
    if not audio.rate:
        raise UnreadableSound(name, "its audio stream says no sampling rate")
    source = Source(name, audio.rate, None, lambda: _av_blocks(container, audio, name))
    source.closing = stack.pop_all()
    return source


def _av_blocks(container: Any, audio: Any, name: str) -> Blocks:
    import av
    import av.error

    resampler = av.AudioResampler(format="fltp")  # the sample format alone; rate and channels stay
    heard = 0
    try:
        for frame in container.decode(audio):
            for out in resampler.resample(frame):
                samples = out.to_ndarray().T  # (S, channels)
                heard += len(samples)
                yield np.ascontiguousarray(samples, np.float32)
    except (av.error.FFmpegError, ValueError) as error:
        if not heard:
            raise UnreadableSound(name, f"it is broken: {error}") from error
        warnings.warn(f"{name}: broken after {heard / audio.rate:.2f} s, the rest is left out", SoundWarning, stacklevel=4)
    else:
        told = float(audio.duration * audio.time_base) if audio.duration else 0.0
        if heard and told - heard / audio.rate > 0.5:
            warnings.warn(f"{name}: cut short, {heard / audio.rate:.2f} of {told:.2f} s could be decoded", SoundWarning, stacklevel=4)
