"""Sounds as other libraries give them → what `load` takes: a (wave, rate) pair, bytes or a path.

{"bytes": …, "path": …}          a row of `datasets` that is not decoded            → its bytes, else its path
.get_all_samples()               torchcodec's AudioDecoder, and that of `datasets` → (samples (S, channels), rate)
.data, .sample_rate              torchcodec's AudioSamples                         → the same
["array"], ["sampling_rate"]     what behaves like a decoded row                   → (array, rate)

None of these libraries is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from openclap.errors import UnreadableSound, UsageError

__all__ = ["SampleSource", "is_audio_object", "object_name", "unwrap"]

KEY_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError)


class SampleSource(Protocol):
    """An object that gives its samples, such as torchcodec's AudioDecoder."""

    def get_all_samples(self) -> Any:
        """Give an object with `data` (channels, S) and `sample_rate`."""


def is_audio_object(thing: object) -> bool:
    """Whether a value is one sound of another library; a whole column of sounds, which is iterable, is not."""
    if callable(getattr(thing, "get_all_samples", None)) or _are_samples(thing):
        return True
    if isinstance(thing, (Mapping, str, bytes)) or hasattr(thing, "__iter__") or not hasattr(thing, "__getitem__"):
        return False
    try:
        return thing["sampling_rate"] is not None
    except KEY_ERRORS:
        return False


def object_name(thing: object) -> str | None:
    """The path that a row or a decoder remembers, or None."""
    row = thing if isinstance(thing, Mapping) else getattr(thing, "_hf_encoded", None)  # where `datasets` keeps it
    path = row.get("path") if isinstance(row, Mapping) else None
    return os.fsdecode(path) if isinstance(path, (str, os.PathLike)) and os.fsdecode(path) else None


def unwrap(thing: Any, name: str) -> Any:
    """The sound within an object of another library; any other value is returned as it is.

    Raises
    ------
    UnreadableSound
        It cannot be decoded; the message holds the reason that its own library gives.
    UsageError
        Its "bytes" are no bytes, or its "path" is no path.
    """
    if isinstance(thing, Mapping):
        return _unwrap_row(thing)
    if not is_audio_object(thing):
        return thing
    try:
        samples = thing.get_all_samples() if callable(getattr(thing, "get_all_samples", None)) else thing
        if _are_samples(samples):
            data = samples.data
            return (data.T if data.ndim == 2 else data), samples.sample_rate  # (channels, S) → (S, channels)
        return thing["array"], thing["sampling_rate"]
    except (*KEY_ERRORS, RuntimeError, OSError, ImportError) as error:  # all that decoders based on FFmpeg raise
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableSound(name, f"the {type(thing).__name__} that holds it cannot decode it ({why})") from error


def _are_samples(thing: object) -> bool:
    """Whether a value is torchcodec's AudioSamples, or has the same members."""
    return hasattr(thing, "sample_rate") and hasattr(getattr(thing, "data", None), "ndim")


def _unwrap_row(row: Mapping[str, Any]) -> Any:
    if row.get("array") is not None:
        return row
    coded, path = row.get("bytes"), row.get("path")
    if coded is not None:
        if not isinstance(coded, (bytes, bytearray, memoryview)):
            raise UsageError(
                f"'bytes' of a sound given as a dict is {type(coded).__name__}; the bytes of a sound file are expected"
            )
        return coded
    if path is None or path == "":
        return row
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(
            f"'path' of a sound given as a dict is {type(path).__name__}; the path of a sound file is expected"
        )
    return path
