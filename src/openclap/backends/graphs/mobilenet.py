"""MobileNet as a graph (see `openclap.models.mobilenet`)."""

from __future__ import annotations

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.fusion import LOCAL, fuse_maps
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig, InvertedResidual, MobileNetConfig

__all__ = ["mobilenet", "mobilenet_frames"]

EPS = 1e-3  # of every batch norm except that of the mel


def mobilenet(g: Graph, config: CLAPConfig) -> object:
    """The graph: mels (B, V, T, F) in dB, and `longer` (B,) for models with a fusion → (B, E)."""
    audio = config.audio
    assert isinstance(audio, MobileNetConfig)

    def project(local: Node) -> Node:
        return opset.hswish(_conv(g, local, "audio.local_project", kernel=5, stride=(LOCAL * 2, 2)))

    inputs, first = fuse_maps(g, config, lambda mel: _stem(g, mel), project)
    maps = _maps(g, first, audio)
    g.marked["frames"] = g.transpose(g.mean(maps, 3), 0, 2, 1)
    x = g.mean(maps, 2, 3)  # (B, features)
    x = opset.hswish(g.linear(x, "audio.hidden"))
    return ov.Model([g.projection(x, "audio_projection", config)], inputs, "audio")


def mobilenet_frames(g: Graph, mel: Node, audio: MobileNetConfig) -> Node:
    """Normalised mels (B, 1, T, F) → features of each step of time, before their mean: (B, T / 32, features)."""
    return g.transpose(g.mean(_maps(g, _stem(g, mel), audio), 3), 0, 2, 1)


def _maps(g: Graph, stem: Node, audio: MobileNetConfig) -> Node:
    """All blocks: maps of the stem (B, C, T / 2, F / 2) → (B, features, T / 32, F / 32)."""
    x = stem
    for i, shape in enumerate(audio.blocks):
        x = _block(g, x, f"audio.blocks.{i}", shape)
    return opset.hswish(_conv(g, x, "audio.last"))


def _stem(g: Graph, x: Node) -> Node:
    return opset.hswish(_conv(g, x, "audio.stem", kernel=3, stride=(2, 2)))


def _block(g: Graph, x: Node, name: str, shape: InvertedResidual) -> Node:
    activate = opset.hswish if shape.swish else opset.relu
    y = x
    if shape.widened:
        y = activate(_conv(g, y, f"{name}.expand"))
    y = activate(_depthwise(g, y, f"{name}.depthwise", shape.kernel, shape.stride))
    if shape.squeezed:
        weight = opset.relu(g.linear(g.mean(y, 2, 3), f"{name}.squeeze.down"))
        weight = opset.sigmoid(g.linear(weight, f"{name}.squeeze.up"))
        y = y * opset.unsqueeze(weight, g.index([2, 3]))
    y = _conv(g, y, f"{name}.project")
    return x + y if shape.stride == 1 and shape.inner == shape.outer else y


def _conv(g: Graph, x: Node, name: str, kernel: int = 1, stride: tuple[int, int] = (1, 1)) -> Node:
    return g.convolution(x, *g.fold_batch_norm(f"{name}.0", f"{name}.1", EPS), kernel, stride)


def _depthwise(g: Graph, x: Node, name: str, kernel: int, stride: int) -> Node:
    weight, bias = g.fold_batch_norm(f"{name}.0", f"{name}.1", EPS)
    pad = [kernel // 2, kernel // 2]
    maps = opset.group_convolution(x, g.number(weight[:, None]), [stride, stride], pad, pad, [1, 1])
    return maps + g.number(bias.reshape(1, -1, 1, 1))
