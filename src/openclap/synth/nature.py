"""Recipes of nature: weather, water, fire and animals."""

from __future__ import annotations

import numpy as np

from openclap.synth.signals import Wave, band, decay, events, harmonics, noise, room, sine, smooth, time

Rng = np.random.Generator


def rain(s: float, rate: int, rng: Rng) -> Wave:
    """A hiss of many drops, with single ones in front."""
    hiss = band(noise(s, rate, rng, 2), 800, 12_000, rate, 1.5) * (0.8 + 0.2 * smooth(s, rate, rng, 2))
    drops = np.sort(rng.uniform(0, s, rng.poisson(60 * s)))
    return hiss + events(
        s, rate, drops, lambda _: rng.uniform(0.5, 3) * noise(0.02, rate, rng) * decay(0.02, 0.003, rate)
    )


def wind(s: float, rate: int, rng: Rng) -> Wave:
    """Low noise that swells, with a whistle that follows it."""
    swell = smooth(s, rate, rng, 0.8) ** 1.5 + 0.1
    howl = sine(250 + 250 * swell + 20 * smooth(s, rate, rng, 5), s, rate) * swell**2 * rng.uniform(0.1, 0.5)
    return band(noise(s, rate, rng, 5), 60, rng.uniform(500, 1200), rate, 1.5) * swell + howl


def sea_waves(s: float, rate: int, rng: Rng) -> Wave:
    """Noise that rises and breaks every few seconds."""
    t = time(s, rate)
    swell = (0.5 - 0.5 * np.cos(2 * np.pi * t / rng.uniform(3, 6) + rng.uniform(0, 6.28))) ** 2
    return (
        band(noise(s, rate, rng, 3), 80, 6000, rate, 1) * (0.15 + swell)
        + 0.4 * band(noise(s, rate, rng), 1500, 9000, rate, 1) * swell**2
    )


def stream(s: float, rate: int, rng: Rng) -> Wave:
    """Many short rising bubbles over soft noise."""

    def bubble(_: int) -> Wave:
        length = rng.uniform(0.02, 0.07)
        pitch = rng.uniform(400, 2000) * (1 + rng.uniform(0.2, 1.0) * time(length, rate) / length)
        return rng.uniform(0.2, 1) * sine(pitch, length, rate) * decay(length, length / 3, rate)

    return events(s, rate, rng.uniform(0, s, rng.poisson(70 * s)), bubble) + 0.15 * band(
        noise(s, rate, rng, 3), 300, 5000, rate, 1
    )


def water_drops(s: float, rate: int, rng: Rng) -> Wave:
    """Single drops into a basin, far apart."""

    def drop(_: int) -> Wave:
        pitch = rng.uniform(700, 1400) * (1 + 1.2 * time(0.12, rate) / 0.12)
        return sine(pitch, 0.12, rate) * decay(0.12, 0.03, rate)

    gaps = np.cumsum(rng.uniform(0.3, 1.1, round(4 * s)))
    return room(events(s, rate, gaps, drop), rate, rng, 0.8, 0.3)


def thunder(s: float, rate: int, rng: Rng) -> Wave:
    """A crack, then a rumble that rolls away."""
    t = time(s, rate)
    roll = (0.3 + smooth(s, rate, rng, 5)) * np.exp(-t / rng.uniform(1, 2.5)) * np.minimum(t / 0.1, 1)
    crack = noise(s, rate, rng) * np.exp(-t / 0.08) * rng.uniform(0.2, 0.8)
    return band(noise(s, rate, rng, 6), 25, 300, rate, 1.5) * roll * 2 + band(crack, 200, 8000, rate, 1)


