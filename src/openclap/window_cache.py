"""What was heard of a recording before: its windows, its levels and the finer windows that were looked into.

    sound ─ hash of its content ─┐
    track, revision of decoding ─┼─ key ─ kept? ─ yes: nothing is decoded
    model, window, hop ──────────┘             └─ no: listened to, then kept

A file whose size and times are unchanged is not hashed again. Vectors are kept in float16, and given like that the
first time too, so that an answer never depends on what was kept: cosines differ by some 1e-5. Sounds that are files
are kept on disk; bytes, waves and open files in memory alone; what can be read only once is not kept.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from openclap.array_cache import ArrayCache, Arrays
from openclap.audio.audio_objects import is_audio_object
from openclap.audio.content_hash import hash_from_here
from openclap.audio.decode_limits import DecodeLimits, LimitedSound, split_limits
from openclap.audio.decode_revision import DECODE_REVISION
from openclap.audio.files import open_binary
from openclap.audio.levels import levels
from openclap.audio.load import cut, sound_name
from openclap.audio.waves import as_wave_and_rate
from openclap.embedder import Embedder
from openclap.errors import SoundError, UsageError
from openclap.results import Windows

__all__ = ["FINE_HOP", "FINE_WINDOW", "WindowCache", "user_cache"]

Span: TypeAlias = tuple[float, float]
Made: TypeAlias = Callable[[], Arrays]

VERSION = 1  # of what is kept
MEMORY_BYTES = 64 << 20  # of arrays: 15 hours of recordings with the windows of `moments`
DISK_BYTES = 512 << 20  # unless OPENCLAP_WINDOW_CACHE says otherwise
MEGABYTE = 1 << 20
FRESH = 2.0  # seconds after a change in which a file may change again without another time
FINE_WINDOW, FINE_HOP = 1.0, 0.25  # seconds


class WindowCache:
    """Windows of recordings, within a number of bytes; several threads and processes may use it.

    Parameters
    ----------
    memory, disk
        Bytes that may be kept in this process, and in the file; 0 keeps nothing.
    file
        Where it is kept on disk; None: in memory alone.
    """

    def __init__(self, memory: int = MEMORY_BYTES, disk: int = DISK_BYTES, file: Path | None = None) -> None:
        self._arrays = ArrayCache(memory, disk, file)
        self._is_on = memory > 0 or (disk > 0 and file is not None)

    def windows(self, clap: Embedder, sound: Any, *, window: float, hop: float) -> Windows:
        """The windows that `CLAP.encode_windows` gives, rounded to float16.

        Raises
        ------
        SoundError, UsageError
            As `CLAP.encode_windows`.
        """

        def make() -> Arrays:
            found = clap.encode_windows(sound, window=window, hop=hop)
            return {
                "start": found.start,
                "end": found.end,
                "embedding": found.embedding.astype(np.float16),
                "level": found.level,
            }

        kept = self.recall(sound, ("windows", *_listener(clap), float(window), float(hop)), make)
        _, limits = split_limits(sound)
        limits.check(sound_name(sound), float(kept["end"][-1]))
        return Windows(kept["start"], kept["end"], kept["embedding"].astype(np.float32), kept["level"])

    def levels(self, sound: Any, make: Callable[[], npt.NDArray[np.float32]] | None = None) -> npt.NDArray[np.float32]:
        """The levels of `audio.levels`; `make` measures them in another way, as for a caller who shows progress."""
        return self.recall(sound, ("levels",), lambda: {"level": levels(sound) if make is None else make()})["level"]

    def recall(self, sound: Any, what: tuple[object, ...], make: Made) -> Arrays:
        """The arrays that `make` gives for this sound, from before where they were kept; do not change them."""
        return self._recall(*self._key(sound, what), make)

    def recall_content(self, content: str, what: tuple[object, ...], make: Made) -> Arrays:
        """As `recall`, of a file whose `content_hash` is known; the track is the usual one."""
        return self._recall(_key_of(content, None, what) if self._is_on else None, True, make)

    def _recall(self, key: str | None, is_file: bool, make: Made) -> Arrays:
        found = None if key is None else self._arrays.get(key)
        if found is None:
            found = make()
            if key is not None:
                self._arrays.put(key, found, on_disk=is_file)
        return found

    def fine_windows(
        self, clap: Embedder, sound: Any, spans: Sequence[Span], known: Windows | None = None
    ) -> list[Windows | None]:
        """The windows of 1 s every quarter of a second in spans of a recording, with times from the start of each.

        Spans are in seconds; the last window of each is moved back to end with it. None stands for a span that the
        recording does not reach. Windows that were looked into before are not decoded again, nor are those that are
        `known` besides.

        Raises
        ------
        SoundError
            The recording is not there any more.
        """
        _, limits = split_limits(sound)
        limits.check(sound_name(sound), 0.0)  # nobody may wait for it any more
        key, is_file = self._key(sound, ("fine", *_listener(clap)))
        kept = None if key is None else self._arrays.get(key)
        rows: dict[Window, _Fine] = {}
        if kept is not None:
            fine = zip(kept["embedding"], kept["level"].tolist(), strict=True)
            rows = dict(zip(map(tuple, kept["time"].tolist()), fine, strict=True))
        whole = {} if known is None else dict(zip(_times_of(known), _rows_of(known), strict=True))
        wanted = [_fine_times(*span) for span in spans]
        if missing := _runs_of_missing(wanted, {*rows, *whole}):
            rows |= _listen(clap, sound, missing)
            if key is not None and rows:
                made: Arrays = {
                    "time": np.array(list(rows), np.int64),
                    "embedding": np.stack([row for row, _ in rows.values()]),
                    "level": np.array([level for _, level in rows.values()], np.float32),
                }
                self._arrays.put(key, made, on_disk=is_file)
        there = whole | rows
        return [_windows_at(times, there) for times in wanted]

    # -- keys --------------------------------------------------------------------------------------------

    def _key(self, sound: Any, what: tuple[object, ...]) -> tuple[str | None, bool]:
        """The key of something about a sound, None where it cannot be kept; and whether the sound is a file."""
        source, limits = split_limits(sound)
        if not self._is_on:
            return None, False
        is_file = isinstance(source, str | os.PathLike)
        content = self._file_hash(source) if is_file else _hash_of(source)
        if content is None:
            return None, False
        return _key_of(content, limits.track, what), is_file

    def _file_hash(self, path: Any) -> str | None:
        """The hash of a file's content, from before where the file is the same."""
        try:
            now = os.stat(os.path.expanduser(os.fsdecode(path)))  # noqa: PTH116 -- as `open_binary`
        except (OSError, ValueError):
            return None
        state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        key = "file " + " ".join(map(str, state))
        known = self._arrays.get(key)
        if known is not None:
            return bytes(known["hash"]).hex()
        found = _hash_of(path)
        if found is not None and time.time() - max(now.st_mtime, now.st_ctime) > FRESH:
            self._arrays.put(key, {"hash": np.frombuffer(bytes.fromhex(found), np.uint8)})
        return found


