"""Recipes of machines: signals, vehicles, tools and weapons."""

from __future__ import annotations

import numpy as np

from openclap.synth.signals import (
    Wave,
    band,
    decay,
    events,
    harmonics,
    noise,
    partials,
    room,
    sine,
    smooth,
    time,
)

Rng = np.random.Generator


def siren(s: float, rate: int, rng: Rng) -> Wave:
    """A tone that wails up and down."""
    t = time(s, rate)
    pitch = rng.uniform(700, 900) * (1 + 0.4 * np.sin(2 * np.pi * t / rng.uniform(0.6, 4)))
    return room(harmonics(pitch, [1, 0.5, 0.35, 0.2, 0.1], s, rate), rate, rng, 0.5)


def church_bell(s: float, rate: int, rng: Rng) -> Wave:
    """Struck bronze: hum, prime, tierce, quint, nominal and above."""
    prime = rng.uniform(180, 420)
    ratios, weights, lengths = (
        (0.5, 1, 1.2, 1.5, 2, 2.7, 4.1),
        (0.5, 1, 0.7, 0.4, 0.9, 0.4, 0.2),
        (3.5, 2.5, 2, 1.5, 1.2, 0.6, 0.3),
    )
    stroke = partials([prime * r for r in ratios], weights, lengths, 4, rate)
    return room(
        events(s, rate, np.arange(0.05, s, rng.uniform(1.3, 2.5)), lambda _: stroke * rng.uniform(0.7, 1)),
        rate,
        rng,
        1,
    )


def doorbell(s: float, rate: int, rng: Rng) -> Wave:
    """Ding, then dong a third below."""
    high = rng.uniform(600, 850)
    ding, dong = (
        partials([f, 2.76 * f, 5.4 * f], [1, 0.25, 0.1], [0.6, 0.3, 0.1], 1.6, rate) for f in (high, high / 1.26)
    )
    starts = np.concatenate([at + np.array([0, 0.5]) for at in np.arange(0.1, s, 2.4)])
    return room(events(s, rate, starts, lambda i: dong if i % 2 else ding), rate, rng, 0.4)


def telephone(s: float, rate: int, rng: Rng) -> Wave:
    """An old telephone's bell: two gongs struck quickly, a second on, a second off."""
    t = time(s, rate)
    first = rng.uniform(1100, 1500)
    strike = 0.5 + 0.5 * np.abs(np.sin(np.pi * rng.uniform(18, 24) * t))
    gongs = sine(first, s, rate) + 0.8 * sine(first * 1.22, s, rate) + 0.3 * sine(first * 2.7, s, rate)
    return gongs * strike * (t % rng.uniform(1.8, 2.6) < 1.1)


def phone_dial(s: float, rate: int, rng: Rng) -> Wave:
    """Touch tones, one digit after the other."""
    low, high = (697, 770, 852, 941), (1209, 1336, 1477)
    tone = lambda _: (sine(rng.choice(low), 0.15, rate) + sine(rng.choice(high), 0.15, rate)) * decay(0.15, 5, rate)
    return events(s, rate, np.arange(0.1, s, rng.uniform(0.22, 0.35)), tone)


def alarm_clock(s: float, rate: int, rng: Rng) -> Wave:
    """Groups of four high beeps."""
    pitch = rng.uniform(1800, 2600)
    starts = np.concatenate([at + np.arange(4) * 0.125 for at in np.arange(0.05, s, rng.uniform(0.8, 1.1))])
    return events(s, rate, starts, lambda _: harmonics(pitch, [1, 0, 0.3, 0, 0.1], 0.07, rate))


def smoke_alarm(s: float, rate: int, rng: Rng) -> Wave:
    """Three piercing beeps and a pause."""
    pitch = rng.uniform(3000, 3400)
    starts = np.concatenate([at + np.arange(3) * 0.75 for at in np.arange(0.05, s, 3.2)])
    return room(events(s, rate, starts, lambda _: harmonics(pitch, [1, 0.2, 0.3], 0.45, rate)), rate, rng, 0.3)


