"""Attentional feature fusion of a global and a local view (arXiv 2211.06687 §3.3, after arXiv 2009.14082).

    views of a long recording (B, 4, …):   global ──────────────────────── x ─┐
                                           front, middle, back ─ project ─ y ─┴─ fusion(x, y)

x and y have the same shape: (B, C, T) for the 1-D fusions on the mel, (B, C, H, W) for the 2-D ones on
feature maps. Each tower projects its local views in its own way.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LOCAL", "VIEWS", "MelFusion", "fuse_rows", "local_views", "make_fusion"]

VIEWS = 4  # of a long recording: global, front, middle, back
LOCAL = VIEWS - 1
REDUCTION = 4  # r of the paper: channels are squeezed by this inside the attention


class DAF(nn.Module):
    """Direct addition, without weights."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors of one shape."""
        return x + y


class AFF(nn.Module):
    """2·x·w + 2·y·(1 - w), w = sigmoid(local(x + y) + global(x + y))."""

    needs_two_rows = True  # in training: batch norm over the pooled map needs more than one value

    def __init__(self, channels: int, dimensions: int, reduction: int) -> None:
        super().__init__()
        self.local_attention = _attention(channels, dimensions, reduction, pooled=False)
        self.global_attention = _attention(channels, dimensions, reduction, pooled=True)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, …) twice → (B, C, …)."""
        both = x + y
        w = torch.sigmoid(self.local_attention(both) + self.global_attention(both))
        return 2 * x * w + 2 * y * (1 - w)


class IAFF(nn.Module):
    """Two rounds of attention: the result of the first decides the weights of the second.

    The released code uses `global_attention` in both rounds; `global_attention2` is in its state dict and never used.
    Both is so here, as trained weights would neither fit nor give the same results otherwise.
    """

    needs_two_rows = True  # in training: batch norm over the pooled map needs more than one value

    def __init__(self, channels: int, dimensions: int, reduction: int) -> None:
        super().__init__()
        self.local_attention = _attention(channels, dimensions, reduction, pooled=False)
        self.global_attention = _attention(channels, dimensions, reduction, pooled=True)
        self.local_attention2 = _attention(channels, dimensions, reduction, pooled=False)
        self.global_attention2 = _attention(channels, dimensions, reduction, pooled=True)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, …) twice → (B, C, …)."""
        both = x + y
        w = torch.sigmoid(self.local_attention(both) + self.global_attention(both))
        mix = x * w + y * (1 - w)
        w = torch.sigmoid(self.local_attention2(mix) + self.global_attention(mix))
        return x * w + y * (1 - w)


class MelFusion(nn.Module):
    """A base of towers with a 1-D fusion: local mels, each shortened to a third, one after another, and the global mel."""

    local_project: nn.Module
    fusion: nn.Module

    def add_mel_fusion(self, name: str, bins: int) -> None:
        """Add its layers, for mels of so many bins; the tower's own constructor calls this."""
        self.local_project = nn.Sequential(nn.Conv1d(bins, bins, 5, stride=LOCAL, padding=2), nn.BatchNorm1d(bins))
        self.fusion = make_fusion(name, bins)

    def fuse_mels(self, x: Tensor, longer: Tensor) -> Tensor:
        """Normalised mels (B, V, T, F) → (B, 1, T, F)."""
        local = local_views(x, longer)  # (b, 3, T, F)
        if local is None:
            return x[:, :1]
        rows, _, frames, bins = local.shape
        local = self.local_project(local.flatten(0, 1).transpose(1, 2))  # (b * 3, F, T / 3)
        local = local.view(rows, LOCAL, bins, -1).transpose(1, 2).flatten(2)  # (b, F, T)
        local = F.pad(local, (0, frames - local.shape[2]))  # zeros, or a cut where it is too long
        return fuse_rows(self.fusion, x[:, 0].transpose(1, 2), local, longer).transpose(1, 2)[:, None]


def make_fusion(name: str, channels: int, reduction: int = REDUCTION) -> nn.Module:
    """The fusion `daf_1d` … `iaff_2d` for maps of `channels` channels, squeezed by `reduction` in the attention."""
    kind, dimensions = name.split("_")
    if kind == "daf":
        return DAF()
    return {"aff": AFF, "iaff": IAFF}[kind](channels, int(dimensions[0]), reduction)


def _attention(channels: int, dimensions: int, reduction: int, *, pooled: bool) -> nn.Sequential:
    conv = nn.Conv1d if dimensions == 1 else nn.Conv2d
    norm = nn.BatchNorm1d if dimensions == 1 else nn.BatchNorm2d
    pool = nn.AdaptiveAvgPool1d(1) if dimensions == 1 else nn.AdaptiveAvgPool2d(1)
    inner = channels // reduction
    layers = [conv(channels, inner, 1), norm(inner), nn.ReLU(), conv(inner, channels, 1), norm(channels)]
    return nn.Sequential(pool, *layers) if pooled else nn.Sequential(*layers)


def local_views(views: Tensor, longer: Tensor) -> Tensor | None:
    """The local views of the rows that are `longer`: (B, 4, …) → (b, 3, …); None where no row is."""
    if not bool(longer.any()):
        return None
    assert views.shape[1] == VIEWS, f"rows marked longer need {VIEWS} views, not {views.shape[1]}"
    return views[longer, 1:]


def fuse_rows(fusion: nn.Module, x: Tensor, y: Tensor, longer: Tensor) -> Tensor:
    """Fuse the rows of x that are `longer` with y, which has these rows alone; other rows do not change."""
    rows = longer.nonzero().squeeze(1)
    chosen = x[rows]
    if len(rows) == 1 and fusion.training and getattr(fusion, "needs_two_rows", False):
        fused = fusion(torch.cat([chosen, chosen]), torch.cat([y, y]))[:1]
    else:
        fused = fusion(chosen, y)
    return x.index_copy(0, rows, fused.to(x.dtype))
