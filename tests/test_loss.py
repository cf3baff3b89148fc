"""The contrastive loss against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from openclap.train.loss import contrastive_loss

SCALE = torch.tensor(math.log(2.0))


def unit(rows: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_two_orthogonal_pairs() -> None:
    """cos = I, scale 2: each row is -log(e² / (e² + 1))."""
    eye = torch.eye(2)
    expected = -math.log(math.exp(2) / (math.exp(2) + 1))
    assert contrastive_loss(eye, eye, SCALE).item() == pytest.approx(expected, abs=1e-6)


def test_both_directions_count_once() -> None:
    """transformers' CLAP loss counts text → audio twice (1.144 where the symmetric loss is 1.397)."""
    audio, text = unit(5, 1), unit(5, 2)
    logits = 2.0 * audio @ text.T
    target = torch.arange(5)
    both = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    assert not torch.isclose(F.cross_entropy(logits, target), F.cross_entropy(logits.T, target))
    assert torch.isclose(contrastive_loss(audio, text, SCALE), both)


def test_identity_positives_are_the_default() -> None:
    audio, text = unit(6, 3), unit(6, 4)
    assert torch.isclose(contrastive_loss(audio, text, SCALE), contrastive_loss(audio, text, SCALE, torch.eye(6)))


def test_shared_captions_are_no_negatives() -> None:
    """Two clips of one caption: the best possible loss is reached when both sit on it."""
    text = torch.eye(3)
    audio = text[[0, 0, 1]]
    positives = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    near = contrastive_loss(audio, text, torch.tensor(math.log(50.0)), positives)
    assert near.item() == pytest.approx(math.log(2) / 4, abs=1e-4)  # text 0 shares its mass over two clips
