"""A folder as a source: every sound file that comes into it, once it is written completely."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from openclap.errors import SoundError, SourceError
from openclap.library.scan import find_sounds, size_and_time
from openclap.watch.sources import AudioBlock, FileSource, Tell

__all__ = ["FolderSource"]

SETTLED = 1.0  # seconds without a change, after which a file is complete


class FolderSource:
    """Sound files as they come into a folder, in the order of their times; `existing` adds those already there."""

    live = threaded = False

    def __init__(self, folder: str | os.PathLike[str], *, existing: bool = False, poll: float = 1.0) -> None:
        self.name = os.fsdecode(folder)
        self._existing, self._poll = existing, poll
        self._closed: set[str] = set()  # folders in it that cannot be read, for which there was a message

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks as `AudioSource` says; a broken file is skipped, a folder that vanishes is waited for."""
        done: dict[str, tuple[int, int]] = {} if self._existing else self._list_files(tell)
        before: dict[str, tuple[int, int]] = {}
        gone = False
        while not stop.is_set():
            there = self._list_files(tell)
            if Path(self.name).is_dir():
                gone = False
                done = {path: seen for path, seen in done.items() if path in there}  # bounded by what the folder holds
            elif not gone:
                gone = True
                tell(f"{self.name}: the folder is not there any more; watching goes on when it is back")
            settled = [
                path for path, seen in there.items() if done.get(path) != seen and self._is_whole(path, seen, before)
            ]
            for path in sorted(settled, key=lambda path: (there[path][1], path)):
                if stop.is_set():
                    return
                done[path] = there[path]
                try:
                    yield from FileSource(path).blocks(rate, stop, tell)
                except (SoundError, SourceError) as error:
                    tell(str(error))
                yield AudioBlock(np.zeros(0, np.float32), name=path, last=True)
            before = there
            stop.wait(self._poll)

    def _list_files(self, tell: Tell) -> dict[str, tuple[int, int]]:
        """The size and time (ns) of every sound file in the folder, by path."""
        there: dict[str, tuple[int, int]] = {}
        if not Path(self.name).is_dir():
            return there
        found = find_sounds([self.name])
        for closed in found.unreadable:
            if closed.path not in self._closed:
                self._closed.add(closed.path)
                tell(f"{closed.path}: {closed.error}; what comes into it is not heard")
        for path in found.files:
            if (seen := size_and_time(path)) is not None:
                there[str(path)] = seen
        return there

    def _is_whole(self, path: str, seen: tuple[int, int], before: dict[str, tuple[int, int]]) -> bool:
        """Whether a file is written completely: unchanged since the last look, or for long enough."""
        return seen[0] > 0 and (before.get(path) == seen or time.time() - seen[1] / 1e9 > SETTLED)
