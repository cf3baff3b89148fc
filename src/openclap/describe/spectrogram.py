"""What a picture of a timeline is made of, whoever draws it: the pooled spectrogram, and which label has which row.

Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, stream
from openclap.audio.mel import mel_blocks
from openclap.config import FrontEnd
from openclap.results import Span

__all__ = ["FRONT", "Pooling", "assign_rows", "label_seconds", "spectrogram"]

FRONT = FrontEnd(sampling_rate=22_050, n_fft=2048, hop=512, mel_bins=96, f_min=50.0, f_max=10_000.0)
COLUMNS = 1600
ROWS = 14  # labels with a row of their own, those heard longest; the others share the last


def spectrogram(sound: Sound, *, columns: int = COLUMNS) -> tuple[npt.NDArray[np.float32], float]:
    """A mel spectrogram in dB, pooled over time → ((≤ 2 · columns, 96), seconds); memory does not grow with the recording."""
    pooling = Pooling(columns)
    for _ in pooling.read(sound):
        pass
    return pooling.rows(), pooling.seconds


class Pooling:
    """The same, read in parts, for whoever does something else between them."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self._columns = columns
        self._pooled: list[npt.NDArray[np.float32]] = []
        self._each, self._frames = 1, 0
        self._rest = np.zeros((0, FRONT.mel_bins), np.float32)

    def read(self, sound: Sound) -> Iterator[float]:
        """Read on, and tell the seconds so far."""
        with closing(stream(sound, FRONT.sampling_rate)) as blocks:
            for mel in mel_blocks(blocks, FRONT):
                self._add(mel)
                yield self.seconds

    def _add(self, mel: npt.NDArray[np.float32]) -> None:
        self._frames += len(mel)
        joined = np.concatenate([self._rest, mel])
        whole = len(joined) // self._each * self._each
        self._pooled += list(joined[:whole].reshape(-1, self._each, FRONT.mel_bins).max(1))
        self._rest = joined[whole:]
        # twice as long: half as fine
        while len(self._pooled) >= 2 * self._columns and len(self._pooled) % 2 == 0:
            self._pooled = [np.maximum(a, b) for a, b in zip(self._pooled[::2], self._pooled[1::2], strict=True)]
            self._each *= 2

    def rows(self) -> npt.NDArray[np.float32]:
        """What was read, in dB (columns, 96)."""
        rest = [self._rest.max(0)] if len(self._rest) else []
        return np.stack([*self._pooled, *rest])

    @property
    def seconds(self) -> float:
        """What was read."""
        return self._frames * FRONT.hop / FRONT.sampling_rate


def assign_rows(spans: Sequence[Span]) -> dict[str, int]:
    """Labels → their row: those heard longest, in the order in which they begin."""
    total = label_seconds(spans)
    kept = set(sorted(total, key=lambda label: -total[label])[: ROWS if len(total) <= ROWS else ROWS - 1])
    rows = {label: i for i, label in enumerate(label for label in total if label in kept)}
    return rows if len(kept) == len(total) else {**rows, "others": len(rows)}


def label_seconds(spans: Sequence[Span]) -> dict[str, float]:
    """Labels → seconds that each is heard in all, in the order in which they begin."""
    total: dict[str, float] = {}
    for span in spans:
        if span.label:
            total[span.label] = total.get(span.label, 0.0) + span.end - span.start
    return total
