"""Mix several sounds into one crop, varied and filtered, for students and teachers to hear.

    sound ─ span ─ slower, faster, backwards ─ once, again and again ─┐
    sound ─ …                                                        ┴─ sum ─ microphone, room ─ noise ─ peak 1

Every random number comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from openclap.train.tagging.settings import MixSettings

__all__ = ["Mixer"]

Wave = npt.NDArray[np.float32]
SHORT = 0.6  # of a crop: a shorter sound may be repeated
GAP = 0.5  # seconds between repetitions, on average
LOUDNESS = 0.05  # root mean square of the first sound, before the mixture is scaled to a peak of 1
QUIET = 1e-6
KNOTS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 8000.0, 16_000.0)  # Hz, where the frequency response is drawn
ROOM_SECONDS = (0.15, 2.5)  # until a room has decayed by 60 dB
ROOM_DB = (-18.0, 3.0)  # power of the reverberation beside that of the direct sound


class Mixer:
    """Mixes sounds of one sampling rate.

    Parameters
    ----------
    samples
        Samples of a crop.
    """

    def __init__(self, settings: MixSettings, samples: int, rate: int) -> None:
        self._settings, self.samples, self._rate = settings, samples, rate

    def count(self, rng: np.random.Generator) -> int:
        """Draw how many sounds are mixed."""
        shares = np.cumsum(self._settings.shares)
        return 1 + int(np.searchsorted(shares, rng.random() * shares[-1]))

    def mix(self, sounds: list[Callable[[int, np.random.Generator], Wave]], rng: np.random.Generator) -> Wave:
        """Mix some sounds → (samples,) with a peak of 1; silence stays silent.

        Parameters
        ----------
        sounds
            Each is called with a number of samples and a generator, and gives a span of its recording of at most this
            many samples.
        """
        total = np.zeros(self.samples, np.float32)
        for number, sound in enumerate(sounds):
            wave = self._place(self._vary(sound, rng), rng)
            level = 10 ** (rng.uniform(*self._settings.level_db) / 20) if number else 1.0
            total += wave * np.float32(level * LOUDNESS / (_loudness(wave) + QUIET))
        if rng.random() < self._settings.filter_share:
            total = self._filter(total, rng)
        if rng.random() < self._settings.noise_share:
            below = 10 ** (-rng.uniform(*self._settings.noise_db) / 20) * _loudness(total)
            total = total + np.float32(below) * self._noise(rng)
        peak = float(np.abs(total).max())
        return total / np.float32(peak) if peak > QUIET else total

    def _vary(self, sound: Callable[[int, np.random.Generator], Wave], rng: np.random.Generator) -> Wave:
        speed = float(np.exp2(rng.normal(0, self._settings.speed))) if rng.random() < 0.5 else 1.0
        wave = sound(int(self.samples * speed) + 2, rng)
        if speed != 1.0 and len(wave) > 2:
            at = np.arange(0, len(wave) - 1, speed, dtype=np.float32)
            wave = np.interp(at, np.arange(len(wave), dtype=np.float32), wave).astype(np.float32)
        if rng.random() < self._settings.reverse_share:
            wave = wave[::-1]
        return wave[: self.samples]

    def _place(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """Place a sound somewhere in the crop; a short one may be repeated."""
        if len(wave) >= self.samples or not len(wave):
            return wave if len(wave) else np.zeros(self.samples, np.float32)
        total = np.zeros(self.samples, np.float32)
        repeated = len(wave) < SHORT * self.samples and rng.random() < self._settings.again_share
        gap = int(rng.exponential(GAP) * self._rate)
        at = int(rng.integers(self.samples - len(wave) + 1)) if not repeated else int(rng.integers(len(wave) + gap))
        while at < self.samples:
            end = min(at + len(wave), self.samples)
            total[at:end] += wave[: end - at]
            at = end + gap if repeated else self.samples
        return total

    def _filter(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """Filter with a smooth random frequency response, and half of the time with the reverberation of a room."""
        size = 2 * self.samples
        hz = np.fft.rfftfreq(size, 1 / self._rate)
        decibel = np.interp(np.log(hz + 1), np.log(KNOTS), rng.normal(0, self._settings.filter_db, len(KNOTS)))
        spectrum = np.fft.rfft(wave, size) * 10 ** (decibel / 20)
        if rng.random() < 0.5:
            spectrum = spectrum * np.fft.rfft(self._room(rng), size)
        return np.asarray(np.fft.irfft(spectrum, size)[: self.samples], np.float32)

    def _room(self, rng: np.random.Generator) -> Wave:
        """Draw the impulse response of a room: the direct sound, and noise that decays."""
        seconds = float(np.exp(rng.uniform(*np.log(ROOM_SECONDS))))
        length = max(2, min(int(seconds * self._rate), self.samples))
        tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / self._rate / seconds)
        wet = 10 ** (rng.uniform(*ROOM_DB) / 20)
        response = np.asarray(tail * (wet / (np.sqrt((tail**2).sum()) + QUIET)), np.float32)
        response[0] = 1.0
        return response

    def _noise(self, rng: np.random.Generator) -> Wave:
        """Draw noise of a random colour, with a root mean square of 1."""
        spectrum = np.fft.rfft(rng.standard_normal(self.samples))
        hz = np.fft.rfftfreq(self.samples, 1 / self._rate)
        spectrum[1:] *= (hz[1:] / 1000) ** rng.uniform(-2, 0.5)
        spectrum[hz < 20] = 0
        wave = np.fft.irfft(spectrum, self.samples)
        return np.asarray(wave / (_loudness(wave) + QUIET), np.float32)


def _loudness(wave: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(wave)))) if len(wave) else 0.0
