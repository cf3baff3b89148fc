"""Store the examples of detectors as short clips in the user's data folder, to teach them again for another model.

    detectors/NAME.safetensors    a detector: none of its examples are in it, so it can be given away
    detectors/examples/KEY/       the examples of a detector, which stay here; KEY is `Detector.key`
        examples.json             format, version, name of the detector; for each example: is it the sound, its clips
        0.flac 1.flac …           48 kHz, mono, 16 bits; a quiet clip is raised by a power of two, which is noted

A clip holds the sound but not its path, so it remains when the file is moved or deleted. A recording of over half a
minute is stored as three pieces of ten seconds, evenly spaced.
"""

from __future__ import annotations

import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile as sf
from platformdirs import user_data_path

from openclap.atomic_write import write_json
from openclap.audio.load import Sound, Wave, cut, duration, sound_name
from openclap.errors import DetectorError, Hint, OpenClapError, SoundError
from openclap.regular_files import open_regular, read_regular
from openclap.results import Failure

__all__ = [
    "RATE",
    "ExampleSource",
    "StoredExample",
    "copy_examples",
    "count_examples",
    "delete_examples",
    "delete_examples_named",
    "examples_folder",
    "load_examples",
    "save_examples",
]

FORMAT, VERSION = "openclap-examples", 1
INDEX = "examples.json"
RATE = 48_000  # Hz; no model uses a higher rate
WHOLE = 30.0  # seconds; a recording up to this length is stored as a whole
PIECE, PIECES = 10.0, 3  # seconds of a piece of a longer recording, and how many pieces
MOST = 200  # examples of the sound, and as many of other sounds; with 20 s each, they take some 400 MB
LOUDEST, QUIETEST = 2.0**40, 2.0**-40  # the largest and the smallest factor that a clip is scaled by


@dataclass(frozen=True)
class ExampleSource:
    """An example where it lies now: a sound, or a function that opens its file; and a span in seconds, or all of it."""

    sound: Sound | Callable[[], BinaryIO]
    heard: bool
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class StoredExample:
    """A stored example: whether it is the sound, and the waves (S,) at `RATE` that stand for it."""

    heard: bool
    waves: tuple[Wave, ...]


def examples_folder(key: str) -> Path:
    """The folder of the examples of a detector."""
    return user_data_path("openclap") / "detectors" / "examples" / key


