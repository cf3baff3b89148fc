"""Chooses the source that a user means by a name or address; nothing is opened yet, and only what was named."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from openclap.errors import Hint, SoundNotFound, UsageError
from openclap.watch.folder import FolderSource
from openclap.watch.sources import AudioSource, FileSource, PipeSource

__all__ = ["open_source"]

STREAM = re.compile(r"(https?|rtsps?|rtmps?)://", re.IGNORECASE)


def open_source(
    what: str | os.PathLike[str] | AudioSource,
    *,
    rate: float | None = None,
    channels: int = 1,
    format: str = "s16le",
    live: bool = False,
    existing: bool = False,
) -> AudioSource:
    """Choose the source that a user means.

    Parameters
    ----------
    what
        "mic" or "mic:DEVICE" (a number or a part of its name); "-" for PCM on standard input, which needs `rate`; an
        http, https, rtsp or rtmp address; a folder; a file.
    rate, channels, format, live
        Describe PCM on standard input. `live` says that it does not wait: where the model is too slow, windows are
        skipped.
    existing
        For a folder, whether the files that are already there are heard as well.

    Raises
    ------
    UsageError, SoundNotFound, MissingExtra, SourceError
        The options do not fit the source, there is no such file, or no microphone can be used.
    """
    if not isinstance(what, (str, os.PathLike)):
        return what
    name = os.fsdecode(what)
    if name == "-":
        if rate is None:
            raise UsageError("bare samples say nothing of their rate", Hint("rate"))
        if sys.stdin is None:
            raise UsageError("standard input is closed, so there is nothing to listen to; pipe samples into it")
        return PipeSource(sys.stdin.buffer, rate=rate, channels=channels, format=format, live=live)
    if rate is not None:
        raise UsageError(
            "a rate is for samples on standard input (SOURCE -); files, streams and microphones say theirs"
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
            "no such file or folder; a source is a file, a folder, mic, - for a pipe, or an http(s), rtsp or rtmp"
            " address",
        )
    return FileSource(path)
