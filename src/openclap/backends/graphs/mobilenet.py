"""MobileNet as a graph: see `openclap.models.mobilenet`."""

from __future__ import annotations

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.fusion import LOCAL, VIEWS, fuse_tokens, pad_or_cut, select_rows
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig, InvertedResidual, MobileNetConfig

__all__ = ["mobilenet", "mobilenet_frames"]

EPS = 1e-3  # of every batch norm but the mel's


def mobilenet(g: Graph, config: CLAPConfig) -> object:
    """Mels (B, V, T, F) in dB, and `longer` (B,) for a fused one → (B, E)."""
    audio, front = config.audio, config.front_end
    assert isinstance(audio, MobileNetConfig)
    views = 1 if config.fusion is None else VIEWS
    mel = opset.parameter([-1, views, front.clip_frames, front.mel_bins], np.float32, "mel")
    inputs = [mel]
    scale, shift = g.batch_norm("audio.batch_norm")
    x = mel * g.number(scale) + g.number(shift)
    first = _stem(g, g.part(x, 0, 1) if views > 1 else x)
    if config.fusion is not None:
        longer = opset.parameter([-1], np.bool_, "longer")
        inputs.append(longer)
        first = _with_local(g, x, first, longer, config.fusion.partition("_")[0], audio)
    x = g.mean(_maps(g, first, audio), 2, 3)  # (B, features)
    x = opset.hswish(g.linear(x, "audio.hidden"))
    return ov.Model([g.projection(x, "audio_projection")], inputs, "audio")


def mobilenet_frames(g: Graph, mel: Node, audio: MobileNetConfig) -> Node:
    """Mels (B, 1, T, F), as the stem takes them → what is averaged over time: (B, T / 32, features)."""
    return g.transpose(g.mean(_maps(g, _stem(g, mel), audio), 3), 0, 2, 1)


def _maps(g: Graph, stem: Node, audio: MobileNetConfig) -> Node:
    """What the stem makes (B, C, T / 2, F / 2) → (B, features, T / 32, F / 32)."""
    x = stem
    for i, shape in enumerate(audio.blocks):
        x = _block(g, x, f"audio.blocks.{i}", shape)
    return opset.hswish(_conv(g, x, "audio.last"))


def _stem(g: Graph, x: Node) -> Node:
    return opset.hswish(_conv(g, x, "audio.stem", kernel=3, stride=(2, 2)))


def _block(g: Graph, x: Node, name: str, shape: InvertedResidual) -> Node:
    active = opset.hswish if shape.swish else opset.relu
    y = x
    if shape.widened:
        y = active(_conv(g, y, f"{name}.expand"))
    y = active(_depthwise(g, y, f"{name}.depthwise", shape.kernel, shape.stride))
    if shape.squeezed:
        weight = opset.relu(g.linear(g.mean(y, 2, 3), f"{name}.squeeze.down"))
        weight = opset.sigmoid(g.linear(weight, f"{name}.squeeze.up"))
        y = y * opset.unsqueeze(weight, g.index([2, 3]))
    y = _conv(g, y, f"{name}.project")
    return x + y if shape.stride == 1 and shape.inner == shape.outer else y


def _conv(g: Graph, x: Node, name: str, kernel: int = 1, stride: tuple[int, int] = (1, 1)) -> Node:
    weight, bias = g.fold_batch_norm(f"{name}.0", f"{name}.1", EPS)
    pad = [kernel // 2, kernel // 2]
    maps = opset.convolution(x, g.number(weight), list(stride), pad, pad, [1, 1])
    return maps + g.number(bias.reshape(1, -1, 1, 1))


def _depthwise(g: Graph, x: Node, name: str, kernel: int, stride: int) -> Node:
    weight, bias = g.fold_batch_norm(f"{name}.0", f"{name}.1", EPS)
    pad = [kernel // 2, kernel // 2]
    maps = opset.group_convolution(x, g.number(weight[:, None]), [stride, stride], pad, pad, [1, 1])
    return maps + g.number(bias.reshape(1, -1, 1, 1))


def _with_local(g: Graph, x: Node, maps: Node, longer: Node, kind: str, audio: MobileNetConfig) -> Node:
    """The stem's maps (B, C, T', F'), fused with those of the local views where a row is longer."""
    width, frames, bins = audio.stem, g.size(maps, 2), g.size(maps, 3)
    local = g.reshape(g.part(x, 1, VIEWS), -1, 1, g.size(x, 2), g.size(x, 3))
    local = opset.hswish(_conv(g, local, "audio.local_project", 5, (LOCAL * 2, 2)))
    local_frames, local_bins = g.size(local, 2), g.size(local, 3)
    local = g.transpose(g.reshape(local, -1, LOCAL, width, local_frames, local_bins), 0, 1, 3, 4, 2)
    local = g.reshape(local, -1, LOCAL * local_frames, local_bins, width)  # (B, T', F', C)
    local = pad_or_cut(g, pad_or_cut(g, local, frames, 1), bins, 2)
    tokens = g.reshape(g.transpose(maps, 0, 2, 3, 1), 0, -1, width)
    both = fuse_tokens(g, kind, tokens, g.reshape(local, 0, -1, width), "audio.fusion")
    tokens = select_rows(g, longer, both, tokens)
    return g.transpose(g.reshape(tokens, 0, frames, bins, width), 0, 3, 1, 2)
