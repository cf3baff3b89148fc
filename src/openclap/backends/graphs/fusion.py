"""The 2-D fusions over tokens: see `openclap.models.fusion`, whose 1 x 1 convolutions are products here."""

from __future__ import annotations

from openclap.backends.graphs.engine import opset
from openclap.backends.graphs.ops import Graph, Node

__all__ = ["LOCAL", "VIEWS", "fuse_tokens", "pad_or_cut", "select_rows"]

VIEWS, LOCAL = 4, 3


def fuse_tokens(g: Graph, kind: str, x: Node, y: Node, name: str) -> Node:
    """Global and local tokens (B, N, D) → (B, N, D); `kind` is daf, aff or iaff."""
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


def pad_or_cut(g: Graph, x: Node, size: int, axis: int) -> Node:
    """Zeros at the end of an axis, or a cut."""
    have = g.size(x, axis)
    if have >= size:
        return x if have == size else g.part(x, 0, size, axis)
    end = [0] * 4
    end[axis] = size - have
    return opset.pad(x, g.index([0] * 4), g.index(end), "constant", g.number(0))


def _local(g: Graph, x: Node, name: str) -> Node:
    return _attention(g, x, name, 0)


def _global(g: Graph, x: Node, name: str) -> Node:
    return _attention(g, g.mean(x, 1, keep=True), name, 1)


def _attention(g: Graph, x: Node, name: str, first: int) -> Node:
    """Product, norm, ReLU, product, norm; in a global attention they are numbered from 1."""
    for conv, norm in ((first, first + 1), (first + 3, first + 4)):
        weight, bias = g.fold_batch_norm(f"{name}.{conv}", f"{name}.{norm}")
        x = g.product(x, weight.reshape(weight.shape[:2]), bias)
        x = opset.relu(x) if conv == first else x
    return x
