"""Operations that all recipes share, in numpy: time, oscillators, envelopes, filtered noise, rooms.

Every function takes the rate in Hz and, where it is random, a Generator; waves are float64 (S,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "Wave",
    "band",
    "decay",
    "events",
    "harmonics",
    "noise",
    "partials",
    "room",
    "sine",
    "smooth",
    "time",
]

Wave = npt.NDArray[np.float64]


def time(seconds: float, rate: int) -> Wave:
    """Sample times in seconds."""
    return np.arange(round(seconds * rate)) / rate


def sine(frequency: Wave | float, seconds: float, rate: int, phase: float = 0.0) -> Wave:
    """A sine whose frequency (Hz) may change over time."""
    steady = np.broadcast_to(np.asarray(frequency, np.float64), (round(seconds * rate),))
    return np.sin(2 * np.pi * np.cumsum(steady) / rate + phase)


def harmonics(frequency: Wave | float, weights: Sequence[float], seconds: float, rate: int) -> Wave:
    """A tone of harmonics 1, 2, 3 … with the given weights; those above 0.45 rate are left out."""
    total = np.zeros(round(seconds * rate))
    for number, weight in enumerate(weights, 1):
        if number * float(np.max(frequency)) < 0.45 * rate:
            total += weight * sine(np.asarray(frequency) * number, seconds, rate)
    return total


def partials(
    frequencies: Sequence[float] | Wave,
    weights: Sequence[float] | Wave,
    lengths: Sequence[float] | Wave,
    seconds: float,
    rate: int,
) -> Wave:
    """Struck metal or wood: sines that each fall to 37 % in their own time (`lengths`, seconds)."""
    t = time(seconds, rate)
    return np.sum(
        [w * np.sin(2 * np.pi * f * t) * np.exp(-t / d) for f, w, d in zip(frequencies, weights, lengths, strict=True)],
        axis=0,
    )


def decay(seconds: float, length: float, rate: int, attack: float = 0.002) -> Wave:
    """An envelope that rises in `attack` seconds and then falls to 37 % every `length` seconds."""
    t = time(seconds, rate)
    return np.minimum(t / attack, 1.0) * np.exp(-t / length)


def noise(seconds: float, rate: int, rng: np.random.Generator, slope: float = 0.0) -> Wave:
    """Noise that falls by `slope` dB per octave (0 white, 3 pink, 6 brown), with deviation 1."""
    size = round(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / rate), 20.0)
    wave = np.fft.irfft(spectrum * (hertz / 1000) ** (-slope / 6.02), size)
    return wave / (wave.std() + 1e-12)


def band(wave: Wave, low: float, high: float, rate: int, sharpness: float = 4.0) -> Wave:
    """Filter a wave: keep what lies between `low` and `high` Hz, with soft edges."""
    hertz = np.maximum(np.fft.rfftfreq(len(wave), 1 / rate), 1e-3)
    gain = 1 / np.sqrt((1 + (low / hertz) ** (2 * sharpness)) * (1 + (hertz / high) ** (2 * sharpness)))
    return np.fft.irfft(np.fft.rfft(wave) * gain, len(wave))


def smooth(seconds: float, rate: int, rng: np.random.Generator, hertz: float) -> Wave:
    """A slow random curve in [0, 1] that changes about `hertz` times a second."""
    knots = rng.random(max(2, round(seconds * hertz) + 2))
    return np.interp(np.linspace(0, len(knots) - 1, round(seconds * rate)), np.arange(len(knots)), knots)


def events(seconds: float, rate: int, times: Sequence[float] | Wave, sound: Callable[[int], Wave]) -> Wave:
    """Place `sound(i)` at time i, for each of the times in seconds; what reaches past the end is cut."""
    total = np.zeros(round(seconds * rate))
    for i, at in enumerate(times):
        begin = round(float(at) * rate)
        if 0 <= begin < len(total):
            part = sound(i)[: len(total) - begin]
            total[begin : begin + len(part)] += part
    return total


def room(wave: Wave, rate: int, rng: np.random.Generator, length: float = 0.3, share: float = 0.2) -> Wave:
    """Add a little reverberation, by convolution with decaying noise."""
    tail = rng.standard_normal(max(2, round(length * rate))) * np.exp(
        -6 * np.linspace(0, 1, max(2, round(length * rate)))
    )
    # longer than needed: a transform whose size has large prime factors takes several times as long
    size = 1 << (len(wave) + len(tail) - 2).bit_length()
    wet = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), size)[: len(wave)]
    return wave + share * wet * (wave.std() / (wet.std() + 1e-12))
