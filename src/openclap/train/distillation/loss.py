"""The loss of a distillation: how far the student's embeddings of clips and texts are from those of its teacher."""

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
    """Computes the gradient of a batch that holds the teacher's embeddings."""

    parts: Distill = field(default_factory=Distill)

    def loss(self, model: CLAPModel, audio: Tensor, text: Tensor, batch: Batch) -> Tensor:
        """Add up the parts of the loss whose weight is not 0.

        Where no text was embedded, the student has the text tower of the teacher, and so its embeddings.
        """
        assert isinstance(batch, DistillBatch)
        gather, parts = self.ranks.gather, self.parts
        heard, said = gather(batch.teacher_audio.to(audio)), gather(batch.teacher_text.to(audio))
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