def user_cache() -> WindowCache:
    """The cache of this user: in the cache folder, bounded by OPENCLAP_WINDOW_CACHE, in megabytes; 0 keeps nothing.

    Raises
    ------
    UsageError
        OPENCLAP_WINDOW_CACHE is no number.
    """
    said = os.environ.get("OPENCLAP_WINDOW_CACHE", "").strip()
    try:
        disk = int(float(said) * MEGABYTE) if said else DISK_BYTES
        assert disk >= 0
    except (ValueError, OverflowError, AssertionError):
        raise UsageError(
            f"OPENCLAP_WINDOW_CACHE is {said!r}; give the megabytes that windows of recordings may take, 0 to keep none"
        ) from None
    file = user_cache_path("openclap") / "windows.sqlite"
    with _lock:
        if (file, disk) not in _caches:
            _caches.clear()
            _caches[file, disk] = WindowCache(MEMORY_BYTES if disk else 0, disk, file)
        return _caches[file, disk]


_caches: dict[tuple[Path, int], WindowCache] = {}
_lock = threading.Lock()


def _key_of(content: str, track: int | None, what: tuple[object, ...]) -> str:
    facts = (VERSION, DECODE_REVISION, content, track, *what)
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _listener(clap: Embedder) -> tuple[object, ...]:
    """Everything of a model that its windows depend on."""
    info = getattr(getattr(clap, "backend", None), "info", None)
    front_end = sorted(asdict(clap.config.front_end).items())
    return clap.fingerprint, getattr(info, "dtype", ""), repr(front_end)


