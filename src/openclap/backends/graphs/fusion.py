"""The fusions of `openclap.models.fusion` as graphs; their 1 x 1 convolutions are products over tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openclap.backends.graphs.engine import opset
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig

__all__ = ["LOCAL", "VIEWS", "fuse_maps", "fuse_mels", "fuse_tokens", "select_rows"]

VIEWS, LOCAL = 4, 3


def fuse_tokens(g: Graph, kind: str, x: Node, y: Node, name: str) -> Node:
    """Fuse global and local tokens (B, N, D) → (B, N, D); `kind` is daf, aff or iaff."""
    both = x + y
    if kind == "daf":
        return both
    w = opset.sigmoid(_local(g, both, f"{name}.local_attention") + _global(g, both, f"{name}.global_attention"))
    if kind == "aff":
        return (x * w + y * (g.number(1) - w)) * g.number(2)
    mix = x * w + y * (g.number(1) - w)
    # the released code uses `global_attention` in both rounds
    w = opset.sigmoid(_local(g, mix, f"{name}.local_attention2") + _global(g, mix, f"{name}.global_attention"))
    return x * w + y * (g.number(1) - w)


def select_rows(g: Graph, longer: Node, long: Node, short: Node) -> Node:
    """Rows of `long` where `longer` (B,), else of `short`; both (B, N, D)."""
    return opset.select(opset.unsqueeze(longer, g.index([1, 2])), long, short)


def fuse_maps(
    g: Graph, config: CLAPConfig, stem: Callable[[Node], Node], project: Callable[[Node], Node]
) -> tuple[list[Node], Node]:
    """The inputs of a CNN's graph and its first maps (B, C, T', F').

    Inputs are mels (B, V, T, F) in dB, and `longer` (B,) for models with a fusion.

    Parameters
    ----------
    stem
        Makes the first maps of normalised mels (B, 1, T, F).
    project
        Makes the maps of a local view (B, 1, T, F): as many channels, about a third as long.
    """
    front, views = config.front_end, 1 if config.fusion is None else VIEWS
    mel = opset.parameter([-1, views, front.clip_frames, front.mel_bins], np.float32, "mel")
    scale, shift = g.batch_norm("audio.batch_norm")
    x = mel * g.number(scale) + g.number(shift)
    if config.fusion is None:
        return [mel], stem(x)
    longer = opset.parameter([-1], np.bool_, "longer")
    if config.fusion == "channel_map":  # all rows are alike; the flag is an input but not used
        return [mel, longer], stem(x)
    if config.fusion.endswith("_1d"):
        return [mel, longer], stem(fuse_mels(g, config.fusion, x, longer))
    maps = stem(g.part(x, 0, 1))
    width, frames, bins = (g.size(maps, axis) for axis in (1, 2, 3))
    local = project(g.reshape(g.part(x, 1, VIEWS), -1, 1, g.size(x, 2), g.size(x, 3)))
    local_frames, local_bins = g.size(local, 2), g.size(local, 3)
    local = g.transpose(g.reshape(local, -1, LOCAL, width, local_frames, local_bins), 0, 1, 3, 4, 2)
    local = g.reshape(local, -1, LOCAL * local_frames, local_bins, width)  # (B, T', F', C)
    local = _pad_or_cut(g, _pad_or_cut(g, local, frames, 1), bins, 2)
    tokens = g.reshape(g.transpose(maps, 0, 2, 3, 1), 0, -1, width)
    both = fuse_tokens(g, config.fusion.partition("_")[0], tokens, g.reshape(local, 0, -1, width), "audio.fusion")
    tokens = select_rows(g, longer, both, tokens)
    return [mel, longer], g.transpose(g.reshape(tokens, 0, frames, bins, width), 0, 3, 1, 2)


def fuse_mels(g: Graph, fusion: str, x: Node, longer: Node) -> Node:
    """A 1-D fusion: normalised mels (B, 4, T, F) → (B, 1, T, F), of rows that are not `longer` the first view."""
    frames, bins = g.size(x, 2), g.size(x, 3)
    whole = g.reshape(g.part(x, 0, 1), -1, frames, bins)
    local = g.transpose(g.reshape(g.part(x, 1, VIEWS), -1, frames, bins), 0, 2, 1)  # (B * 3, F, T)
    weight, bias = g.fold_batch_norm("audio.local_project.0", "audio.local_project.1")
    local = opset.convolution(local, g.number(weight), [LOCAL], [2], [2], [1]) + g.number(bias.reshape(1, -1, 1))
    local = g.reshape(g.transpose(local, 0, 2, 1), -1, LOCAL * g.size(local, 2), bins)  # (B, T, F)
    local = _pad_or_cut(g, local, frames, 1)
    both = fuse_tokens(g, fusion.partition("_")[0], whole, local, "audio.fusion")
    return opset.unsqueeze(select_rows(g, longer, both, whole), g.index([1]))


def _pad_or_cut(g: Graph, x: Node, size: int, axis: int) -> Node:
    """Pad an axis with zeros at its end, or cut it, to `size`."""
    have = g.size(x, axis)
    if have >= size:
        return x if have == size else g.part(x, 0, size, axis)
    axes = len(x.output(0).get_partial_shape())
    end = [0] * axes
    end[axis] = size - have
    return opset.pad(x, g.index([0] * axes), g.index(end), "constant", g.number(0))


def _local(g: Graph, x: Node, name: str) -> Node:
    return _attention(g, x, name, 0)


def _global(g: Graph, x: Node, name: str) -> Node:
    return _attention(g, g.mean(x, 1, keep=True), name, 1)


def _attention(g: Graph, x: Node, name: str, first: int) -> Node:
    """Product, norm, ReLU, product, norm; `first` is the number of the first layer, 1 behind the pooling."""
    for conv, norm in ((first, first + 1), (first + 3, first + 4)):
        weight, bias = g.fold_batch_norm(f"{name}.{conv}", f"{name}.{norm}")
        x = g.product(x, weight.reshape(weight.shape[:2]), bias)
        x = opset.relu(x) if conv == first else x
    return x