def car_horn(s: float, rate: int, rng: Rng) -> Wave:
    """Two brassy tones a third apart, in short presses."""
    base = rng.uniform(330, 440)

    def press(_: int) -> Wave:
        length = rng.uniform(0.2, 0.6)
        low = harmonics(base, [1 / n**0.6 for n in range(1, 14)], length, rate)
        return low + harmonics(base * 1.25, [1 / n**0.6 for n in range(1, 12)], length, rate)

    starts = np.cumsum(rng.uniform(0.5, 1.2, round(2 * s)))
    return room(events(s, rate, starts - starts[0] + 0.05, press), rate, rng, 0.3)


def _engine(firing: Wave, s: float, rate: int, rng: Rng, roughness: float) -> Wave:
    """Pulses at the firing rate (Hz over time) through an exhaust."""
    phase = np.cumsum(firing) / rate
    pulses = np.exp(-((phase % 1) * rng.uniform(4, 8))) * (1 + roughness * smooth(s, rate, rng, float(firing.mean())))
    return band(pulses - pulses.mean(), 40, 1500, rate, 1) + 0.1 * roughness * band(
        noise(s, rate, rng, 3), 200, 4000, rate, 1
    )


def engine_idle(s: float, rate: int, rng: Rng) -> Wave:
    """A car engine that stands and runs."""
    return _engine(rng.uniform(22, 34) * (1 + 0.03 * smooth(s, rate, rng, 3)), s, rate, rng, 1.0)


def engine_accelerating(s: float, rate: int, rng: Rng) -> Wave:
    """A car that speeds up through its gears."""
    t = time(s, rate)
    gear = t % (s / rng.integers(1, 4))
    return _engine(rng.uniform(40, 60) * (1 + 0.8 * gear / gear.max()), s, rate, rng, 0.6)


def motorbike(s: float, rate: int, rng: Rng) -> Wave:
    """A motorcycle: rougher and faster pulses, the throttle played with."""
    return _engine(rng.uniform(55, 90) * (0.7 + 0.8 * smooth(s, rate, rng, 1.2)), s, rate, rng, 1.5)


def helicopter(s: float, rate: int, rng: Rng) -> Wave:
    """Blades that thump the air, over a turbine."""
    t = time(s, rate)
    blade = np.exp(-12 * ((t * rng.uniform(10, 15)) % 1))
    thump = band(noise(s, rate, rng, 5), 30, 600, rate, 1) * blade
    return (
        thump
        + 0.25 * band(noise(s, rate, rng, 2), 300, 4000, rate, 1) * (0.3 + blade)
        + 0.03 * sine(rng.uniform(2000, 4000), s, rate)
    )


def airplane(s: float, rate: int, rng: Rng) -> Wave:
    """A propeller plane that drones past."""
    t = time(s, rate)
    near = np.exp(-(((t - s * rng.uniform(0.3, 0.7)) / (0.45 * s)) ** 2))
    pitch = rng.uniform(70, 110) * (1.06 - 0.12 * t / s)
    return (
        harmonics(pitch, [1, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2, 0.2], s, rate)
        + 0.4 * band(noise(s, rate, rng, 4), 80, 2500, rate, 1)
    ) * near


def jet(s: float, rate: int, rng: Rng) -> Wave:
    """A jet that roars by: broad noise and a falling whine."""
    t = time(s, rate)
    near = np.exp(-(((t - s / 2) / (0.25 * s)) ** 2))
    whine = sine(rng.uniform(2500, 3500) * (1.15 - 0.3 * t / s), s, rate)
    return (band(noise(s, rate, rng, 3), 60, 7000, rate, 1) + 0.15 * whine) * near


def chainsaw(s: float, rate: int, rng: Rng) -> Wave:
    """A two-stroke engine that screams under load."""
    throttle = smooth(s, rate, rng, 1.0)
    motor = _engine(rng.uniform(90, 130) * (0.7 + 0.8 * throttle), s, rate, rng, 1.2)
    scream = band(motor * np.abs(motor), 800, 6000, rate, 1)
    hiss = band(noise(s, rate, rng), 1500, 9000, rate, 1) * throttle * float(motor.std())
    return motor + 0.5 * scream + 0.15 * hiss


