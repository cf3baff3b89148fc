"""Make batches of mels and captions from examples, drawn anew in every epoch.

What a batch holds is decided by (seed, epoch, step) alone, so a resumed run sees the batches of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from openclap.config import CLAPConfig
from openclap.prefetch import prefetch
from openclap.train.augment import steadiness
from openclap.train.batch import Batch, PairLabels
from openclap.train.captions import Captions
from openclap.train.distributed import Ranks
from openclap.train.examples import Example
from openclap.train.mel_cache import MelCache
from openclap.train.settings import Settings
from openclap.train.views import Views

__all__ = ["Batches"]


class Batches:
    """The batches of a run; `epoch(n)` gives those of epoch n."""

    def __init__(
        self,
        examples: Sequence[Example],
        mels: MelCache,
        settings: Settings,
        config: CLAPConfig,
        ranks: Ranks | None = None,
    ) -> None:
        self.examples = list(examples)
        self.captions = Captions(examples, settings)
        self.settings = settings
        self.views = Views(settings, config)
        self.mels = mels
        self._rank, self._world = (ranks.rank, ranks.world) if ranks is not None else (0, 1)

    @property
    def steps(self) -> int:
        """Full batches in an epoch; the examples that do not fill the last one are others each time."""
        return len(self.examples) // self.settings.batch_size

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `start` on: of each batch, the part of this rank.

        Every epoch has its own order. Threads make some batches ahead.
        """
        size = self.settings.batch_size // self._world
        order = np.random.default_rng((self.settings.seed, number)).permutation(len(self.examples))
        first = self._rank * size

        def make_batch(step: int) -> Batch:
            place = step * self.settings.batch_size + first
            rng = np.random.default_rng((self.settings.seed, number, step + 1, *([self._rank] if self._rank else [])))
            return self.batch([self._readable(int(i)) for i in order[place : place + size]], rng)

        workers = self.settings.workers
        steps = range(start, self.steps)
        return prefetch(make_batch, steps, threads=workers, ahead=workers + 1, thread_name_prefix="openclap-batches")

    def batch(self, chosen: list[Example], rng: np.random.Generator) -> Batch:
        """Make one batch of these examples; subclasses make other kinds of batches."""
        power, longer = self.views.stack_views(
            [self.views.draw_views(self.mel(example), rng) for example in chosen], rng
        )
        concepts, texts = self._texts(chosen, rng)
        power, texts, partner = self._mix(power, texts, rng)
        power, background = self._add_background(power, rng)
        return Batch(self.views.augment(power, rng), longer, texts, self._pair_labels(concepts, partner, background))

    def mel(self, example: Example) -> Tensor:
        """The power mel (T, F) of an example that can be read."""
        power = self.mels.get(example.key)
        assert power is not None, example.key
        return power

    def _readable(self, number: int) -> Example:
        """The example of this number, or the next one that can be read."""
        while self.mels.get(self.examples[number].key) is None:
            number = (number + 1) % len(self.examples)
        return self.examples[number]

    def _texts(self, chosen: list[Example], rng: np.random.Generator) -> tuple[list[str], list[str]]:
        """Draw one caption for each clip and some of other concepts → the concepts, and the captions."""
        concepts = [example.concept for example in chosen]
        others = sorted(set(self.captions.concepts) - set(concepts))
        extra = min(self.settings.extra_texts, len(others))
        concepts += [str(c) for c in rng.choice(others, extra, replace=False)] if extra else []
        return concepts, [self.captions.draw(concept, rng) for concept in concepts]

    def _mix(
        self, power: Tensor, texts: list[str], rng: np.random.Generator
    ) -> tuple[Tensor, list[str], dict[int, int]]:
        """Mix some rows with another row and join their captions → power, captions, the partner of each mixed row."""
        rows = len(power)
        share = self.settings.augment.mix_share if rows > 1 else 0.0
        mixed = np.flatnonzero(rng.random(rows) < share)
        others = (mixed + rng.integers(1, rows, len(mixed))) % rows
        gains = 10 ** (rng.uniform(*self.settings.augment.mix_gain_db, len(mixed)) / 10)
        loudness = power.mean((1, 2, 3)).clamp(min=1e-12)
        sounds, captions = power.clone(), list(texts)
        for row, other, gain in zip(mixed, others, gains, strict=True):
            sounds[row] = power[row] + float(gain) * (loudness[row] / loudness[other]) * power[other]
            captions[row] = f"{texts[row]} and {texts[other]}"
        return sounds, captions, dict(zip(mixed.tolist(), others.tolist(), strict=True))

    def _add_background(self, power: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[int, int]]:
        """Put another row under some rows without naming it in the caption → power, and the row under each of these.

        Steady sounds, such as rain, are chosen more often.
        """
        augment, rows = self.settings.augment, len(power)
        if not augment.under_share or rows < 2:
            return power, {}
        chosen = np.flatnonzero(rng.random(rows) < augment.under_share)
        gains = 10 ** (-rng.uniform(*augment.under_snr_db, len(chosen)) / 10)
        steady, loudness = steadiness(power), power.mean((1, 2, 3)).clamp(min=1e-12)
        sounds, background = power.clone(), {}
        for row, gain in zip(chosen.tolist(), gains, strict=True):
            likely = np.where(np.arange(rows) == row, 0.0, steady)
            other = int(rng.choice(rows, p=likely / likely.sum()))
            sounds[row] = power[row] + float(gain) * (loudness[row] / loudness[other]) * power[other]
            background[row] = other
        return sounds, background

    def _pair_labels(self, concepts: list[str], partner: dict[int, int], background: dict[int, int]) -> PairLabels:
        clips = self.settings.batch_size // self._world
        text_concepts = torch.tensor([self.captions.number_of(concept) for concept in concepts])
        clip_concepts = torch.full((clips, 3), -1)
        clip_concepts[:, 0] = text_concepts[:clips]
        for column, pairs in ((1, partner), (2, background)):
            for row, other in pairs.items():
                clip_concepts[row, column] = text_concepts[other] if text_concepts[other] != text_concepts[row] else -1
        is_mixture = torch.zeros(len(text_concepts), dtype=torch.bool)
        is_mixture[list(partner)] = True
        families = self.captions.families
        none = torch.full((families.shape[1],), -1)
        return PairLabels(
            clip_concepts,
            text_concepts,
            is_mixture,
            torch.where((clip_concepts >= 0)[..., None], families[clip_concepts], none),
            families[text_concepts],
        )
