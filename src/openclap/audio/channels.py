"""Samples of several channels → one channel: their mean, except where the channels cancel each other out.

    L  ∿∿∿∿   R  ∿∿∿∿    similar or unrelated:             (L + R) / 2
    L  ∿∿∿∿   R  ∾∾∾∾    opposite phase (a cable that      L
                         was wired wrong): (L + R) / 2 is 0

**The rule.** Each second of a recording is judged by itself, from its start on. The mean would be mostly silence where
the sum of the channels has less than a twelfth of the power that unrelated channels would add up to (in stereo: where
the mean lies 14 dB below the channels, that is where they correlate at -0.92 or less). For such a second the first
channel is taken that has at least a quarter of the loudest channel's power. Every other second is the exact mean. As
no second depends on others, part of a recording gives the same samples as the whole, whatever the size of the blocks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCK_VALUES",
    "CANCELLING_WARNING",
    "Downmix",
    "LiveDownmix",
    "Wave",
    "block_samples",
    "to_float32",
    "to_mono",
]

Wave = npt.NDArray[np.float32]

BLOCK_VALUES = 1 << 22  # samples × channels decoded at once, 16 MiB, whatever rate and channels a header claims
CANCELLED_SHARE = (
    0.08  # of the power of unrelated channels; lossy codecs leave noise of 0.06 where channels are opposite
)
FAINT_POWER = 1e-8  # power, -80 dB: quieter is silence, or the constant offsets of two converters
AUDIBLE_SHARE = 0.25  # of the loudest channel's power
CANCELLING_WARNING = (
    "its channels cancel each other out (opposite phase); where they do, one of them is heard instead of their mean"
)


def to_mono(samples: npt.NDArray[Any]) -> Wave:
    """Mean over the channels: (S,) or (S, channels) of any sample type → float32 (S,)."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are refused by name later
        floats = to_float32(samples)
        if floats.ndim == 1:
            return floats
        total = floats[:, 0].copy()
        for channel in range(1, floats.shape[1]):  # 25 times faster than mean(axis=1) over two columns
            total += floats[:, channel]
        total /= np.float32(floats.shape[1])
        return total


def to_float32(samples: npt.NDArray[Any]) -> Wave:
    """Integers over their full scale (int16 / 32768, uint8 - 128 / 128), floats as they are → float32."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False)
    half = 2 ** (8 * samples.dtype.itemsize - 1)
    middle = half if samples.dtype.kind == "u" else 0
    exact = samples.astype(np.float32 if half <= 2**15 else np.float64)
    return ((exact - middle) / half).astype(np.float32, copy=False)


def block_samples(rate: float, channels: int) -> int:
    """How many samples are judged together: a second, or as many as fit into a block."""
    return max(1, min(round(rate), BLOCK_VALUES // max(1, channels)))


class Downmix:
    """Mixes the samples of a recording, fed piece by piece, into one channel by the rule above.

    A single channel passes as it is. With several, an incomplete second waits for the rest of it. `cancelled` is the
    time at which channels cancelled each other out for the first time.
    """

    def __init__(self, rate: float, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self.cancelled: float | None = None  # seconds from the start of the recording; None: nowhere so far
        self.second = block_samples(rate, channels)
        self._waiting: list[npt.NDArray[Any]] = []
        self._waiting_samples = 0
        self._samples_out = 0

    def feed(self, samples: npt.NDArray[Any]) -> Wave:
        """Take samples (S,) or (S, channels), give those that are mixed (S',), perhaps none."""
        if samples.ndim == 1 or samples.shape[1] == 1:
            return to_mono(samples)
        self._waiting.append(samples)
        self._waiting_samples += len(samples)
        if self._waiting_samples < self.second:
            return np.zeros(0, np.float32)
        joined = np.concatenate(self._waiting) if len(self._waiting) > 1 else samples
        whole = self._waiting_samples // self.second * self.second
        self._waiting = [joined[whole:]] if whole < self._waiting_samples else []
        self._waiting_samples -= whole
        return self._mix(joined[:whole])

    def flush(self) -> Wave:
        """Give the incomplete second that still waits."""
        if not self._waiting_samples:
            return np.zeros(0, np.float32)
        joined = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting, self._waiting_samples = [], 0
        return self._mix(joined)

    def _mix(self, samples: npt.NDArray[Any]) -> Wave:
        """(S, channels) from the start of a second → (S,)."""
        floats = to_float32(samples)
        mixed = to_mono(floats)
        for start in range(0, len(mixed), self.second):
            part = floats[start : start + self.second]
            if is_cancelling(part, mixed[start : start + self.second]):
                mixed[start : start + self.second] = part[:, audible_channel(part)]
                if self.cancelled is None:
                    self.cancelled = (self._samples_out + start) / self.rate
        self._samples_out += len(mixed)
        return mixed


class LiveDownmix:
    """Mixes live sound into one channel: nothing waits, a block is judged by itself and about the second before it."""

    def __init__(self) -> None:
        self.cancelled = False  # at any time so far
        self._power_of_sum = self._power_of_channels = self._values = 0.0  # decaying sums; `_values` counts

    def feed(self, samples: npt.NDArray[Any], rate: float) -> Wave:
        """Mix a block (S,) or (S, channels) of any sample type → (S,)."""
        mixed = to_mono(samples)
        if samples.ndim == 1 or samples.shape[1] == 1 or not len(mixed):
            return mixed
        floats = to_float32(samples)
        power_of_sum, power_of_channels = _powers(floats, mixed)
        if not math.isfinite(power_of_sum + power_of_channels):
            return mixed
        decay = math.exp(-len(mixed) / rate)
        self._power_of_sum, self._power_of_channels = (
            self._power_of_sum * decay + power_of_sum,
            self._power_of_channels * decay + power_of_channels,
        )
        self._values = self._values * decay + floats.size
        if (
            self._power_of_sum < CANCELLED_SHARE * self._power_of_channels
            and self._power_of_channels >= FAINT_POWER * self._values
        ):
            self.cancelled = True
            return floats[:, audible_channel(floats)].copy()
        return mixed


def _powers(samples: Wave, mean: Wave) -> tuple[float, float]:
    """The power of the sum of channels (S, C), given their mean (S,), and the summed power of the channels."""
    with np.errstate(over="ignore", invalid="ignore"):
        if samples.flags.c_contiguous:  # one product over all of memory
            values = samples.reshape(-1)
            power_of_channels = float(np.dot(values, values))
        else:
            power_of_channels = sum(float(np.dot(column, column)) for column in samples.T)
        return float(np.dot(mean, mean)) * samples.shape[1] ** 2, power_of_channels


def is_cancelling(samples: Wave, mean: Wave) -> bool:
    """Whether channels (S, C) cancel each other out in their mean (S,)."""
    power_of_sum, power_of_channels = _powers(samples, mean)
    if not power_of_sum < CANCELLED_SHARE * power_of_channels or power_of_channels < FAINT_POWER * samples.size:
        return False
    moving = samples - samples.mean(axis=0, dtype=np.float64)  # constant offsets are not heard
    power_of_channels, power_of_sum = float((moving**2).sum()), float((moving.sum(axis=1) ** 2).sum())
    return power_of_sum < CANCELLED_SHARE * power_of_channels and power_of_channels >= FAINT_POWER * samples.size


def audible_channel(samples: Wave) -> int:
    """The first channel of (S, C) that has a quarter or more of the loudest one's power."""
    power = (samples.astype(np.float64) ** 2).sum(axis=0)
    return int((power >= AUDIBLE_SHARE * power.max()).argmax())
