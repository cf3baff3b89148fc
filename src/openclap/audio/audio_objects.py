"""Audio as other libraries hand it over → what `load` takes: a pair, coded bytes or a path. Imports none of them.

{"bytes": …, "path": …}          a row of `datasets` that is not decoded            → its bytes, else its path
.get_all_samples()               torchcodec's AudioDecoder, and that of `datasets` → (samples (S, channels), rate)
.data, .sample_rate              torchcodec's AudioSamples                         → the same
["array"], ["sampling_rate"]     what behaves like a decoded row                   → (array, rate)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from openclap.errors import UnreadableSound, UsageError

__all__ = ["SampleSource", "is_audio_object", "object_name", "unwrap"]

NO_KEY = (KeyError, IndexError, TypeError, ValueError, AttributeError)


class SampleSource(Protocol):
    """What torchcodec's AudioDecoder can do."""

    def get_all_samples(self) -> Any:
        """Something with `data` (channels, S) and `sample_rate`."""


def is_audio_object(thing: object) -> bool:
    """Whether a value is one sound of another library; a column of them, which can be gone through, is not."""
    if callable(getattr(thing, "get_all_samples", None)) or _are_samples(thing):
        return True
    if isinstance(thing, (Mapping, str, bytes)) or hasattr(thing, "__iter__") or not hasattr(thing, "__getitem__"):
        return False
    try:
        return thing["sampling_rate"] is not None
    except NO_KEY:
        return False


def object_name(thing: object) -> str | None:
    """The path that a row or a decoder remembers."""
    known = thing if isinstance(thing, Mapping) else getattr(thing, "_hf_encoded", None)  # so `datasets` keeps it
    path = known.get("path") if isinstance(known, Mapping) else None
    return os.fsdecode(path) if isinstance(path, (str, os.PathLike)) and os.fsdecode(path) else None


def unwrap(thing: Any, name: str) -> Any:
    """The sound within an object of another library; anything else as it is.

    Raises
    ------
    UnreadableSound
        It cannot be decoded: its own library says why.
    UsageError
        Its "bytes" or "path" are none.
    """
    if isinstance(thing, Mapping):
        return _of_row(thing)
    if not is_audio_object(thing):
        return thing
    try:
        samples = thing.get_all_samples() if callable(getattr(thing, "get_all_samples", None)) else thing
        if _are_samples(samples):
            data = samples.data
            return (data.T if data.ndim == 2 else data), samples.sample_rate  # (channels, S) → (S, channels)
        return thing["array"], thing["sampling_rate"]
    except (*NO_KEY, RuntimeError, OSError, ImportError) as error:  # whatever a decoder of FFmpeg's raises
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableSound(name, f"the {type(thing).__name__} that holds it cannot decode it ({why})") from error


def _are_samples(thing: object) -> bool:
    """Whether a value is torchcodec's AudioSamples, or like one."""
    return hasattr(thing, "sample_rate") and hasattr(getattr(thing, "data", None), "ndim")


def _of_row(row: Mapping[str, Any]) -> Any:
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
