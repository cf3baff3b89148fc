"""HTSAT: a log-mel folded into a square image, seen by a swin transformer (arXiv 2202.00874).

    mel (B, V, T, F) ─ batch norm ─ resize T → folds·image ─ fold ─ (B, V, image, image)
                     ─ patches (+ fusion) ─ 4 stages of swin blocks ─ norm ─ mean ─ (B, D)

The frame and class outputs of the original are never used by CLAP and not computed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import FrontEnd, HTSATConfig
from openclap.models.fusion import fuse_rows, make_fusion
from openclap.models.swin import Merge, SwinBlock

__all__ = ["HTSAT"]

VIEWS = 4  # of a long recording: global, front, middle, back
LOCAL = VIEWS - 1


class HTSAT(nn.Module):
    """The audio tower of the released checkpoints."""

    def __init__(self, config: HTSATConfig, front_end: FrontEnd, fusion: str | None) -> None:
        super().__init__()
        self.image = config.image
        self.folds = config.image // front_end.mel_bins  # time quarters stacked along frequency
        self.on_mel = fusion is not None and fusion.endswith("_1d")
        self.batch_norm = nn.BatchNorm2d(front_end.mel_bins)
        if self.on_mel:
            bins = front_end.mel_bins
            self.local_project = nn.Sequential(nn.Conv1d(bins, bins, 5, stride=LOCAL, padding=2), nn.BatchNorm1d(bins))
            self.fusion = make_fusion(str(fusion), bins)
        self.patches = _make_patches(config, fusion)
        drops = torch.linspace(0, config.drop_path, sum(config.depths)).split(list(config.depths))
        side = config.image // config.patch
        self.stages = nn.ModuleList()
        for index, (heads, drop) in enumerate(zip(config.heads, drops, strict=True)):
            last = index == len(config.depths) - 1
            self.stages.append(_Stage(config, config.width << index, side >> index, heads, drop.tolist(), merged=not last))
        self.norm = nn.LayerNorm(config.output)
        self.apply(_initialise)

    def forward(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Mels (B, V, T, F) in dB, longer (B,) → (B, D)."""
        x = self.batch_norm(mel.transpose(1, 3)).transpose(1, 3)
        if augment is not None:
            x = augment(x)
        if self.on_mel:
            x = self._fuse_mels(x, longer)  # (B, 1, T, F)
        x = self._fold(x)  # (B, V, image, image)
        x = self.patches(x, longer)  # (B, side * side, D)
        for stage in self.stages:
            x = stage(x)
        pooled: Tensor = self.norm(x).mean(1)  # (B, D)
        return pooled

    def _fuse_mels(self, x: Tensor, longer: Tensor) -> Tensor:
        """The 1-D fusions: local mels, each a third as long, beside each other, fused with the global mel."""
        whole = x[:, 0].transpose(1, 2)  # (B, F, T)
        if bool(longer.any()):
            local = x[longer, 1:].transpose(2, 3)  # (b, 3, F, T)
            rows, frames = len(local), local.shape[-1]
            local = self.local_project(local.flatten(0, 1))  # (b * 3, F, T / 3)
            local = local.unflatten(0, (rows, LOCAL)).transpose(1, 2).flatten(2)[..., :frames]
            local = F.pad(local, (0, frames - local.shape[-1]))
            whole = fuse_rows(self.fusion, whole, local, longer)
        return whole.transpose(1, 2)[:, None]

    def _fold(self, x: Tensor) -> Tensor:
        """(B, V, T, F) → (B, V, image, image): time quarter k of bin f is row k·F + f."""
        frames = self.image * self.folds
        if x.shape[2] != frames:
            x = F.interpolate(x, (frames, x.shape[3]), mode="bicubic", align_corners=True)
        x = x.unflatten(2, (self.folds, self.image))  # (B, V, folds, image, F)
        return x.transpose(3, 4).flatten(2, 3)


class _Stage(nn.Module):
    """Blocks of one width, then a merge to the next."""

    def __init__(self, config: HTSATConfig, width: int, side: int, heads: int, drops: list[float], *, merged: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*[
            SwinBlock(width, side, heads, config.window, shifted=i % 2 == 1, mlp_ratio=config.mlp_ratio, drop_path=drop)
            for i, drop in enumerate(drops)
        ])  # fmt: skip
        self.merge = Merge(width, side) if merged else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, side², D) → (B, side² / 4, 2 D), or unchanged shape in the last stage."""
        x = self.merge(self.blocks(x))
        return x


class _Patches(nn.Module):
    """The image (B, V, image, image) cut into patches; the first view alone is seen."""

    def __init__(self, config: HTSATConfig, channels: int = 1) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, config.width, config.patch, stride=config.patch)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, image: Tensor, longer: Tensor) -> Tensor:
        """→ (B, patches, D)."""
        return self._tokens(self.project(image[:, :1]))

    def _tokens(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.norm(x.flatten(2).transpose(1, 2))
        return tokens


class _ChannelMap(_Patches):
    """The four views are the four channels of one image."""

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__(config, VIEWS)

    def forward(self, image: Tensor, longer: Tensor) -> Tensor:
        """→ (B, patches, D)."""
        return self._tokens(self.project(image.expand(-1, VIEWS, -1, -1)))


class _FusedPatches(_Patches):
    """The 2-D fusions: patches of the local views, three times as wide, beside each other, fused with the global ones."""

    def __init__(self, config: HTSATConfig, fusion: str) -> None:
        super().__init__(config)
        size = (config.patch, config.patch * LOCAL)
        self.local_project = nn.Conv2d(1, config.width, size, stride=size)
        self.fusion = make_fusion(fusion, config.width)

    def forward(self, image: Tensor, longer: Tensor) -> Tensor:
        """→ (B, patches, D)."""
        x = self.project(image[:, :1])  # (B, D, side, side)
        if bool(longer.any()):
            local = image[longer, 1:]  # (b, 3, image, image)
            rows = len(local)
            local = self.local_project(local.flatten(0, 1)[:, None]).unflatten(0, (rows, LOCAL))  # (b, 3, D, side, side / 3)
            local = local.permute(0, 2, 3, 1, 4).flatten(3)
            local = F.pad(local, (0, x.shape[-1] - local.shape[-1]))
            x = fuse_rows(self.fusion, x, local, longer)
        return self._tokens(x)


def _make_patches(config: HTSATConfig, fusion: str | None) -> _Patches:
    if fusion == "channel_map":
        return _ChannelMap(config)
    return _FusedPatches(config, fusion) if fusion is not None and fusion.endswith("_2d") else _Patches(config)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


