"""Any sound → mono float32 at the rate wanted, whole or in blocks. Knows nothing of clips, mels or models.

    path ─────────┐
    bytes ────────┼─ open ─ decode ─┐
    binary file ──┘                 ├─ mono ─ finite? ─ resample (soxr HQ) ─ float32 (S,)
    (wave, rate), dict ─────────────┘
    audio objects of `datasets`, torchcodec ─ objects ─ one of these

Whole and in blocks give the same samples, whatever the size of the blocks. Nothing is ever fetched: a URL is
a path with nothing at it.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from numbers import Real
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from openclap.audio import decode
from openclap.audio.audio_objects import SampleSource, is_audio_object, object_name, unwrap
from openclap.audio.channels import Downmix, Wave
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.errors import EmptySound, NotFiniteSound, TooLong, UnreadableSound, UsageError

__all__ = [
    "DecodingStopped",
    "Sound",
    "Wave",
    "cut",
    "duration",
    "is_sound",
    "load",
    "max_decode_seconds",
    "sound_name",
    "stop_event",
    "stream",
    "track_wanted",
    "use_track",
]

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
)

QUALITY = "HQ"  # soxr; MQ is 0.012 dB off and hardly faster
LOWEST_RATE, HIGHEST_RATE = 100.0, 10e6  # Hz; beyond these a header is broken, and memory in danger
LOUDEST = 1e12  # full scale is 1; the power of still louder samples would overflow float32
BLOCK_SECONDS = 30.0
NAME_CHARACTERS = 300
JUMP_SECONDS = 60.0  # of a recording that are decoded rather than sought past
SETTLED_SECONDS = 1  # after which a resampler that began in the middle gives what it would have given
MOST_CHANNELS = 8  # in an array that is wider than long: beyond, its axes were mixed up

stop_event: ContextVar[threading.Event | None] = ContextVar(
    "stopping", default=None
)  # set: nobody waits for this sound
max_decode_seconds: ContextVar[float | None] = ContextVar(
    "longest", default=None
)  # seconds; more is refused while it is decoded

track_wanted: ContextVar[int | None] = ContextVar("track_wanted", default=None)  # where a call names none


@contextmanager
def use_track(number: int | None) -> Iterator[None]:
    """In this block sounds of several tracks are read from this one, counted from 1; None leaves it as it was.

    Raises
    ------
    UsageError
        It is no number of a track.
    """
    token = track_wanted.set(_track(number))
    try:
        yield
    finally:
        track_wanted.reset(token)


class DecodingStopped(Exception):
    """Whoever asked for a sound has gone; only threads that decode ahead ever see this."""


def load(sound: Sound, rate: float, *, seconds: float | None = None, track: int | None = None) -> Wave:
    """One sound, whole or its beginning.

    Parameters
    ----------
    sound
        Path (`~` is expanded), bytes, binary file (read from its position, to which it is set back; never closed),
        (wave, rate), {"array": wave, "sampling_rate": rate}, {"bytes": …, "path": …}, or a decoder of torchcodec or
        `datasets`. A wave is (S,) or (S, channels), a torch tensor (channels, S) as well; integers are scaled by their
        full range.
    rate
        Wanted sampling rate, Hz.
    seconds
        Only this much of the beginning; no more than that is decoded (of several channels, up to a whole second).
    track
        Which of several tracks of sound, counted from 1. None: what `track_wanted` says, else the one that the
        container marks as its default, else the first.

    Returns
    -------
    float32 (S,), the mean of the channels, but where they cancel each other out (`channels` has the rule); at least one
    sample. Where a container has time stamps, samples lie where they say: silence fills what comes before and between.

    Raises
    ------
    SoundNotFound, UnreadableSound, EmptySound, NotFiniteSound
        Naming the sound and the cause.
    TooLong
        Where `max_decode_seconds` is set, as soon as more than that has been decoded.
    UsageError
        For what is no sound: a wave of a wrong shape or type, a rate that is no positive number.

    Warns
    -----
    SoundWarning
        The sound is cut short or damaged, its header or its time stamps are wrong, its channels cancel each other
        out, or it has several tracks; what could be decoded is given.
    """
    if seconds is None:
        return np.concatenate(list(stream(sound, rate, track=track)))
    wanted = max(1, round(_positive(seconds, "seconds") * _rate(rate)))
    parts: list[Wave] = []
    with closing(stream(sound, rate, block_seconds=min(BLOCK_SECONDS, seconds + 0.1), track=track)) as parted:
        for block in parted:
            parts.append(block)
            if sum(map(len, parts)) >= wanted:
                break
    return np.concatenate(parts)[:wanted]


def stream(
    sound: Sound, rate: float, *, block_seconds: float = BLOCK_SECONDS, track: int | None = None
) -> Generator[Wave, None, None]:
    """`load` in blocks of about `block_seconds`, in memory that does not grow with the recording.

    The blocks joined are exactly what `load` returns, and none is empty. Parameters, errors and warnings as
    there; wrong use is refused at once, a fault of the sound when its block is reached.
    """
    rate = _rate(rate)
    reading = DecodePass(sound_name(sound), _track(track), block_seconds=_positive(block_seconds, "block_seconds"))
    return _resample(_source(sound, reading), rate, reading)


def cut(sound: Sound, rate: float, spans: Sequence[tuple[float, float]], *, track: int | None = None) -> list[Wave]:
    """Parts of one sound, from start to end in seconds; what lies beyond its end is missing.

    More than a minute that no span needs is sought past where the format can seek, so that the last minute of an hour
    is there at once. Parts are those of `load`, to the rounding of the resampler (1e-6 of full scale) and of what a
    codec leaves to the decoder (AAC's noise); time stamps of whole milliseconds place Vorbis in Matroska to within one.
    Parameters, errors and warnings as `load`; memory is that of the parts.
    """
    rate, number, name = _rate(rate), _track(track), sound_name(sound)
    wanted = [(round(max(0.0, start) * rate), round(end * rate)) for start, end in spans]
    parts: list[list[Wave]] = [[] for _ in wanted]
    order = sorted((i for i, (start, end) in enumerate(wanted) if start < end), key=lambda i: wanted[i])
    while order:
        near = _reachable_spans(order, wanted, rate)
        begin, end = _second_before(wanted[order[0]][0], rate, sound), max(wanted[i][1] for i in near)
        block_seconds = min(BLOCK_SECONDS, end / rate - begin + 0.1) if begin else BLOCK_SECONDS
        reading = DecodePass(name, number, begin, block_seconds)
        here: int | None = None
        with closing(_resample(_source(sound, reading), rate, reading)) as blocks:
            for block in blocks:
                if here is None:
                    here = round(reading.skipped * rate)
                    near = near if reading.skipped == reading.start and _can_reopen(sound) else order
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


def _second_before(sample: int, rate: float, sound: Sound) -> int:
    """The whole second from which a sample is decoded; 0 where it is near the start, or all has to be read anyway."""
    if sample < JUMP_SECONDS * rate or not float(rate).is_integer() or not _can_reopen(sound):
        return 0
    return int(sample // rate) - SETTLED_SECONDS


def _reachable_spans(order: Sequence[int], wanted: Sequence[tuple[int, int]], rate: float) -> Sequence[int]:
    """The first of the spans in order of time, and those that follow without a jump."""
    end = wanted[order[0]][1]
    for count, i in enumerate(order):
        if wanted[i][0] > end + JUMP_SECONDS * rate:
            return order[:count]
        end = max(end, wanted[i][1])
    return order


def _can_reopen(sound: Any) -> bool:
    """Whether a sound can be read more than once: not what comes through a pipe."""
    seekable = getattr(sound, "seekable", None)
    return not hasattr(sound, "read") or (callable(seekable) and bool(seekable()))


def duration(sound: Sound, *, track: int | None = None) -> float:
    """Seconds of a sound, as `stream` gives it: by its header where that can be relied on, else by decoding it."""
    reading = DecodePass(sound_name(sound), _track(track), quiet=True)
    sound = unwrap(sound, reading.name)
    pair = _as_wave_and_rate(sound)
    if pair is not None:
        wave, own_rate = _check_wave(*pair)
        return len(wave) / own_rate
    with open_binary(_check_coded(sound), reading.name) as file:
        known = decode.measure_seconds(file, reading)
        if known is not None:
            return known
        heard, most = 0.0, max_decode_seconds.get()
        for own_rate, wave in decode.decode_blocks(file, reading):
            heard += len(wave) / own_rate
            if most is not None and heard > most:
                raise TooLong(reading.name, f"is longer than the {most:g} s that are taken here; give a part of it")
        return heard


def is_sound(thing: object) -> bool:
    """Whether a value is one sound rather than a list of them; a (wave, rate) pair is one sound."""
    if isinstance(thing, (str, os.PathLike, bytes, bytearray, memoryview, Mapping)):
        return True
    return _as_wave_and_rate(thing) is not None or callable(getattr(thing, "read", None)) or is_audio_object(thing)


def sound_name(sound: object) -> str:
    """How errors and warnings call a sound: its path, or what it is."""
    pair = _as_wave_and_rate(sound)
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


# -- sources: (rate, mono block) ----------------------------------------------------------------------


def _source(sound: Sound, reading: DecodePass) -> Generator[tuple[float, Wave], None, None]:
    """Mono blocks of any sound at its own rate."""
    sound = unwrap(sound, reading.name)
    pair = _as_wave_and_rate(sound)
    return _file_blocks(_check_coded(sound), reading) if pair is None else _wave_blocks(*_check_wave(*pair), reading)


def _file_blocks(sound: Any, reading: DecodePass) -> Generator[tuple[float, Wave], None, None]:
    with open_binary(sound, reading.name) as file:
        for own_rate, wave in decode.decode_blocks(file, reading):
            if not LOWEST_RATE <= own_rate <= HIGHEST_RATE:
                raise UnreadableSound(reading.name, f"its header claims {own_rate} Hz; {_RATES} are read")
            yield own_rate, wave


def _wave_blocks(
    wave: npt.NDArray[Any], own_rate: float, reading: DecodePass
) -> Generator[tuple[float, Wave], None, None]:
    if wave.size == 0:
        raise EmptySound(reading.name, "holds no samples")
    reading.choose_track(1)
    mixing = Downmix(own_rate, 1 if wave.ndim == 1 else wave.shape[1])
    begin = reading.start * own_rate
    if float(begin).is_integer() and begin < len(wave) and mixing.second == own_rate:
        reading.skipped = reading.start
    size = max(1, round(reading.block_seconds * own_rate))
    for start in range(round(reading.skipped * own_rate), len(wave), size):
        yield own_rate, mixing.feed(wave[start : start + size])
        reading.warn_cancelled(mixing.cancelled)
    yield own_rate, mixing.flush()
    reading.warn_cancelled(mixing.cancelled)


def _check_coded(sound: Any) -> Any:
    """Pass what is a file or holds the bytes of one; refuse anything else."""
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
    source: Generator[tuple[float, Wave], None, None], rate: float, reading: DecodePass
) -> Generator[Wave, None, None]:
    """Blocks of any rate, which may even change on the way, → blocks at `rate`."""
    own_rate: float | None = None
    resampler: soxr.ResampleStream | None = None
    first: Wave | None = None
    given, heard, most = 0, 0.0, max_decode_seconds.get()
    with closing(source):
        for new_rate, wave in source:
            gone = stop_event.get()
            if gone is not None and gone.is_set():
                raise DecodingStopped
            heard += len(wave) / new_rate
            if most is not None and reading.skipped + heard > most:
                raise TooLong(reading.name, f"is longer than the {most:g} s that are taken here; give a part of it")
            if not len(wave):
                continue
            _refuse_unusable(wave, reading.name)
            first = wave[:1] if first is None else first
            if new_rate != own_rate:
                for rest in _flush_resampler(resampler):
                    given += len(rest)
                    yield rest
                own_rate = new_rate
                resampler = None if own_rate == rate else soxr.ResampleStream(own_rate, rate, 1, quality=QUALITY)
            block = wave if resampler is None else resampler.resample_chunk(wave)
            if len(block):
                given += len(block)
                yield block
    for rest in _flush_resampler(resampler):
        given += len(rest)
        yield rest
    if not given and first is not None:  # one sample at 192 kHz is a quarter of one at 48 kHz
        yield first


def _flush_resampler(resampler: soxr.ResampleStream | None) -> Iterator[Wave]:
    """Yield what a resampler still holds."""
    if resampler is not None:
        rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(rest):
            yield rest


# -- checks -------------------------------------------------------------------------------------------

_RATES = f"{LOWEST_RATE:g} Hz to {HIGHEST_RATE / 1e6:g} MHz"


def _as_wave_and_rate(sound: Any) -> tuple[Any, Any] | None:
    """(wave, rate) of a pair or a dict; None for anything else, a pair of sounds included."""
    if isinstance(sound, Mapping):
        whole = sound.get("array") is not None and sound.get("sampling_rate") is not None
        return (sound["array"], sound["sampling_rate"]) if whole else None
    if not isinstance(sound, tuple) or len(sound) != 2:
        return None
    wave, rate = sound
    numbers = isinstance(wave, list) and (not wave or isinstance(wave[0], (Real, list)))
    scalar = getattr(rate, "ndim", 0) == 0 and not isinstance(rate, (list, tuple, Mapping))
    return (wave, rate) if (numbers or hasattr(wave, "__array__")) and scalar else None


def _check_wave(wave: Any, rate: Any) -> tuple[npt.NDArray[Any], float]:
    """Check type and shape of a wave, and its rate."""
    rate = _rate(rate)
    if hasattr(wave, "detach"):  # a torch tensor, perhaps with gradient, perhaps on another device
        wave = wave.detach().cpu()
        wave = wave.float() if str(wave.dtype) == "torch.bfloat16" else wave  # numpy has no such type
        wave = wave.T if _channels_first(wave) else wave  # as torchaudio and torchcodec lay it
    try:
        samples = np.asarray(wave)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"a {type(wave).__name__} that is no array of samples ({error}); pass float32 (S,)") from None
    if samples.dtype.kind not in "fiu" and samples.size:
        raise UsageError(f"a wave of {samples.dtype}; samples are floats in [-1, 1] or integers of 8, 16 or 32 bits")
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:
        raise UsageError(f"a wave of {samples.dtype} has no usual full scale; pass floats in [-1, 1] or int16")
    if samples.ndim not in (1, 2):
        raise UsageError(f"a wave of shape {samples.shape}; it must be (S,) or (S, channels)")
    if _channels_first(samples):
        raise UsageError(f"a wave of shape {samples.shape} looks like (channels, S); pass (S, channels): wave.T")
    return samples, rate


def _channels_first(wave: Any) -> bool:
    """Whether a wave has more channels than samples, and more than anybody records with."""
    return wave.ndim == 2 and bool(wave.shape[0] < wave.shape[1] > MOST_CHANNELS)


def _refuse_unusable(wave: Wave, name: str) -> None:
    peak = max(float(wave.max()), -float(wave.min()))  # NaN if any sample is
    if not math.isfinite(peak):
        raise NotFiniteSound(name, "holds NaN or infinite samples; repair it, or replace them by zeros")
    if peak > LOUDEST:
        raise NotFiniteSound(name, f"holds samples as large as {peak:.0e} where full scale is 1; scale it down")


def _track(number: Any) -> int | None:
    number = track_wanted.get() if number is None else number
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
        raise UsageError(f"track is {number!r}; tracks of sound are counted from 1")
    return int(number)


def _rate(value: Any) -> float:
    rate = _positive(value, "sampling rate")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UsageError(f"sampling rate {value} Hz is out of range; {_RATES} are possible")
    return rate


def _positive(value: Any, what: str) -> float:
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{what} is {value!r}; it must be a positive number")
    return float(value)
