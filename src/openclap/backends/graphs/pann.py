"""PANN as a graph (see `openclap.models.pann`)."""

from __future__ import annotations

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.fusion import LOCAL, fuse_maps
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig, PANNConfig

__all__ = ["pann"]


def pann(g: Graph, config: CLAPConfig) -> object:
    """The graph: mels (B, V, T, F) in dB, and `longer` (B,) for models with a fusion → (B, E)."""
    audio = config.audio
    assert isinstance(audio, PANNConfig)
    time, bins = audio.pools[0]

    def project(local: Node) -> Node:
        names = "audio.local_project.0", "audio.local_project.1"
        return opset.relu(g.convolution(local, *g.fold_batch_norm(*names), 5, (LOCAL * time, bins)))

    inputs, x = fuse_maps(g, config, lambda mel: _turned(g, _block(g, _turned(g, mel), 0, audio)), project)
    x = _turned(g, x)  # where nothing was fused between, the engine drops both
    for i in range(1, len(audio.widths)):
        x = _block(g, x, i, audio)
    x = _turned(g, x)
    x = g.mean(x, 3)  # (B, C, T')
    g.marked["frames"] = g.transpose(x, 0, 2, 1)
    x = opset.reduce_max(x, g.index([2]), False) + g.mean(x, 2)
    x = opset.relu(g.linear(x, "audio.hidden")) if audio.hidden else x
    return ov.Model([g.projection(x, "audio_projection", config)], inputs, "audio")


def _turned(g: Graph, x: Node) -> Node:
    return g.transpose(x, 0, 1, 3, 2)


def _block(g: Graph, x: Node, i: int, audio: PANNConfig) -> Node:
    """A block over maps (B, C, F, T): engines are fast along the last axis, and bins become few."""
    for j in range(audio.convs):
        weight, bias = g.fold_batch_norm(f"audio.blocks.{i}.convs.{j}.0", f"audio.blocks.{i}.convs.{j}.1")
        x = opset.relu(g.convolution(x, np.ascontiguousarray(weight.swapaxes(2, 3)), bias, audio.kernel))
    pool = list(audio.pools[i][::-1])
    return opset.avg_pool(x, pool, [0, 0], [0, 0], pool, True, "floor", "explicit")
