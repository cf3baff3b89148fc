"""Variations of power mels for training: another crop, speed, room, microphone, noise or loudness.

Everything here works on power (not dB), because powers of sounds that play at once add up. Every random number
comes from the generator that is passed in.

    power mel (T, F) ─ crop, stretch, pitch ─┬─ mix with another ─ room ─ equaliser ─ noise ─ gain ─ dB ─ (V, T, F)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from openclap.train.settings import Augment

__all__ = [
    "add_noise",
    "add_reverb",
    "change_gain",
    "crop",
    "equalise",
    "spec_augment",
    "steadiness",
    "tile",
    "to_decibel",
]

FLOOR = 1e-10  # of the front end: 10 * log10(FLOOR) = -100 dB


def tile(power: Tensor, frames: int) -> Tensor:
    """Repeat a recording (T, F) until it has at least `frames` frames."""
    return power.repeat(-(-frames // len(power)), 1) if len(power) < frames else power


def crop(power: Tensor, frames: int, start: float, speed: float, shift: float) -> Tensor:
    """Cut `frames` frames from frame `start` on, `speed` times as fast and `shift` mel bins higher → (frames, F).

    Both axes are interpolated linearly. After the end the recording begins again, as a repeated sound does.
    """
    at = start + speed * torch.arange(frames)
    low = at.floor().long()
    part = (at - low)[:, None].to(power.dtype)
    power = power[low % len(power)] * (1 - part) + power[(low + 1) % len(power)] * part
    if shift == 0:
        return power
    bins = power.shape[1]
    source = (torch.arange(bins) - shift).clamp(0, bins - 1)
    left = source.floor().long()
    weight = (source - left).to(power.dtype)
    return power[:, left] * (1 - weight) + power[:, (left + 1).clamp(max=bins - 1)] * weight


def equalise(power: Tensor, spread: float, rng: np.random.Generator) -> Tensor:
    """Pass each row of (B, V, T, F) through a smooth random frequency response; `spread` is its deviation in dB."""
    bins = power.shape[-1]
    knots = rng.normal(0.0, spread, (len(power), 6))
    at = np.linspace(0, 5, bins)
    curve = np.stack([np.interp(at, np.arange(6), row) for row in knots])  # (B, F) dB
    return power * torch.from_numpy(10 ** (curve / 10)).to(power.dtype)[:, None, None, :]


def add_reverb(power: Tensor, augment: Augment, frames_per_second: float, rng: np.random.Generator) -> Tensor:
    """Add the reverberation of a room to some rows of (B, V, T, F): power that decays by 60 dB in a random time.

    The total power of the tail is that of the direct sound times a random factor. Frames are smeared, not samples.
    """
    rows, views, frames, bins = power.shape
    chosen = rng.random(rows) < augment.room_share
    shortest, longest = augment.room_seconds
    seconds = shortest * (longest / shortest) ** rng.random(rows)
    wet = 10 ** (rng.uniform(*augment.room_db, rows) / 10) * chosen
    length = min(frames, 1 + int(np.ceil(longest * frames_per_second)))
    after = np.arange(length) / frames_per_second
    tail = 10 ** (-6 * after / seconds[:, None])
    tail *= (wet / tail.sum(1))[:, None]
    tail[:, 0] += 1.0
    kernel = torch.from_numpy(tail[:, ::-1].copy()).to(power.dtype)[:, None]  # (B, 1, K)
    lines = power.permute(1, 3, 0, 2).reshape(views * bins, rows, frames)
    heard = F.conv1d(F.pad(lines, (length - 1, 0)), kernel, groups=rows)
    return heard.reshape(views, bins, rows, frames).permute(2, 0, 3, 1)


def change_gain(power: Tensor, most: float, rng: np.random.Generator) -> Tensor:
    """Make each row of (B, V, T, F) louder or softer by up to `most` dB."""
    gain = 10 ** (rng.uniform(-most, most, len(power)) / 10)
    return power * torch.from_numpy(gain).to(power.dtype)[:, None, None, None]


def add_noise(power: Tensor, augment: Augment, rng: np.random.Generator) -> Tensor:
    """Add steady noise of a random spectral tilt to some rows of (B, V, T, F), at a random signal-to-noise ratio."""
    rows, _, frames, bins = power.shape
    chosen = rng.random(rows) < augment.noise_share
    snr = rng.uniform(*augment.noise_snr_db, rows)
    tilt = rng.uniform(-12, 12, (rows, 1)) * np.linspace(-1, 1, bins)  # dB over the mel axis
    shape = 10 ** (tilt / 10)
    loudness = power.mean((1, 2, 3)).numpy() * 10 ** (-snr / 10) * chosen
    level = loudness[:, None] * shape / shape.mean(1, keepdims=True)  # (B, F)
    grain = rng.gamma(3.0, 1 / 3.0, (rows, 1, frames, bins)).astype(np.float32)  # noise over time, mean 1
    return power + torch.from_numpy(level.astype(np.float32))[:, None, None, :] * torch.from_numpy(grain)


def steadiness(power: Tensor) -> npt.NDArray[np.float64]:
    """How steady each row of (B, V, T, F) is, in (0, 1] (B,): the geometric over the arithmetic mean of its loudness.

    1 means that the loudness never changes, as in rain.
    """
    loudness = power.mean((1, 3)).double().clamp(min=1e-12)  # (B, T)
    return (loudness.log().mean(1).exp() / loudness.mean(1)).clamp(1e-3, 1.0).numpy()


def to_decibel(power: Tensor) -> Tensor:
    """Turn power into dB, with the floor of the front end."""
    return 10 * power.clamp(min=FLOOR).log10()


def spec_augment(augment: Augment, rng: np.random.Generator) -> Callable[[Tensor], Tensor] | None:
    """Make SpecAugment as in the paper: it sets stripes of time and of mel bins to zero, after the batch norm."""
    if not (augment.time_masks or augment.mel_masks):
        return None

    def mask(mel: Tensor) -> Tensor:  # (B, V, T, F)
        keep = np.ones((len(mel), 1, mel.shape[2], mel.shape[3]), np.float32)
        for row in keep:
            _stripes(row[0], augment.time_masks, augment.time_mask_frames, rng)
            _stripes(row[0].T, augment.mel_masks, augment.mel_mask_bins, rng)
        return mel * torch.from_numpy(keep).to(mel.device)

    return mask


def _stripes(
    image: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    count: int,
    widest: int,
    rng: np.random.Generator,
) -> None:
    for _ in range(count):
        width = int(rng.integers(0, min(widest, len(image)) + 1))
        begin = int(rng.integers(0, len(image) - width + 1))
        image[begin : begin + width] = 0
