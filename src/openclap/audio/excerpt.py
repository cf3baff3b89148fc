"""A part of a sound as a WAV file, with the rate and the channels that it has: for programs that edit sound."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile as sf

from openclap.audio.channels import to_float32
from openclap.audio.decode import decode_samples
from openclap.audio.decode_limits import split_limits
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.load import sound_name
from openclap.errors import EmptySound, TooLong

__all__ = ["write_excerpt"]

SUBTYPE = "PCM_24"
BLOCK_SECONDS = 4.0
SETTLING = 1  # seconds that are decoded before the part, as a decoder that has just sought is not exact at once


def write_excerpt(sound: Any, start: float, end: float, out: BinaryIO, most: int) -> int:
    """Write the part from `start` to `end` in seconds as WAV of 24 bits → its size in bytes.

    Parameters
    ----------
    most
        Bytes that may be written.

    Raises
    ------
    EmptySound
        The sound ends before the part begins.
    TooLong
        The part takes more bytes.
    SoundError
        It cannot be decoded.
    """
    source, limits = split_limits(sound)
    name = sound_name(source)
    decode_pass = DecodePass(name, limits, max(0, int(start) - SETTLING), BLOCK_SECONDS, quiet=True)
    with open_binary(source, name) as file, closing(_part(file, decode_pass, start, end)) as blocks:
        first = next(blocks, None)
        if first is None:
            raise EmptySound(name, f"ends before {start:g} s")
        rate, channels = first[0], first[1].shape[1]
        if (end - start) * rate * channels * 3 > most:
            size = f"{most / (1 << 20):g} MiB"
            raise TooLong(name, f"{end - start:g} s of it take more than {size} as WAV; choose a shorter part")
        with sf.SoundFile(out, "w", rate, channels, SUBTYPE, format="WAV") as wav:
            wav.write(first[1])
            for other, samples in blocks:
                if (other, samples.shape[1]) != (rate, channels):  # of a chain whose links differ, the first alone
                    break
                wav.write(samples)
    return out.seek(0, 2)


def _part(
    file: BinaryIO, decode_pass: DecodePass, start: float, end: float
) -> Generator[tuple[int, npt.NDArray[np.float32]], None, None]:
    """The samples (S, channels) of a part, block by block."""
    at = 0.0
    for rate, samples in decode_samples(file, decode_pass):
        here = decode_pass.skipped + at
        decode_pass.limits.check(decode_pass.name, here)
        first, last = (max(0, round((one - here) * rate)) for one in (start, end))
        part = samples[first:last]
        if len(part):
            yield rate, to_float32(part)
        at += len(samples) / rate
        if here + len(samples) / rate >= end:
            return
