"""What was made for someone: sounds to be heard or downloaded by a token that nobody can guess, and files to be downloaded. Knows nothing of gradio.

No path of the server is told to a browser, and nothing that was not shown can be asked for. What a token stands for is
opened as `library.served_files` says, by each who asks for it. A span is cut and written as WAV when it is first played; the
oldest tokens are forgotten.
"""

from __future__ import annotations

import math
import secrets
import shutil
import threading
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile as sf

from openclap.atomic_write import atomic_write
from openclap.audio.load import cut
from openclap.library.safe_open import resolve_folder
from openclap.library.served_files import FileVersion, ServedFiles
from openclap.page.strings import Told

__all__ = ["Exports", "Shelf", "Shown"]

KEPT = 20_000  # tokens
WRITTEN = 300  # WAV files of at most a few MB
LONGEST = 60.0  # seconds of one that is played
RATE = 44_100
OFFERED = 200  # folders of files to download


@dataclass(frozen=True)
class Shown:
    """A span of a file, which was so when it was shown; `end` None, to its end.

    `given`, by a visitor, and not by a library.
    """

    path: str
    start: float = 0.0
    end: float | None = None
    version: FileVersion | None = None
    given: bool = False

    @property
    def name(self) -> str:
        """What the file is called."""
        return Path(self.path).name


class Shelf:
    """Tokens, and the folder of the spans that were played."""

    def __init__(self, folder: Path, served: ServedFiles | None = None) -> None:
        self._folder = folder
        self._served = served or ServedFiles(())
        self._shown: OrderedDict[str, Shown] = OrderedDict()
        self._written: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()

    def show(self, path: str, start: float = 0.0, end: float | None = None) -> str:
        """A token for a span of a file that a visitor has given, or that was made here; it is the file of now."""
        real = resolve_folder(path)
        return self._token(Shown(real, start, end, FileVersion.from_disk(real), given=True))

    def show_indexed(self, path: str, version: FileVersion | None, start: float = 0.0, end: float | None = None) -> str:
        """A token for a span of a file of a library; it is the file that was indexed."""
        return self._token(Shown(path, start, end, version))

    def _token(self, shown: Shown) -> str:
        if not (math.isfinite(shown.start) and (shown.end is None or math.isfinite(shown.end))):
            shown = replace(shown, start=0.0, end=None)
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._shown[token] = shown
            while len(self._shown) > KEPT:
                self._shown.popitem(last=False)
        return token

    def of(self, token: str) -> Shown:
        """What a token stands for.

        Raises
        ------
        Told
            It was never given, or is forgotten.
        """
        with self._lock:
            shown = self._shown.get(token)
        if shown is None:
            raise Told("error.gone")
        return shown

    def open(self, token: str) -> BinaryIO:
        """The file that a token stands for, open for reading, which the caller closes.

        Raises
        ------
        Told
            It was forgotten.
        SoundError
            The file has gone, is not what was shown, or may not be handed out.
        """
        shown = self.of(token)
        return (self._served.open_given if shown.given else self._served.open)(shown.path, shown.version)

    def wav(self, token: str) -> Path:
        """The span as a WAV file, a minute of it at most.

        Raises
        ------
        Told, SoundError
            As `open`.
        """
        with self.open(token) as sound:  # what was written before is not given out either, once the file may not be
            with self._lock:
                written = self._written.get(token)
            if written is not None and written.exists():
                return written
            shown = self.of(token)
            last = shown.start + LONGEST
            end = last if shown.end is None else min(shown.end, last)
            (wave,) = cut(sound, RATE, [(shown.start, end)])
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{token}.wav"
        with atomic_write(file) as part:
            sf.write(part, np.clip(wave, -1, 1), RATE, format="WAV", subtype="PCM_16")
        with self._lock:
            self._written[token] = file
            while len(self._written) > WRITTEN:
                with suppress(OSError):  # Windows keeps what is being played
                    self._written.popitem(last=False)[1].unlink(missing_ok=True)
        return file


class Exports:
    """Folders of files that are offered for download; the oldest go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: deque[Path] = deque()
        self._lock = threading.Lock()

    def place(self) -> Path:
        """A new folder."""
        place = self._folder / secrets.token_hex(8)
        place.mkdir(parents=True)
        with self._lock:
            self._made.append(place)
            old = [self._made.popleft() for _ in range(len(self._made) - OFFERED)]
        for one in old:
            shutil.rmtree(one, ignore_errors=True)
        return place
