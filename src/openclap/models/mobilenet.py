"""MobileNetV3 over the log-mel (arXiv 1905.02244; as a tagger of sounds arXiv 2211.04772), of any width and depth.

    mel (B, V, T, F) ─ batch norm ─ stem, halves T and F (+ fusion) ─ inverted residuals ─ 1 x 1 convolution
                     ─ mean over T and F ─ linear, hard swish ─ (B, D)

Layers and norms are those of EfficientAT's taggers, with time as the first axis; their class outputs are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from openclap.config import FrontEnd, InvertedResidual, MobileNetConfig
from openclap.models.fusion import LOCAL, VIEWS, fuse_rows, local_views, make_fusion

__all__ = ["MobileNet", "make_mobilenet"]

EPS = 1e-3  # of every batch norm, as released weights were trained with
MOMENTUM = 0.01


class MobileNet(nn.Module):
    """An audio tower of depthwise convolutions, with few operations and weights; takes any number of frames."""

    def __init__(self, config: MobileNetConfig, front_end: FrontEnd) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(front_end.mel_bins)
        self.stem = _convolution(1, config.stem, kernel=3, stride=2)
        self.blocks = nn.ModuleList(Block(shape) for shape in config.blocks)
        self.last = _convolution(config.blocks[-1].outer, config.features)
        self.hidden = nn.Linear(config.features, config.output)
        self.dropout = nn.Dropout(config.dropout)
        self.apply(_initialise)

    def forward(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Mels (B, V, T, F) in dB, V 1 or 4, longer (B,) → (B, D)."""
        pooled = self.pool_features(mel, longer, augment)
        return self.dropout(F.hardswish(self.hidden(pooled)))

    def pool_features(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The input of the last layer (B, features): the embedding of a tagger."""
        return self.feature_maps(mel, longer, augment).mean((2, 3))

    def frames(self, mel: Tensor, longer: Tensor) -> Tensor:
        """Features of each step of time, the mean over frequency: (B, T / 32, features)."""
        return self.feature_maps(mel, longer).mean(3).transpose(1, 2)

    def feature_maps(self, mel: Tensor, longer: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The maps (B, features, T / 32, F / 32), before they are averaged over time and mel."""
        assert mel.shape[1] in (1, VIEWS), mel.shape
        x = self.batch_norm(mel.transpose(1, 3)).transpose(1, 3)
        x = x if augment is None else augment(x)
        x = self.first_maps(x, longer)  # (B, C, T / 2, F / 2)
        for block in self.blocks:
            x = block(x)
        return F.hardswish(self.last(x))

    def fold_batch_norms(self) -> MobileNet:
        """A copy of the tower for inference, with the batch norms folded into the convolutions before them."""
        tower = copy.deepcopy(self).eval()
        tower.stem, tower.last = _fold(tower.stem), _fold(tower.last)
        for block in tower.blocks:
            assert isinstance(block, Block)
            block.expand = None if block.expand is None else _fold(block.expand)
            block.depthwise = _fold(block.depthwise)
            block.project = _fold(block.project)
        return tower

    def first_maps(self, x: Tensor, longer: Tensor) -> Tensor:
        """The stem over the first view: (B, V, T, F) → (B, C, T / 2, F / 2)."""
        return F.hardswish(self.stem(x[:, :1]))


class FusedMobileNet(MobileNet):
    """MobileNet with a 2-D fusion: the local views in a row are fused with the stem's maps of the global view."""

    def __init__(self, config: MobileNetConfig, front_end: FrontEnd, fusion: str) -> None:
        super().__init__(config, front_end)
        conv = nn.Conv2d(1, config.stem, 5, stride=(LOCAL * 2, 2), padding=2)
        self.local_project = nn.Sequential(conv, nn.BatchNorm2d(config.stem, EPS, MOMENTUM))
        self.fusion = make_fusion(fusion, config.stem)

    def first_maps(self, x: Tensor, longer: Tensor) -> Tensor:
        """(B, V, T, F) → (B, C, T / 2, F / 2)."""
        maps = super().first_maps(x, longer)
        local = local_views(x, longer)  # (b, 3, T, F)
        if local is None:
            return maps
        rows, (frames, bins) = len(local), maps.shape[2:]
        local = F.hardswish(self.local_project(local.flatten(0, 1)[:, None]))  # (b * 3, C, T / 6, F / 2)
        local = local.view(rows, LOCAL, *local.shape[1:]).transpose(1, 2).flatten(2, 3)  # (b, C, T / 2, F / 2)
        local = F.pad(local, (0, bins - local.shape[3], 0, frames - local.shape[2]))  # zeros at the end, or a cut
        return fuse_rows(self.fusion, maps, local, longer)


class Block(nn.Module):
    """Inverted residual: widen by a 1 x 1 convolution, filter each channel, weigh the channels, narrow again."""

    def __init__(self, shape: InvertedResidual) -> None:
        super().__init__()
        self.swish = shape.swish
        self.residual = shape.stride == 1 and shape.inner == shape.outer
        self.expand = _convolution(shape.inner, shape.expanded) if shape.widened else None
        self.depthwise = _convolution(
            shape.expanded, shape.expanded, kernel=shape.kernel, stride=shape.stride, groups=shape.expanded
        )
        self.squeeze = Squeeze(shape.expanded, shape.squeezed) if shape.squeezed else None
        self.project = _convolution(shape.expanded, shape.outer)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) → (B, C', T / stride, F / stride)."""
        y = x if self.expand is None else self._activate(self.expand(x))
        y = self._activate(self.depthwise(y))
        y = y if self.squeeze is None else self.squeeze(y)
        y = self.project(y)
        return x + y if self.residual else y

    def _activate(self, x: Tensor) -> Tensor:
        return F.hardswish(x) if self.swish else F.relu(x)


class Squeeze(nn.Module):
    """Squeeze and excitation: the means of all channels decide how much each channel counts."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, squeezed)
        self.up = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) → the same."""
        weight = F.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


def make_mobilenet(config: MobileNetConfig, front_end: FrontEnd, fusion: str | None) -> MobileNet:
    """Build the tower, with a fusion where one is named."""
    return MobileNet(config, front_end) if fusion is None else FusedMobileNet(config, front_end, fusion)


def _convolution(inner: int, outer: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(inner, outer, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outer, EPS, MOMENTUM))


def _fold(layer: nn.Module) -> nn.Module:
    """A convolution and its batch norm as one convolution."""
    conv, norm = layer.children()
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(conv, norm)


def _initialise(module: nn.Module) -> None:
    """Initialise a layer of the tower; fusion layers keep torch's defaults.

    He's initialisation of convolutions lets a new tower give sensible outputs before its norms have statistics.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
