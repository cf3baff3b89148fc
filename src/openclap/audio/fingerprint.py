"""Are two recordings the same one? How their spectra change in time, compared at every offset. Knows nothing of models.

    wave at 8 kHz ─ log-mel, 62.5 frames a second, 32 bands ─ differences of neighbouring bands ─ their change in 64 ms ─ ± 6 dB
    two of these ─ correlation at each offset, over the part both have ─ best offset, its correlation

What is left survives gain, equalisers, lossy codecs and shifts by parts of a frame; two takes of one kind share hardly
any of it: the same recording as MP3 at 64 kbit/s, 6 dB softer or 0.7 s later correlates above 0.84, others below 0.75
but for short strokes of drums (LOG.md). The signs of 24 of its numbers are a key that the same recording has many
times, and another one hardly ever (after Haitsma and Kalker 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, load
from openclap.audio.mel import log_mel
from openclap.config import FrontEnd

__all__ = ["BANDS", "LONGEST", "Fingerprint", "Overlap", "fingerprint", "landmark_keys", "overlap"]

FRONT = FrontEnd(sampling_rate=8000, n_fft=1024, hop=128, mel_bins=32, f_min=200.0, f_max=3400.0)
BANDS = FRONT.mel_bins - 1  # differences of neighbours
FRAMES_A_SECOND = FRONT.sampling_rate / FRONT.hop
LONGEST = 600.0  # seconds of a recording that are looked at
LAG = 4  # frames: 64 ms
RANGE_DB = 50.0  # below the loudest; what is quieter is noise of a codec
CLIPPED_DB = 6.0
STEPS_A_DB = 20.0  # kept as int8
SHORTEST_OVERLAP = 0.5  # seconds, and
LEAST_SHARE = 0.5  # of the shorter one
LEAST_ENERGY = 0.3  # of the one that has less of it
KEY_FIRST, KEY_BITS = 4, 24  # the differences whose signs are a key
MOVING = 0.3  # of a key's differences must not stand still

Fingerprint = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Overlap:
    """How the second of two recordings lies on the first: it begins `offset` seconds after it; `correlation` in [-1, 1]."""

    offset: float
    correlation: float


def fingerprint(sound: Sound) -> Fingerprint:
    """The change of a recording's spectrum, of its first ten minutes: int8 (T, 31).

    Raises
    ------
    SoundError
        As `load`.
    """
    wave = np.pad(
        load(sound, FRONT.sampling_rate, seconds=LONGEST), FRONT.n_fft
    )  # so that a sudden start is one in any copy
    mel = log_mel(wave, FRONT)
    steps = np.diff(np.maximum(mel, mel.max() - RANGE_DB), axis=1)
    change = steps[LAG:] - steps[:-LAG]
    print_: Fingerprint = np.round(np.clip(change, -CLIPPED_DB, CLIPPED_DB) * STEPS_A_DB).astype(np.int8)
    return print_


def landmark_keys(print_: Fingerprint) -> npt.NDArray[np.int32]:
    """The keys of the frames in which something moves, each once: int32 (K,)."""
    part = print_[:, KEY_FIRST : KEY_FIRST + KEY_BITS]
    keys = ((part > 0) * (1 << np.arange(KEY_BITS))).sum(1)
    return np.unique(keys[(part != 0).mean(1) > MOVING]).astype(np.int32)


def overlap(a: Fingerprint, b: Fingerprint) -> Overlap:
    """The offset at which two recordings agree best."""
    if not len(a) or not len(b):
        return Overlap(0.0, 0.0)
    x, y = a.astype(np.float32), b.astype(np.float32)
    length = 1 << (len(x) + len(y) - 1).bit_length()
    spectra = np.fft.rfft(x, length, axis=0) * np.conj(np.fft.rfft(y, length, axis=0))
    products = np.fft.irfft(spectra.sum(1), length)
    offsets = np.arange(-len(y) + 1, len(x))  # of y's first frame in x
    first, last = np.maximum(offsets, 0), np.minimum(offsets + len(y), len(x))
    energy_x, energy_y = (np.concatenate([[0.0], np.cumsum((z.astype(np.float64) ** 2).sum(1))]) for z in (x, y))
    shared = np.sqrt((energy_x[last] - energy_x[first]) * (energy_y[last - offsets] - energy_y[first - offsets]))
    least = max(SHORTEST_OVERLAP * FRAMES_A_SECOND, LEAST_SHARE * min(len(x), len(y)))
    enough = last - first >= min(least, len(x), len(y))
    enough &= shared > max(LEAST_ENERGY * min(energy_x[-1], energy_y[-1]), 1.0)
    if not enough.any():
        return Overlap(0.0, 0.0)
    correlation = np.where(enough, products[offsets % length] / np.maximum(shared, 1.0), -1.0)
    best = int(correlation.argmax())
    return Overlap(float(offsets[best] / FRAMES_A_SECOND), float(min(1.0, correlation[best])))