def fire_crackling(s: float, rate: int, rng: Rng) -> Wave:
    """Sharp irregular cracks over a soft roar."""
    cracks = rng.uniform(0, s, rng.poisson(rng.uniform(12, 30) * s))
    snap = events(
        s,
        rate,
        cracks,
        lambda _: rng.exponential(1.0) * noise(0.03, rate, rng) * decay(0.03, rng.uniform(0.001, 0.006), rate, 0.0003),
    )
    return band(snap, 700, 12_000, rate, 1) + 0.12 * band(noise(s, rate, rng, 4), 60, 900, rate, 1)


def birds(s: float, rate: int, rng: Rng) -> Wave:
    """Short whistled chirps, in groups."""
    base = rng.uniform(2500, 5000)

    def chirp(_: int) -> Wave:
        length = rng.uniform(0.05, 0.16)
        x = time(length, rate) / length
        pitch = base * (
            1 + rng.uniform(-0.3, 0.4) * x + rng.uniform(0, 0.15) * np.sin(2 * np.pi * rng.uniform(1, 4) * x)
        )
        return sine(pitch, length, rate) * np.sin(np.pi * x) ** 0.7

    starts = np.concatenate(
        [at + np.arange(rng.integers(2, 7)) * rng.uniform(0.1, 0.22) for at in rng.uniform(0, s, round(1.2 * s) + 1)]
    )
    return room(events(s, rate, starts, chirp), rate, rng, 0.4, 0.15)


def cricket(s: float, rate: int, rng: Rng) -> Wave:
    """A high tone in quick pulses, grouped to chirps."""
    t = time(s, rate)
    pulses: Wave = np.maximum(np.sin(2 * np.pi * rng.uniform(25, 35) * t), 0) ** 2
    groups: Wave = (np.sin(2 * np.pi * rng.uniform(1.5, 3) * t + rng.uniform(0, 6)) > -0.2).astype(float)
    return sine(rng.uniform(3800, 5200), s, rate) * pulses * groups


def frog(s: float, rate: int, rng: Rng) -> Wave:
    """Croaks: a low buzz through a throat, twice a second."""
    base = rng.uniform(90, 160)

    def croak(_: int) -> Wave:
        length = rng.uniform(0.2, 0.35)
        x = time(length, rate) / length
        buzz = harmonics(base * (1 + 0.4 * x), [1 / n**0.5 for n in range(1, 25)], length, rate)
        return (
            band(buzz, 500, 1800, rate, 2)
            * np.sin(np.pi * x)
            * (0.4 + 0.6 * (np.sin(2 * np.pi * 35 * time(length, rate)) > 0))
        )

    return events(s, rate, np.arange(rng.uniform(0, 0.4), s, rng.uniform(0.45, 0.8)), croak)


def owl(s: float, rate: int, rng: Rng) -> Wave:
    """Low soft hoots: one long, some short."""
    base = rng.uniform(300, 420)

    def hoot(i: int) -> Wave:
        length = 0.55 if i % 4 == 3 else 0.22
        x = time(length, rate) / length
        return (
            harmonics(base * (1 + 0.06 * np.sin(np.pi * x)), [1, 0.15, 0.05], length, rate) * np.sin(np.pi * x) ** 0.6
        )

    starts = np.concatenate([at + np.array([0, 0.4, 0.75, 1.1]) for at in np.arange(rng.uniform(0, 0.5), s, 2.6)])
    return room(events(s, rate, starts, hoot), rate, rng, 0.9, 0.25)


def _voice(
    pitch: Wave, formants: list[tuple[float, float]], seconds: float, rate: int, rng: Rng, breath: float
) -> Wave:
    """A buzzing source through formants (Hz, weight)."""
    source = harmonics(pitch, [1 / n**0.8 for n in range(1, 40)], seconds, rate) + breath * noise(seconds, rate, rng)
    return np.sum([w * band(source, f * 0.82, f * 1.2, rate, 3) for f, w in formants], axis=0)


