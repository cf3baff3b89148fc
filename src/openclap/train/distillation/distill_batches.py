"""Batches of a distillation: varied crops, with the teacher's embeddings of the same spans unvaried; and texts.

recording ─ one of the teacher's windows ─ crop, stretch, pitch ─ room, equaliser, noise ─┐
                     └ the teacher's vector of it ───────────────────────────────────────┴─ a row of the batch
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openclap.config import CLAPConfig
from openclap.train.batch import NO_LABELS, Batch
from openclap.train.batches import Batches
from openclap.train.distillation.teacher import Teacher, TeacherEmbedding
from openclap.train.distributed import Ranks
from openclap.train.examples import Example
from openclap.train.mel_cache import MelCache
from openclap.train.settings import Settings
from openclap.train.text_files import read_phrases, read_texts
from openclap.train.views import TRIES

__all__ = ["DistillBatch", "DistillBatches", "TextSampler"]

Vector = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class DistillBatch(Batch):
    """A batch with the teacher's embeddings of its clips and texts."""

    teacher_audio: Tensor  # (B, E) of the clips
    teacher_text: Tensor  # (M, E) of the texts


class TextSampler:
    """Draws texts to learn from: captions, phrases and files of texts, some of them in templates.

    Raises
    ------
    TrainingError
        A file is missing, or a CSV has no column of texts.
    """

    def __init__(self, settings: Settings, files: Sequence[str], examples: Sequence[Example]) -> None:
        phrases = read_phrases([settings.resolve(p) for p in settings.phrases])
        found = [text for texts in phrases.values() for text in texts]
        found += [text for example in examples for text in example.captions]
        for file in files:
            found += read_texts(settings.resolve(file))
        self.texts = list(dict.fromkeys(found))
        templates = [t for t in settings.templates if t != "{}"]
        self._share = settings.template_share if templates else 0.0
        self._templates = templates

    @property
    def all(self) -> list[str]:
        """Every text that can be drawn."""
        filled = [t.replace("{}", text) for t in self._templates for text in self.texts] if self._share else []
        return list(dict.fromkeys([*self.texts, *filled]))

    def draw(self, own: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
        """Draw `count` texts, or fewer where there are not enough: `own` first, then others, some in a template."""
        known = set(own)
        tried = rng.choice(len(self.texts), min(count + len(known), len(self.texts)), replace=False)
        others = [text for text in (self.texts[int(i)] for i in tried) if text not in known]
        chosen = [*dict.fromkeys(own), *others][: max(count, len(known))]
        return [
            str(rng.choice(self._templates)).replace("{}", text) if rng.random() < self._share else text
            for text in chosen
        ]


class DistillBatches(Batches):
    """The batches of a distillation; `texts` is None where the loss needs no texts."""

    def __init__(
        self,
        examples: Sequence[Example],
        mels: MelCache,
        settings: Settings,
        config: CLAPConfig,
        ranks: Ranks,
        teacher: Teacher,
        texts: TextSampler | None,
    ) -> None:
        super().__init__(examples, mels, settings, config, ranks)
        self._teacher = teacher
        self._text_sampler = texts

    def batch(self, chosen: list[Example], rng: np.random.Generator) -> DistillBatch:
        """Make a batch of clips and texts, with the teacher's embeddings of both."""
        shown = [self._draw_view(example, rng) for example in chosen]
        power, longer = self.views.stack_views([views for views, _ in shown], rng)
        texts = self._draw_texts(chosen, rng)
        heard = torch.from_numpy(np.stack([vector for _, vector in shown]))
        said = torch.from_numpy(self._teacher.text_embeddings(texts)) if texts else heard.new_zeros(0, heard.shape[1])
        return DistillBatch(self.views.augment(power, rng), longer, texts, NO_LABELS, heard, said)

    def _draw_texts(self, chosen: Sequence[Example], rng: np.random.Generator) -> list[str]:
        if self._text_sampler is None:
            return []
        own = [str(rng.choice(example.captions)) for example in chosen if example.captions]
        return self._text_sampler.draw(own, len(chosen) + self.settings.extra_texts, rng)

    def _draw_view(self, example: Example, rng: np.random.Generator) -> tuple[Tensor, Vector]:
        """Draw a crop (1, T, F), or a long recording as a whole (4, T, F), with the teacher's vector of it (E,)."""
        power, heard = self.mel(example), self._teacher.embedding_of(example.key)
        speed, shift = self.views.draw_speed_and_shift(rng)
        whole = self.views.long_views(power, shift, rng)
        return self._window(power, heard, speed, shift, rng) if whole is None else (whole, heard.whole)

    def _window(
        self, power: Tensor, heard: TeacherEmbedding, speed: float, shift: float, rng: np.random.Generator
    ) -> tuple[Tensor, Vector]:
        """Draw one of the teacher's windows in which something is heard; a stretched crop keeps its middle."""
        views = self.views
        if len(heard.starts) == 1:  # a short recording is repeated, so a crop may begin anywhere
            return views.crop(power, float(rng.uniform(0, len(power))), speed, shift), heard.rows[0]
        tried = rng.integers(len(heard.starts), size=TRIES)
        begins = np.array(heard.starts)[tried] * views.frames_per_second
        number = int(tried[int(np.flatnonzero(begins == views.find_heard_start(power, begins))[0])])
        start = heard.starts[number] * views.frames_per_second + (1 - speed) * views.frames / 2
        start = min(max(start, 0.0), max(len(power) - speed * views.frames, 0.0))
        return views.crop(power, start, speed, shift), heard.rows[number]
