"""Recipes of everyday sounds: steps, hands, household, drums and instruments."""

from __future__ import annotations

import numpy as np

from openclap.synth.signals import Wave, band, decay, events, harmonics, noise, partials, room, sine, time

Rng = np.random.Generator


def _thump(rate: int, rng: Rng, low: float, high: float, length: float, seconds: float = 0.25) -> Wave:
    return band(noise(seconds, rate, rng, 3), low, high, rate, 1) * decay(seconds, length, rate)


def footsteps(s: float, rate: int, rng: Rng) -> Wave:
    """Heel and toe on a hard floor."""
    pace = rng.uniform(0.42, 0.65)
    starts = np.concatenate([at + np.array([0, 0.07]) for at in np.arange(0.1, s, pace)])
    step = lambda i: _thump(rate, rng, 120, 2500, 0.012) * (0.5 if i % 2 else 1) * rng.uniform(0.7, 1)
    return room(events(s, rate, starts, step), rate, rng, 0.5, 0.3)


def footsteps_gravel(s: float, rate: int, rng: Rng) -> Wave:
    """Crunching steps: each a burst of many small grains."""

    def crunch(_: int) -> Wave:
        grains = rng.normal(0.12, 0.05, 60)
        return events(
            0.35,
            rate,
            grains,
            lambda __: rng.exponential(1) * noise(0.01, rate, rng) * decay(0.01, 0.002, rate, 0.0003),
        )

    return band(events(s, rate, np.arange(0.1, s, rng.uniform(0.5, 0.7)), crunch), 800, 10_000, rate, 1)


def door_knock(s: float, rate: int, rng: Rng) -> Wave:
    """Knuckles on wood, three or four times."""
    body = rng.uniform(140, 260)
    knock = lambda _: (
        partials([body, body * 2.3, body * 3.9], [1, 0.5, 0.3], [0.04, 0.025, 0.012], 0.3, rate)
        + 0.3 * _thump(rate, rng, 300, 3000, 0.006, 0.3)
    )
    starts = np.concatenate(
        [at + np.arange(rng.integers(3, 5)) * rng.uniform(0.16, 0.24) for at in np.arange(0.1, s, 1.8)]
    )
    return room(events(s, rate, starts, knock), rate, rng, 0.3, 0.25)


def clock_tick(s: float, rate: int, rng: Rng) -> Wave:
    """Tick, tock."""
    pitch = rng.uniform(1800, 3500)
    period = rng.choice([0.25, 0.5, 1.0])
    tick = lambda i: (
        partials([pitch * (1, 0.86)[i % 2], pitch * 2.3], [1, 0.5], [0.006, 0.003], 0.08, rate)
        + 0.3 * noise(0.08, rate, rng) * decay(0.08, 0.001, rate, 0.0002)
    )
    return room(events(s, rate, np.arange(0.1, s, period), tick), rate, rng, 0.15, 0.15)


def keyboard(s: float, rate: int, rng: Rng) -> Wave:
    """Typing: light clicks in an uneven rhythm."""
    starts = np.cumsum(rng.gamma(3, 0.05, round(9 * s)))

    def click(_: int) -> Wave:
        tap = band(noise(0.06, rate, rng), rng.uniform(900, 1800), 7000, rate, 1)
        return rng.uniform(0.4, 1) * tap * decay(0.06, 0.005, rate, 0.0005)

    return events(s, rate, starts, click) + events(s, rate, starts + 0.06, lambda i: 0.4 * click(i))


def applause(s: float, rate: int, rng: Rng) -> Wave:
    """Clapping of many hands."""
    clap = lambda _: (
        rng.uniform(0.3, 1)
        * band(noise(0.04, rate, rng), 500, rng.uniform(2500, 5000), rate, 1)
        * decay(0.04, 0.008, rate, 0.0005)
    )
    return room(events(s, rate, rng.uniform(0, s, round(110 * s)), clap), rate, rng, 0.6, 0.2)


def glass_break(s: float, rate: int, rng: Rng) -> Wave:
    """A smash, then shards that ring and fall."""
    starts = np.concatenate([[0.1], 0.1 + rng.exponential(0.25, 45)])

    def shard(i: int) -> Wave:
        pitch = rng.uniform(2500, 9000)
        ring = partials([pitch, pitch * 1.6], [1, 0.5], [0.04, 0.02], 0.25, rate) * rng.exponential(0.5)
        return ring + (2 * noise(0.25, rate, rng) * decay(0.25, 0.03, rate, 0.0005) if i == 0 else 0)

    return room(events(s, rate, starts, shard), rate, rng, 0.3, 0.15)


def kick_drum(s: float, rate: int, rng: Rng) -> Wave:
    """A bass drum, four on the floor."""
    t = time(0.4, rate)
    hit = sine(rng.uniform(42, 60) + rng.uniform(80, 160) * np.exp(-t / 0.025), 0.4, rate) * decay(0.4, 0.12, rate)
    return events(s, rate, np.arange(0.05, s, rng.uniform(0.4, 0.6)), lambda _: hit)


def snare_drum(s: float, rate: int, rng: Rng) -> Wave:
    """A snare: a short tone and a rattle of noise."""
    body = partials([rng.uniform(170, 220), rng.uniform(300, 360)], [1, 0.6], [0.05, 0.04], 0.3, rate)
    hit = lambda _: (
        body + 1.2 * band(noise(0.3, rate, rng), 1200, 9000, rate, 1) * decay(0.3, rng.uniform(0.05, 0.09), rate)
    )
    return events(s, rate, np.arange(0.05, s, rng.uniform(0.4, 0.9)), hit)


