"""Batches: examples → mels and captions, drawn anew at every epoch. Knows nothing of the model's towers.

What a batch holds is decided by (seed, epoch, step) alone, so a resumed run sees the batches of an uninterrupted one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from openclap.config import CLAPConfig
from openclap.train import augment as vary
from openclap.train.batch import Batch, Meaning
from openclap.train.captions import Captions
from openclap.train.examples import Example
from openclap.train.mels import Mels
from openclap.train.ranks import Ranks
from openclap.train.settings import Settings

__all__ = ["Batches"]

SILENCE = -99.9  # dB: nothing above the front end's floor
TRIES, ENOUGH = 6, 0.4  # a crop should hold this share of the recording's mean power; so often another is drawn


class Batches:
    """An endless supply of batches; `epoch(n)` are those of epoch n."""

    def __init__(
        self,
        examples: Sequence[Example],
        mels: Mels,
        settings: Settings,
        config: CLAPConfig,
        ranks: Ranks | None = None,
    ) -> None:
        self.examples = list(examples)
        self.captions = Captions(examples, settings)
        self.settings = settings
        self.fused = config.fusion is not None
        self._rank, self._world = (ranks.rank, ranks.world) if ranks is not None else (0, 1)
        self._mels = mels
        front_end = config.front_end
        self.frames = round(settings.crop_seconds * front_end.sampling_rate) // front_end.hop + 1
        self._frames_per_second = front_end.sampling_rate / front_end.hop
        self._dynamic_range = front_end.dynamic_range

    @property
    def steps(self) -> int:
        """Batches an epoch; a last one that is not full is left out, other examples each time."""
        return len(self.examples) // self.settings.batch_size

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `start`, in an order of its own: of each, the part of this rank.

        Some are made ahead, by threads.
        """
        size = self.settings.batch_size // self._world
        order = np.random.default_rng((self.settings.seed, number)).permutation(len(self.examples))
        first = self._rank * size

        def batch(step: int) -> Batch:
            place = step * self.settings.batch_size + first
            rng = np.random.default_rng((self.settings.seed, number, step + 1, *([self._rank] if self._rank else [])))
            return self._batch([self._readable(int(i)) for i in order[place : place + size]], rng)

        with ThreadPoolExecutor(self.settings.workers, "openclap-batches") as pool:
            ahead: deque[Future[Batch]] = deque()
            steps = iter(range(start, self.steps))
            try:
                ahead.extend(pool.submit(batch, step) for step in islice(steps, self.settings.workers + 1))
                while ahead:
                    made = ahead.popleft().result()
                    ahead.extend(pool.submit(batch, step) for step in islice(steps, 1))
                    yield made
            finally:
                for waiting in ahead:
                    waiting.cancel()

    def _readable(self, number: int) -> Example:
        """An example, or the next one that can be read."""
        while self._mels.get(self.examples[number].key) is None:
            number = (number + 1) % len(self.examples)
        return self.examples[number]

    def _batch(self, chosen: list[Example], rng: np.random.Generator) -> Batch:
        power, longer = self._stacked([self._views(example, rng) for example in chosen], rng)
        concepts, texts = self._texts(chosen, rng)
        power, texts, partner = self._mix(power, texts, rng)
        return Batch(self._varied(power, rng), longer, texts, self._meaning(concepts, partner))

    def _varied(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """(B, V, T, F) as another microphone in another place would have it, in dB."""
        augment = self.settings.augment
        if augment.room_share:
            power = vary.in_a_room(power, augment, self._frames_per_second, rng)
        if augment.equaliser_db:
            power = vary.equalise(power, augment.equaliser_db, rng)
        if augment.noise_share:
            power = vary.with_noise(power, augment, rng)
        if augment.gain_db:
            power = vary.louder(power, augment.gain_db, rng)
        return self._level(vary.to_decibel(power))

    def _stacked(self, shown: list[Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Views of each row (1 or 4, T, F) → (B, V, T, F), and which rows go through the fusion (B,)."""
        longer = torch.tensor([len(views) > 1 for views in shown])
        if self.fused and not longer.any():  # the fusion's weights must get a gradient from every batch
            longer[int(rng.integers(len(longer)))] = True
        if longer.any():
            shown = [views if len(views) > 1 else views.expand(4, -1, -1) for views in shown]
        return torch.stack(shown), longer

    def _views(self, example: Example, rng: np.random.Generator) -> Tensor:
        """(1, T, F), or (4, T, F) for a long recording that is shown whole: global, front, middle, back."""
        power = self._mels.get(example.key)
        assert power is not None
        augment = self.settings.augment
        speed = float(np.exp(rng.uniform(-augment.stretch, augment.stretch)))
        shift = float(rng.uniform(-augment.pitch_bins, augment.pitch_bins))
        whole = self.fused and rng.random() < self.settings.longer_share
        if whole and self.settings.lengthen is not None:
            power = self._lengthened(power, rng)
        if not (whole and len(power) > self.settings.longer_from * self.frames):
            return vary.crop(power, self.frames, self._start(power, rng), speed, shift)[None]
        return self._four(power, shift, rng)

    def _four(self, power: Tensor, shift: float, rng: np.random.Generator) -> Tensor:
        """A long recording (T, F) as the fusion takes it: (4, frames, F)."""
        spare = len(power) - self.frames
        thirds = np.array_split(np.arange(spare + 1), 3)
        starts = [float(rng.choice(third)) if len(third) else 0.0 for third in thirds]
        overall = vary.crop(power, self.frames, 0.0, (len(power) - 1) / max(self.frames - 1, 1), shift)
        return torch.stack([overall, *(vary.crop(power, self.frames, s, 1.0, shift) for s in starts)])

    def _lengthened(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """Repeat a recording to a random number of crops, from a random frame on; long ones stay."""
        settings = self.settings
        assert settings.lengthen is not None
        frames = round(float(rng.uniform(settings.longer_from, settings.lengthen)) * self.frames) + 1
        if len(power) >= frames:
            return power
        return vary.tile(power.roll(-int(rng.integers(len(power))), 0), frames)[:frames]

    def _start(self, power: Tensor, rng: np.random.Generator) -> float:
        """Where a crop begins: anywhere, but where something is heard.

        Recordings are often padded with silence; a crop of nothing but silence, levelled, looks like the
        loudest noise and taught an early mini that rain is a sneeze.
        """
        spare = len(power) - self.frames
        if spare <= 0:
            return float(rng.uniform(0, len(power)))
        return self._heard(power, rng.uniform(0, spare, TRIES))

    def _heard(self, power: Tensor, starts: npt.NDArray[np.float64]) -> float:
        """The first of some starts from which something is heard, else that of the loudest crop."""
        loudness = power.mean(1)
        enough = ENOUGH * float(loudness.mean())
        heard = [float(loudness[int(s) : int(s) + self.frames].mean()) for s in starts]
        return float(
            next(
                (s for s, level in zip(starts, heard, strict=True) if level > enough),
                starts[int(np.argmax(heard))],
            )
        )

    def _texts(self, chosen: list[Example], rng: np.random.Generator) -> tuple[list[str], list[str]]:
        """One caption a clip and some of other concepts: the concepts, and the captions."""
        concepts = [example.concept for example in chosen]
        others = sorted(set(self.captions.concepts) - set(concepts))
        extra = min(self.settings.extra_texts, len(others))
        concepts += [str(c) for c in rng.choice(others, extra, replace=False)] if extra else []
        return concepts, [self.captions.draw(concept, rng) for concept in concepts]

    def _mix(
        self, power: Tensor, texts: list[str], rng: np.random.Generator
    ) -> tuple[Tensor, list[str], dict[int, int]]:
        """Some rows play together with another row; their captions are joined. Which row plays with which is told too."""
        rows = len(power)
        share = self.settings.augment.mix_share if rows > 1 else 0.0
        mixed = np.flatnonzero(rng.random(rows) < share)
        others = (mixed + rng.integers(1, rows, len(mixed))) % rows
        gains = 10 ** (rng.uniform(*self.settings.augment.mix_gain_db, len(mixed)) / 10)
        loudness = power.mean((1, 2, 3)).clamp(min=1e-12)
        sounds, said = power.clone(), list(texts)
        for row, other, gain in zip(mixed, others, gains, strict=True):
            sounds[row] = power[row] + float(gain) * (loudness[row] / loudness[other]) * power[other]
            said[row] = f"{texts[row]} and {texts[other]}"
        return sounds, said, dict(zip(mixed.tolist(), others.tolist(), strict=True))

    def _meaning(self, concepts: list[str], partner: dict[int, int]) -> Meaning:
        clips = self.settings.batch_size // self._world
        said = torch.tensor([self.captions.number_of(concept) for concept in concepts])
        heard = torch.full((clips, 2), -1)
        heard[:, 0] = said[:clips]
        for row, other in partner.items():
            heard[row, 1] = said[other] if said[other] != said[row] else -1
        joined = torch.zeros(len(said), dtype=torch.bool)
        joined[list(partner)] = True
        families = self.captions.families
        none = torch.full((families.shape[1],), -1)
        return Meaning(heard, said, joined, torch.where((heard >= 0)[..., None], families[heard], none), families[said])

    def _level(self, decibel: Tensor) -> Tensor:
        if self._dynamic_range is None:
            return decibel
        loudest = decibel.amax((1, 2, 3), keepdim=True)
        levelled = (decibel - loudest).clamp(min=-self._dynamic_range)
        return torch.where(loudest > SILENCE, levelled, -self._dynamic_range)
