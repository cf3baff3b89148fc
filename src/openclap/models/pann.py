"""PANN: convolution blocks over the log-mel, pooled over time (arXiv 1912.10211): Cnn14, 10, 6 and smaller.

    mel (B, V, T, F) ─ batch norm ─ block 1 (+ fusion) ─ blocks 2 … ─ mean over F
                     ─ max + mean over T ─ linear ─ (B, D)

Layers, dropouts and pooling are those of LAION's CLAP; its outputs for classes and frames are not computed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from openclap.config import FrontEnd, PANNConfig
from openclap.models.fusion import LOCAL, VIEWS, MelFusion, fuse_rows, local_views, make_fusion

__all__ = ["PANN", "make_pann"]


class PANN(nn.Module):
    """A convolutional audio tower; takes mels of any number of frames that survives its pooling."""

    def __init__(self, config: PANNConfig, front_end: FrontEnd, channels: int = 1) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(front_end.mel_bins)
        self.blocks = nn.ModuleList(
            Block(inner, width, config, pool)
            for inner, width, pool in zip((channels, *config.widths[:-1]), config.widths, config.pools, strict=True)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head_dropout = nn.Dropout(config.head_dropout)
        self.hidden: Any = nn.Linear(config.widths[-1], config.output) if config.hidden else None
        self.output_dropout = nn.Dropout(config.output_dropout)
        self.apply(_initialise)

    def forward(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Mels (B, V, T, F) in dB, V 1 or 4, longer (B,) → (B, D)."""
        x = self.frames(mel, longer, augment)
        x = x.amax(1) + x.mean(1)  # (B, C)
        if self.hidden is not None:
            x = F.relu(self.hidden(self.head_dropout(x)))  # (B, D)
        return self.output_dropout(x)

    def frames(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The same → features of each step of time, the mean over frequency: (B, T', C)."""
        assert mel.shape[1] in (1, VIEWS), mel.shape
        x = self.batch_norm(mel.transpose(1, 3)).transpose(1, 3)
        x = x if augment is None else augment(x)
        x = self.dropout(self.first_maps(x, longer))  # (B, C, T / 2, F / 2)
        for block in self.blocks[1:]:
            x = self.dropout(block(x))
        return x.mean(3).transpose(1, 2)

    def fold_batch_norms(self) -> PANN:
        """A copy of the tower for inference, with the batch norms of its blocks folded into their convolutions."""
        tower = copy.deepcopy(self).eval()
        for block in tower.blocks:
            assert isinstance(block, Block)
            folded = [fuse_conv_bn_eval(conv[0], conv[1]) for conv in block.convs]  # type: ignore[index]
            block.convs = nn.ModuleList(folded)
        return tower

    def first_maps(self, x: Tensor, longer: Tensor) -> Tensor:
        """Block 1 over the first view: (B, V, T, F) → (B, C, T / 2, F / 2)."""
        return self.blocks[0](x[:, :1])


class FusedPANN(PANN):
    """PANN with a 2-D fusion: local views, one after another, are fused with the maps of block 1 of the global view."""

    def __init__(self, config: PANNConfig, front_end: FrontEnd, fusion: str) -> None:
        super().__init__(config, front_end)
        width, (time, mel) = config.widths[0], config.pools[0]
        conv = nn.Conv2d(1, width, 5, stride=(LOCAL * time, mel), padding=2)
        self.local_project = nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU())
        self.fusion = make_fusion(fusion, width)

    def first_maps(self, x: Tensor, longer: Tensor) -> Tensor:
        """(B, V, T, F) → (B, C, T / 2, F / 2)."""
        maps = super().first_maps(x, longer)
        local = local_views(x, longer)  # (b, 3, T, F)
        if local is None:
            return maps
        rows, (frames, bins) = len(local), maps.shape[2:]
        local = self.local_project(local.flatten(0, 1)[:, None])  # (b * 3, C, T / 6, F / 2)
        local = local.view(rows, LOCAL, *local.shape[1:]).transpose(1, 2).flatten(2, 3)  # (b, C, T / 2, F / 2)
        # zeros at the end, or a cut: 1001 frames give 3 · 167 here and 500 there
        local = F.pad(local, (0, bins - local.shape[3], 0, frames - local.shape[2]))
        return fuse_rows(self.fusion, maps, local, longer)


class MelFusedPANN(PANN, MelFusion):
    """PANN with a 1-D fusion."""

    def __init__(self, config: PANNConfig, front_end: FrontEnd, fusion: str) -> None:
        super().__init__(config, front_end)
        self.add_mel_fusion(fusion, front_end.mel_bins)

    def first_maps(self, x: Tensor, longer: Tensor) -> Tensor:
        """(B, V, T, F) → (B, C, T / 2, F / 2)."""
        return self.blocks[0](self.fuse_mels(x, longer))


class ChannelMapPANN(PANN):
    """PANN over four channels, the four views; a single view is used for all four."""

    def __init__(self, config: PANNConfig, front_end: FrontEnd) -> None:
        super().__init__(config, front_end, VIEWS)

    def first_maps(self, x: Tensor, longer: Tensor) -> Tensor:
        """(B, V, T, F) → (B, C, T / 2, F / 2)."""
        return self.blocks[0](x.expand(-1, VIEWS, -1, -1))


class Block(nn.Module):
    """Convolution, batch norm and ReLU, once or twice, then average pooling."""

    def __init__(self, inner: int, width: int, config: PANNConfig, pool: tuple[int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width if i else inner, width, config.kernel, padding=config.kernel // 2, bias=False),
                nn.BatchNorm2d(width),
            )
            for i in range(config.convs)
        )
        self.pool = nn.AvgPool2d(pool)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) → (B, C', T / pool, F / pool)."""
        for conv in self.convs:
            x = F.relu_(conv(x))
        return self.pool(x)


def make_pann(config: PANNConfig, front_end: FrontEnd, fusion: str | None) -> PANN:
    """Build the tower: without fusion, or with one on the mel (1-D), on the first maps (2-D) or in the channels."""
    if fusion is None:
        return PANN(config, front_end)
    if fusion == "channel_map":
        return ChannelMapPANN(config, front_end)
    return (MelFusedPANN if fusion.endswith("_1d") else FusedPANN)(config, front_end, fusion)


def _initialise(module: nn.Module) -> None:
    """Initialise a layer of the tower by Xavier's rule, as in the paper's code; fusion layers keep torch's defaults."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
