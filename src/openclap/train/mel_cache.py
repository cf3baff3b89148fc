"""Power mels of recordings, each decoded once where they fit in memory (13 KB for a second of sound at 50 frames/s)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from openclap.audio.clips import load_model_wave
from openclap.audio.mel import log_mel
from openclap.config import FrontEnd
from openclap.errors import SoundError, SoundWarning
from openclap.progress import with_progress
from openclap.results import Failure
from openclap.train.examples import Example
from openclap.train.skipped import refuse_too_many_unreadable
from openclap.warn_caller import warn_caller

__all__ = ["MelCache"]


class MelCache:
    """The power mels (T, F) of all recordings: those that fit in memory are decoded once, others at every visit.

    Parameters
    ----------
    most_broken
        The share of recordings that may be unreadable; a warning names them.
    memory : int
        Bytes that this process may use for mels.
    """

    def __init__(
        self, examples: Sequence[Example], front_end: FrontEnd, *, most_broken: float = 0.0, memory: int = 4 << 30
    ) -> None:
        self._items = {example.key: example.item for example in examples}
        self._front_end = replace(front_end, dynamic_range=None)
        self._memory_left = memory
        self._mels: dict[str, Tensor] = {}
        self._most_broken = most_broken
        self._lock = threading.Lock()
        self._decoded = False
        self.unreadable: dict[str, Failure] = {}  # what cannot be read, by key

    def decode(self, *, progress: bool = False) -> None:
        """Decode recordings until the memory is full; what cannot be read is noted in `unreadable`.

        Raises
        ------
        TrainingError
            Too many cannot be read; the message names some.
        """
        for key in with_progress(sorted(self._items), "reading sounds", len(self._items), show=progress):
            self.get(key)
            if self._memory_left <= 0:
                break
        self._decoded = True

    def get(self, key: str) -> Tensor | None:
        """The mel of a recording, or None for one that cannot be read."""
        if key in self._mels or key in self.unreadable:
            return self._mels.get(key)
        try:
            wave = load_model_wave(self._items[key].read(), self._front_end)
        except SoundError as error:
            with self._lock:
                self.unreadable[key] = Failure(error.name, error.cause)
            if self._decoded:
                warn_caller(f"a sound is left out: {error}", SoundWarning)
            self._refuse_too_many()
            return None
        power = torch.from_numpy(np.power(10, np.asarray(log_mel(wave, self._front_end)) / 10).astype(np.float32))
        with self._lock:
            if self._memory_left > 0 and key not in self._mels:
                self._mels[key] = power
                self._memory_left -= power.numel() * 4
        return power

    def _refuse_too_many(self) -> None:
        with self._lock:
            lost = list(self.unreadable.values())
        refuse_too_many_unreadable(lost, len(self._items), self._most_broken)
