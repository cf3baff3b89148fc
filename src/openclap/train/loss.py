"""The contrastive losses: embeddings of clips and texts → one number (arXiv 2211.06687 eq. 1-2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["contrastive_loss", "divergence", "sigmoid_loss"]

NEVER = -1e4  # a logit that has no weight in a softmax; finite, since 0 * -inf is not a number


def contrastive_loss(
    audio: Tensor,
    text: Tensor,
    logit_scale: Tensor,
    positives: Tensor | None = None,
    ignored: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE, (CE(audio → text) + CE(text → audio)) / 2.

    Parameters
    ----------
    audio : (B, E), text : (M, E)
        Unit rows.
    logit_scale : ()
        Logarithm of the scale. It is not clamped here: `CLAPModel.clamp_logit_scale` does that after each step.
    positives : (B, M), optional
        How much text m describes clip b, ≥ 0. The identity when omitted: text b describes clip b alone. The target of
        each direction is this matrix with rows that sum to 1. A text that describes no clip of the batch is a negative
        for every clip, and no query itself.
    ignored : bool (B, M), optional
        Pairs that count neither as right nor as wrong ("rain" and "heavy rain"); both softmaxes leave them out.
    """
    logits = logit_scale.exp() * audio @ text.T  # (B, M)
    if ignored is not None:
        logits = logits.masked_fill(ignored, NEVER)
    if positives is None:
        target = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    return (_soft_cross_entropy(logits, positives) + _soft_cross_entropy(logits.T, positives.T)) / 2


def sigmoid_loss(
    audio: Tensor,
    text: Tensor,
    logit_scale: Tensor,
    bias: Tensor,
    positives: Tensor | None = None,
    ignored: Tensor | None = None,
) -> Tensor:
    """SigLIP's loss (arXiv 2303.15343): every pair is right or wrong by itself; the sum over pairs, for each clip.

    Parameters
    ----------
    audio : (B, E), text : (M, E)
        Unit rows.
    logit_scale, bias : ()
        The logarithm of the scale, as in `contrastive_loss`, and what is added to every logit, at first about -10.
    positives : (B, M), optional
        How right a pair is, from 0 to 1. The identity when omitted.
    ignored : bool (B, M), optional
        Pairs that count neither as right nor as wrong.
    """
    logits = logit_scale.exp() * audio @ text.T + bias
    if positives is None:
        positives = torch.eye(*logits.shape, device=logits.device)
    each = F.binary_cross_entropy_with_logits(logits, positives.clamp(max=1).to(logits.dtype), reduction="none")
    return (each if ignored is None else each.masked_fill(ignored, 0.0)).sum() / len(logits)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """The KL divergence of the softmax of each row of `student` from that of `teacher`, both (B, M); mean over rows."""
    return F.kl_div(student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True)


def _soft_cross_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    total = weights.sum(1)
    asked = total > 0
    target = weights[asked] / total[asked, None]
    return -(target * logits[asked].log_softmax(1)).sum(1).mean()
