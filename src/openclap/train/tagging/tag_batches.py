"""Batches of a distillation from taggers: mixtures of sounds, the teachers' answers, and texts with their classes.

example ┐
others  ┴─ mixer ─ wave ─┬─ teachers ─ logits, embedding
                         └─ mel of the student
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from openclap.audio.load import load
from openclap.audio.mel import log_mel
from openclap.config import CLAPConfig, FrontEnd
from openclap.errors import SoundError
from openclap.train.batch import NO_LABELS, Batch
from openclap.train.batches import Batches
from openclap.train.distributed import Ranks
from openclap.train.examples import Example
from openclap.train.mel_cache import MelCache
from openclap.train.tagging.class_texts import ClassTexts
from openclap.train.tagging.mixing import Mixer
from openclap.train.tagging.settings import TagSettings
from openclap.train.tagging.taggers import TaggerEnsemble

__all__ = ["TagBatch", "TagBatches", "TeacherStatistics", "WaveCache"]

Wave = npt.NDArray[np.float32]
TRIES = 4  # spans of a recording that are drawn, until something is heard in one
QUIET = 1e-4  # a span with a lower peak is taken for silence
STATISTICS_VIEWS = 256  # mixtures that the statistics of the teachers are computed from, at least


@dataclass(frozen=True)
class TagBatch(Batch):
    """A batch with the teachers' answers to its clips, and the classes that its texts mean."""

    logits: Tensor  # (B, C)
    embedding: Tensor | None  # (B, K)
    weights: Tensor  # (M, C)


@dataclass(frozen=True)
class TeacherStatistics:
    """Mean and deviation of the teachers' answers over many mixtures, which the loss compares answers with."""

    log_probability: Tensor  # (C,)
    logit_deviation: Tensor  # (C,)
    embedding: Tensor | None  # (K,)
    embedding_deviation: Tensor | None


class WaveCache:
    """Recordings as samples, each decoded once where they fit in memory."""

    def __init__(self, rate: int, memory: int) -> None:
        self._rate, self._room = rate, memory
        self._kept: dict[str, npt.NDArray[np.int16]] = {}
        self._lock = threading.Lock()

    def get(self, example: Example) -> Wave:
        """The samples of a recording, float32 (S,); raises SoundError where it cannot be read."""
        samples = self._kept.get(example.key)
        if samples is None:
            wave = load(example.item.read(), self._rate)
            samples = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
            with self._lock:
                if self._room >= samples.nbytes:
                    self._kept[example.key] = samples
                    self._room -= samples.nbytes
        return np.asarray(samples, np.float32) / np.float32(32767)


class TagBatches(Batches):
    """The batches of a distillation from taggers; the teachers are asked for each."""

    def __init__(
        self,
        examples: Sequence[Example],
        mels: MelCache,
        settings: TagSettings,
        config: CLAPConfig,
        ranks: Ranks,
        teacher: TaggerEnsemble,
        words: ClassTexts,
    ) -> None:
        super().__init__(examples, mels, settings, config, ranks)
        self._front_end: FrontEnd = config.front_end
        self._teacher, self._words, self._tags = teacher, words, settings.tags
        rate = config.front_end.sampling_rate
        self._mixer = Mixer(settings.play, round(settings.crop_seconds * rate), rate)
        self._waves = WaveCache(rate, int(settings.memory_gb * 2**30))
        self._teacher_lock = threading.Lock()

    def batch(self, chosen: list[Example], rng: np.random.Generator) -> TagBatch:
        """Make a batch: mixtures that hold these sounds, the teachers' answers to them, and texts."""
        waves = np.stack([self._mix_waves(example, rng) for example in chosen])
        with self._teacher_lock:
            said = self._teacher.answer(waves)
        power = [torch.from_numpy(self._power(wave))[None] for wave in waves]
        mel, longer = self.views.stack_views(power, rng)
        texts, weights = self._words.draw(self._tags.text_count, rng)
        embedding = None if said.embedding is None else torch.from_numpy(said.embedding)
        return TagBatch(
            self.views.augment(mel, rng),
            longer,
            texts,
            NO_LABELS,
            torch.from_numpy(said.logits),
            embedding,
            torch.from_numpy(weights),
        )

    def teacher_statistics(self) -> TeacherStatistics:
        """The statistics of the teachers over some mixtures, which are the same in all processes."""
        rng = np.random.default_rng((self.settings.seed, 2**32))
        logits, embeddings = [], []
        for _ in range(-(-STATISTICS_VIEWS // self.settings.batch_size)):
            chosen = [self._readable(int(i)) for i in rng.integers(len(self.examples), size=self.settings.batch_size)]
            said = self._teacher.answer(np.stack([self._mix_waves(example, rng) for example in chosen]))
            logits.append(torch.from_numpy(said.logits))
            if said.embedding is not None:
                embeddings.append(torch.from_numpy(said.embedding))
        every = torch.cat(logits)
        heard = torch.cat(embeddings) if embeddings else None
        return TeacherStatistics(
            torch.nn.functional.logsigmoid(every).mean(0),
            every.std(0).clamp(min=1e-2),
            None if heard is None else heard.mean(0),
            None if heard is None else heard.std(0).clamp(min=1e-3),
        )

    def _mix_waves(self, example: Example, rng: np.random.Generator) -> Wave:
        others = [self._readable(int(i)) for i in rng.integers(len(self.examples), size=self._mixer.count(rng) - 1)]
        return self._mixer.mix([self._spans(one) for one in (example, *others)], rng)

    def _spans(self, example: Example) -> Callable[[int, np.random.Generator], Wave]:
        return partial(self._span, example)

    def _span(self, example: Example, samples: int, rng: np.random.Generator) -> Wave:
        """Draw a span of a recording in which something is heard; silence where the recording has gone meanwhile."""
        try:
            wave = self._waves.get(example)
        except SoundError:
            return np.zeros(1, np.float32)
        spare = len(wave) - samples
        for _ in range(TRIES):
            begin = int(rng.integers(spare + 1)) if spare > 0 else 0
            part = wave[begin : begin + samples]
            if np.abs(part).max(initial=0.0) > QUIET:
                break
        return part

    def _power(self, wave: Wave) -> Wave:
        return np.power(10, np.asarray(log_mel(wave, self._front_end)) / 10).astype(np.float32)