def drill(s: float, rate: int, rng: Rng) -> Wave:
    """An electric motor's whine that starts and stops."""
    on = np.clip(3 * (smooth(s, rate, rng, 1.5) - 0.3), 0, 1)
    whine = harmonics(rng.uniform(350, 600) * (0.6 + 0.4 * on), [1, 0.6, 0.8, 0.4, 0.5, 0.3, 0.3, 0.2], s, rate)
    return (whine + 0.5 * band(noise(s, rate, rng), 1500, 9000, rate, 1)) * on


def vacuum(s: float, rate: int, rng: Rng) -> Wave:
    """A vacuum cleaner: steady rush of air over a motor."""
    return band(noise(s, rate, rng, 2), 200, 6000, rate, 1) + 0.4 * harmonics(
        rng.uniform(200, 320), [1, 0.7, 0.4, 0.3], s, rate
    )


def train(s: float, rate: int, rng: Rng) -> Wave:
    """Wheels over rail joints: double knocks, and a rumble."""
    gap = rng.uniform(0.5, 0.9)
    knock = lambda _: band(noise(0.15, rate, rng, 3), 80, 1500, rate, 1) * decay(0.15, 0.03, rate)
    starts = np.concatenate([at + np.array([0, 0.16]) for at in np.arange(0, s, gap)])
    return 1.5 * events(s, rate, starts, knock) + 0.35 * band(noise(s, rate, rng, 5), 30, 500, rate, 1)


def gunshot(s: float, rate: int, rng: Rng) -> Wave:
    """A crack and its echo."""
    shot = lambda _: noise(1, rate, rng, 2) * decay(1, rng.uniform(0.03, 0.09), rate, 0.0005)
    starts = np.cumsum(rng.uniform(0.5, 1.6, round(2 * s) + 1)) - 0.4
    return room(events(s, rate, starts, shot), rate, rng, 1.2, 0.25)


def explosion(s: float, rate: int, rng: Rng) -> Wave:
    """A blast with a long low tail."""
    t = time(s, rate)
    blast = noise(s, rate, rng, 5) * np.exp(-t / rng.uniform(0.4, 1.0)) * np.minimum(t / 0.004, 1)
    return np.tanh(3 * band(blast, 25, 2500, rate, 1)) + 0.4 * noise(s, rate, rng) * np.exp(-t / 0.05)


def laser(s: float, rate: int, rng: Rng) -> Wave:
    """Science-fiction zaps: tones that fall fast."""

    def zap(_: int) -> Wave:
        length = rng.uniform(0.15, 0.35)
        pitch = rng.uniform(2500, 5000) * np.exp(-time(length, rate) / length * rng.uniform(2, 3.5)) + 120
        return harmonics(pitch, [1, 0.4, 0.2], length, rate) * decay(length, length / 2, rate)

    starts = np.cumsum(rng.uniform(0.3, 0.7, round(4 * s)))
    return events(s, rate, starts - starts[0] + 0.03, zap)


def robot_beeps(s: float, rate: int, rng: Rng) -> Wave:
    """A computer that talks in beeps."""
    beep = lambda _: (
        harmonics(float(rng.choice([440, 660, 880, 1320, 1760])), [1, 0, 0.3], 0.09, rate) * decay(0.09, 1, rate)
    )
    return events(s, rate, np.arange(0.05, s, rng.uniform(0.1, 0.18)), beep)


def coin(s: float, rate: int, rng: Rng) -> Wave:
    """Picking up a coin in an old game: two square notes."""
    base = rng.uniform(900, 1100)
    note = lambda i: (
        harmonics(base * (1.335 if i % 2 else 1), [1, 0, 0.33, 0, 0.2], (0.08, 0.5)[i % 2], rate)
        * decay((0.08, 0.5)[i % 2], 0.25, rate)
    )
    starts = np.concatenate([at + np.array([0, 0.08]) for at in np.arange(0.05, s, rng.uniform(0.8, 1.4))])
    return events(s, rate, starts, note)