def _hash_of(source: Any) -> str | None:
    """The hash of a sound's content; None where it has none that could be found without using it up."""
    pair = None if is_audio_object(source) else as_wave_and_rate(source)
    if pair is not None:
        wave = pair[0]
        if not isinstance(wave, np.ndarray) or wave.dtype.kind not in "iuf":
            return None
        digest = hashlib.blake2b(repr((wave.dtype.str, wave.shape, float(pair[1]))).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(wave).data)
        return digest.hexdigest()
    if hasattr(source, "read"):
        seekable = getattr(source, "seekable", None)
        if not callable(seekable) or not seekable():
            return None
    elif not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        return None
    try:
        with open_binary(source, sound_name(source)) as file:
            return hash_from_here(file)
    except (SoundError, UsageError):  # whoever listens to it will say so
        return None


# -- fine windows -------------------------------------------------------------------------------------

Window: TypeAlias = tuple[int, int]  # start and end in milliseconds
_Fine: TypeAlias = tuple[npt.NDArray[np.float16], float]  # the row (E,) of a window, and its level


def _fine_times(start: float, end: float) -> list[Window]:
    """The windows of a span, as `make_windows` cuts them."""
    first, last = round(1000 * start), round(1000 * end)
    size, hop = round(1000 * FINE_WINDOW), round(1000 * FINE_HOP)
    final = max(last - size, first)
    return [(at, min(at + size, last)) for at in [*range(first, final, hop), final]]


def _rows_of(windows: Windows) -> list[_Fine]:
    return list(zip(windows.embedding.astype(np.float16), windows.level.tolist(), strict=True))


def _times_of(windows: Windows) -> list[Window]:
    starts, ends = (np.round(1000 * times).astype(int).tolist() for times in (windows.start, windows.end))
    return list(zip(starts, ends, strict=True))


def _runs_of_missing(wanted: Sequence[Sequence[Window]], known: set[Window]) -> list[list[Window]]:
    """The windows of spans that are not known, each once; those that follow each other together."""
    runs: list[list[Window]] = []
    seen = set(known)
    for times in wanted:
        runs.append([])
        for one in times:
            if one in seen:
                runs.append([])
            else:
                runs[-1].append(one)
                seen.add(one)
    return [run for run in runs if run]


def _listen(clap: Embedder, sound: Any, runs: Sequence[list[Window]]) -> dict[Window, _Fine]:
    """Embed runs of windows → each with its row and level; those beyond the recording's end are left out."""
    rate, (_, limits) = clap.config.front_end.sampling_rate, split_limits(sound)
    waves = cut(sound, rate, [(run[0][0] / 1000, run[-1][1] / 1000) for run in runs])
    parts = [LimitedSound((wave, rate), DecodeLimits(stops=limits.stops)) for wave in waves]
    found: dict[Window, _Fine] = {}
    for run, spans in zip(runs, clap.encode_each(parts, window=FINE_WINDOW, hop=FINE_HOP), strict=True):
        if not isinstance(spans, SoundError):  # the file is shorter now
            found |= dict(zip(run, _rows_of(spans), strict=False))
    return found


def _windows_at(times: Sequence[Window], known: dict[Window, _Fine]) -> Windows | None:
    there = [one for one in times if one in known]
    if not there:
        return None
    bounds = (np.array(there) - times[0][0]) / 1000
    rows, levels = zip(*(known[one] for one in there), strict=True)
    return Windows(bounds[:, 0], bounds[:, 1], np.stack(rows).astype(np.float32), np.array(levels, np.float32))