def count_examples(key: str) -> int:
    """How many examples of a detector are stored; 0 where they cannot be read."""
    try:
        return len(json.loads(read_regular(examples_folder(key) / INDEX).decode())["examples"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0


def save_examples(key: str, name: str, sources: Iterable[ExampleSource]) -> list[Failure]:
    """Store examples in place of older ones → those that could not be stored; no error here stops the teaching.

    Of more than `MOST` examples of a kind, `MOST` evenly spaced ones are stored.
    """
    target = examples_folder(key)
    part = target.with_name(f".{key}.{os.urandom(8).hex()}.part")
    failed: list[Failure] = []
    try:
        part.mkdir(parents=True, mode=0o700)
        numbers = iter(range(10**9))
        rows: list[dict[str, Any]] = []
        for source in _thin_out(list(sources)):
            try:
                clips = [_write_clip(part / f"{next(numbers)}.flac", wave) for wave in _waves_of(source)]
            except SoundError as error:
                failed.append(Failure(error.name, f"cannot be kept as an example: {error.cause}"))
                continue
            except OpenClapError as error:  # the library or service that opens it has removed it
                failed.append(Failure("an example", f"cannot be kept: {error}"))
                continue
            rows.append({"heard": source.heard, "clips": clips})
        write_json(part / INDEX, {"format": FORMAT, "version": VERSION, "name": name, "examples": rows}, own=True)
        if not any(row["heard"] for row in rows):
            return failed
        _replace(part, target)
    except (OSError, sf.SoundFileError) as error:
        why = getattr(error, "strerror", None) or error
        failed.append(Failure(str(target), f"the examples cannot be kept ({why}); another model needs them anew"))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return failed


def load_examples(key: str) -> Iterator[StoredExample]:
    """Read the examples of a detector, one after another.

    Raises
    ------
    DetectorError
        There are no examples, or they are damaged.
    """
    folder = examples_folder(key)
    try:
        about = json.loads(read_regular(folder / INDEX).decode())
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise DetectorError(f"{folder} is of version {about['version']}, this openclap reads {VERSION}; update it")
        for row in about["examples"]:
            yield StoredExample(bool(row["heard"]), tuple(_read_clip(folder, clip) for clip in row["clips"]))
    except FileNotFoundError:
        raise DetectorError(f"{folder}: no examples were kept", Hint("teach")) from None
    except (OSError, sf.SoundFileError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DetectorError(f"{folder}: the examples are damaged ({error})", Hint("teach")) from error


def copy_examples(key: str, to: str) -> list[Failure]:
    """Copy the examples of a detector to another one that was made from them → what went wrong."""
    if key == to:
        return []
    target = examples_folder(to)
    part = target.with_name(f".{to}.{os.urandom(8).hex()}.part")
    try:
        shutil.copytree(examples_folder(key), part)
        _replace(part, target)
    except OSError as error:  # shutil.Error is one
        return [Failure(str(target), f"the examples cannot be kept ({error.strerror or error})")]
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return []


def delete_examples(key: str) -> None:
    """Remove the examples of a detector, if there are any.

    Raises
    ------
    DetectorError
        The examples cannot be removed.
    """
    try:
        shutil.rmtree(examples_folder(key))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DetectorError(f"{error.filename}: cannot be removed ({error.strerror}); remove it by hand") from error


def delete_examples_named(name: str) -> None:
    """Remove the examples of all detectors of a name; used where the file of the detector cannot be read any more."""
    for place in examples_folder("any").parent.glob(f"*/{INDEX}"):
        try:
            if json.loads(read_regular(place).decode()).get("name") == name:
                delete_examples(place.parent.name)
        except (OSError, ValueError, AttributeError):
            continue


def _thin_out(sources: Sequence[ExampleSource]) -> list[ExampleSource]:
    kept: list[ExampleSource] = []
    for heard in (True, False):
        some = [source for source in sources if source.heard is heard]
        kept += [some[i] for i in np.linspace(0, len(some) - 1, min(len(some), MOST)).round().astype(int)]
    return kept


def _waves_of(source: ExampleSource) -> list[Wave]:
    """The waves that stand for an example: its span, or pieces of it."""
    if not callable(source.sound):
        return _cut_clips(source.sound, source)
    with source.sound() as file:
        return _cut_clips(file, source)


def _cut_clips(sound: Sound, source: ExampleSource) -> list[Wave]:
    end = duration(sound) if source.end is None else source.end
    length = end - source.start
    spans = [(source.start, max(end, source.start + 1 / RATE))]
    if length > WHOLE:
        spans = [(source.start + at, source.start + at + PIECE) for at in np.linspace(0, length - PIECE, PIECES)]
    waves = [wave for wave in cut(sound, RATE, spans) if len(wave)]
    if not waves:
        raise SoundError(sound_name(sound), "holds no samples there")
    return waves


def _write_clip(file: Path, wave: Wave) -> dict[str, Any]:
    """Write one clip → its entry in the index.

    The gain is a power of two: samples of 16 bits stay exact, quiet clips lose nothing, and loud ones are not clipped.
    """
    peak = float(np.abs(wave).max())
    gain = min(LOUDEST, max(QUIETEST, 2.0 ** math.ceil(math.log2(peak)))) if peak else 1.0
    encoded = io.BytesIO()  # the binding of libsndfile does not report a full disk
    sf.write(encoded, np.clip(wave / gain, -1, 1), RATE, "PCM_16", format="FLAC")
    file.write_bytes(encoded.getbuffer())
    return {"file": file.name, "gain": gain}


def _read_clip(folder: Path, clip: dict[str, Any]) -> Wave:
    name, gain = clip["file"], float(clip["gain"])
    if not isinstance(name, str) or Path(name).name != name or not QUIETEST <= gain <= LOUDEST:
        raise ValueError("a clip is none")
    with open_regular(folder / name) as file:
        wave, rate = sf.read(file, dtype="float32")
    if rate != RATE or wave.ndim != 1 or not len(wave):
        raise ValueError(f"{name} is no clip of {RATE} Hz")
    return wave * np.float32(gain)


def _replace(part: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    os.replace(part, target)
