"""The loss of a distillation: what a student says of clips and texts, beside what its teacher said.

Knows nothing of how it was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from openclap.models.clap import CLAPModel
from openclap.train.batch import Batch
from openclap.train.distillation.distill_batches import DistillBatch
from openclap.train.distillation.settings import Distill
from openclap.train.loss import divergence
from openclap.train.step import TowersStep

__all__ = ["DistillStep"]


@dataclass(frozen=True)
class DistillStep(TowersStep):
    """The gradient of a batch whose rows the teacher has heard."""

    parts: Distill = field(default_factory=Distill)

    def loss(self, model: CLAPModel, audio: Tensor, text: Tensor, batch: Batch) -> Tensor:
        """A part is not computed where its weight is 0; where no text was embedded, the tower is the teacher's, and known."""
        assert isinstance(batch, DistillBatch)
        gather, parts = self.ranks.gather, self.parts
        heard, said = gather(batch.heard.to(audio)), gather(batch.said.to(audio))
        audio, text = gather(audio), gather(text) if len(text) else said
        scale = model.logit_scale.detach().exp()
        loss = audio.new_zeros(())
        if parts.audio:
            loss = loss + parts.audio * (1 - (audio * heard).sum(1)).mean()
        if parts.text:
            loss = loss + parts.text * (1 - (text * said).sum(1)).mean()
        if parts.relations:
            own, its = scale * audio @ text.T, scale * heard @ said.T
            loss = loss + parts.relations * (divergence(own, its) + divergence(own.T, its.T)) / 2
        if parts.contrast:
            loss = loss + parts.contrast * divergence(scale * audio @ heard.T, scale * heard @ heard.T)
        return loss
