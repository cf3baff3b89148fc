"""Any sound → mono float32 at a wanted rate, whole or in blocks.

    path ─────────┐
    bytes ────────┼─ open ─ decode ─┐
    binary file ──┘                 ├─ mono ─ finite? ─ resample (soxr HQ) ─ float32 (S,)
    (wave, rate), dict ─────────────┘
    objects of `datasets`, torchcodec ─ audio_objects ─ one of these

A sound gives the same samples whole and in blocks, whatever the size of the blocks. Nothing is ever downloaded: a URL
is a path at which there is no file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from openclap.audio import decode
from openclap.audio.audio_objects import SampleSource, is_audio_object, object_name, unwrap
from openclap.audio.channels import Downmix, Wave
from openclap.audio.decode_limits import LimitedSound, split_limits
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.waves import (
    HIGHEST_RATE,
    LOWEST_RATE,
    POSSIBLE_RATES,
    as_wave_and_rate,
    check_rate,
    check_wave,
)
from openclap.config.checks import positive_number
from openclap.errors import EmptySound, NotFiniteSound, UnreadableSound, UsageError

__all__ = ["Sound", "Wave", "cut", "duration", "is_sound", "load", "sound_name", "stream", "stream_from"]

Sound: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | tuple[npt.ArrayLike, float]
    | Mapping[str, Any]
    | SampleSource
    | LimitedSound
)

QUALITY = "HQ"  # soxr; MQ is 0.012 dB off and hardly faster
LOUDEST = 1e12  # full scale is 1; the power of still louder samples would overflow float32
BLOCK_SECONDS = 30.0
NAME_CHARACTERS = 300
JUMP_SECONDS = 60.0  # a shorter gap between two wanted spans is decoded, a longer one is skipped by seeking
SETTLING_SECONDS = 1  # after which a resampler that began in the middle gives what it gives from the start


def load(sound: Sound, rate: float, *, seconds: float | None = None) -> Wave:
    """Decode one sound, whole or its beginning.

    Parameters
    ----------
    sound
        Path (`~` is expanded), bytes, binary file (read from its position, to which it is set back; never closed),
        (wave, rate), {"array": wave, "sampling_rate": rate}, {"bytes": …, "path": …}, a decoder of torchcodec or
        `datasets`, or one of these with limits (`decode_limits.limit`), such as which of several tracks is read. A
        wave is (S,) or (S, channels), a torch tensor (channels, S) as well; integers are scaled by their full range.
    rate
        Wanted sampling rate, Hz.
    seconds
        Only this much of the beginning; no more than that is decoded (of several channels, up to a whole second).

    Returns
    -------
    float32 (S,), at least one sample: the mean of the channels, except where they cancel each other out (the rule is in
    `channels`). Where a container has time stamps, samples are placed by them, with silence in the gaps.

    Raises
    ------
    SoundNotFound, UnreadableSound, EmptySound, NotFiniteSound
        Naming the sound and the cause.
    TooLong
        As soon as more has been decoded than its limits allow.
    UsageError
        It is no sound: a wave of a wrong shape or type, a rate that is no positive number.

    Warns
    -----
    SoundWarning
        The sound is cut short or damaged, its header or its time stamps are wrong, its channels cancel each other
        out, or it has several tracks; what could be decoded is given.
    """
    if seconds is None:
        return np.concatenate(list(stream(sound, rate)))
    wanted = max(1, round(positive_number(seconds, "seconds") * check_rate(rate)))
    parts: list[Wave] = []
    with closing(stream(sound, rate, block_seconds=min(BLOCK_SECONDS, seconds + 0.1))) as parted:
        for block in parted:
            parts.append(block)
            if sum(map(len, parts)) >= wanted:
                break
    return np.concatenate(parts)[:wanted]


def stream(sound: Sound, rate: float, *, block_seconds: float = BLOCK_SECONDS) -> Generator[Wave, None, None]:
    """Decode one sound in blocks of about `block_seconds`, in memory that does not grow with the recording.

    Joined they are exactly what `load` returns; none is empty. Parameters, errors and warnings are those of `load`.
    Wrong arguments are refused at once, a fault of the sound when its block is reached.
    """
    rate, (sound, limits) = check_rate(rate), split_limits(sound)
    decode_pass = DecodePass(sound_name(sound), limits, block_seconds=positive_number(block_seconds, "block_seconds"))
    return _resample(_native_blocks(sound, decode_pass), rate, decode_pass)


def stream_from(
    sound: Sound, rate: float, start: float, *, block_seconds: float = BLOCK_SECONDS
) -> Generator[Wave, None, None]:
    """Decode one sound in blocks as `stream`, from a time in seconds on; nothing where the sound ends before it.

    After the first minute, what lies before is skipped where the format can seek, with the rounding of `cut`.
    """
    rate, (sound, limits) = check_rate(rate), split_limits(sound)
    wanted = round(max(0.0, start) * rate)
    begin = _start_second(wanted, rate, sound)
    decode_pass = DecodePass(sound_name(sound), limits, begin, positive_number(block_seconds, "block_seconds"))
    here: int | None = None
    with closing(_resample(_native_blocks(sound, decode_pass), rate, decode_pass)) as blocks:
        for block in blocks:
            here = round(decode_pass.skipped * rate) if here is None else here
            piece = block[max(0, wanted - here) :]
            here += len(block)
            if len(piece):
                yield piece


def cut(sound: Sound, rate: float, spans: Sequence[tuple[float, float]]) -> list[Wave]:
    """Parts of one sound, each from a start to an end in seconds; what lies beyond the end of the sound is missing.

    A gap of more than a minute between spans is skipped where the format can seek, so that the last minute of an hour
    is there at once. The parts equal those of `load`, except for the rounding of the resampler (1e-6 of full scale) and
    what a codec leaves to the decoder (AAC's noise). Time stamps of whole milliseconds place Vorbis in Matroska to
    within one millisecond. Parameters, errors and warnings are those of `load`; memory is that of the parts.
    """
    rate, (sound, limits) = check_rate(rate), split_limits(sound)
    wanted = [(round(max(0.0, start) * rate), round(end * rate)) for start, end in spans]
    parts: list[list[Wave]] = [[] for _ in wanted]
    order = sorted((i for i, (start, end) in enumerate(wanted) if start < end), key=lambda i: wanted[i])
    while order:
        near = _reachable_spans(order, wanted, rate)
        begin, end = _start_second(wanted[order[0]][0], rate, sound), max(wanted[i][1] for i in near)
        block_seconds = min(BLOCK_SECONDS, end / rate - begin + 0.1) if begin else BLOCK_SECONDS
        decode_pass = DecodePass(sound_name(sound), limits, begin, block_seconds)
        here: int | None = None
        with closing(_resample(_native_blocks(sound, decode_pass), rate, decode_pass)) as blocks:
            for block in blocks:
                if here is None:
                    here = round(decode_pass.skipped * rate)
                    near = near if decode_pass.skipped == decode_pass.start and _can_reopen(sound) else order
                for i in near:
                    start, end = wanted[i]
                    piece = block[max(0, start - here) : max(0, end - here)]
                    if len(piece):
                        parts[i].append(piece.copy())
                here += len(block)
                if here >= max(wanted[i][1] for i in near):
                    break
        order = order[len(near) :]
    return [np.concatenate(part) if part else np.zeros(0, np.float32) for part in parts]


def _start_second(sample: int, rate: float, sound: Sound) -> int:
    """The second at which decoding must begin to get a sample; 0 near the start, and where seeking is not possible."""
    if sample < JUMP_SECONDS * rate or not float(rate).is_integer() or not _can_reopen(sound):
        return 0
    return int(sample // rate) - SETTLING_SECONDS


def _reachable_spans(order: Sequence[int], wanted: Sequence[tuple[int, int]], rate: float) -> Sequence[int]:
    """The first of the spans in `order`, and those that follow it without a gap that is worth seeking."""
    end = wanted[order[0]][1]
    for count, i in enumerate(order):
        if wanted[i][0] > end + JUMP_SECONDS * rate:
            return order[:count]
        end = max(end, wanted[i][1])
    return order


def _can_reopen(sound: Any) -> bool:
    """Whether a sound can be read more than once, which a pipe cannot."""
    seekable = getattr(sound, "seekable", None)
    return not hasattr(sound, "read") or (callable(seekable) and bool(seekable()))


def duration(sound: Sound) -> float:
    """The length of a sound in seconds: from its header where that can be relied on, else by decoding it."""
    sound, limits = split_limits(sound)
    decode_pass = DecodePass(sound_name(sound), limits, quiet=True)
    sound = unwrap(sound, decode_pass.name)
    pair = as_wave_and_rate(sound)
    if pair is not None:
        wave, own_rate = check_wave(*pair)
        return len(wave) / own_rate
    with open_binary(_check_coded(sound), decode_pass.name) as file:
        known = decode.measure_seconds(file, decode_pass)
        if known is not None:
            return known
        heard = 0.0
        for own_rate, wave in decode.decode_blocks(file, decode_pass):
            heard += len(wave) / own_rate
            limits.check(decode_pass.name, heard)
        return heard


def is_sound(thing: object) -> bool:
    """Whether a value is one sound rather than a list of them; a (wave, rate) pair is one sound."""
    thing, _ = split_limits(thing)
    if isinstance(thing, (str, os.PathLike, bytes, bytearray, memoryview, Mapping)):
        return True
    return as_wave_and_rate(thing) is not None or callable(getattr(thing, "read", None)) or is_audio_object(thing)


def sound_name(sound: object) -> str:
    """How errors and warnings call a sound: its path, or what it is."""
    sound, _ = split_limits(sound)
    pair = as_wave_and_rate(sound)
    if isinstance(sound, (str, os.PathLike)):
        name = os.fsdecode(sound)
    elif isinstance(sound, (bytes, bytearray, memoryview)):
        name = f"<{memoryview(sound).nbytes} bytes>"
    elif pair is not None:
        name = f"<wave of {_shape_of(pair[0])} at {pair[1]} Hz>"
    else:
        own = object_name(sound) or getattr(sound, "name", None)
        name = own if isinstance(own, str) and own else f"<{type(sound).__name__}>"
    if not name.isprintable():  # no Unicode, or line breaks: it must print, in one line
        name = repr(name)[1:-1]
    return name if len(name) <= NAME_CHARACTERS else name[:NAME_CHARACTERS] + "…"


def _shape_of(wave: Any) -> str:
    return f"shape {tuple(wave.shape)}" if hasattr(wave, "shape") else f"{len(wave)} samples"


# -- blocks of (rate, mono wave) ----------------------------------------------------------------------


def _native_blocks(sound: Sound, decode_pass: DecodePass) -> Generator[tuple[float, Wave], None, None]:
    """Blocks of (rate, mono wave) of any sound, at its own rate."""
    sound = unwrap(sound, decode_pass.name)
    pair = as_wave_and_rate(sound)
    return (
        _file_blocks(_check_coded(sound), decode_pass)
        if pair is None
        else _wave_blocks(*check_wave(*pair), decode_pass)
    )


def _file_blocks(sound: Any, decode_pass: DecodePass) -> Generator[tuple[float, Wave], None, None]:
    with open_binary(sound, decode_pass.name) as file:
        for own_rate, wave in decode.decode_blocks(file, decode_pass):
            if not LOWEST_RATE <= own_rate <= HIGHEST_RATE:
                raise UnreadableSound(decode_pass.name, f"its header claims {own_rate} Hz; {POSSIBLE_RATES} are read")
            yield own_rate, wave


def _wave_blocks(
    wave: npt.NDArray[Any], own_rate: float, decode_pass: DecodePass
) -> Generator[tuple[float, Wave], None, None]:
    if wave.size == 0:
        raise EmptySound(decode_pass.name, "holds no samples")
    decode_pass.choose_track(1)
    mixing = Downmix(own_rate, 1 if wave.ndim == 1 else wave.shape[1])
    begin = decode_pass.start * own_rate
    if float(begin).is_integer() and begin < len(wave) and mixing.second == own_rate:
        decode_pass.skipped = decode_pass.start
    size = max(1, round(decode_pass.block_seconds * own_rate))
    for start in range(round(decode_pass.skipped * own_rate), len(wave), size):
        yield own_rate, mixing.feed(wave[start : start + size])
        decode_pass.warn_cancelled(mixing.cancelled)
    yield own_rate, mixing.flush()
    decode_pass.warn_cancelled(mixing.cancelled)


def _check_coded(sound: Any) -> Any:
    """Return a value that is a file or the bytes of one; refuse anything else."""
    if isinstance(sound, Mapping):
        keys = ", ".join(map(repr, sound)) or "nothing"
        raise UsageError(
            "a sound given as a dict needs 'array' and 'sampling_rate', or 'bytes' or 'path' that are not None; this"
            f" one has {keys}"
        )
    if is_sound(sound):
        return sound
    if hasattr(sound, "__array__"):
        raise UsageError("a bare array has no sampling rate; pass (wave, rate)")
    kind = type(sound).__name__
    raise UsageError(f"{kind} is not a sound; pass a path, bytes, a binary file, (wave, rate) or a dict")


def _resample(
    source: Generator[tuple[float, Wave], None, None], rate: float, decode_pass: DecodePass
) -> Generator[Wave, None, None]:
    """Blocks of any rate, which may change between blocks → blocks at `rate`."""
    own_rate: float | None = None
    resampler: soxr.ResampleStream | None = None
    first: Wave | None = None
    is_empty, heard = True, 0.0
    with closing(source):
        for new_rate, wave in source:
            heard += len(wave) / new_rate
            decode_pass.limits.check(decode_pass.name, decode_pass.skipped + heard)
            if not len(wave):
                continue
            _refuse_unusable(wave, decode_pass.name)
            first = wave[:1] if first is None else first
            if new_rate != own_rate:
                for rest in _flush_resampler(resampler):
                    is_empty = False
                    yield rest
                own_rate = new_rate
                resampler = None if own_rate == rate else soxr.ResampleStream(own_rate, rate, 1, quality=QUALITY)
            block = wave if resampler is None else resampler.resample_chunk(wave)
            if len(block):
                is_empty = False
                yield block
    for rest in _flush_resampler(resampler):
        is_empty = False
        yield rest
    if is_empty and first is not None:  # one sample at 192 kHz is a quarter of one at 48 kHz
        yield first


def _flush_resampler(resampler: soxr.ResampleStream | None) -> Iterator[Wave]:
    """The samples that a resampler still holds, if any."""
    if resampler is not None:
        rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(rest):
            yield rest


def _refuse_unusable(wave: Wave, name: str) -> None:
    """Refuse samples that are not finite, or far too large."""
    peak = max(float(wave.max()), -float(wave.min()))  # NaN if any sample is
    if not math.isfinite(peak):
        raise NotFiniteSound(name, "holds NaN or infinite samples; repair it, or replace them by zeros")
    if peak > LOUDEST:
        raise NotFiniteSound(name, f"holds samples as large as {peak:.0e} where full scale is 1; scale it down")
