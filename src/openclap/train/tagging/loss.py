"""The loss of a distillation from taggers.

Two heads learn the answers of the taggers from the features of the tower, and are thrown away at the end; texts move
near the clips that hold their classes.

    tower ─┬─ heads ─ logits, embedding      compared with those of the teachers
           └─ projection ─ cosines to texts  compared with  (log-probability - its mean) · (classes of the text)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.models.clap import CLAPModel
from openclap.train.augment import spec_augment
from openclap.train.loss import divergence
from openclap.train.settings import Augment
from openclap.train.step import Tokens
from openclap.train.tagging.settings import Tags
from openclap.train.tagging.tag_batches import TagBatch, TeacherStatistics

__all__ = ["Heads", "TagStep"]


class Heads(nn.Module):
    """Linear layers on the tower: one for the classes, and one for the teachers' embedding where they have one."""

    def __init__(self, width: int, classes: int, embedding: int | None) -> None:
        super().__init__()
        self.classes = nn.Linear(width, classes)
        self.embedding = None if embedding is None else nn.Linear(width, embedding)


@dataclass(frozen=True)
class TagStep:
    """Computes the gradient of a batch; the fields are as in `openclap.train.step.TowersStep`."""

    tokenize: Callable[[list[str]], Tokens]
    heads: Heads
    statistics: TeacherStatistics
    parts: Tags
    augment: Augment = field(default_factory=Augment)
    autocast_dtype: torch.dtype | None = None
    scale_loss: Callable[[Tensor], Tensor] = field(default=lambda loss: loss, kw_only=True)

    def gradients(self, model: CLAPModel, batch: TagBatch, seed: int) -> float:
        """Add the gradient of a batch to those of model and heads → the loss. The same seed gives the same gradient."""
        torch.manual_seed(seed)
        device = model.logit_scale.device
        with torch.autocast(device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
            loss = self.loss(model, batch, seed)
        self.scale_loss(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def loss(self, model: CLAPModel, batch: TagBatch, seed: int = 0) -> Tensor:
        """Add up the parts of the loss whose weight is not 0."""
        parts, device = self.parts, model.logit_scale.device
        masked = spec_augment(self.augment, np.random.default_rng((seed, 1)))
        features: Tensor = model.audio(batch.mel.to(device), batch.longer.to(device), masked)  # (B, D)
        wanted = batch.logits.to(device)
        loss: Tensor = features.new_zeros((), dtype=torch.float32)
        if parts.classes or parts.logits:
            loss = loss + self._classes(self.heads.classes(features).float(), wanted)
        if parts.embedding and self.heads.embedding is not None and batch.embedding is not None:
            loss = loss + parts.embedding * self._embedding(features, batch.embedding.to(device))
        if parts.text:
            loss = loss + parts.text * self._texts(model, features, batch)
        return loss

    def _classes(self, said: Tensor, wanted: Tensor) -> Tensor:
        parts, deviation = self.parts, self.statistics.logit_deviation.to(said)
        probability = wanted.sigmoid()
        least = F.binary_cross_entropy_with_logits(wanted, probability, reduction="none")  # the teacher's own loss
        more = F.binary_cross_entropy_with_logits(said, probability, reduction="none") - least
        apart = F.smooth_l1_loss(said / deviation, wanted / deviation)
        return parts.classes * more.sum(1).mean() + parts.logits * apart

    def _embedding(self, features: Tensor, wanted: Tensor) -> Tensor:
        statistics = self.statistics
        assert self.heads.embedding is not None
        assert statistics.embedding is not None
        assert statistics.embedding_deviation is not None
        said = self.heads.embedding(features).float()
        return F.smooth_l1_loss(
            said, (wanted - statistics.embedding.to(wanted)) / statistics.embedding_deviation.to(wanted)
        )

    def _texts(self, model: CLAPModel, features: Tensor, batch: TagBatch) -> Tensor:
        device = model.logit_scale.device
        ids, mask = (part.to(device) for part in self.tokenize(batch.texts))
        audio = F.normalize(model.audio_projection(features).float(), dim=1)
        text = model.encode_text(ids, mask).float()
        scale = model.logit_scale.exp()
        more = F.logsigmoid(batch.logits.to(device)) - self.statistics.log_probability.to(
            device
        )  # compared with the mean
        meant = more @ batch.weights.to(device).T / self.parts.temperature  # (B, M)
        own = scale * audio @ text.T
        return (divergence(own, meant) + divergence(own.T, meant.T)) / 2
