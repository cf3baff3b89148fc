"""Whether two recordings are the same one: the changes of their spectra, compared at every offset.

    wave at 8 kHz ─ log-mel, 62.5 frames a second, 32 bands ─ differences of neighbouring bands
                  ─ their change in 64 ms ─ limited to ± 6 dB = fingerprint
    two fingerprints ─ correlation at each offset, over the part both have ─ best offset, its correlation

A fingerprint hardly changes with gain, equalisers, lossy codecs and shifts by parts of a frame, and two takes of one
kind of sound have different ones. The same recording as MP3 at 64 kbit/s, 6 dB softer or 0.7 s later correlates above
0.84, other recordings below 0.75 except for short strokes of drums (LOG.md). The signs of 24 numbers of a frame are a
key: the same recording has many keys in common, another one hardly any (after Haitsma and Kalker 2002).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, load
from openclap.audio.mel import log_mel
from openclap.config import FrontEnd

__all__ = ["BANDS", "FINGERPRINT_VERSION", "Fingerprint", "Overlaps", "fingerprint", "landmark_keys", "overlap"]

FINGERPRINT_VERSION = 1  # a new one where the same recording gives other numbers
FRONT_END = FrontEnd(sampling_rate=8000, n_fft=1024, hop=128, mel_bins=32, f_min=200.0, f_max=3400.0)
BANDS = FRONT_END.mel_bins - 1  # differences of neighbouring mel bands
FRAMES_PER_SECOND = FRONT_END.sampling_rate / FRONT_END.hop
MAX_SECONDS = 600.0  # seconds of a recording that are compared
LAG_FRAMES = 4  # frames: 64 ms
RANGE_DB = 50.0  # below the loudest; quieter is noise of codecs
CLIPPED_DB = 6.0
STEPS_PER_DB = 20.0  # of the int8 numbers
MIN_OVERLAP_SECONDS = 0.5  # and
MIN_OVERLAP_SHARE = 0.5  # of the shorter fingerprint
MIN_ENERGY_SHARE = 0.3  # of the fingerprint with less energy
TRANSFORMED_BYTES = 128 << 20  # of spectra that are held for the next pairs
KEY_FIRST, KEY_BITS = 4, 24  # the bands whose signs are a key
MIN_MOVING_SHARE = 0.3  # of the numbers of a key are not 0

Fingerprint = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Overlap:
    """How two recordings match best: the second begins `offset` seconds after the first; `correlation` in [-1, 1]."""

    offset: float
    correlation: float


def fingerprint(sound: Sound) -> Fingerprint:
    """The fingerprint of a recording's first ten minutes: int8 (T, 31).

    Raises
    ------
    SoundError
        As `load`.
    """
    wave = load(sound, FRONT_END.sampling_rate, seconds=MAX_SECONDS)
    mel = log_mel(np.pad(wave, FRONT_END.n_fft), FRONT_END)  # padded: a sudden start is one in any copy
    differences = np.diff(np.maximum(mel, mel.max() - RANGE_DB), axis=1)
    change = differences[LAG_FRAMES:] - differences[:-LAG_FRAMES]
    return np.round(np.clip(change, -CLIPPED_DB, CLIPPED_DB) * STEPS_PER_DB).astype(np.int8)


def landmark_keys(changes: Fingerprint) -> npt.NDArray[np.int32]:
    """The keys of all frames in which the spectrum changes, each once: int32 (K,)."""
    part = changes[:, KEY_FIRST : KEY_FIRST + KEY_BITS]
    keys = ((part > 0) * (1 << np.arange(KEY_BITS))).sum(1)
    return np.unique(keys[(part != 0).mean(1) > MIN_MOVING_SHARE]).astype(np.int32)


def overlap(a: Fingerprint, b: Fingerprint) -> Overlap:
    """The offset at which two recordings agree best."""
    return Overlaps([a, b].__getitem__).of(0, 1)


class Overlaps:
    """The overlaps of many pairs of fingerprints, each of which is transformed once for all its pairs.

    Parameters
    ----------
    fingerprint_of
        Gives the fingerprint of a number.
    """

    def __init__(self, fingerprint_of: Callable[[int], Fingerprint]) -> None:
        self._fingerprint_of = fingerprint_of
        self._transformed: OrderedDict[tuple[int, int], _Transformed] = OrderedDict()
        self._bytes = 0

    def of(self, a: int, b: int) -> Overlap:
        """The offset at which two recordings agree best, by their numbers."""
        frames = [len(self._fingerprint_of(i)) for i in (a, b)]
        if not all(frames):
            return Overlap(0.0, 0.0)
        length = 1 << (sum(frames) - 1).bit_length()
        return _best_overlap(self._transform(a, length), self._transform(b, length), length)

    def _transform(self, i: int, length: int) -> _Transformed:
        found = self._transformed.pop((i, length), None)
        if found is None:
            found = _Transformed.of(self._fingerprint_of(i), length)
            self._bytes += found.spectra.nbytes
        self._transformed[i, length] = found
        while self._bytes > TRANSFORMED_BYTES and len(self._transformed) > 2:
            _, oldest = self._transformed.popitem(last=False)
            self._bytes -= oldest.spectra.nbytes
        return found


@dataclass(frozen=True, eq=False)
class _Transformed:
    """A fingerprint as the comparison needs it: the spectrum of each band, and the energy up to each frame."""

    spectra: npt.NDArray[np.complex64]  # (31, length / 2 + 1)
    energy: npt.NDArray[np.float64]  # (T + 1,)

    @classmethod
    def of(cls, fingerprint: Fingerprint, length: int) -> _Transformed:
        bands = np.ascontiguousarray(fingerprint.T, np.float32)
        energy = np.concatenate([[0.0], np.cumsum((bands.astype(np.float64) ** 2).sum(0))])
        return cls(np.fft.rfft(bands, length, axis=1).astype(np.complex64, copy=False), energy)


def _best_overlap(x: _Transformed, y: _Transformed, length: int) -> Overlap:
    """The offset of the greatest correlation of two fingerprints with spectra of so many numbers."""
    frames_x, frames_y = len(x.energy) - 1, len(y.energy) - 1
    products = np.fft.irfft(np.einsum("bf,bf->f", x.spectra, y.spectra.conj()), length)
    offsets = np.arange(-frames_y + 1, frames_x)  # of y's first frame in x
    first, last = np.maximum(offsets, 0), np.minimum(offsets + frames_y, frames_x)
    shared = np.sqrt((x.energy[last] - x.energy[first]) * (y.energy[last - offsets] - y.energy[first - offsets]))
    min_frames = max(MIN_OVERLAP_SECONDS * FRAMES_PER_SECOND, MIN_OVERLAP_SHARE * min(frames_x, frames_y))
    is_enough = last - first >= min(min_frames, frames_x, frames_y)
    is_enough &= shared > max(MIN_ENERGY_SHARE * min(x.energy[-1], y.energy[-1]), 1.0)
    if not is_enough.any():
        return Overlap(0.0, 0.0)
    correlation = np.where(is_enough, products[offsets % length] / np.maximum(shared, 1.0), -1.0)
    best = int(correlation.argmax())
    return Overlap(float(offsets[best] / FRAMES_PER_SECOND), float(min(1.0, correlation[best])))