def dog_bark(s: float, rate: int, rng: Rng) -> Wave:
    """Short hoarse barks in pairs."""
    base = rng.uniform(220, 500)

    def bark(_: int) -> Wave:
        length = rng.uniform(0.16, 0.26)
        x = time(length, rate) / length
        pitch = base * (0.8 + 0.9 * np.sin(np.pi * np.minimum(x * 1.4, 1)) - 0.3 * x)
        return (
            _voice(pitch, [(base * 2.2, 1), (base * 4, 0.7), (2600, 0.3)], length, rate, rng, 0.5)
            * np.sin(np.pi * x) ** 0.5
        )

    starts = np.cumsum(rng.choice([0.32, 0.38, 0.9], round(3 * s) + 1))
    return room(events(s, rate, starts - starts[0] + 0.05, bark), rate, rng, 0.25, 0.2)


def cat_meow(s: float, rate: int, rng: Rng) -> Wave:
    """A meow: pitch up and down, the mouth opens and closes."""
    base = rng.uniform(450, 750)

    def meow(_: int) -> Wave:
        length = rng.uniform(0.6, 1.0)
        x = time(length, rate) / length
        pitch = base * (0.9 + 0.45 * np.sin(np.pi * x) - 0.15 * x)
        closed = _voice(pitch, [(base * 1.1, 1)], length, rate, rng, 0.05)
        opened = _voice(pitch, [(1300, 1), (2900, 0.6)], length, rate, rng, 0.1)
        open_ = np.sin(np.pi * x)
        return (closed * (1 - open_) + opened * open_) * open_**0.4

    return events(s, rate, np.arange(rng.uniform(0.05, 0.4), s, rng.uniform(1.3, 2)), meow)


def rooster(s: float, rate: int, rng: Rng) -> Wave:
    """Cock-a-doodle-doo: three short notes and a long falling one."""
    base = rng.uniform(550, 750)

    def note(i: int) -> Wave:
        length = (0.16, 0.14, 0.2, 0.9)[i % 4]
        x = time(length, rate) / length
        rise = (0.9, 1.25, 1.1, 1.45 - 0.5 * x)[i % 4]
        pitch = base * (rise + 0.1 * np.sin(np.pi * x))
        return _voice(pitch, [(1200, 1), (2600, 0.8), (3900, 0.3)], length, rate, rng, 0.15) * np.sin(np.pi * x) ** 0.4

    starts = np.concatenate([at + np.array([0, 0.22, 0.42, 0.68]) for at in np.arange(rng.uniform(0.05, 0.4), s, 2.4)])
    return room(events(s, rate, starts, note), rate, rng, 0.5, 0.15)


def cow_moo(s: float, rate: int, rng: Rng) -> Wave:
    """A long low call."""
    base = rng.uniform(95, 150)

    def moo(_: int) -> Wave:
        length = rng.uniform(1.2, 1.8)
        x = time(length, rate) / length
        pitch = base * (0.85 + 0.3 * np.sin(np.pi * x**0.7))
        return _voice(pitch, [(330, 1), (700, 0.6), (1900, 0.15)], length, rate, rng, 0.05) * np.sin(np.pi * x) ** 0.3

    return events(s, rate, np.arange(rng.uniform(0, 0.3), s, 2.3), moo)


def baby_cry(s: float, rate: int, rng: Rng) -> Wave:
    """Wails of about a second with a breath between."""
    base = rng.uniform(380, 520)

    def wail(_: int) -> Wave:
        length = rng.uniform(0.7, 1.1)
        x = time(length, rate) / length
        pitch = base * (0.95 + 0.3 * np.sin(np.pi * x**0.6) + 0.02 * np.sin(2 * np.pi * 6 * time(length, rate)))
        return _voice(pitch, [(1100, 1), (1700, 0.6), (3400, 0.4)], length, rate, rng, 0.12) * np.sin(np.pi * x) ** 0.4

    return room(events(s, rate, np.arange(0.05, s, rng.uniform(1.1, 1.5)), wail), rate, rng, 0.3, 0.15)
