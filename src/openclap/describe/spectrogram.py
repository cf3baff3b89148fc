"""Computes what a picture of a timeline needs: a pooled spectrogram, and the row of each label."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, stream
from openclap.audio.mel import mel_blocks
from openclap.config import FrontEnd
from openclap.results import Span

__all__ = ["FRONT", "Pooling", "assign_rows", "label_seconds", "spectrogram", "spectrogram_png"]

FRONT = FrontEnd(sampling_rate=22_050, n_fft=2048, hop=512, mel_bins=96, f_min=50.0, f_max=10_000.0)
COLUMNS = 1600
RANGE = 60.0  # dB below the loudest that a PNG shows
# its colours, from quiet to loud
RAMP = np.array([(10, 10, 20), (53, 17, 94), (122, 28, 109), (190, 54, 84), (239, 105, 37), (252, 180, 40), (252, 255, 200)])  # fmt: skip
ROWS = 14  # rows of labels; with more labels, those heard for the shortest time share the last row


def spectrogram(sound: Sound, *, columns: int = COLUMNS) -> tuple[npt.NDArray[np.float32], float]:
    """A mel spectrogram in dB, pooled over time (at most 2 · columns, 96), and the seconds of the recording."""
    pooling = Pooling(columns)
    for _ in pooling.read(sound):
        pass
    return pooling.rows(), pooling.seconds


class Pooling:
    """Reads a recording in parts and pools its mel spectrogram, so that a caller can do other things in between."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self._columns = columns
        self._pooled: list[npt.NDArray[np.float32]] = []
        self._each, self._frames = 1, 0
        self._rest = np.zeros((0, FRONT.mel_bins), np.float32)

    def read(self, sound: Sound) -> Iterator[float]:
        """Read the recording part by part; each time, give the seconds so far."""
        with closing(stream(sound, FRONT.sampling_rate)) as blocks:
            for mel in mel_blocks(blocks, FRONT):
                self.add(mel)
                yield self.seconds

    def add(self, mel: npt.NDArray[np.float32]) -> None:
        """Add the next frames (t, 96) of a log-mel."""
        self._frames += len(mel)
        joined = np.concatenate([self._rest, mel])
        whole = len(joined) // self._each * self._each
        self._pooled += list(joined[:whole].reshape(-1, self._each, FRONT.mel_bins).max(1))
        self._rest = joined[whole:]
        # at twice the columns, join pairs of them
        while len(self._pooled) >= 2 * self._columns and len(self._pooled) % 2 == 0:
            self._pooled = [np.maximum(a, b) for a, b in zip(self._pooled[::2], self._pooled[1::2], strict=True)]
            self._each *= 2

    def rows(self) -> npt.NDArray[np.float32]:
        """The pooled spectrogram so far, in dB (columns, 96)."""
        rest = [self._rest.max(0)] if len(self._rest) else []
        return np.stack([*self._pooled, *rest])

    @property
    def seconds(self) -> float:
        """How many seconds were read so far."""
        return self._frames * FRONT.hop / FRONT.sampling_rate


def assign_rows(spans: Sequence[Span]) -> dict[str, int]:
    """The row of each label: labels heard longest, in the order in which they begin; the rest is "others"."""
    total = label_seconds(spans)
    kept = set(sorted(total, key=lambda label: -total[label])[: ROWS if len(total) <= ROWS else ROWS - 1])
    rows = {label: i for i, label in enumerate(label for label in total if label in kept)}
    return rows if len(kept) == len(total) else {**rows, "others": len(rows)}


def label_seconds(spans: Sequence[Span]) -> dict[str, float]:
    """How many seconds each label is heard in all, in the order in which they begin."""
    total: dict[str, float] = {}
    for span in spans:
        if span.label:
            total[span.label] = total.get(span.label, 0.0) + span.end - span.start
    return total


def spectrogram_png(decibels: npt.NDArray[np.float32], loudest: float | None = None) -> bytes:
    """Levels in dB (height, width) as a PNG, the first row on top; `loudest` is shown brightest, else the greatest of them."""
    top = float(decibels.max()) if loudest is None else loudest
    level = np.round(255 * np.clip((decibels - top + RANGE) / RANGE, 0, 1)).astype(np.uint8)
    height, width = level.shape
    at = np.arange(256) * (len(RAMP) - 1) / 255
    colours = np.stack([np.interp(at, np.arange(len(RAMP)), RAMP[:, i]) for i in range(3)], axis=-1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), level], axis=1)  # each begins with its filter: none
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (b"IHDR", head), (b"PLTE", colours.astype(np.uint8).tobytes()), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")  # fmt: skip
    chunks = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
