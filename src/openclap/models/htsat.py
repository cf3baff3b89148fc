"""HTSAT: a log-mel folded into a square image, seen by a swin transformer (arXiv 2202.00874).

    mel (B, V, T, F) ─ batch norm ─ resize T → folds·image ─ fold ─ (B, V, image, image)
                     ─ patches (+ fusion) ─ stages of swin blocks ─ norm ─ mean ─ (B, D)

    a fold:   T ───────────────────────────────▶          F bins of quarter 1
              quarter 1 │ quarter 2 │ quarter 3 │ …   →   F bins of quarter 2   image × image
                                                          …

The original also has outputs for classes. CLAP does not use them, so they are not computed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import FrontEnd, HTSATConfig
from openclap.models.fusion import LOCAL, VIEWS, MelFusion, fuse_rows, local_views, make_fusion
from openclap.models.swin import Merge, SwinBlock, initialise

__all__ = ["HTSAT", "make_htsat"]


class HTSAT(nn.Module):
    """The audio tower of the released checkpoints; its patches carry the 2-D fusions."""

    def __init__(self, config: HTSATConfig, front_end: FrontEnd, patches: Patches) -> None:
        super().__init__()
        self.image = config.image
        self.folds = config.image // front_end.mel_bins  # time quarters stacked along frequency
        self.batch_norm = nn.BatchNorm2d(front_end.mel_bins)
        self.patches = patches
        drops = iter(_drop_paths(config))
        side = config.image // config.patch
        self.stages = nn.ModuleList(
            Stage(
                [
                    SwinBlock(
                        config.width << stage,
                        side >> stage,
                        config.heads[stage],
                        config.window,
                        head_width=config.head_width(stage),
                        hidden=config.mlp_width(stage),
                        shifted=block % 2 == 1,
                        drop_path=next(drops),
                        activation=config.activation,
                        eps=config.layer_norm_eps,
                        qkv_bias=config.qkv_bias,
                    )
                    for block in range(depth)
                ],
                Merge(config.width << stage, side >> stage) if stage + 1 < len(config.depths) else nn.Identity(),
            )
            for stage, depth in enumerate(config.depths)
        )
        self.norm = nn.LayerNorm(config.output)
        self.apply(initialise)

    def forward(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Mels (B, V, T, F) in dB, V 1 or 4, longer (B,) → (B, D)."""
        return self.tokens(mel, longer, augment).mean(1)

    def frames(self, mel: Tensor, longer: Tensor) -> Tensor | None:
        """The same → features of each step of time, the mean over frequency: (B, T', D).

        None where the last stage has fewer rows of patches than the image has quarters of the time.
        """
        x = self.tokens(mel, longer)
        side = int(x.shape[1] ** 0.5)
        if side % self.folds:
            return None
        return x.view(len(x), self.folds, side // self.folds, side, -1).mean(2).flatten(1, 2)

    def tokens(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The patches of the last stage (B, N, D), row by row of the image."""
        assert mel.shape[1] in (1, VIEWS), mel.shape
        x = self.batch_norm(mel.transpose(1, 3)).transpose(1, 3)
        x = x if augment is None else augment(x)
        x = self.views(x, longer)  # (B, V, T, F)
        x = self.fold(x)  # (B, V, image, image)
        x = self.patches(x, longer)  # (B, side * side, D)
        for stage in self.stages:
            x = stage(x)  # (B, side * side / 4, 2 D)
        normal: Tensor = self.norm(x)
        return normal

    def views(self, x: Tensor, longer: Tensor) -> Tensor:
        """Leave the views as they are; a 1-D fusion merges them into one."""
        return x

    def fold(self, x: Tensor) -> Tensor:
        """(B, V, T, F) → (B, V, image, image): bin f of time quarter k is row k * F + f.

        T is stretched to folds * image frames first: 1001 → 1024 in the released models. As a product with a
        (1024, 1001) matrix the stretch takes 9.7 ms for four views instead of 1.7 ms.
        """
        batch, views, frames, bins = x.shape
        target = self.folds * self.image
        assert frames <= target, f"at most {target} frames fit the image, not {frames}"
        if frames < target:
            x = F.interpolate(x, (target, bins), mode="bicubic", align_corners=True)
        x = x.view(batch, views, self.folds, self.image, bins)
        return x.transpose(3, 4).reshape(batch, views, self.folds * bins, self.image)


class MelFusedHTSAT(HTSAT, MelFusion):
    """HTSAT with a 1-D fusion."""

    def __init__(self, config: HTSATConfig, front_end: FrontEnd, fusion: str) -> None:
        super().__init__(config, front_end, Patches(config))
        self.add_mel_fusion(fusion, front_end.mel_bins)

    def views(self, x: Tensor, longer: Tensor) -> Tensor:
        """(B, V, T, F) → (B, 1, T, F)."""
        return self.fuse_mels(x, longer)


class Stage(nn.Module):
    """Blocks of one width, then a merge of patches to the next width."""

    def __init__(self, blocks: list[SwinBlock], merge: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.merge = merge

    def forward(self, x: Tensor) -> Tensor:
        """(B, side * side, D) → (B, side * side / 4, 2 D); the last stage keeps the shape."""
        return self.merge(self.blocks(x))


class Patches(nn.Module):
    """The image cut into patches; only the first view is used."""

    def __init__(self, config: HTSATConfig, channels: int = 1) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, config.width, config.patch, stride=config.patch)
        self.norm = nn.LayerNorm(config.width) if config.patch_norm else nn.Identity()

    def forward(self, image: Tensor, longer: Tensor) -> Tensor:
        """(B, V, image, image) → (B, side * side, D)."""
        x = self.maps(image, longer)  # (B, D, side, side)
        return self.norm(x.flatten(2).transpose(1, 2))

    def maps(self, image: Tensor, longer: Tensor) -> Tensor:
        """(B, V, image, image) → (B, D, side, side)."""
        return self.project(image[:, :1])


class ChannelMapPatches(Patches):
    """Patches of an image whose four channels are the four views; a single view is used for all four."""

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__(config, VIEWS)

    def maps(self, image: Tensor, longer: Tensor) -> Tensor:
        """(B, V, image, image) → (B, D, side, side)."""
        return self.project(image.expand(-1, VIEWS, -1, -1))


class FusedPatches(Patches):
    """Patches with a 2-D fusion: those of the local views, three times as wide, are fused with the global ones."""

    def __init__(self, config: HTSATConfig, fusion: str) -> None:
        super().__init__(config)
        size = (config.patch, config.patch * LOCAL)
        self.local_project = nn.Conv2d(1, config.width, size, stride=size)
        self.fusion = make_fusion(fusion, config.width, config.fusion_reduction)

    def maps(self, image: Tensor, longer: Tensor) -> Tensor:
        """(B, V, image, image) → (B, D, side, side)."""
        x: Tensor = self.project(image[:, :1])
        local = local_views(image, longer)  # (b, 3, image, image)
        if local is None:
            return x
        rows, side = len(local), x.shape[3]
        local = self.local_project(local.flatten(0, 1)[:, None])  # (b * 3, D, side, side / 3)
        local = local.view(rows, LOCAL, *local.shape[1:]).permute(0, 2, 3, 1, 4).flatten(3)
        local = F.pad(local, (0, side - local.shape[3]))  # 63 → 64 columns in the released models
        return fuse_rows(self.fusion, x, local, longer)


def make_htsat(config: HTSATConfig, front_end: FrontEnd, fusion: str | None) -> HTSAT:
    """Build the tower: without fusion, or with one on the mel (1-D), on the patches (2-D) or in the channels."""
    if fusion is None:
        return HTSAT(config, front_end, Patches(config))
    if fusion == "channel_map":
        return HTSAT(config, front_end, ChannelMapPatches(config))
    if fusion.endswith("_1d"):
        return MelFusedHTSAT(config, front_end, fusion)
    return HTSAT(config, front_end, FusedPatches(config, fusion))


def _drop_paths(config: HTSATConfig) -> list[float]:
    """The probability with which training skips each block for a row: from 0, for the first, up to `drop_path`."""
    blocks = sum(config.depths)
    return [config.drop_path * i / max(1, blocks - 1) for i in range(blocks)]
