"""Make the views of recordings that a model trains on: crops, or four views of a long recording, varied and in dB.

recording (T, F) ─ crop, stretch, pitch ─┬─ (1, frames, F) ─┬─ stacked ─ room ─ equaliser ─ noise ─ gain ─ dB
                 └ long, a fused model ──┴─ (4, frames, F) ─┘
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from openclap.config import CLAPConfig
from openclap.train import augment as vary
from openclap.train.settings import Settings

__all__ = ["TRIES", "Views"]

SILENCE = -99.9  # dB; below this, nothing is above the floor of the front end
TRIES = 6  # starts that are drawn for a crop
ENOUGH = 0.4  # a crop should hold this share of the recording's mean power


class Views:
    """Makes the views of recordings. Every random number comes from the generator that is passed in.

    Attributes
    ----------
    frames
        The length of a crop.
    fused
        Whether the model has a fusion, and so takes long recordings whole.
    """

    def __init__(self, settings: Settings, config: CLAPConfig) -> None:
        front_end = config.front_end
        self._settings = settings
        self.fused = config.fusion is not None
        self.frames = round(settings.crop_seconds * front_end.sampling_rate) // front_end.hop + 1
        self.frames_per_second = front_end.sampling_rate / front_end.hop
        self._dynamic_range = front_end.dynamic_range

    def draw_speed_and_shift(self, rng: np.random.Generator) -> tuple[float, float]:
        """Draw how much faster a crop is played, and how many mel bins higher."""
        augment = self._settings.augment
        speed = float(np.exp(rng.uniform(-augment.stretch, augment.stretch)))
        return speed, float(rng.uniform(-augment.pitch_bins, augment.pitch_bins))

    def long_views(self, power: Tensor, shift: float, rng: np.random.Generator) -> Tensor | None:
        """The four views (4, frames, F) of a long recording (T, F) for the fusion; None where a crop is to be used."""
        settings = self._settings
        if not (self.fused and rng.random() < settings.longer_share):
            return None
        longer = power if settings.lengthen is None else self._lengthen(power, settings.lengthen, rng)
        return self._four_views(longer, shift, rng) if len(longer) > settings.longer_from * self.frames else None

    def draw_views(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """The views of a recording (T, F): four (4, frames, F) where it is shown whole, else a crop (1, frames, F)."""
        speed, shift = self.draw_speed_and_shift(rng)
        whole = self.long_views(power, shift, rng)
        return self.crop(power, self._draw_start(power, rng), speed, shift) if whole is None else whole

    def crop(self, power: Tensor, start: float, speed: float, shift: float) -> Tensor:
        """Cut one crop of a recording (T, F) → (1, frames, F)."""
        return vary.crop(power, self.frames, start, speed, shift)[None]

    def stack_views(self, shown: list[Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Stack the views of all rows (1 or 4, T, F) → (B, V, T, F), and which rows go through the fusion (B,)."""
        longer = torch.tensor([len(views) > 1 for views in shown])
        if self.fused and not longer.any():  # the fusion needs a gradient from every batch
            longer[int(rng.integers(len(longer)))] = True
        if longer.any():
            shown = [views if len(views) > 1 else views.expand(4, -1, -1) for views in shown]
        return torch.stack(shown), longer

    def augment(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """Vary (B, V, T, F) as another microphone in another place would, and turn it into dB."""
        augment = self._settings.augment
        if augment.room_share:
            power = vary.add_reverb(power, augment, self.frames_per_second, rng)
        if augment.equaliser_db:
            power = vary.equalise(power, augment.equaliser_db, rng)
        if augment.noise_share:
            power = vary.add_noise(power, augment, rng)
        if augment.gain_db:
            power = vary.change_gain(power, augment.gain_db, rng)
        return self._limit_range(vary.to_decibel(power))

    def find_heard_start(self, power: Tensor, starts: npt.NDArray[np.float64]) -> float:
        """The first of these starts whose crop is loud enough, else the start of the loudest crop."""
        loudness = power.mean(1)
        enough = ENOUGH * float(loudness.mean())
        heard = [float(loudness[int(s) : int(s) + self.frames].mean()) for s in starts]
        return float(
            next(
                (s for s, level in zip(starts, heard, strict=True) if level > enough),
                starts[int(np.argmax(heard))],
            )
        )

    def _four_views(self, power: Tensor, shift: float, rng: np.random.Generator) -> Tensor:
        """Four views (4, frames, F) of a long recording (T, F): all of it, and a crop from each third."""
        spare = len(power) - self.frames
        thirds = np.array_split(np.arange(spare + 1), 3)
        starts = [float(rng.choice(third)) if len(third) else 0.0 for third in thirds]
        overall = vary.crop(power, self.frames, 0.0, (len(power) - 1) / max(self.frames - 1, 1), shift)
        return torch.stack([overall, *(vary.crop(power, self.frames, s, 1.0, shift) for s in starts)])

    def _lengthen(self, power: Tensor, most: float, rng: np.random.Generator) -> Tensor:
        """Repeat a recording to a random number of crops, beginning at a random frame; leave long ones as they are."""
        frames = round(float(rng.uniform(self._settings.longer_from, most)) * self.frames) + 1
        if len(power) >= frames:
            return power
        return vary.tile(power.roll(-int(rng.integers(len(power))), 0), frames)[:frames]

    def _draw_start(self, power: Tensor, rng: np.random.Generator) -> float:
        """Draw where a crop begins, so that something is heard in it.

        Recordings are often padded with silence. A crop of silence, once it is levelled, looks like loud noise, and a
        model would learn that noise has the caption of that recording.
        """
        spare = len(power) - self.frames
        if spare <= 0:
            return float(rng.uniform(0, len(power)))
        return self.find_heard_start(power, rng.uniform(0, spare, TRIES))

    def _limit_range(self, decibel: Tensor) -> Tensor:
        if self._dynamic_range is None:
            return decibel
        loudest = decibel.amax((1, 2, 3), keepdim=True)
        levelled = (decibel - loudest).clamp(min=-self._dynamic_range)
        return torch.where(loudest > SILENCE, levelled, -self._dynamic_range)
