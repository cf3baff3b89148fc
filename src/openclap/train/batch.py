"""One batch of training: mels, texts, and which text describes which clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from openclap.train.distributed import Ranks

__all__ = ["NO_LABELS", "Batch", "PairLabels", "positives_and_ignored"]


@dataclass(frozen=True)
class Batch:
    """The mels and texts of one training step, and how they belong together."""

    mel: Tensor  # (B, V, T, F) in dB, V 1 or 4
    longer: Tensor  # (B,) bool: rows that go through the fusion
    texts: list[str]  # M >= B: one for each clip, then texts of other concepts
    labels: PairLabels

    @property
    def positives(self) -> Tensor:
        """(B, M): how much text m describes clip b."""
        return positives_and_ignored(self.labels)[0]

    @property
    def ignored(self) -> Tensor:
        """Bool (B, M): pairs that count neither as right nor as wrong."""
        return positives_and_ignored(self.labels)[1]


@dataclass(frozen=True)
class PairLabels:
    """What clips and texts are about, as numbers of concepts and families, which ranks can exchange."""

    # (B, 3): the concept of a clip, of the sound mixed with it, and of a sound under it that no text mentions; -1: none
    clip_concepts: Tensor
    text_concepts: Tensor  # (M,) the concept of a text
    is_mixture: Tensor  # (M,) bool: the text names both sounds of a mixture, so it describes that one clip alone
    clip_families: Tensor  # (B, 3, K), -1 where there is none
    text_families: Tensor  # (M, K)

    def to(self, device: torch.device) -> PairLabels:
        """The same labels on another device; NCCL can only exchange what lies in the GPU's memory."""
        return PairLabels(*(part.to(device) for part in vars(self).values()))


NO_LABELS = PairLabels(*[torch.zeros(0)] * 5)  # for tasks in which no text is right or wrong


def positives_and_ignored(labels: PairLabels, ranks: Ranks | None = None) -> tuple[Tensor, Tensor]:
    """How much each text describes each clip, and which pairs to ignore, both (B, M) over the rows of all ranks."""
    ranks = ranks or Ranks()
    clips, texts, device = len(labels.clip_concepts), len(labels.text_concepts), labels.clip_concepts.device
    own_clip = torch.full((texts,), -1, device=device)
    own_clip[:clips] = torch.arange(clips, device=device)
    counts = ranks.gather(torch.tensor([clips], device=device))
    own_clip = torch.where(own_clip >= 0, own_clip + int(counts[: ranks.rank].sum()), own_clip)
    clip_concepts, text_concepts, is_mixture, own_clip = (
        ranks.gather(x) for x in (labels.clip_concepts, labels.text_concepts, labels.is_mixture.long(), own_clip)
    )
    clip_families, text_families = ranks.gather(labels.clip_families), ranks.gather(labels.text_families)
    match = clip_concepts[:, :, None] == text_concepts[None, None]  # (B, 3, M)
    named = match[:, :2].any(1).float()
    positives = named / (clip_concepts[:, :2] >= 0).sum(1, keepdim=True) * (is_mixture == 0)
    is_own = own_clip[None] == torch.arange(len(clip_concepts), device=device)[:, None]
    positives = torch.where(is_own, 1.0, positives)
    shared = (clip_families[:, :, None, :, None] == text_families[None, None, :, None]) & (text_families >= 0)[
        None, None, :, None
    ]
    related = shared.any(-1).any(-1) & ~match  # (B, 3, M)
    return positives, (related.any(1) | match[:, 2:].any(1)) & (positives == 0)
