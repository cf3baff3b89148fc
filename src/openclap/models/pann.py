"""PANN: convolution blocks over the log-mel, pooled over time (arXiv 1912.10211). Cnn14, Cnn10, Cnn6 and smaller.

    mel (B, V, T, F) ─ batch norm ─ block 1 (+ fusion) ─ blocks 2 … ─ mean over F ─ max + mean over T ─ linear ─ (B, D)
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import FrontEnd, PANNConfig
from openclap.models.fusion import fuse_rows, make_fusion

__all__ = ["PANN"]

LOCAL = 3  # local views of a long recording


class PANN(nn.Module):
    """A convolutional audio tower; takes mels of any number of frames."""

    def __init__(self, config: PANNConfig, front_end: FrontEnd, fusion: str | None) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(front_end.mel_bins)
        widths = (1, *config.widths)
        self.blocks = nn.ModuleList(
            _Block(widths[i], width, config, config.pools[i]) for i, width in enumerate(config.widths)
        )
        self.fused = fusion is not None
        if fusion is not None:
            time, mel = config.pools[0]
            conv = nn.Conv2d(1, config.widths[0], 5, stride=(LOCAL * time, mel), padding=2)
            self.local_project = nn.Sequential(conv, nn.BatchNorm2d(config.widths[0]), nn.ReLU())
            self.fusion = make_fusion(fusion, config.widths[0])
        self.dropout = nn.Dropout(config.dropout)
        self.head_dropout = nn.Dropout(config.head_dropout)
        self.hidden = nn.Linear(config.widths[-1], config.output)
        self.apply(_initialise)

    def forward(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Mels (B, V, T, F) in dB, longer (B,) → (B, D)."""
        x = self.batch_norm(mel.transpose(1, 3)).transpose(1, 3)
        if augment is not None:
            x = augment(x)
        x = self._first(x, longer)  # (B, C, T/2, F/2)
        for block in self.blocks[1:]:
            x = block(self.dropout(x))
        x = self.dropout(x).mean(3)  # (B, C, T')
        x = x.amax(2) + x.mean(2)  # (B, C)
        return F.relu(self.hidden(self.head_dropout(x)))

    def _first(self, x: Tensor, longer: Tensor) -> Tensor:
        """Block 1 over the global view; long recordings get their local views fused in after it."""
        whole: Tensor = self.blocks[0](x[:, :1])
        if not self.fused or not bool(longer.any()):
            return whole
        local = x[longer, 1:]  # (b, 3, T, F)
        rows = len(local)
        local = self.local_project(local.flatten(0, 1)[:, None]).unflatten(0, (rows, LOCAL))  # (b, 3, C, T/6, F/2)
        local = local.transpose(1, 2).flatten(2, 3)[:, :, : whole.shape[2], : whole.shape[3]]
        local = F.pad(local, (0, whole.shape[3] - local.shape[3], 0, whole.shape[2] - local.shape[2]))
        return fuse_rows(self.fusion, whole, local, longer)


class _Block(nn.Module):
    """Convolution, batch norm and ReLU, once or twice, then average pooling."""

    def __init__(self, inner: int, width: int, config: PANNConfig, pool: tuple[int, int]) -> None:
        super().__init__()
        half = config.kernel // 2
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width if i else inner, width, config.kernel, padding=half, bias=False), nn.BatchNorm2d(width))
            for i in range(config.convs)
        )
        self.pool = nn.AvgPool2d(pool)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) → (B, C', T / pool, F / pool)."""
        for conv in self.convs:
            x = F.relu_(conv(x))
        pooled: Tensor = self.pool(x)
        return pooled


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