def hi_hat(s: float, rate: int, rng: Rng) -> Wave:
    """Eighths on a closed hi-hat."""
    hit = lambda i: (
        (1, 0.6)[i % 2]
        * band(noise(0.12, rate, rng), 6000, 15_000, rate, 2)
        * decay(0.12, rng.uniform(0.015, 0.04), rate, 0.0005)
    )
    return events(s, rate, np.arange(0.05, s, rng.uniform(0.18, 0.3)), hit)


def drum_beat(s: float, rate: int, rng: Rng) -> Wave:
    """Kick, snare and hi-hat together."""
    beat = rng.uniform(0.4, 0.6)
    t = time(0.3, rate)
    kick = sine(50 + 120 * np.exp(-t / 0.025), 0.3, rate) * decay(0.3, 0.1, rate)
    snare = lambda _: 0.8 * band(noise(0.25, rate, rng), 1000, 9000, rate, 1) * decay(0.25, 0.06, rate)
    hat = lambda _: 0.3 * band(noise(0.1, rate, rng), 6000, 15_000, rate, 2) * decay(0.1, 0.02, rate)
    return (
        events(s, rate, np.arange(0.05, s, 2 * beat), lambda _: 1.5 * kick)
        + events(s, rate, np.arange(0.05 + beat, s, 2 * beat), snare)
        + events(s, rate, np.arange(0.05, s, beat / 2), hat)
    )


def guitar(s: float, rate: int, rng: Rng) -> Wave:
    """Plucked strings."""
    scale = 110 * 2 ** (np.array([0, 3, 5, 7, 10, 12, 15]) / 12) * rng.uniform(0.9, 1.8)

    def pluck(_: int) -> Wave:
        pitch = float(rng.choice(scale))
        numbers = np.arange(1.0, 22.0)
        return partials(pitch * numbers, np.abs(np.sin(numbers * 0.9)) / numbers**0.9, 1.4 / numbers**0.8, 1.5, rate)

    return room(events(s, rate, np.arange(0.05, s, rng.uniform(0.25, 0.5)), pluck), rate, rng, 0.3, 0.1)


def piano(s: float, rate: int, rng: Rng) -> Wave:
    """Notes of a piano: stretched partials, hammered."""
    scale = 261.6 * 2 ** (np.array([-12, -5, 0, 2, 4, 7, 9, 12, 16]) / 12)

    def note(_: int) -> Wave:
        pitch = float(rng.choice(scale))
        numbers = np.arange(1.0, 16.0)
        return partials(
            pitch * numbers * np.sqrt(1 + 4e-4 * numbers**2), 1 / numbers**1.5, 1.6 / numbers**0.7, 2, rate
        ) + 0.1 * _thump(rate, rng, 100, 1500, 0.01, 2)

    return room(events(s, rate, np.arange(0.05, s, rng.uniform(0.3, 0.6)), note), rate, rng, 0.8, 0.2)


def flute(s: float, rate: int, rng: Rng) -> Wave:
    """A flute melody with breath and vibrato."""
    scale = 523.3 * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)

    def note(_: int) -> Wave:
        length = rng.uniform(0.35, 0.8)
        x = time(length, rate)
        pitch = float(rng.choice(scale)) * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * x))
        tone = harmonics(pitch, [1, 0.25, 0.1], length, rate) + 0.06 * band(
            noise(length, rate, rng), 800, 5000, rate, 1
        )
        return tone * np.sin(np.pi * x / length) ** 0.3

    return room(events(s, rate, np.arange(0.05, s, 0.6), note), rate, rng, 0.8, 0.2)


def organ(s: float, rate: int, rng: Rng) -> Wave:
    """Held chords of an organ."""
    root = rng.uniform(110, 220)

    def chord(i: int) -> Wave:
        low = root * (1, 1.335, 1.5, 1)[i % 4]
        stops = [1, 0.6, 0.3, 0.4, 0, 0.2, 0, 0.3]
        return (
            harmonics(low, stops, 1.6, rate)
            + harmonics(low * 1.26, stops, 1.6, rate)
            + harmonics(low * 1.5, stops, 1.6, rate)
        )

    return room(
        events(s, rate, np.arange(0.05, s, 1.6), chord),
        rate,
        rng,
        1.2,
        0.2,
    )


def whistle(s: float, rate: int, rng: Rng) -> Wave:
    """A referee's pea whistle."""

    def blow(_: int) -> Wave:
        length = rng.uniform(0.3, 0.8)
        trill = 1 + 0.03 * np.sign(np.sin(2 * np.pi * rng.uniform(25, 40) * time(length, rate)))
        return (sine(rng.uniform(2200, 3200) * trill, length, rate) + 0.2 * noise(length, rate, rng)) * decay(
            length, 5, rate, 0.02
        )

    return events(s, rate, np.arange(0.1, s, rng.uniform(0.9, 1.4)), blow)


def morse(s: float, rate: int, rng: Rng) -> Wave:
    """Dots and dashes."""
    pitch, unit = rng.uniform(550, 900), rng.uniform(0.06, 0.1)
    lengths = rng.choice([1, 3], round(s / unit))
    starts = 0.05 + unit * np.concatenate([[0], np.cumsum(lengths + rng.choice([1, 1, 3], len(lengths)))[:-1]])
    return events(s, rate, starts, lambda i: sine(pitch, unit * lengths[i], rate))
