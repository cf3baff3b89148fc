"""The loss of a distillation from taggers.

Two heads read the tower while it learns, and are thrown away; texts are near what they mean.

    tower ─┬─ heads ─ logits, embedding      beside the teachers' own
           └─ projection ─ cosines to texts  beside  (log-probability less what is usual) · (classes of the text)

Knows nothing of how views are made.
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
    """What reads the tower: classes, and the teachers' embedding where they have one."""

    def __init__(self, width: int, classes: int, embedding: int | None) -> None:
        super().__init__()
        self.classes = nn.Linear(width, classes)
        self.embedding = None if embedding is None else nn.Linear(width, embedding)


@dataclass(frozen=True)
class TagStep:
    """How the gradient of a batch is computed.

    Attributes
    ----------
    half : torch.dtype, optional
        Of the towers' arithmetic, by autocast.
    """

    tokenize: Callable[[list[str]], Tokens]
    heads: Heads
    usual: TeacherStatistics
    parts: Tags
    augment: Augment = field(default_factory=Augment)
    half: torch.dtype | None = None
    scale_loss: Callable[[Tensor], Tensor] = field(default=lambda loss: loss, kw_only=True)

    def gradients(self, model: CLAPModel, batch: TagBatch, seed: int) -> float:
        """Add the gradient of a batch to those of model and heads → its loss. The same seed, the same gradient."""
        torch.manual_seed(seed)
        device = model.logit_scale.device
        with torch.autocast(device.type, self.half, enabled=self.half is not None):
            loss = self.loss(model, batch, seed)
        self.scale_loss(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def loss(self, model: CLAPModel, batch: TagBatch, seed: int = 0) -> Tensor:
        """All parts of it whose weight is not 0."""
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
        parts, deviation = self.parts, self.usual.logit_deviation.to(said)
        probability = wanted.sigmoid()
        least = F.binary_cross_entropy_with_logits(wanted, probability, reduction="none")  # that of the teacher itself
        more = F.binary_cross_entropy_with_logits(said, probability, reduction="none") - least
        apart = F.smooth_l1_loss(said / deviation, wanted / deviation)
        return parts.classes * more.sum(1).mean() + parts.logits * apart

    def _embedding(self, features: Tensor, wanted: Tensor) -> Tensor:
        usual = self.usual
        assert self.heads.embedding is not None
        assert usual.embedding is not None
        assert usual.embedding_deviation is not None
        said = self.heads.embedding(features).float()
        return F.smooth_l1_loss(said, (wanted - usual.embedding.to(wanted)) / usual.embedding_deviation.to(wanted))

    def _texts(self, model: CLAPModel, features: Tensor, batch: TagBatch) -> Tensor:
        device = model.logit_scale.device
        ids, mask = (part.to(device) for part in self.tokenize(batch.texts))
        audio = F.normalize(model.audio_projection(features).float(), dim=1)
        text = model.encode_text(ids, mask).float()
        scale = model.logit_scale.exp()
        more = F.logsigmoid(batch.logits.to(device)) - self.usual.log_probability.to(device)  # than usual
        meant = more @ batch.weights.to(device).T / self.parts.temperature  # (B, M)
        own = scale * audio @ text.T
        return (divergence(own, meant) + divergence(own.T, meant.T)) / 2
