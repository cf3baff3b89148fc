"""CLIP and GPT-2 as graphs over embedded tokens, each of which sees only those before it (see `numpy_causal_text`)."""

from __future__ import annotations

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.ops import Graph, Node
from openclap.backends.numpy_causal_text import CLIP_NAMES, GPT2_NAMES, Names
from openclap.config import CLAPConfig, TextConfig

__all__ = ["clip", "gpt2"]

LATER = -1e9  # added to the scores of tokens that come later


def clip(g: Graph, config: CLAPConfig) -> object:
    """Sums of word and position vectors (B, L, D), and 1 at the place whose state is taken (B, L) → (B, E)."""
    return _tower(g, config, CLIP_NAMES, transposed=False)


def gpt2(g: Graph, config: CLAPConfig) -> object:
    """The same for GPT-2, whose weights are (in, out)."""
    return _tower(g, config, GPT2_NAMES, transposed=True)


def _tower(g: Graph, config: CLAPConfig, names: Names, *, transposed: bool) -> object:
    text = config.text
    assert isinstance(text, TextConfig)
    eps = text.layer_norm_eps

    def linear(x: Node, name: str) -> Node:
        product = opset.matmul(x, g.constant(f"{name}.weight"), False, not transposed)
        return product + g.constant(f"{name}.bias")

    x = vectors = opset.parameter([-1, -1, text.width], np.float32, "vectors")
    end = opset.parameter([-1, -1], np.float32, "end")
    later = _later(g, x)
    for layer in range(text.layers):
        at = f"{names.layer}{layer}."
        normal = g.layer_norm(x, at + names.norms[0], eps)
        parts = [linear(normal, at + name) for name in names.qkv]
        x = x + linear(_attention(g, parts, text, later), at + names.out)
        normal = g.layer_norm(x, at + names.norms[1], eps)
        x = x + linear(g.activation(linear(normal, at + names.up), text.activation), at + names.down)
    states = g.marked["frames"] = g.layer_norm(x, names.last, eps)
    pooled = opset.reduce_sum(states * opset.unsqueeze(end, g.index([2])), g.index([1]), False)
    return ov.Model([g.projection(pooled, "text_projection", config)], [vectors, end], "text")


def _attention(g: Graph, parts: list[Node], text: TextConfig, later: Node) -> Node:
    """Queries, keys and values, in three products or side by side in one → (B, L, D)."""
    if len(parts) == 1:
        width = text.heads * text.head_size
        parts = [g.part(parts[0], i * width, (i + 1) * width, 2) for i in range(3)]
    query, key, value = (
        g.transpose(g.reshape(part, 0, 0, text.heads, text.head_size), 0, 2, 1, 3) for part in parts
    )  # (B, H, L, D / H)
    scores = opset.matmul(query * g.number(text.head_size**-0.5), key, False, True) + later
    mixed = opset.matmul(opset.softmax(scores, -1), value, False, False)
    return g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, 0, text.heads * text.head_size)


def _later(g: Graph, x: Node) -> Node:
    """(L, L): LATER where a column is a later token than the row, else 0."""
    length = opset.gather(opset.shape_of(x), opset.constant(np.int64(1)), opset.constant(np.int64(0)))
    place = opset.range(opset.constant(np.int64(0)), length, opset.constant(np.int64(1)), output_type="i64")
    is_later = opset.greater(opset.unsqueeze(place, g.index([0])), opset.unsqueeze(place, g.index([1])))
    return opset.convert(is_later, "f32") * g.number(LATER)
