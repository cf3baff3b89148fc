"""Keeps the sound of the last seconds, and writes a FLAC of every event into a folder that stays within its budget.

───────────[ before ][   event   ][ after ]───────      kept at the model's rate, mono
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import deque
from pathlib import Path

import numpy as np
import soundfile as sf

from openclap.atomic_write import atomic_write
from openclap.audio.channels import Wave
from openclap.errors import UsageError
from openclap.watch.event import Event
from openclap.watch.sources import Tell

__all__ = ["ClipWriter", "RecentAudio"]


NAME = re.compile(r"openclap-[0-9a-z]{1,12}-\d{6,}-.*\.flac")  # only what was written here is ever removed
LONGEST_ROLL = 300.0  # seconds before or after an event, as they are held in memory
LETTERS = 60  # bytes of an alert's words that go into a file's name


class RecentAudio:
    """Holds the last `seconds` of a stream, addressed by the stream's own time."""

    def __init__(self, rate: int, seconds: float) -> None:
        self._rate, self._most = rate, round(seconds * rate)
        # first sample, wave; float32, as 16 bits would lose what is quiet
        self._blocks: deque[tuple[int, Wave]] = deque()
        self._end = 0
        self._held = 0

    def feed(self, wave: Wave) -> None:
        """Append the next samples (S,)."""
        if not len(wave):
            return
        self._blocks.append((self._end, wave))
        self._end += len(wave)
        self._held += len(wave)
        while self._held - len(self._blocks[0][1]) >= self._most:
            self._held -= len(self._blocks.popleft()[1])

    def skip(self, seconds: float) -> None:
        """Move on by seconds of which nothing was heard."""
        self._end += round(seconds * self._rate)

    def restart(self) -> None:
        """Forget everything: another recording begins."""
        self._blocks.clear()
        self._end = self._held = 0

    @property
    def position(self) -> float:
        """Seconds of the stream so far."""
        return self._end / self._rate

    def cut(self, start: float, end: float) -> Wave:
        """The samples (S,) that are held of a span in seconds; gaps are left out."""
        first, last = round(start * self._rate), round(end * self._rate)
        parts = [
            wave[max(0, first - at) : max(0, last - at)]
            for at, wave in self._blocks
            if at < last and at + len(wave) > first
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


class ClipWriter:
    """Writes clips of events, at most `budget` bytes of them together; the oldest are removed first."""

    def __init__(self, folder: Path, tell: Tell, *, budget: int, before: float = 2.0, after: float = 2.0) -> None:
        if budget < 1 or not 0 <= before <= LONGEST_ROLL or not 0 <= after <= LONGEST_ROLL:
            raise UsageError(
                f"clips of {budget} bytes with {before:g} s before and {after:g} s after; give a budget above 0 and 0"
                f" to {LONGEST_ROLL:g} s"
            )
        self.before, self.after = before, after
        self.folder, self._tell, self._budget = folder, tell, budget
        self._told = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            clips = sorted(
                (path for path in folder.iterdir() if NAME.fullmatch(path.name)),
                key=lambda path: (path.stat().st_mtime_ns, path.name),
            )
            self._clips = deque((path, path.stat().st_size) for path in clips)
        except OSError as error:
            raise UsageError(
                f"{folder}: no folder for clips ({error.strerror}); give one that can be written to"
            ) from None
        self._bytes = sum(size for _, size in self._clips)

    def write(self, event: Event, wave: Wave, rate: int) -> str | None:
        """Write a clip (S,) → its path, or None where that failed: a message says so once, and the watch goes on."""
        words = re.sub(r"\W+", "-", event.alert).strip("-").encode()[:LETTERS].decode("utf-8", "ignore")
        path = self.folder / f"openclap-{event.id}-{words}.flac"
        try:
            file = io.BytesIO()  # libsndfile's binding does not tell that a disk is full
            sf.write(file, np.clip(wave, -1, 1), rate, "PCM_16", format="FLAC")
            size = file.getbuffer().nbytes
            if size > self._budget:
                raise OSError(0, f"a clip of {size} bytes is more than the budget of {self._budget}")
            self._make_room(size)
            with atomic_write(path) as part:
                part.write_bytes(file.getbuffer())
        except (OSError, sf.SoundFileError) as error:
            if not self._told:
                self._told = True
                self._tell(
                    f"{self.folder}: a clip cannot be written ({getattr(error, 'strerror', None) or error}); watching"
                    " goes on without it"
                )
            return None
        self._told = False
        self._clips.append((path, size))
        self._bytes += size
        return str(path)

    def _make_room(self, size: int) -> None:
        while self._clips and self._bytes + size > self._budget:
            path, removed = self._clips.popleft()
            self._bytes -= removed
            with contextlib.suppress(OSError):
                path.unlink()
