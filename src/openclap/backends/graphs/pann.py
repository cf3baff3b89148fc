"""PANN as a graph: see `openclap.models.pann`."""

from __future__ import annotations

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.fusion import LOCAL, VIEWS, fuse_tokens, pad_or_cut, select_rows
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig, PANNConfig

__all__ = ["pann"]


def pann(g: Graph, config: CLAPConfig) -> object:
    """Mels (B, V, T, F) in dB, and `longer` (B,) for a fused one → (B, E)."""
    audio, front = config.audio, config.front_end
    assert isinstance(audio, PANNConfig)
    views = 1 if config.fusion is None else VIEWS
    mel = opset.parameter([-1, views, front.clip_frames, front.mel_bins], np.float32, "mel")
    inputs = [mel]
    scale, shift = g.batch_norm("audio.batch_norm")
    x = mel * g.number(scale) + g.number(shift)
    first = _block(g, g.part(x, 0, 1) if views > 1 else x, 0, audio)
    if config.fusion is not None:
        longer = opset.parameter([-1], np.bool_, "longer")
        inputs.append(longer)
        first = _with_local(g, x, first, longer, config.fusion.partition("_")[0], audio)
    x = first
    for i in range(1, len(audio.widths)):
        x = _block(g, x, i, audio)
    x = g.mean(x, 3)  # (B, C, T')
    x = opset.reduce_max(x, g.index([2]), False) + g.mean(x, 2)
    x = g.projection(opset.relu(g.linear(x, "audio.hidden")), "audio_projection")
    return ov.Model([x], inputs, "audio")


def _block(g: Graph, x: Node, i: int, audio: PANNConfig) -> Node:
    for j in range(audio.convs):
        x = opset.relu(_conv(g, x, f"audio.blocks.{i}.convs.{j}.0", f"audio.blocks.{i}.convs.{j}.1", audio.kernel))
    pool = list(audio.pools[i])
    return opset.avg_pool(x, pool, [0, 0], [0, 0], pool, True, "floor", "explicit")


def _conv(g: Graph, x: Node, conv: str, norm: str, kernel: int, stride: tuple[int, int] = (1, 1)) -> Node:
    weight, bias = g.fold_batch_norm(conv, norm)
    pad = [kernel // 2, kernel // 2]
    maps = opset.convolution(x, g.number(weight), list(stride), pad, pad, [1, 1])
    return maps + g.number(bias.reshape(1, -1, 1, 1))


def _with_local(g: Graph, x: Node, maps: Node, longer: Node, kind: str, audio: PANNConfig) -> Node:
    """Block 1's maps (B, C, T', F'), fused with those of the local views where a row is longer."""
    width, (time, bins) = audio.widths[0], audio.pools[0]
    short_frames, short_bins = g.size(maps, 2), g.size(maps, 3)
    local = g.reshape(g.part(x, 1, VIEWS), -1, 1, g.size(x, 2), g.size(x, 3))
    local = opset.relu(_conv(g, local, "audio.local_project.0", "audio.local_project.1", 5, (LOCAL * time, bins)))
    long_frames, long_bins = g.size(local, 2), g.size(local, 3)
    local = g.transpose(g.reshape(local, -1, LOCAL, width, long_frames, long_bins), 0, 1, 3, 4, 2)
    local = g.reshape(local, -1, LOCAL * long_frames, long_bins, width)  # (B, T', F', C)
    local = pad_or_cut(g, pad_or_cut(g, local, short_frames, 1), short_bins, 2)
    tokens = g.reshape(g.transpose(maps, 0, 2, 3, 1), 0, -1, width)
    both = fuse_tokens(g, kind, tokens, g.reshape(local, 0, -1, width), "audio.fusion")
    tokens = select_rows(g, longer, both, tokens)
    return g.transpose(g.reshape(tokens, 0, short_frames, short_bins, width), 0, 3, 1, 2)
