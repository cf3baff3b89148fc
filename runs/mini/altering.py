"""Sounds that nobody recorded: a recording made strange, or a sound made of nothing, for a teacher that names whatever it is played.

A student that hears the same recordings again and again learns them by heart: on recordings it had not heard it agreed half as well
with its teacher as on those it had. What stands between is variety, and a change that would spoil a label is free here. Every random
number comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gather import RATE, Wave

__all__ = ["altered", "invented"]

SAMPLES = 5 * RATE
Random = np.random.Generator
Response = Callable[[Wave], Wave]  # Hz → gain, real or complex


def altered(wave: Wave, other: Wave, rng: Random) -> Wave:
    """A wave (S,) after one or two random changes, some of them by another sound (S',) → (S'',), at most five seconds."""
    for _ in range(1 + int(rng.random() < 0.35)):
        change = CHANGES[int(rng.integers(len(CHANGES)))]
        wave = np.asarray(change(wave[:SAMPLES], other[:SAMPLES], rng), np.float32)
        loud = float(np.sqrt((wave**2).mean())) if len(wave) else 0.0
        if loud > 1e-9:
            wave = wave * np.float32(0.1 / loud)
    return wave[:SAMPLES]


def invented(rng: Random) -> Wave:
    """Five seconds or less of what no source holds: noise, pulses or clicks, through resonances, in syllables."""
    length = int(RATE * np.exp(rng.uniform(np.log(0.2), np.log(5.0))))
    kind = rng.random()
    if kind < 0.4:
        source = _pulses(length, rng)
    elif kind < 0.7:
        source = rng.standard_normal(length).astype(np.float32)
    elif kind < 0.85:
        source = _clicks(length, rng)
    else:
        source = _pulses(length, rng) + np.float32(rng.uniform(0.05, 0.6)) * rng.standard_normal(length).astype(
            np.float32
        )
    peaks, tilt = _resonances(rng), _tilt(rng)
    heard = _filtered(source, lambda hz: peaks(hz) * tilt(hz))
    return np.asarray(heard * _syllables(length, rng), np.float32)


def _pulses(length: int, rng: Random) -> Wave:
    """A tone with overtones whose pitch wanders."""
    base = np.exp(rng.uniform(np.log(40), np.log(3000)))
    bend = _wandering(length, rng, float(rng.choice([0.02, 0.1, 0.4, 1.0])))
    tremble = rng.uniform(0, 0.06) * np.sin(2 * np.pi * rng.uniform(3, 60) * np.arange(length) / RATE)
    phase = np.cumsum(base * np.exp2(bend + tremble) / RATE)
    sharp = np.exp(rng.uniform(np.log(0.3), np.log(40)))
    wave = np.exp(sharp * (np.cos(2 * np.pi * phase) - 1))  # from a sine to a train of pulses
    return np.asarray(wave - wave.mean(), np.float32)


def _clicks(length: int, rng: Random) -> Wave:
    rate = np.exp(rng.uniform(np.log(1.5), np.log(300)))
    wave = (rng.random(length) < rate / RATE) * rng.normal(1, 0.4, length)
    return np.asarray(wave, np.float32)


def _syllables(length: int, rng: Random) -> Wave:
    """A loudness: one shape once, or again and again, regular or not."""
    rise, fall = np.exp(rng.uniform(np.log(0.002), np.log(0.4), 2))
    each = int(RATE * np.exp(rng.uniform(np.log(0.03), np.log(2.5))))
    t = np.arange(each) / RATE
    shape = np.minimum(t / rise, 1) * (np.exp(-t / fall) if rng.random() < 0.6 else np.clip((t[-1] - t) / fall, 0, 1))
    loud = np.zeros(length, np.float32)
    at, gap, loose = 0, rng.exponential(0.3) * RATE, rng.random() < 0.5
    while at < length:
        end = min(at + each, length)
        loud[at:end] = np.maximum(loud[at:end], shape[: end - at] * (rng.uniform(0.3, 1) if loose else 1.0))
        at += max(each // 2, each + int(gap * (rng.uniform(0.2, 2) if loose else 1.0)))
    return loud


def _wandering(length: int, rng: Random, octaves: float) -> Wave:
    """A smooth random curve (length,)."""
    knots = int(rng.integers(2, 9))
    return np.asarray(np.interp(np.linspace(0, knots - 1, length), np.arange(knots), rng.normal(0, octaves, knots)))


def _glide(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Played at a speed that changes."""
    at = np.cumsum(np.exp2(_wandering(len(wave), rng, 0.6) + rng.normal(0, 0.5)))
    at = at[at < len(wave) - 1]
    low = at.astype(np.int64)
    part = (at - low).astype(np.float32)
    return wave[low] * (1 - part) + wave[low + 1] * part


def _grains(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Cut into pieces that are put together in another order, some backwards, some missing."""
    size = int(RATE * np.exp(rng.uniform(np.log(0.03), np.log(0.7))))
    pieces = [wave[i : i + size] for i in range(0, len(wave), size)]
    stuck = rng.random() < 0.3
    order = rng.integers(min(len(pieces), 3) if stuck else len(pieces), size=len(pieces))
    fade = np.minimum(1, np.arange(1, size + 1) / 160).astype(np.float32)
    found = []
    for i in order:
        piece = pieces[int(i)][:: -1 if rng.random() < 0.2 else 1] * fade[: len(pieces[int(i)])]
        found.append(piece * fade[: len(piece)][::-1])
    return np.concatenate(found)


def _gated(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Louder and softer at a steady or drifting rate."""
    rate = np.exp(rng.uniform(np.log(0.7), np.log(60))) * np.exp2(_wandering(len(wave), rng, 0.3))
    beat = 0.5 + 0.5 * np.cos(2 * np.pi * np.cumsum(rate) / RATE)
    return np.asarray(wave * beat ** np.exp(rng.uniform(np.log(0.5), np.log(12))), np.float32)


def _in_syllables(wave: Wave, other: Wave, rng: Random) -> Wave:
    return wave * _syllables(len(wave), rng)


def _with_its_loudness(wave: Wave, other: Wave, rng: Random) -> Wave:
    """As loud as the other sound is at each moment."""
    size = int(RATE * rng.choice([0.004, 0.01, 0.03]))
    length = min(len(wave), len(other)) // size * size
    if length < 4 * size:
        return wave
    own = np.sqrt((wave[:length].reshape(-1, size) ** 2).mean(1)) + 1e-3
    wanted = np.sqrt((other[:length].reshape(-1, size) ** 2).mean(1))
    gain = np.repeat(wanted / own, size)
    return wave[:length] * gain.astype(np.float32)


def _with_its_spectrum(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Through a filter that gives it the mean spectrum of the other sound, wholly or half."""
    edges = np.geomspace(30, RATE / 2, int(rng.choice([16, 40, 120])))

    def mean(x: Wave) -> Wave:
        power = np.abs(np.fft.rfft(x)) ** 2
        at = np.minimum((edges * (len(x) / RATE)).astype(int), len(power) - 1)
        return np.asarray(np.add.reduceat(power, at)[:-1] / np.maximum(np.diff(at), 1))

    own, wanted = mean(wave), mean(other)
    gain = ((wanted / wanted.sum() + 1e-9) / (own / own.sum() + 1e-9)) ** (0.5 * rng.uniform(0.5, 1))
    middles = np.sqrt(edges[:-1] * edges[1:])
    return _filtered(wave, lambda hz: np.interp(hz, middles, np.minimum(gain, 1e3)))


def _shifted(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Every partial moved by as many Hz: a harmonic sound is one no more."""
    hz = float(np.exp(rng.uniform(np.log(15), np.log(2500)))) * (1 if rng.random() < 0.6 else -1)
    spectrum = np.fft.rfft(wave)
    moved = np.zeros_like(spectrum)
    by = round(hz * len(wave) / RATE)
    if abs(by) >= len(spectrum) - 1:
        return wave
    if by >= 0:
        moved[by:] = spectrum[: len(spectrum) - by]
    else:
        moved[:by] = spectrum[-by:]
    return np.asarray(np.fft.irfft(moved, len(wave)), np.float32)


def _resonating(wave: Wave, other: Wave, rng: Random) -> Wave:
    return _filtered(wave, _resonances(rng))


def _in_a_tube(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Heard again and again after a few milliseconds."""
    delay = np.exp(rng.uniform(np.log(0.0004), np.log(0.04)))
    again = rng.uniform(0.4, 0.93) * (1 if rng.random() < 0.5 else -1)
    return _filtered(wave, lambda hz: 1 / (1 - again * np.exp(-2j * np.pi * hz * delay)))


def _driven(wave: Wave, other: Wave, rng: Random) -> Wave:
    """Clipped, softly."""
    loud = float(np.abs(wave).max()) + 1e-9
    return np.asarray(np.tanh(wave * (np.exp(rng.uniform(np.log(2), np.log(60))) / loud)), np.float32)


def _resonances(rng: Random) -> Response:
    """The gain of one to six resonances."""
    count = int(rng.integers(1, 7))
    rest = 10 ** (rng.uniform(-40, -6) / 20)
    middles = np.exp(rng.uniform(np.log(80), np.log(12000), count))
    widths = middles / np.exp(rng.uniform(np.log(1.5), np.log(80), count))
    heights = rng.uniform(0.1, 1, count)

    def gain(hz: Wave) -> Wave:
        total = np.full(len(hz), rest, np.float32)
        for middle, width, height in zip(middles, widths, heights, strict=True):
            total += np.float32(height) / (1 + ((hz - np.float32(middle)) / np.float32(width)) ** 2)
        return total

    return gain


def _tilt(rng: Random) -> Response:
    slope = rng.uniform(-1.2, 0.2)
    return lambda hz: np.asarray(np.maximum(hz / 200, 0.3) ** slope)


def _filtered(wave: Wave, response: Response) -> Wave:
    """Through a response, given as a function of Hz; no longer than it was."""
    size = 1 << (2 * len(wave) - 1).bit_length()
    hz = np.arange(size // 2 + 1, dtype=np.float32) * np.float32(RATE / size)
    spectrum = np.fft.rfft(wave.astype(np.float32), size)
    return np.asarray(np.fft.irfft(spectrum * response(hz).astype(spectrum.dtype), size)[: len(wave)], np.float32)


CHANGES: tuple[Callable[[Wave, Wave, Random], Wave], ...] = (
    _glide, _grains, _gated, _in_syllables, _with_its_loudness, _with_its_spectrum, _shifted, _resonating, _in_a_tube, _driven,
)  # fmt: skip
