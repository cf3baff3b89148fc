"""What a student and its teacher are played: one to three gathered sounds, varied, at once, in a place, five seconds long.

    sound ─ span ─ slower, faster, backwards ─ once, again and again ─┐
    sound ─ …                                                        ├─ sum ─ room, filter ─ noise ─ peak 1
    sound ─ …                                                        ┘

A teacher names whatever it is played, so nothing here needs to keep a sound what it was. Every random number comes from the
generator that is passed in. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from altering import altered, invented
from gather import RATE, Sounds, Wave

from openclap.audio.clips import with_pause

__all__ = ["SAMPLES", "SECONDS", "Mixing", "View"]

SECONDS = 5.0
SAMPLES = round(SECONDS * RATE)
SHARES = (0.5, 0.37, 0.13)  # of views with one, two, three sounds
LEVELS = (-14.0, 4.0)  # dB of a further sound, beside the first
SHORT = 0.6  # of a view: what is shorter is played again, or looped for the student
QUIET = 1e-4  # a peak below is silence
WORN = 0.2  # of views of what is not a short sound alone
ALTERED, INVENTED = 0.45, 0.05  # of sounds


@dataclass(frozen=True)
class View:
    """What is played: `wave` to the teacher, to the student the same or `shown`.

    `shown` is a short sound repeated, as it is when it is searched, or a worse recording of the same; `aligned`, whether each
    moment of both is the same.
    """

    wave: Wave  # (SAMPLES,)
    shown: Wave | None = None  # (SAMPLES,)
    aligned: bool = True


class Mixing:
    """Draws views of gathered sources.

    Parameters
    ----------
    sources
        Each with the numbers of the sounds that may be played, and its share of what is drawn.
    """

    def __init__(self, sources: Sequence[tuple[Sounds, Sequence[int], float]]) -> None:
        self._sources = [(sounds, np.asarray(numbers)) for sounds, numbers, _ in sources if len(numbers)]
        shares = np.array([share for _, numbers, share in sources if len(numbers)])
        self._shares = np.cumsum(shares / shares.sum())
        noise = np.random.default_rng(5)
        self._noises = [_coloured(noise, slope) for slope in (0.0, -0.5, -1.0, -1.5, -2.0, 0.5)]

    def draw(self, rng: np.random.Generator) -> View:
        """One view."""
        count = 1 + int(np.searchsorted(np.cumsum(SHARES), rng.random()))
        if count == 1 and rng.random() < 0.35:
            alone = self._one(rng)
            if len(alone) < SHORT * SAMPLES:
                return _alone(alone, rng)
        total = np.zeros(SAMPLES, np.float32)
        for i in range(count):
            placed = _placed(self._one(rng), rng)
            loudness = float(np.sqrt((placed**2).mean())) + 1e-6
            level = 1.0 if i == 0 else 10 ** (rng.uniform(*LEVELS) / 20)
            total += placed * np.float32(0.05 * level / loudness)
        if rng.random() < 0.35:
            total = _elsewhere(total, rng)
        if rng.random() < 0.15:
            noise = np.roll(self._noises[int(rng.integers(len(self._noises)))], int(rng.integers(SAMPLES)))
            total += noise * np.float32(10 ** (-rng.uniform(3, 30) / 20) * (np.sqrt((total**2).mean()) + 1e-6))
        wave = _normal(total)
        return View(wave, _normal(_worn(wave, rng)) if rng.random() < WORN else None)

    def _one(self, rng: np.random.Generator) -> Wave:
        """A sound, or five seconds of it, varied; at times made strange, at times one that no source holds."""
        if rng.random() < INVENTED:
            return invented(rng)
        wave = self._varied(rng)
        if rng.random() < ALTERED:
            strange = altered(wave, self._varied(rng), rng)
            if len(strange) > 64 and np.abs(strange).max() > QUIET:
                return strange
        return wave

    def _varied(self, rng: np.random.Generator) -> Wave:
        for _ in range(5):
            sounds, numbers = self._sources[int(np.searchsorted(self._shares, rng.random()))]
            number = int(rng.choice(numbers))
            speed = float(np.exp2(rng.normal(0, 0.35))) if rng.random() < 0.5 else 1.0
            whole = sounds.rows[number].samples
            wanted = int(SAMPLES * speed) + 2
            begin = int(rng.integers(whole - wanted)) if whole > wanted else 0
            wave = sounds.wave(number, begin, wanted)
            if np.abs(wave).max(initial=0.0) < QUIET:
                continue
            if speed != 1.0 and len(wave) > 64:
                wave = _stretched(wave, speed)
            if rng.random() < 0.06:
                wave = wave[::-1]
            return wave[:SAMPLES]
        return np.asarray(self._noises[0][: SAMPLES // 2])


def _alone(wave: Wave, rng: np.random.Generator) -> View:
    """A short sound: the teacher hears it and silence after it, the student hears it again and again."""
    padded = np.zeros(SAMPLES, np.float32)
    padded[: len(wave)] = wave
    paused = with_pause(wave, RATE)
    start = int(rng.integers(len(paused)))
    times = -(-SAMPLES // len(paused)) + 1
    looped = np.tile(paused, times)[start : start + SAMPLES]
    return View(_normal(padded), _normal(looped), aligned=False)


def _worn(wave: Wave, rng: np.random.Generator) -> Wave:
    """As a telephone, an old file or a low rate keeps it: nothing above a frequency, at times with the noise of few bits."""
    spectrum = np.fft.rfft(wave)
    top = float(np.exp(rng.uniform(np.log(3300), np.log(13_000))))
    spectrum[round(top * len(wave) / RATE) :] = 0
    worn = np.asarray(np.fft.irfft(spectrum, len(wave)), np.float32)
    if rng.random() < 0.25:
        loudness = float(np.sqrt((worn**2).mean()))
        worn += rng.standard_normal(len(worn), np.float32) * np.float32(loudness * 10 ** (-rng.uniform(15, 45) / 20))
    return worn


def _placed(wave: Wave, rng: np.random.Generator) -> Wave:
    """A sound somewhere in five seconds; a short one perhaps several times."""
    if len(wave) >= SAMPLES:
        return wave
    total = np.zeros(SAMPLES, np.float32)
    again = len(wave) < SHORT * SAMPLES and rng.random() < 0.5
    gap = int(rng.exponential(0.5) * RATE)
    at = int(rng.integers(min(SAMPLES - len(wave), RATE) + 1)) if again else int(rng.integers(SAMPLES - len(wave) + 1))
    while at < SAMPLES:
        end = min(at + len(wave), SAMPLES)
        total[at:end] += wave[: end - at]
        if not again:
            break
        at = end + gap
    return total


def _stretched(wave: Wave, speed: float) -> Wave:
    """`speed` times as fast, and as high: linear interpolation."""
    at = np.arange(int((len(wave) - 1) / speed), dtype=np.float32) * np.float32(speed)
    low = at.astype(np.int32)
    part = at - low
    return wave[low] * (1 - part) + wave[np.minimum(low + 1, len(wave) - 1)] * part


def _elsewhere(wave: Wave, rng: np.random.Generator) -> Wave:
    """Through a smooth random response, at times the band of an old microphone, at times in a room."""
    size = 2 * SAMPLES
    spectrum = np.fft.rfft(wave, size)
    hz = np.fft.rfftfreq(size, 1 / RATE)
    knots = np.array([30, 100, 300, 1000, 3000, 8000, 16000.0])
    gain = np.interp(np.log(hz + 1), np.log(knots), rng.normal(0, 4.0, len(knots)))  # dB
    if rng.random() < 0.3:
        top = float(np.exp(rng.uniform(np.log(2500), np.log(14000))))
        gain = gain - 48 * np.clip(np.log2((hz + 1) / top), 0, 2)
    if rng.random() < 0.2:
        bottom = float(np.exp(rng.uniform(np.log(60), np.log(500))))
        gain = gain - 24 * np.clip(np.log2(bottom / (hz + 1)), 0, 3)
    spectrum *= 10 ** (gain / 20)
    if rng.random() < 0.5:
        spectrum *= np.fft.rfft(_room(rng), size)
    heard: Wave = np.fft.irfft(spectrum, size)[:SAMPLES].astype(np.float32)
    return heard


def _room(rng: np.random.Generator) -> Wave:
    """An impulse response: the direct sound, then noise that decays by 60 dB within a random time, duller as it goes."""
    seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(2.5))))
    length = min(int(seconds * RATE), SAMPLES)
    t = np.arange(length) / RATE
    tail = rng.standard_normal(length) * 10 ** (-3 * t / seconds)
    dull = np.exp(-np.arange(9) / rng.uniform(0.3, 3))
    tail = np.convolve(tail, dull / dull.sum())[:length]
    tail[: int(rng.uniform(0.002, 0.02) * RATE)] = 0
    wet = 10 ** (rng.uniform(-18, 3) / 20)
    response = np.asarray(tail * (wet / (np.sqrt((tail**2).sum()) + 1e-9)), np.float32)
    response[0] = 1.0
    return response


def _normal(wave: Wave) -> Wave:
    """With a peak of 1; silence stays."""
    peak = float(np.abs(wave).max())
    return wave / np.float32(peak) if peak > 1e-6 else wave


def _coloured(rng: np.random.Generator, slope: float) -> Wave:
    """Noise of root mean square 1 whose amplitude falls with frequency by `slope`."""
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
    hz = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    spectrum[1:] *= (hz[1:] / 1000) ** slope
    spectrum[hz < 20] = 0
    wave = np.fft.irfft(spectrum, SAMPLES)
    return np.asarray(wave / np.sqrt((wave**2).mean()), np.float32)
